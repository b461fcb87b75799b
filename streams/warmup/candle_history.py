"""What `ats.candles` already holds of the past, and whether that is enough to warm up on."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from datetime import date, timedelta
from itertools import takewhile
from struct import Struct
from typing import Final

import structlog

from bus.records import Record
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.history import Bar
from schemas.ids import InstrumentId
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle
from schemas.units import Price, Quantity, UtcNs
from streams.warmup.plan import WANTED, InstrumentHours, is_closed, latest

log = structlog.get_logger(__name__)


class CandleHistory:
    """The last bars of every instrument and timeframe, as our own engine made them.

    They are kept packed, in a fifth of the memory: of 5,000 instruments they are ten million.
    """

    def __init__(self) -> None:
        self._bars: dict[tuple[InstrumentId, Timeframe], deque[bytes]] = {}

    def add(self, candle: Candle) -> None:
        """Keep a candle unless it is a repeat.

        An incomplete one ends what came before: its volume is short.
        """
        bars = self._bars.setdefault((candle.instrument, candle.timeframe), deque())
        if not candle.complete:
            bars.clear()
        elif not bars or _start(bars[-1]) < candle.start:
            bars.append(
                _BAR.pack(
                    candle.start, candle.open, candle.high, candle.low, candle.close, candle.volume
                )
            )
            _forget(bars, candle.timeframe)

    async def read_all(self, candles: AsyncIterator[Record]) -> None:
        """Read all of `ats.candles`.

        A record that cannot be decoded is skipped: the API has the bar too.
        """
        async for record in candles:
            try:
                self.add(decode(Candle, record.value))
            except Unreadable as error:
                log.warning("candle_unreadable", record=str(record), reason=error.reason)

    def bars(
        self, timeframe: Timeframe, until: UtcNs, hours: InstrumentHours
    ) -> tuple[Bar, ...] | None:
        """The `latest` bars of the instrument of `hours` up to `until`.

        None when any of these holds:

        - they are fewer than `WANTED`;
        - a day on which it trades has no bar;
        - the last bar that is closed is not there.

        A holiday that the calendar does not know, and a share that did not trade in its last
        minute, look like a hole: then the API is called once more than needed.
        """
        kept = map(_unpacked, self._bars.get((hours.instrument, timeframe), ()))
        spans = ((bar, hours.span(bar.start, timeframe)) for bar in kept)
        bars = latest(
            [bar for bar, span in spans if span and is_closed(span, until)], timeframe, until, hours
        )
        if len(bars) < WANTED or bars[-1].start < hours.last_closed(timeframe, until):
            return None
        days = {trading_day(bar.start) for bar in bars}
        return None if _missing(days, trading_day(until), hours) else bars


_BAR: Final = Struct("<6q")


def _start(packed: bytes) -> UtcNs:
    return UtcNs(_BAR.unpack(packed)[0])


def _unpacked(packed: bytes) -> Bar:
    start, opened, high, low, close, volume = _BAR.unpack(packed)
    return Bar(UtcNs(start), Price(opened), Price(high), Price(low), Price(close), Quantity(volume))


def _forget(bars: deque[bytes], timeframe: Timeframe) -> None:
    """Drop what `latest` leaves out; of minutes a day at a time, when the next one begins."""
    if timeframe is not Timeframe.M1:
        if len(bars) > WANTED:
            bars.popleft()
        return
    if len(bars) <= WANTED or trading_day(_start(bars[-1])) == trading_day(_start(bars[-2])):
        return
    first = trading_day(_start(bars[0]))
    oldest = sum(1 for _ in takewhile(lambda bar: trading_day(_start(bar)) == first, bars))
    if len(bars) - oldest > WANTED:
        for _ in range(oldest):
            bars.popleft()


def _missing(days: set[date], today: date, hours: InstrumentHours) -> bool:
    """Whether `days` lack a trading day between their first and `today`."""
    day = min(days)
    while day < today:
        if day not in days and hours.trades(day):
            return True
        day += timedelta(days=1)
    return False
