"""Two ways of deciding on the same signals, in the same market. Pure.

Signal by signal, so that the market's own moves fall out and what is left is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.scorecard.forecasts import Forecast, scored
from audit.scorecard.intervals import Estimate, ratios
from audit.scorecard.prices import Prices


@dataclass(frozen=True, slots=True)
class Paired:
    """What the second way gained more than the first.

    Attributes:
        signals: Decided on both ways, with a price afterwards.
        changed: On how many of them they did not do the same.
        difference: Basis points a signal within 15 minutes; a HOLD gains nothing.
    """

    signals: int
    changed: int
    difference: Estimate

    @property
    def sentence(self) -> str:
        """What that is worth, in words."""
        told = self.difference
        if told.value is None or told.low is None or told.high is None:
            return f"Too few to say anything of {self.signals:,} signals."
        said = f"{told.value:+z.2f} bp a signal ({told.low:+z.2f} to {told.high:+z.2f})"
        if told.contains(0.0):
            return f"The second cannot be told from the first: {said}."
        return f"The second is {'better' if told.value > 0 else 'worse'} beyond chance: {said}."


def paired(
    first: Sequence[Forecast], second: Sequence[Forecast], prices: Prices, seed: int
) -> Paired:
    """Compare the decisions of equal ids; those of one side alone are left out."""
    ways = [{each.forecast.id: each for each in scored(side, prices)} for side in (first, second)]
    both = [
        (one, other)
        for id_, one in ways[0].items()
        if (other := ways[1].get(id_)) is not None and not np.isnan(one.gained)
    ]
    more = np.array(
        [
            (other.gained * other.forecast.acted) - (one.gained * one.forecast.acted)
            for one, other in both
        ]
    )
    changed = sum(_side(one.forecast) != _side(other.forecast) for one, other in both)
    groups = [(one.forecast.instrument, one.forecast.day) for one, _ in both]
    ones = np.ones(len(both))
    (difference,) = ratios(groups, [more], [ones], [len(both)], (seed, "paired"))
    return Paired(len(both), changed, difference)


def _side(forecast: Forecast) -> int:
    """1 a BUY, -1 a SELL, 0 a HOLD."""
    return forecast.side * forecast.acted
