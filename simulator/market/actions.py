"""Splits, bonus issues and consolidations: a file of them, and bars of before in today's shares.

A line is `date,symbol,ratio`: on the morning of `date` each share became `ratio` shares. A split of
ten rupees into two is 5, a bonus issue of 1:1 is 2, one of 1:2 is 3/2, a consolidation of ten into
one is 1/10.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import Misconfigured
from schemas.text import clean
from schemas.units import UtcNs
from simulator.market.bar_columns import PRICES, BarColumns, Numbers
from simulator.market.bars import MAX_BAR_VOLUME, MAX_PRICE, is_symbol, lines_of

COLUMNS: Final = ("date", "symbol", "ratio")
MOST_ACTIONS: Final = 100_000  # all of NSE's since its beginning are some ten thousand
_RATIO: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}|/[0-9]{1,4})?")
_ONE: Final = Fraction(1)


class Action(NamedTuple):
    """On the morning of `day` each share became `ratio` shares."""

    day: date
    symbol: str
    ratio: Fraction


@dataclass(slots=True)
class _Course:
    """The actions of one symbol, oldest first, with the product of the ratios up to each."""

    days: list[date]
    products: list[Fraction]

    @classmethod
    def of(cls, actions: Iterable[Action]) -> _Course:
        ordered = sorted(actions)
        ratios = (each.ratio for each in ordered)
        return cls([each.day for each in ordered], list(accumulate(ratios, mul, initial=_ONE)))

    def until(self, day: date) -> Fraction:
        return self.products[bisect_right(self.days, day)]


class Actions:
    """Of each symbol what its shares became."""

    def __init__(self, actions: Iterable[Action] = ()) -> None:
        by_symbol = defaultdict[str, list[Action]](list)
        for each in actions:
            by_symbol[each.symbol].append(each)
        self._courses = {symbol: _Course.of(own) for symbol, own in by_symbol.items()}

    def ratio(self, symbol: str, after: date, until: date) -> Fraction:
        """How many shares of `until` one share of `after` is; 1 where nothing happened."""
        course = self._courses.get(symbol)
        return course.until(until) / course.until(after) if course else _ONE

    def adjusted(self, bars: BarColumns) -> BarColumns:
        """The bars in the shares that are left after all actions: prices divided, volumes
        multiplied, both to the nearest paisa and unit; in the order of their lines.

        Raises:
            Misconfigured: a price or volume that no bar can have comes out.
        """
        if not self._courses.keys() & set(bars.symbols):
            return bars
        parts = [
            _in_shares_of_today(symbol, own, self.ratio(symbol, day, date.max))
            for day, of_day in bars.by_day()
            for symbol, own in of_day.by_symbol()
        ]
        made = BarColumns.joined(parts)
        return made.at(np.argsort(made.line))


def _in_shares_of_today(symbol: str, bars: BarColumns, ratio: Fraction) -> BarColumns:
    if ratio == 1:
        return bars
    opened, high, low, close = (_times(getattr(bars, name), 1 / ratio) for name in PRICES)
    volume = _times(bars.volume, ratio)
    wrong = (low <= 0) | (high > MAX_PRICE) | (volume > MAX_BAR_VOLUME)
    if wrong.any():
        start = UtcNs(int(bars.start[np.argmax(wrong)]))
        raise Misconfigured(
            f"the bar of {symbol} at {start.ist():%Y-%m-%d %H:%M}, adjusted by {ratio}, is "
            "none that a market can have: is the ratio right?"
        )
    told = (each.astype(np.int64) for each in (opened, high, low, close, volume))
    return BarColumns(bars.symbols, bars.place, bars.line, bars.start, *told)


def _times(values: Numbers, ratio: Fraction) -> npt.NDArray[Any]:
    """To the nearest whole number, halves to the even one; objects where 64 bits do not do."""
    fits = 2 * MAX_BAR_VOLUME * max(ratio.numerator, ratio.denominator) < 2**63
    exact: npt.NDArray[Any] = values if fits else values.astype(object)
    product = exact * ratio.numerator
    whole = product // ratio.denominator
    rest = product - whole * ratio.denominator
    up = (2 * rest > ratio.denominator) | ((2 * rest == ratio.denominator) & (whole % 2 == 1))
    made: npt.NDArray[Any] = whole + up
    return made


def read_actions(path: Path) -> Actions:
    """Read a CSV file with the columns `date,symbol,ratio`.

    Raises:
        Misconfigured: it cannot be read, or a line of it is no action, or an action stands twice.
    """
    try:
        with lines_of(path) as lines:
            return Actions(_actions(lines, path.name))
    except csv.Error as error:
        raise Misconfigured(f"{path.name} is not CSV: {error}") from None


def _actions(lines: Iterable[str], name: str) -> Iterator[Action]:
    seen = set[tuple[date, str]]()
    for number, row in enumerate(csv.reader(lines), start=1):
        cells = [each.strip() for each in row]
        if number == 1:
            if tuple(map(str.casefold, cells)) != COLUMNS:
                raise Misconfigured(f"{name}: its first line has to be {','.join(COLUMNS)}")
            continue
        if not any(cells):
            continue
        action = _action(cells)
        if action is None or number > MOST_ACTIONS:
            raise Misconfigured(
                f"{name}, line {number}: {clean(','.join(cells), 60)!r} is no action such as "
                "2024-10-28,RELIANCE,2"
            )
        if (place := (action.day, action.symbol)) in seen:
            raise Misconfigured(f"{name}, line {number}: a second action of {action.symbol} then")
        seen.add(place)
        yield action


def _action(cells: list[str]) -> Action | None:
    try:
        day, symbol, ratio = cells
        if not _RATIO.fullmatch(ratio) or not is_symbol(symbol):
            return None
        made = Action(date.fromisoformat(day), symbol, Fraction(ratio))
    except (ValueError, ZeroDivisionError):
        return None
    return made if made.ratio > 0 else None
