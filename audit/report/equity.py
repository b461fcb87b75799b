"""What the account was worth in the course of the day, and what stood in the market. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.report.trades import traded_at
from schemas.ids import InstrumentId, UserId
from schemas.market import Side
from schemas.messages import Candle, Trade
from schemas.units import UtcNs


class Point(NamedTuple):
    """At the end of a minute.

    Attributes:
        value: Paise made or lost so far, closed and open, before charges.
        exposure: Paise of all that is held, long and short, at the last prices.
    """

    at: UtcNs
    value: int
    exposure: int


def course_of(
    trades: Iterable[Trade], bars: Mapping[InstrumentId, Sequence[Candle]]
) -> list[Point]:
    """At each minute's end that a bar of something traded closed, and at the last fill."""
    fills = sorted(trades, key=traded_at)
    closes = sorted(
        (bar.event_time, bar.instrument, int(bar.close)) for those in bars.values() for bar in those
    )
    book, found, place = _Holdings(), list[Point](), 0
    for nth, (moment, instrument, price) in enumerate(closes):
        while place < len(fills) and traded_at(fills[place]) <= moment:
            book.fill(fills[place])
            place += 1
        book.prices[instrument] = price
        if nth + 1 == len(closes) or closes[nth + 1][0] != moment:
            found.append(book.point(moment))
    for trade in fills[place:]:
        book.fill(trade)
    if fills[place:]:
        found.append(book.point(traded_at(fills[-1])))
    return found


def drawdown(course: Iterable[Point]) -> int:
    """Paise from a highest value, the day's begin included, down to a later one; at most."""
    return max((peak - point.value for peak, point in _peaks(course)), default=0)


def _peaks(course: Iterable[Point]) -> Iterator[tuple[int, Point]]:
    peak = 0
    for point in course:
        peak = max(peak, point.value)
        yield peak, point


class _Holdings:
    def __init__(self) -> None:
        self.prices: dict[InstrumentId, int] = {}
        self._cash = 0
        self._held: dict[tuple[UserId, InstrumentId], int] = defaultdict(int)
        self._net: dict[InstrumentId, int] = defaultdict(int)  # of all users
        self._gross: dict[InstrumentId, int] = defaultdict(int)  # long and short together

    def fill(self, trade: Trade) -> None:
        fill = trade.fill
        units = int(fill.quantity) if fill.side is Side.BUY else -fill.quantity
        before = self._held[trade.user_id, fill.instrument]
        self._held[trade.user_id, fill.instrument] = before + units
        self._net[fill.instrument] += units
        self._gross[fill.instrument] += abs(before + units) - abs(before)
        self._cash -= units * fill.price
        self.prices[fill.instrument] = int(fill.price)

    def point(self, moment: UtcNs) -> Point:
        prices = self.prices
        worth = sum(units * prices[each] for each, units in self._net.items())
        exposure = sum(units * prices[each] for each, units in self._gross.items())
        return Point(moment, self._cash + worth, exposure)
