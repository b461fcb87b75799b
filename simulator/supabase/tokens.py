"""API keys and access tokens (HS256 JWT)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

ACCESS_TOKEN_SECONDS: Final = 3_600  # supabase/config.toml, jwt_expiry
AUDIENCE: Final = "authenticated"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a project hands out.

    Random unless given, so that a stand-in left running is of no use to a stranger.
    """

    publishable: str = field(default_factory=lambda: f"sb_publishable_{secrets.token_urlsafe(24)}")
    secret: str = field(
        default_factory=lambda: f"sb_secret_{secrets.token_urlsafe(24)}", repr=False
    )
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)


class TokenRefused(Exception):
    """A token of another secret, malformed or expired."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("JWT expired" if expired else "JWT invalid")
        self.expired = expired


def sign(jwt_secret: str, issuer: str, user: Mapping[str, Any], session_id: str) -> tuple[str, int]:
    """An access token for `user` as `/auth/v1` shows it, and when it expires (Unix seconds)."""
    issued_at = int(time.time())
    claims = {
        "iss": issuer, "sub": user["id"], "aud": AUDIENCE, "exp": issued_at + ACCESS_TOKEN_SECONDS,
        "iat": issued_at,
        "email": user["email"], "phone": "", "role": user["role"], "session_id": session_id,
        "is_anonymous": False,
        "app_metadata": user["app_metadata"], "user_metadata": user["user_metadata"], "aal": "aal1",
        "amr": [{"method": "password", "timestamp": issued_at}],
    }  # fmt: skip
    return jwt.encode(claims, jwt_secret, "HS256"), claims["exp"]


def verify(jwt_secret: str, token: str) -> dict[str, Any]:
    """The claims of an access token.

    Raises:
        TokenRefused: expired, or not signed by us.
    """
    try:
        return dict(jwt.decode(token, jwt_secret, ["HS256"], options={"verify_aud": False}))
    except jwt.ExpiredSignatureError:
        raise TokenRefused(expired=True) from None
    except jwt.InvalidTokenError:
        raise TokenRefused(expired=False) from None
