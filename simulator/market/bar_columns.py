"""One-minute bars as columns: an array of each figure, and no object a bar."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from schemas.market import trading_day
from schemas.units import IST, Price, Quantity, UtcNs

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PRICES: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: the minute from `start`. `line` counts from 1, the header included."""

    line: int
    symbol: str
    start: UtcNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Bars in any order; arrays of one length.

    Attributes:
        symbols: Those of the bars, and maybe others; in order, each once.
        place: Of each bar its symbol's place in `symbols`.
        line: As in `Bar`.
        start: Nanoseconds UTC. Prices are paise, volumes units.
    """

    symbols: Sequence[str]
    place: Numbers
    line: Numbers
    start: Numbers
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> Self:
        """The columns of `bars`, in their order."""
        symbols = sorted({bar.symbol for bar in bars})
        places = {symbol: place for place, symbol in enumerate(symbols)}
        place = np.array([places[bar.symbol] for bar in bars], np.int64)
        figures = (np.array([getattr(bar, name) for bar in bars], np.int64) for name in FIGURES)
        return cls(symbols, place, *figures)

    @classmethod
    def joined(cls, parts: Sequence[BarColumns]) -> Self:
        """All bars of `parts`, one part behind the other."""
        symbols = sorted({symbol for part in parts for symbol in part.symbols})
        places = {symbol: place for place, symbol in enumerate(symbols)}
        none = np.zeros(0, np.int64)
        place = [
            np.array([places[symbol] for symbol in part.symbols], np.int64)[part.place]
            for part in parts
        ]
        figures = (
            np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in FIGURES
        )
        return cls(symbols, np.concatenate([none, *place]), *figures)

    def __len__(self) -> int:
        return len(self.start)

    def bars(self) -> list[Bar]:
        """An object of each."""
        lines, starts, *prices, volumes = (getattr(self, name).tolist() for name in FIGURES)
        symbols = map(self.symbols.__getitem__, self.place.tolist())
        typed = (map(Price, each) for each in prices)
        return list(map(Bar, lines, symbols, map(UtcNs, starts), *typed, map(Quantity, volumes)))

    def at(self, chosen: Flags | Numbers | slice) -> Self:
        """The bars that `chosen` points to."""
        columns = (getattr(self, name)[chosen] for name in ("place", *FIGURES))
        return type(self)(self.symbols, *columns)

    def of_symbols(self, wanted: Collection[str]) -> Self:
        """The bars of some symbols."""
        asked = np.array([symbol in wanted for symbol in self.symbols], np.bool_)
        return self.at(asked[self.place])

    def by_day(self) -> Iterator[tuple[date, Self]]:
        """The bars of each trading day that they touch, oldest first."""
        left = np.unique(self.start)
        while len(left):
            begin, day = int(left[0]), trading_day(int(left[0]))
            end = UtcNs.from_datetime(datetime.combine(day + timedelta(1), time(), IST))
            left = left[np.searchsorted(left, end) :]
            yield day, self.at((self.start >= begin) & (self.start < end))

    def by_symbol(self) -> Iterator[tuple[str, Self]]:
        """The bars of each symbol that has some, by symbol and then by time."""
        order = np.lexsort((self.start, self.place))
        sorted_bars = self.at(order)
        cuts = np.searchsorted(sorted_bars.place, np.arange(len(self.symbols) + 1)).tolist()
        for place, symbol in enumerate(self.symbols):
            if cuts[place] < cuts[place + 1]:
                yield symbol, sorted_bars.at(slice(cuts[place], cuts[place + 1]))


FIGURES: Final = tuple(each.name for each in fields(BarColumns))[2:]
"""The columns that are numbers of `Bar`, in its order without the symbol."""
