"""Who is meant, as a person writes it."""

from __future__ import annotations

from uuid import UUID

from schemas.errors import Misconfigured
from schemas.ids import UserId


def user_of(text: str, option: str = "") -> UserId:
    """The user of `option`, or of an argument. Raises Misconfigured: it is no user id."""
    try:
        return UserId(UUID(text))
    except ValueError:
        named = f"{option} {text!r}" if option else repr(text)
        raise Misconfigured(f"{named} is no user id, as `ats preflight` prints them") from None
