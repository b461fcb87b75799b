"""Who is meant, as a person writes it."""

from __future__ import annotations

from uuid import UUID

from schemas.errors import Misconfigured
from schemas.ids import UserId


def user_of(text: str) -> UserId:
    """Raises Misconfigured: it is no user id."""
    try:
        return UserId(UUID(text))
    except ValueError:
        raise Misconfigured(f"{text!r} is no user id, as `ats preflight` prints them") from None
