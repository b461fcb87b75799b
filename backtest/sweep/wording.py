"""A sweep in words, for the terminal and the page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from audit.amounts import rupees
from backtest.sweep.results import PointResult
from backtest.sweep.summary import Line, Summary

SURE: Final = 0.95  # below it, a result may well be chance


def values_words(point: PointResult) -> str:
    """Such as `fast=8 slow=21`."""
    return " ".join(f"{name}={value}" for name, value in point.values.items())


def share_words(share: float | None) -> str:
    """A probability such as 0.93; a dash where there is none."""
    return "–" if share is None else f"{share:.2f}"


def line_words(line: Line, money: Callable[[float], str]) -> tuple[str, ...]:
    """A point and its figures: trades, net, slippage it bears, Sharpe ratio, how sure it is."""
    return (
        values_words(line.point),
        f"{line.trades:,}",
        money(line.net),
        "–" if line.break_even is None else f"{line.break_even:+.1f} bp",
        f"{line.sharpe.ratio:.2f}" if line.sharpe else "–",
        share_words(line.deflated),
    )


def remarks(made: Summary) -> Iterator[str]:
    """What a reader must know before the figures."""
    ahead = made.out_of_sample
    if not ahead.folds:
        yield (
            f"Nothing is held out of {len(made.days)} days: the figures below are those that the "
            "choice has seen. More days, or another --walk-forward, would judge it."
        )
    elif ahead.sure is None:
        yield "Out of sample nothing was traded, or every day came out alike."
    else:
        yield (
            f"Out of sample, chosen anew before each of {len(ahead.folds)} blocks: "
            f"{rupees(ahead.net)} after charges on {ahead.days} days. Sure of a gain: "
            f"{share_words(ahead.sure)}{_judged(ahead.sure, gained=ahead.net > 0)}"
        )
    best = made.lines[0]
    if best.sharpe is None:
        yield "No point traded on some days and came out differently: there is nothing to choose."
    else:
        yield (
            f"In sample the best is {values_words(best.point)}: Sharpe ratio "
            f"{best.sharpe.ratio:.2f} a day. {made.tries:,} tries without an edge make "
            f"{made.by_chance:.2f} by chance. Sure of an edge after so many tries: "
            f"{share_words(best.deflated)}"
            f"{_judged(best.deflated or 0.0, gained=best.net > 0)}"
        )
    if made.refused:
        yield f"Refused: {len(made.refused):,} of the points, such as: {made.refused[0].refused}"


def _judged(sure: float, *, gained: bool) -> str:
    if not gained:
        return ". It lost."
    return "." if sure >= SURE else ": it may well be chance."
