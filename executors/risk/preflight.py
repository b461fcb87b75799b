"""Whether a user may enter anything today: what was looked at before, and what it says.

Pure. The facts are recorded as they were judged, so anybody can judge them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from executors.risk.gate import FEED_DEAD_AFTER, Address
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


class Words(NamedTuple):
    """What a red reason says: to the user, and to the operator with what to do."""

    user: str
    operator: str


REDS: Final[Mapping[Red, Words]] = {
    Red.PREFLIGHT_MISSING: Words(
        "today's checks of your account are not done yet",
        "no order worker has looked at the account today: is `ats executors` running?",
    ),
    Red.TOKEN_ENDS_IN_SESSION: Words(
        "the connection to Dhan ends before the day's trading does: connect again",
        "the user has to connect again on the account page",
    ),
    Red.ADDRESS_MISMATCH: Words(
        "Dhan sees your account's requests come from another address than the registered one",
        "compare ATS_EGRESS and `ats members list` with what is registered at Dhan",
    ),
    Red.ADDRESS_UNVERIFIED: Words(
        "Dhan did not say from which address it sees your account's requests",
        "`GET /v2/ip/getIP` gave no address: is a static address registered at Dhan?",
    ),
    Red.FUNDS_UNREADABLE: Words(
        "Dhan did not say what funds your account has",
        "`GET /v2/fundlimit` gave no amount: look at Dhan's status, and at the account",
    ),
    Red.NO_FUNDS: Words(
        "your Dhan account has no funds to trade with",
        "the user has to bring in funds at Dhan",
    ),
    Red.INSTRUMENTS_OLD: Words(
        "the list of instruments is not today's",
        "the order workers read the instrument master at their start: restart `ats executors`",
    ),
    Red.DAY_NOT_IN_CALENDAR: Words(
        "the calendar does not know this day",
        "write the day into the file of ATS_CALENDAR, and restart",
    ),
    Red.FEED_COLD: Words(
        "no market data arrive",
        "is `ats feed` running and connected? see `ats_feed` on /metrics",
    ),
    Red.BOOK_UNREAD: Words(
        "your orders and positions at Dhan have not been read today",
        "is `ats books` running, and does it observe the account?",
    ),
    Red.BOOK_DISAGREES: Words(
        "what is known of your positions is not what Dhan shows",
        "compare `ats tail ats.positions` with Dhan's page; `ats books` reads again by itself",
    ),
    Red.PNL_EXIT_UNARMED: Words(
        "Dhan's own exit at a loss is not set for today",
        "see `pnl_exit` on `ats.exits` for why; `ats books` tries again every minute",
    ),
}


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
