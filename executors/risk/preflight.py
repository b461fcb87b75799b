"""Whether a user may enter anything today: what was looked at before, and what it says.

Pure. The facts are recorded as they were judged, so anybody can judge them again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from executors.risk.gate import FEED_DEAD_AFTER
from executors.risk.situation import Address
from schemas.messages import PreflightFacts


class Red(StrEnum):
    """Why a preflight is red. Part of the `ats.preflights` schema: add, never rename."""

    PREFLIGHT_MISSING = "preflight_missing"
    TOKEN_ENDS_IN_SESSION = "token_ends_in_session"  # noqa: S105  # a reason, not a secret
    ADDRESS_MISMATCH = "address_mismatch"
    ADDRESS_UNVERIFIED = "address_unverified"
    FUNDS_UNREADABLE = "funds_unreadable"
    NO_FUNDS = "no_funds"
    INSTRUMENTS_OLD = "instruments_old"
    DAY_NOT_IN_CALENDAR = "day_not_in_calendar"
    FEED_COLD = "feed_cold"
    BOOK_UNREAD = "book_unread"
    BOOK_DISAGREES = "book_disagrees"
    PNL_EXIT_UNARMED = "pnl_exit_unarmed"


def judge_preflight(facts: PreflightFacts) -> tuple[Red, ...]:
    """Every reason why the user enters nothing, in the order of `CHECKS`; none is green."""
    return tuple(red for red, holds in CHECKS if holds(facts))


def _feed_is_cold(facts: PreflightFacts) -> bool:
    return facts.feed_clock is None or facts.now - facts.feed_clock > FEED_DEAD_AFTER


def _token_ends(facts: PreflightFacts) -> bool:
    """On a day without a session nothing can end in one."""
    if facts.session_close is None:
        return False
    return facts.token_expiry is None or facts.token_expiry < facts.session_close


CHECKS: Final[tuple[tuple[Red, Callable[[PreflightFacts], bool]], ...]] = (
    (Red.DAY_NOT_IN_CALENDAR, lambda facts: not facts.day_known),
    (Red.INSTRUMENTS_OLD, lambda facts: facts.instruments_of != facts.trading_date),
    (Red.TOKEN_ENDS_IN_SESSION, _token_ends),
    (Red.ADDRESS_MISMATCH, lambda facts: facts.address == Address.ANOTHER.value),
    (Red.ADDRESS_UNVERIFIED, lambda facts: facts.address == Address.UNVERIFIED.value),
    (Red.FUNDS_UNREADABLE, lambda facts: facts.funds is None),
    (Red.NO_FUNDS, lambda facts: facts.funds is not None and facts.funds <= 0),
    (Red.FEED_COLD, _feed_is_cold),
    (Red.BOOK_UNREAD, lambda facts: not facts.book_read),
    (Red.BOOK_DISAGREES, lambda facts: facts.book_read and not facts.book_agrees),
    (Red.PNL_EXIT_UNARMED, lambda facts: facts.pnl_exit in {"unarmed", "unknown"}),
)
