"""The calendar that a service asks.

It is the exchanges' own, with an operator's file laid over it, or that of a simulated market.
"""

from __future__ import annotations

from datetime import date

import structlog

from ats.services.context import instrument_master, trading_date
from ats.settings import SIMULATED_CALENDAR, Settings
from dhan.instruments import Master
from schemas.calendar import EVERY_DAY, Calendar
from schemas.calendar_file import concerns, exchange_calendar, parse
from schemas.errors import Misconfigured

log = structlog.get_logger(__name__)


def calendar_of(settings: Settings) -> Calendar:
    """When the exchanges trade, as far as ATS_CALENDAR and the shipped data know.

    Raises:
        Misconfigured: the file cannot be read or used, or real orders would follow a market that is
            open every day.
    """
    path = settings.ats_calendar
    if path is None:
        return exchange_calendar()
    if str(path) == SIMULATED_CALENDAR:
        if settings.ats_mode != "paper":
            raise Misconfigured(
                f"ATS_CALENDAR={SIMULATED_CALENDAR} is for simulated markets, but "
                f"ATS_MODE={settings.ats_mode} places real orders: leave ATS_CALENDAR empty, or "
                "name a file"
            )
        return EVERY_DAY
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"ATS_CALENDAR={str(path)!r} cannot be read: {error}") from None
    return parse(text, str(path), exchange_calendar())


def with_auction_shares(calendar: Calendar, master: Master) -> Calendar:
    """The same calendar, knowing which shares close in an auction.

    The instrument master says which; a list in the operator's file stands.
    """
    if not calendar.asks_for_auction_shares:
        return calendar
    shares = master.auction_shares()
    if shares is None:
        log.warning(
            "auction_shares_unknown",
            reason="the instrument master has no contract on a share; all end early",
        )
    return calendar.with_auction_shares(shares)


async def whole_calendar(settings: Settings) -> Calendar:
    """The calendar with its auction shares, for a service that has no other use for the instrument
    master.

    Raises:
        Misconfigured: as `calendar_of`.
        TryLater: the instrument master is needed and did not come.
    """
    calendar = calendar_of(settings)
    if not calendar.asks_for_auction_shares:
        return calendar
    return with_auction_shares(calendar, await instrument_master(settings))


def announce(calendar: Calendar, settings: Settings) -> None:
    """Log what an operator has to see to: once, when a service starts."""
    for concern in concerns(calendar, trading_date(settings)):
        log.warning("calendar", concern=concern)


def no_session(calendar: Calendar, day: date) -> str:
    """Why shares do not trade on `day`, for people."""
    if any(each.first <= day <= each.last for each in calendar.coverage):
        return f"{day} ({day:%A}) has no session by the calendar"
    return (
        f"{day} is not in the calendar, so it counts as closed: write it into the file of "
        "ATS_CALENDAR"
    )
