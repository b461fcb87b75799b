"""The last traded price of every instrument, fed from `ats.ticks`.

A replay runs ahead of the decisions it causes, so the book keeps history: one price a second and
instrument, bounded. The answer is always the latest price not after the moment asked for, whatever
came in since.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator
from typing import Final

import numpy as np
import structlog

from bus.records import Record
from executors.risk.situation import Quote
from schemas.binary import Rows
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.ids import InstrumentId
from schemas.market import trading_day
from schemas.ticks import NO_VOLUME, Batch, decode, instrument_of, partition_of
from schemas.units import Price, UtcNs

log = structlog.get_logger(__name__)

# 09:15 to 15:30; 24 bytes each, so a day of one instrument is 0.6 MB at most
DAY_OF_SECONDS: Final = 22_500


class QuoteCache:
    """Prices by instrument, and how far the feed's clock has come in each partition."""

    def __init__(self, partitions: int, depth: int = DAY_OF_SECONDS) -> None:
        self._partitions = partitions
        self._depth = depth
        self._series: dict[InstrumentId, _Series] = {}
        self._clocks: dict[int, UtcNs] = {}
        self._moved = asyncio.Event()

    def apply(self, partition: int, batch: Batch) -> None:
        """Take one micro-batch in."""
        for row in batch.rows[_last_of_each_second(batch.rows)]:
            instrument = instrument_of(row)
            if (series := self._series.get(instrument)) is None:
                series = self._series[instrument] = _Series(self._depth)
            series.add(int(row["exchange_time"]), int(row["price"]), int(row["volume"]))
        self._clocks[partition] = max(batch.clock, self._clocks.get(partition, UtcNs(0)))
        self._moved.set()
        self._moved = asyncio.Event()

    def quote_at(self, instrument: InstrumentId, now: UtcNs) -> Quote | None:
        """The last trade not after `now`.

        None when there is none, or none that old is remembered.
        """
        series = self._series.get(instrument)
        return series.at(now) if series else None

    def volume(self, instrument: InstrumentId, now: UtcNs, window: UtcNs) -> int:
        """Units traded within `window` before `now`; of the day only, and of what was heard."""
        series = self._series.get(instrument)
        return series.volume(now, window) if series else 0

    def clock(self, instrument: InstrumentId) -> UtcNs | None:
        """How far the feed has come where this instrument's ticks arrive."""
        return self._clocks.get(partition_of(instrument, self._partitions))

    @property
    def feed_clock(self) -> UtcNs | None:
        """How far the feed has come anywhere; None before its first record."""
        return max(self._clocks.values(), default=None)

    async def reached(self, instrument: InstrumentId, moment: UtcNs, patience: float) -> bool:
        """Wait until the feed's clock stands at `moment` or later, `patience` seconds at most."""
        try:
            async with asyncio.timeout(patience):
                while (clock := self.clock(instrument)) is None or clock < moment:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def follow(self, ticks: AsyncIterator[Record]) -> None:
        """Keep the book fed.

        A record that cannot be read is passed over here: the engine buries it.
        """
        async for record in ticks:
            if is_history(record.value):
                continue
            try:
                batch = decode(record.value or b"")
            except Unreadable as error:
                log.warning("ticks_unreadable", record=str(record), reason=error.reason)
                continue
            self.apply(record.partition, batch)


class _Series:
    """Times, prices and the day's volume so far of one instrument, times rising."""

    __slots__ = ("_depth", "_prices", "_times", "_volumes")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._times = array("q")
        self._prices = array("q")
        self._volumes = array("q")

    def add(self, traded_at: int, price: int, volume: int) -> None:
        """Of several trades in one second the one that arrived last counts."""
        if not self._times or traded_at > self._times[-1]:
            self._times.append(traded_at)
            self._prices.append(price)
            self._volumes.append(volume)
        elif self._times[index := bisect_left(self._times, traded_at)] == traded_at:
            self._prices[index], self._volumes[index] = price, volume
        else:
            self._times.insert(index, traded_at)
            self._prices.insert(index, price)
            self._volumes.insert(index, volume)
        # half at a time, so that forgetting costs nothing a tick
        if len(self._times) > 2 * self._depth:
            del self._times[: self._depth], self._prices[: self._depth]
            del self._volumes[: self._depth]

    def volume(self, now: int, window: int) -> int:
        """Of rows that tell a volume; where none is as old as the window, since the first of the
        day that does.
        """
        last = bisect_right(self._times, now) - 1
        while last >= 0 and self._volumes[last] == NO_VOLUME:
            last -= 1
        if last < 0 or self._times[last] <= now - window:
            return 0
        first = max(0, bisect_right(self._times, now - window) - 1)
        day = trading_day(self._times[last])
        while self._volumes[first] == NO_VOLUME or trading_day(self._times[first]) != day:
            first += 1
        return max(0, self._volumes[last] - self._volumes[first])

    def at(self, now: int) -> Quote | None:
        index = bisect_right(self._times, now) - 1
        return Quote(Price(self._prices[index]), UtcNs(self._times[index])) if index >= 0 else None


def _last_of_each_second(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Positions of the rows worth keeping, in order of arrival.

    The last of each instrument and exchange time.
    """
    backwards = rows[::-1][["segment", "security_id", "exchange_time"]]
    _, first = np.unique(backwards, return_index=True)
    return np.sort(len(rows) - 1 - first)
