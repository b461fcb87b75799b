"""What the trades of a backtest are evidence for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from audit.scorecard.intervals import Estimate
from backtest.honesty.bootstrap import mean_interval, profit_factor_interval
from backtest.honesty.costs import Sum
from backtest.honesty.other_days import MinuteCloses
from backtest.honesty.permutation import Chance, by_signs
from backtest.honesty.sharpe import Sharpe, deflated, sharpe_of
from backtest.trade import Trade
from schemas.units import Paise

Floats = npt.NDArray[np.float64]

SEED: Final = 7
_BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Tries:
    """How often was looked before this result was chosen.

    Attributes:
        count: All that were tried, this one included.
        ratios: Their Sharpe ratios a day, as far as they are known.
    """

    count: int = 1
    ratios: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Figures of some trades, each with how far it can be trusted.

    Attributes:
        mean: Basis points a trade of its entry value, after charges.
        profit_factor: Gains by losses, after charges.
        sides: Whether the sides are better than a coin's.
        knew_days: Whether the same trades on other days do worse; None without prices.
        sharpe: Of the days, those without a trade included; not annualised.
        deflated: How sure one may be of an edge after that many tries; None without a Sharpe ratio.
    """

    trades: int
    days: int
    total: Sum
    mean: Estimate
    profit_factor: Estimate
    sides: Chance
    knew_days: Chance | None
    sharpe: Sharpe | None
    deflated: float | None
    tries: int
    seed: int

    @property
    def net(self) -> Paise:
        """After charges."""
        return Paise(self.total.gross - self.total.charges)


def evidence_of(
    trades: Sequence[Trade],
    days: Sequence[date],
    tries: Tries | None = None,
    closes: MinuteCloses | None = None,
    seed: int = SEED,
) -> Evidence:
    """`days` are all that were played: one without a trade is a result too."""
    tries = tries or Tries()
    ordered = sorted(trades, key=lambda trade: (trade.entered_at, trade.instrument, trade.rule))
    gross = np.array([each.gross for each in ordered], float)
    net = np.array([each.net for each in ordered], float)
    value = np.array([each.entry_value for each in ordered], float)
    of_day = [each.day for each in ordered]
    run = len(ordered) / max(1, len(set(of_day)))
    sharpe = sharpe_of(by_day(of_day, net, days))
    return Evidence(
        trades=len(ordered),
        days=len(days),
        total=Sum(
            Paise(sum(each.gross for each in ordered)),
            Paise(sum(each.charges for each in ordered)),
            Paise(sum(each.entry_value + each.exit_value for each in ordered)),
        ),
        mean=mean_interval(net / value * _BASIS_POINTS, run, seed),
        profit_factor=profit_factor_interval(net, run, seed),
        sides=by_signs(gross, of_day, seed),
        knew_days=closes.chance(ordered, seed) if closes else None,
        sharpe=sharpe,
        deflated=deflated(sharpe, tries.ratios, tries.count) if sharpe else None,
        tries=tries.count,
        seed=seed,
    )


def evidence_by_rule(
    trades: Sequence[Trade],
    rules: Sequence[str],
    days: Sequence[date],
    closes: MinuteCloses | None = None,
) -> dict[str, Evidence]:
    """Of each of `rules`; all that were played are tries, since the best will be looked at."""
    own = {rule: [each for each in trades if each.rule == rule] for rule in rules}
    sharpes = [
        sharpe_of(by_day([each.day for each in some], np.array([each.net for each in some]), days))
        for some in own.values()
    ]
    tries = Tries(len(rules), tuple(each.ratio for each in sharpes if each))
    return {rule: evidence_of(some, days, tries, closes) for rule, some in own.items()}


def by_day(of_day: Sequence[date], results: Floats, days: Sequence[date]) -> Floats:
    """The sum of each of `days`, zero for one without a result."""
    places: Mapping[date, int] = {day: place for place, day in enumerate(days)}
    return np.bincount([places[day] for day in of_day], results, len(days)).astype(float)
