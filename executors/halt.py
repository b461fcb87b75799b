"""Why no order of anybody can leave now: what the account page tells whoever is switched on.

Pure, as the gate is, and of one mind with it: the first of the gate's reasons that does not depend
on user, instrument or price. It is told, never obeyed: the gate judges each order by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from executors.risk.denial import Denial
from executors.risk.gate import FEED_DEAD_AFTER
from executors.risk.situation import DAILY
from executors.risk.square_off import SquareOff
from schemas.calendar import Calendar
from schemas.ids import InstrumentId
from schemas.market import Instrument, trading_day
from schemas.units import UtcNs


def halted(
    now: UtcNs | None,
    *,
    everybody_halted: bool,
    calendar: Calendar,
    kinds: Iterable[InstrumentId],
    feed_clock: UtcNs | None,
    square_off: SquareOff = DAILY,
) -> Denial | None:
    """What denies every order at market time `now`; None when orders may leave.

    `now` is None before a replay's first tick. `kinds` has an instrument of each kind that may be
    traded (`kinds_of`): the market is open while one of them is. While `everybody_halted` the code
    is `KILL_SWITCH`: closing orders still leave.
    """
    if everybody_halted:
        return Denial.KILL_SWITCH
    if now is None:
        return Denial.FEED_DEAD
    day, kinds = trading_day(now), list(kinds)
    if not any(calendar.covers(day, kind.segment) for kind in kinds):
        return Denial.DAY_NOT_IN_CALENDAR
    if denial := _hours(now, calendar, kinds, square_off):
        return denial
    if feed_clock is None or now - feed_clock > FEED_DEAD_AFTER:
        return Denial.FEED_DEAD
    return None


def _hours(
    now: UtcNs, calendar: Calendar, kinds: Iterable[InstrumentId], square_off: SquareOff
) -> Denial | None:
    day = trading_day(now)
    trading = [kind for kind in kinds if any(now in s for s in calendar.sessions(day, kind))]
    if not trading:
        return Denial.OUTSIDE_SESSION
    late = all(square_off.due(calendar, now, kind) for kind in trading)
    return Denial.AFTER_LAST_ENTRY if late else None


def kinds_of(instruments: Iterable[Instrument], calendar: Calendar) -> tuple[InstrumentId, ...]:
    """One tradable instrument of each kind that has trading hours of its own."""
    tradable = (instrument.id for instrument in instruments if instrument.tradable)
    kinds = {(each.segment, calendar.closes_in_auction(each)): each for each in tradable}
    return tuple(kinds.values())
