"""The ticks that a bar was made of, summed up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bus.records import Record
from schemas.binary import Rows
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.messages import Candle
from schemas.ticks import NO_VOLUME, TICK, decode
from schemas.units import Price, UtcNs


@dataclass(frozen=True, slots=True)
class SeenTick:
    """One tick and where it stands.

    Attributes:
        row: Of its record, from 0.
        received_at: When the gateway had it, by its machine's clock.
    """

    place: str
    row: int
    traded_at: UtcNs
    received_at: UtcNs
    price: Price
    volume: int | None


@dataclass(frozen=True, slots=True)
class BarTicks:
    """The ticks of one bar, in the order in which they came.

    Attributes:
        whole: False where the records before those that were read may hold more of them.
        closing: Where the record stands that moved market time past the bar's end.
        closed_at: When that was written.
        first, last, low, high: None where no tick was found.
    """

    bar: Candle
    count: int = 0
    whole: bool = True
    closing: str = ""
    closed_at: UtcNs | None = None
    first: SeenTick | None = None
    last: SeenTick | None = None
    low: SeenTick | None = None
    high: SeenTick | None = None


def begins_before(record: Record, bar: Candle) -> bool:
    """Whether `record` was written before `bar` began, so that nothing before it is of the bar."""
    try:
        if is_history(record.value):
            return False
        batch = decode(record.value or b"")
    except Unreadable:
        return False
    clock = batch.rows["clock"][0] if len(batch.rows) else batch.clock
    return bool(clock < bar.start)


def ticks_of(bar: Candle, records: Sequence[Record], *, whole: bool) -> BarTicks:
    """The ticks of `bar` among `records` of one partition, in its order; the last closed it."""
    count, first, last, low, high = 0, None, None, None, None
    for record in records:
        rows, places = _rows_of(bar, record)
        if not places:
            continue
        count += len(places)
        prices = rows["price"][places]
        lowest, highest = (
            _seen(record, places[nth], rows) for nth in (np.argmin(prices), np.argmax(prices))
        )
        first = first or _seen(record, places[0], rows)
        last = _seen(record, places[-1], rows)
        low = lowest if low is None or lowest.price < low.price else low
        high = highest if high is None or highest.price > high.price else high
    closing = records[-1] if records else None
    place, moment = (str(closing), closing.published_at) if closing else ("", None)
    return BarTicks(bar, count, whole, place, moment, first, last, low, high)


def _rows_of(bar: Candle, record: Record) -> tuple[Rows, list[int]]:
    """The rows of a record, and which of them are of `bar`."""
    nothing = np.zeros(0, TICK), list[int]()
    if is_history(record.value):
        return nothing
    try:
        rows = decode(record.value or b"").rows
    except Unreadable:
        return nothing
    ours = (rows["security_id"] == bar.instrument.security_id) & (
        rows["segment"] == bar.instrument.segment.code
    )
    within = (rows["exchange_time"] >= int(bar.start)) & (
        rows["exchange_time"] < int(bar.event_time)
    )
    return rows, [int(row) for row in np.flatnonzero(ours & within)]


def _seen(record: Record, row: int, rows: Rows) -> SeenTick:
    tick = rows[row]
    volume = int(tick["volume"])
    return SeenTick(
        str(record),
        row,
        UtcNs(tick["exchange_time"]),
        UtcNs(tick["received_at"]),
        Price(int(tick["price"])),
        None if volume == NO_VOLUME else volume,
    )
