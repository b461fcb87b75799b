"""What in recorded days would mislead a backtest: pure, over bars of one day after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from schemas.market import trading_day
from schemas.units import NS_PER_MINUTE
from simulator.market.actions import Actions
from simulator.market.bars import Bar
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
    days: Iterable[tuple[date, Sequence[Bar]]], actions: Actions | None = None
) -> Iterator[Finding]:
    """All of them; `days` come oldest first. An opening that `actions` explain is none."""
    actions = actions or Actions()
    last: dict[str, Bar] = {}
    yesterday: set[str] = set()
    for day, bars in days:
        by_symbol = defaultdict[str, list[Bar]](list)
        for bar in bars:
            by_symbol[bar.symbol].append(bar)
        for symbol in sorted(yesterday - by_symbol.keys()):
            yield Finding(day, symbol, Kind.ABSENT, "no bar, and it had some on the day before")
        for symbol, own in sorted(by_symbol.items()):
            own.sort(key=lambda bar: bar.start)
            yield from _of_day(day, symbol, own)
            if symbol in last:
                yield from _opening(day, last[symbol], own[0], actions)
            last[symbol] = own[-1]
        yesterday = set(by_symbol)


def _of_day(day: date, symbol: str, bars: Sequence[Bar]) -> Iterator[Finding]:
    session = market_session(day)
    minutes = (session.close - session.open) // NS_PER_MINUTE
    if missing := minutes - len(bars):
        yield Finding(day, symbol, Kind.GAP, f"{missing} of {minutes} minutes have no bar")
    flat = sum(bar.high == bar.low and not bar.volume for bar in bars)
    # an index trades nothing, ever
    if any(bar.volume for bar in bars) and flat > _QUIET * len(bars):
        said = f"{flat} of {len(bars)} bars are flat and without a trade"
        yield Finding(day, symbol, Kind.PADDED, said)


def _opening(day: date, before: Bar, first: Bar, actions: Actions) -> Iterator[Finding]:
    said = f"opens at {first.open} after {before.close}"
    ratio = actions.ratio(first.symbol, trading_day(before.start), day)
    if ratio != 1:
        if abs(first.open * ratio / before.close - 1) > _OVERNIGHT:
            told = f"{said}, though 1 is said to have become {ratio}"
            yield Finding(day, first.symbol, Kind.MISFIT, told)
    elif action := action_between(before.close, first.open):
        told = f"{said}: as if {action.numerator} old became {action.denominator} new"
        yield Finding(day, first.symbol, Kind.ACTION, told)


def action_between(close: int, opened: int) -> Fraction | None:
    """The split, bonus or consolidation that overnight prices look like; None for a usual move."""
    ratio = opened / close
    known = (*_ACTIONS, *(1 / each for each in _ACTIONS))
    nearest = min(known, key=lambda each: abs(ratio / each - 1))
    return nearest if abs(ratio / nearest - 1) <= _NEAR else None
