"""What the trades of a backtest come to: in all, and by whatever they are parted by. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from audit.report.figures import Figures, figures_of
from backtest.trade import Trade
from schemas.units import Paise, UtcNs

Key = Callable[[Trade], str]

BY: Final[Mapping[str, Key]] = {
    "rule": lambda each: each.rule,
    "month": lambda each: f"{each.day:%Y-%m}",
    "day": lambda each: f"{each.day}",
    "symbol": lambda each: each.symbol,
    "hour": lambda each: f"{each.entered_at.ist():%H}:00",
    "ending": lambda each: each.ending.value,
}
"""What trades are parted by; an hour is the Indian one in which a trade was entered."""


class Worth(NamedTuple):
    """Paise after charges of all trades that had ended by then."""

    at: UtcNs
    value: int


@dataclass(frozen=True, slots=True)
class Part:
    """Some trades together; paise.

    Attributes:
        drawdown: From a highest sum of results after charges down to a later one; at most.
        figures: Of the results after charges.
    """

    name: str
    gross: Paise
    charges: Paise
    net: Paise
    drawdown: Paise
    figures: Figures


def part_of(name: str, trades: Sequence[Trade]) -> Part:
    """The figures of `trades`."""
    return Part(
        name,
        Paise(sum(each.gross for each in trades)),
        Paise(sum(each.charges for each in trades)),
        Paise(sum(each.net for each in trades)),
        Paise(max((peak - each.value for peak, each in peaks(course_of(trades))), default=0)),
        figures_of([each.net for each in in_order(trades)]),
    )


def parts_of(trades: Iterable[Trade], by: Key, names: Iterable[str] = ()) -> list[Part]:
    """The figures of each part, by name; parts of `names` are there though nothing traded."""
    found: dict[str, list[Trade]] = defaultdict(list)
    for name in names:
        found[name] = []
    for each in trades:
        found[by(each)].append(each)
    return [part_of(name, found[name]) for name in sorted(found)]


def in_order(trades: Iterable[Trade]) -> list[Trade]:
    """By when they ended."""
    return sorted(trades, key=lambda each: (each.left_at, each.account, each.entered_at))


def course_of(trades: Iterable[Trade]) -> list[Worth]:
    """The sum of results after each moment at which a trade ended."""
    found, value = dict[UtcNs, int](), 0
    for each in in_order(trades):
        value += each.net
        found[each.left_at] = value
    return [Worth(at, worth) for at, worth in found.items()]


def peaks(course: Iterable[Worth]) -> Iterator[tuple[int, Worth]]:
    """Each point with the highest value so far, the begin included."""
    peak = 0
    for each in course:
        peak = max(peak, each.value)
        yield peak, each
