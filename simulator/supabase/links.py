"""Magic links: the mails the stand-in does not send, their links, and the codes a browser exchanges
for a session (PKCE).

Kept in memory: a link that a restart forgets is asked for again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from yarl import URL

from simulator.supabase.errors import AuthError

LINK_SECONDS: Final = 3_600  # Supabase Auth's default
CODE_SECONDS: Final = 300  # likewise, of a flow state
MOST_MAILS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mail:
    """What would have been sent."""

    to: str
    link: str


@dataclass(frozen=True, slots=True)
class _Promise:
    user: UUID
    challenge: str
    redirect_to: URL
    until: float


class Links:
    """All links of one stand-in, each good once. `url` is the stand-in's own address."""

    def __init__(self, url: str, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._now = now
        self._links: dict[str, _Promise] = {}
        self._codes: dict[str, _Promise] = {}
        self.mails: list[Mail] = []

    def send(self, email: str, user: UUID, redirect_to: str, challenge: str) -> None:
        """Write a mail with a link that leads back to `redirect_to`.

        Raises:
            AuthError: an address outside this machine, or a client that does not use PKCE.
        """
        target = URL(redirect_to)
        if target.host not in {"127.0.0.1", "localhost"}:
            raise AuthError(
                400, "validation_failed", "stand-in: redirect_to must be an address of this machine"
            )
        if not challenge:
            raise AuthError(400, "validation_failed", "stand-in: only the PKCE flow is implemented")
        token = secrets.token_urlsafe(24)
        self._links[token] = _Promise(user, challenge, target, self._now() + LINK_SECONDS)
        asked = urlencode({"token": token, "type": "magiclink", "redirect_to": redirect_to})
        self.mails = [*self.mails, Mail(email, f"{self._url}/auth/v1/verify?{asked}")][-MOST_MAILS:]

    def follow(self, token: str) -> URL | None:
        """Where the browser goes on to, with a code.

        None for a link that was used, is too old or never was.
        """
        promise = self._taken(self._links, token)
        if promise is None:
            return None
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Promise(
            promise.user, promise.challenge, promise.redirect_to, self._now() + CODE_SECONDS
        )
        return promise.redirect_to.update_query(code=code)

    def redeem(self, code: str, verifier: str) -> UUID:
        """Whose code it is.

        Raises:
            AuthError: used, too old, or asked for by another browser.
        """
        promise = self._taken(self._codes, code)
        if promise is None:
            raise AuthError(
                404, "flow_state_not_found", "invalid flow state, no valid flow state found"
            )
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
            .rstrip(b"=")
            .decode()
        )
        if not hmac.compare_digest(digest, promise.challenge):
            raise AuthError(
                400,
                "bad_code_verifier",
                "code challenge does not match previously saved code verifier",
            )
        return promise.user

    def _taken(self, held: dict[str, _Promise], key: str) -> _Promise | None:
        promise = held.pop(key, None)
        return promise if promise and self._now() < promise.until else None
