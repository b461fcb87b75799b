"""What a sweep came to: out of sample first, then its points, the best first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from backtest.honesty.costs import Sum
from backtest.honesty.sharpe import Sharpe, best_by_chance, deflated, sharpe_of
from backtest.sweep.results import PointResult
from backtest.sweep.walk_forward import WalkForward, walk_forward
from schemas.units import Paise


@dataclass(frozen=True, slots=True)
class Line:
    """One point on all days, in sample.

    Attributes:
        break_even: Basis points of slippage on each side at which nothing is left.
        deflated: How sure one may be of an edge after all tries, from 0 to 1.
    """

    point: PointResult
    trades: int
    net: Paise
    break_even: float | None
    sharpe: Sharpe | None
    deflated: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A sweep.

    Attributes:
        played: In the order of the space, those that were refused left out.
        tries: All points anybody looked at in the file of results.
        by_chance: The best Sharpe ratio a day that as many rules without an edge make.
    """

    played: tuple[PointResult, ...]
    refused: tuple[PointResult, ...]
    days: tuple[date, ...]
    out_of_sample: WalkForward
    lines: tuple[Line, ...]
    tries: int
    by_chance: float


def summary_of(results: Sequence[PointResult], folds: int, tries: int) -> Summary:
    """`results` are the points of one sweep, all over the same days.

    Raises:
        Misconfigured: too few days for so many folds.
    """
    played = tuple(each for each in results if not each.refused)
    days = tuple(each.day for each in played[0].days) if played else ()
    net = np.array([[day.net for day in each.days] for each in played], float)
    sharpes = list(map(sharpe_of, net))
    ratios = [each.ratio for each in sharpes if each]
    lines = [
        _line(point, sharpe, ratios, tries) for point, sharpe in zip(played, sharpes, strict=True)
    ]
    return Summary(
        played=played,
        refused=tuple(each for each in results if each.refused),
        days=days,
        out_of_sample=walk_forward(net, days, folds),
        lines=tuple(sorted(lines, key=_worth, reverse=True)),
        tries=tries,
        by_chance=best_by_chance(ratios, tries),
    )


def _line(point: PointResult, sharpe: Sharpe | None, ratios: Sequence[float], tries: int) -> Line:
    gross, charges, turnover = (
        Paise(sum(getattr(day, name) for day in point.days))
        for name in ("gross", "charges", "turnover")
    )
    total = Sum(gross, charges, turnover)
    return Line(
        point=point,
        trades=sum(day.trades for day in point.days),
        net=Paise(gross - charges),
        break_even=total.break_even,
        sharpe=sharpe,
        deflated=deflated(sharpe, ratios, tries) if sharpe else None,
    )


def _worth(line: Line) -> float:
    return line.sharpe.ratio if line.sharpe else -np.inf
