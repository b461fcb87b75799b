"""Whose token it is: Supabase's access tokens, checked without asking anybody. Pure.

The algorithm is the key's, never the token's own word. A key of the project (anon, service role)
is no user's token: it has no audience and no subject.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import jwt

from schemas.errors import AtsError
from schemas.ids import UserId

AUDIENCE: Final = "authenticated"
ROLE: Final = "authenticated"
LONGEST: Final = 8_192  # characters; ours have 800
ASYMMETRIC: Final = frozenset({"ES256", "RS256"})  # what Supabase signs with besides HS256
_OPTIONS: Final[Any] = {
    "require": ["exp", "sub", "aud"],
    # against the moment that we are given, below
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class NotAdmitted(AtsError):
    """Nobody is served for this token. Next: the viewer signs in again.

    Attributes:
        code: Why, as one word; never a part of the token.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the access token is refused: {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key and the one algorithm that it is for."""

    algorithm: str
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who looks, and until when.

    Attributes:
        until: Unix seconds; the stream ends then.
    """

    user: UserId
    until: float


def bearer_of(header: str) -> str:
    """The token of an `Authorization` header.

    Raises:
        NotAdmitted: there is none, or it is longer than any of Supabase's.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAdmitted("no_token")
    if len(token) > LONGEST:
        raise NotAdmitted("too_long")
    return token


def key_id_of(token: str) -> str:
    """Which key the token says it was signed with; "" where it does not say.

    Raises:
        NotAdmitted: it is no JWT.
    """
    try:
        named = jwt.get_unverified_header(token).get("kid", "")
    except jwt.InvalidTokenError:
        raise NotAdmitted("malformed") from None
    return named if isinstance(named, str) else ""


def admitted(token: str, key: VerifyingKey, now: float) -> Admitted:
    """Whose token it is at `now` (Unix seconds).

    Raises:
        NotAdmitted: of another key or algorithm, malformed, expired, not valid yet, or of no user.
    """
    try:
        claims = jwt.decode(
            token, key.key, algorithms=[key.algorithm], audience=AUDIENCE, options=_OPTIONS
        )
    except jwt.InvalidAudienceError:
        raise NotAdmitted("another_audience") from None
    except jwt.InvalidSignatureError:
        raise NotAdmitted("another_key") from None
    except jwt.InvalidAlgorithmError:
        raise NotAdmitted("another_algorithm") from None
    except jwt.PyJWTError:
        raise NotAdmitted("malformed") from None
    until = _seconds(claims["exp"])
    if until <= now:
        raise NotAdmitted("expired")
    if "nbf" in claims and _seconds(claims["nbf"]) > now:
        raise NotAdmitted("not_yet")
    if claims.get("role") != ROLE:
        raise NotAdmitted("another_role")
    try:
        return Admitted(UserId(UUID(claims["sub"])), until)
    except (ValueError, AttributeError, TypeError):
        raise NotAdmitted("no_user") from None


def _seconds(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        raise NotAdmitted("malformed")
    return float(said)
