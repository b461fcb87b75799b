"""One-time passwords after RFC 6238, as authenticator apps make them.

Six digits, thirty seconds, SHA-1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final

STEP: Final = 30  # seconds
DIGITS: Final = 6
DRIFT: Final = 1  # steps a client's clock may be off
LEAST_BITS: Final = 160  # of a secret: what RFC 4226 recommends and real authenticators get


def code(secret: str, step: int) -> str:
    """The password of a base-32 `secret` in the given step since 1970."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def bits(secret: str) -> int:
    """The length of a base-32 `secret`; 0 when it is none."""
    try:
        return 8 * len(base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True))
    except ValueError:
        return 0


def now(secret: str, moment: datetime) -> str:
    """The password at `moment`."""
    return code(secret, int(moment.timestamp()) // STEP)


def holds(given: str, secret: str, moment: datetime) -> bool:
    """Whether `given` is the password at `moment`, or that of the step before or after."""
    step = int(moment.timestamp()) // STEP
    return any(
        hmac.compare_digest(given.encode(), code(secret, near).encode())
        for near in range(step - DRIFT, step + DRIFT + 1)
    )
