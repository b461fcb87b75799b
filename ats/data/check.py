"""What in recorded days would mislead a backtest: pure, over bars of one day after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from schemas.units import NS_PER_MINUTE, Price
from simulator.market.actions import Actions
from simulator.market.bar_columns import BarColumns
from simulator.market.session import market_session

# Old shares over new ones: splits between face values of 10, 5, 2 and 1, and the usual bonus issues
# (1:4 to 4:1, and 9:1).
_ACTIONS: Final = tuple(
    Fraction(each)
    for each in ("1/2", "1/3", "1/4", "1/5", "1/10", "2/3", "2/5", "3/4", "3/5", "4/5")
)
_NEAR: Final = 0.03  # of the price: a usual overnight move beside the action
_OVERNIGHT: Final = 0.2  # NSE's widest band of a share: a move beside a known action
_QUIET: Final = 0.5  # share of flat bars without a trade from which nobody traded it


class Kind(StrEnum):
    """What was found."""

    ABSENT = "absent"
    GAP = "gap"
    PADDED = "padded"
    ACTION = "split or bonus"
    MISFIT = "action without its opening"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, of one symbol on one day."""

    day: date
    symbol: str
    kind: Kind
    said: str


def findings(
    days: Iterable[tuple[date, BarColumns]], actions: Actions | None = None
) -> Iterator[Finding]:
    """All of them; `days` come oldest first. An opening that `actions` explain is none."""
    actions = actions or Actions()
    last: dict[str, tuple[date, Price]] = {}
    yesterday: set[str] = set()
    for day, bars in days:
        by_symbol = dict(bars.by_symbol())
        for symbol in sorted(yesterday - by_symbol.keys()):
            yield Finding(day, symbol, Kind.ABSENT, "no bar, and it had some on the day before")
        for symbol, own in by_symbol.items():
            yield from _of_day(day, symbol, own)
            if symbol in last:
                yield from _opening(day, symbol, last[symbol], Price(int(own.open[0])), actions)
            last[symbol] = day, Price(int(own.close[-1]))
        yesterday = set(by_symbol)


def _of_day(day: date, symbol: str, bars: BarColumns) -> Iterator[Finding]:
    session = market_session(day)
    minutes = (session.close - session.open) // NS_PER_MINUTE
    if missing := minutes - len(bars):
        yield Finding(day, symbol, Kind.GAP, f"{missing} of {minutes} minutes have no bar")
    flat = int(((bars.high == bars.low) & (bars.volume == 0)).sum())
    # an index trades nothing, ever
    if bars.volume.any() and flat > _QUIET * len(bars):
        said = f"{flat} of {len(bars)} bars are flat and without a trade"
        yield Finding(day, symbol, Kind.PADDED, said)


def _opening(
    day: date, symbol: str, before: tuple[date, Price], opened: Price, actions: Actions
) -> Iterator[Finding]:
    last_day, close = before
    said = f"opens at {opened} after {close}"
    ratio = actions.ratio(symbol, last_day, day)
    if ratio != 1:
        if abs(opened * ratio / close - 1) > _OVERNIGHT:
            told = f"{said}, though 1 is said to have become {ratio}"
            yield Finding(day, symbol, Kind.MISFIT, told)
    elif action := action_between(close, opened):
        told = f"{said}: as if {action.numerator} old became {action.denominator} new"
        yield Finding(day, symbol, Kind.ACTION, told)


def action_between(close: int, opened: int) -> Fraction | None:
    """The split, bonus or consolidation that overnight prices look like; None for a usual move."""
    ratio = opened / close
    known = (*_ACTIONS, *(1 / each for each in _ACTIONS))
    nearest = min(known, key=lambda each: abs(ratio / each - 1))
    return nearest if abs(ratio / nearest - 1) <= _NEAR else None
