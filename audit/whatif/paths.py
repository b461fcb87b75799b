"""How the price of each instrument went, by the recorded ticks, and how a trade would have ended.

Pure. Nobody knows how a changed order would have been filled: these are estimates by a rule that
gives the same rupees each time. The whole quantity fills at the first recorded price that its limit
allows; it leaves at the stop, the target or the square-off, whichever the ticks reach first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from executors.charges.charges import estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Market, NoRate, Rates
from executors.risk.gate import PRODUCT
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.ticks import Batch, instrument_of
from schemas.units import Paise, Price, Quantity, UtcNs

Numbers = npt.NDArray[np.int64]
TARGET: Final = "target"
STOP: Final = "stop"
SQUARE_OFF: Final = "square-off"
OPPOSITE: Final = "opposite order"
LAST_TICK: Final = "last tick"


class Step(NamedTuple):
    """One tick of a path: its place, and its price in paise."""

    at: int
    price: Price


@dataclass(frozen=True, slots=True)
class Path:
    """One instrument's ticks of the day.

    Attributes:
        times: Market clock at arrival, UTC ns, never falling.
        prices: Paise, of the same length.
    """

    times: Numbers
    prices: Numbers

    def entry(self, side: Side, limit: Price, since: UtcNs, until: UtcNs) -> Step | None:
        """The first tick from `since`, before `until`, at a price that `limit` allows."""
        first, last = np.searchsorted(self.times, (since, until))
        seen = self.prices[first:last]
        found = np.flatnonzero(seen <= limit if side is Side.BUY else seen >= limit)
        if not len(found):
            return None
        at = int(first + found[0])
        return Step(at, Price(int(self.prices[at])))

    def exit(
        self, side: Side, entered: int, stop: Price, target: Price, due: UtcNs | None
    ) -> tuple[Step, str] | None:
        """Where a position of `side` ends that was entered at tick `entered`, and why there.

        A stop is a market order: the price of the tick that reached it. A target is a limit order:
        its own price. `due` is the square-off; without one the last tick counts. None: no tick
        came after the entry.
        """
        if entered + 1 >= len(self.times):
            return None
        end = len(self.times) if due is None else int(np.searchsorted(self.times, due))
        seen = self.prices[entered + 1 : max(end, entered + 1)]
        rises = side is Side.BUY
        stops = np.flatnonzero(seen <= stop if rises else seen >= stop)
        targets = np.flatnonzero(seen >= target if rises else seen <= target)
        stopped = int(stops[0]) if len(stops) else len(seen)
        reached = int(targets[0]) if len(targets) else len(seen)
        if stopped < min(reached, len(seen)):
            at = entered + 1 + stopped
            return Step(at, Price(int(self.prices[at]))), STOP
        if reached < len(seen):
            return Step(entered + 1 + reached, target), TARGET
        at = min(max(end, entered + 1), len(self.times) - 1)
        why = LAST_TICK if due is None or end >= len(self.times) else SQUARE_OFF
        return Step(at, Price(int(self.prices[at]))), why

    def last_before(self, moment: UtcNs) -> Price | None:
        """The price at `moment`; None before the first tick."""
        at = int(np.searchsorted(self.times, moment, side="right")) - 1
        return Price(int(self.prices[at])) if at >= 0 else None


EMPTY: Final = Path(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(slots=True)
class Paths:
    """The paths of some instruments, gathered from ticks in their order."""

    wanted: frozenset[InstrumentId]
    _pieces: dict[InstrumentId, list[tuple[Numbers, Numbers]]] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take one record of ticks in."""
        rows = batch.rows
        keys = rows["segment"].astype(np.int64) << 32 | rows["security_id"]
        for key in np.unique(keys):
            mine = rows[keys == key]
            instrument = instrument_of(mine[0])
            if instrument in self.wanted:
                piece = mine["clock"].astype(np.int64), mine["price"].astype(np.int64)
                self._pieces.setdefault(instrument, []).append(piece)

    def whole(self) -> dict[InstrumentId, Path]:
        """What was gathered."""
        return {
            instrument: Path(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
            for instrument, pieces in self._pieces.items()
        }


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip, as estimated."""

    instrument: InstrumentId
    side: Side
    quantity: Quantity
    entered: Step
    left: Step
    why: str

    @property
    def gross(self) -> Paise:
        """What it earned before charges."""
        move = self.left.price - self.entered.price
        return Paise((move if self.side is Side.BUY else -move) * self.quantity)

    def charges(self, day: date, kind: str, rates: Rates) -> Paise | None:
        """Of both orders, by the rates of `day`; None where nobody knows them.

        `kind` is Dhan's instrument type. Brokerage counts each part of an exit as an order.
        """
        other = Side.SELL if self.side is Side.BUY else Side.BUY
        try:
            security = Security(self.instrument, _market(self.instrument, kind))
            fills = (
                Fill("1", security, self.side, PRODUCT, self.quantity, self.entered.price),
                Fill("2", security, other, PRODUCT, self.quantity, self.left.price),
            )
            return estimate(DayTrades(day, fills), rates).total
        except (NoRate, Unreadable):
            return None


def _market(instrument: InstrumentId, kind: str) -> Market:
    if instrument.segment in (Segment.NSE_EQ, Segment.BSE_EQ):
        return Market.CASH
    return Market.FUTURES if kind.startswith("FUT") else Market.OPTIONS


def path_of(paths: Mapping[InstrumentId, Path], instrument: InstrumentId) -> Path:
    """Its path; one without a tick where there is none."""
    return paths.get(instrument, EMPTY)
