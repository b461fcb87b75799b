"""What `ats.candles` already holds of the past, and whether it reaches far enough to warm up on."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Final

import structlog

from bus.records import Record
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.history import Bar
from schemas.ids import InstrumentId
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle
from schemas.units import UtcNs
from streams.warmup.plan import WANTED, Hours

log = structlog.get_logger(__name__)

_SATURDAY: Final = 5


class Known:
    """The newest bars of every instrument and timeframe, as our own engine made them."""

    def __init__(self) -> None:
        self._bars: dict[tuple[InstrumentId, Timeframe], deque[Bar]] = {}

    def add(self, candle: Candle) -> None:
        """Keep a candle unless it is a repeat. An incomplete one ends what came before: its volume is short."""
        bars = self._bars.setdefault((candle.instrument, candle.timeframe), deque(maxlen=WANTED))
        if not candle.complete:
            bars.clear()
        elif not bars or bars[-1].start < candle.start:
            bars.append(Bar(candle.start, candle.open, candle.high, candle.low, candle.close, candle.volume))

    async def follow(self, candles: AsyncIterator[Record]) -> None:
        """Take all of `ats.candles` in. A record that cannot be read is passed over: the API knows the bar too."""
        async for record in candles:
            try:
                self.add(decode(Candle, record.value))
            except Unreadable as error:
                log.warning("candle_unreadable", record=str(record), reason=error.reason)

    def bars(self, timeframe: Timeframe, until: UtcNs, hours: Hours) -> tuple[Bar, ...] | None:
        """`WANTED` bars of the instrument of `hours` without a missing day up to `until`; None when they are fewer, or a
        weekday that it trades on has none.

        A holiday that the calendar does not know looks like a missing day: then the API is asked once more than needed.
        """
        spans = ((bar, hours.span(bar.start, timeframe)) for bar in self._bars.get((hours.instrument, timeframe), ()))
        bars = [bar for bar, span in spans if span and span[1] <= until]
        if len(bars) < WANTED:
            return None
        days = {trading_day(bar.start) for bar in bars}
        return None if _missing(days, trading_day(until), hours) else tuple(bars)


def _missing(days: set[date], today: date, hours: Hours) -> bool:
    """Whether a trading weekday from the first of `days` to the one before `today` is not among them."""
    day = min(days)
    while day < today:
        if day.weekday() < _SATURDAY and day not in days and hours.sessions(day):
            return True
        day += timedelta(days=1)
    return False
