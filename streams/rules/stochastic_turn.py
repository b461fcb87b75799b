"""The close turns at the edge of its recent range."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Percent, Rule, directions


def stochastic_turn(
    timeframe: Timeframe = Timeframe.M5, low: Percent = 20.0, high: Percent = 80.0
) -> Rule:
    """%K crosses above %D below `low` (bullish), or below %D above `high` (bearish).

    Where %D stands decides (Lane, 1984).
    """

    def evaluate(bars: Columns) -> Directions:
        before = bars["previous_stochastic_k"] - bars["previous_stochastic_d"]
        slow = bars["stochastic_d"]
        now = bars["stochastic_k"] - slow
        return directions(
            bullish=(before <= 0) & (now > 0) & (slow < low),
            bearish=(before >= 0) & (now < 0) & (slow > high),
        )

    needs = ("previous_stochastic_k", "previous_stochastic_d", "stochastic_k", "stochastic_d")
    return Rule("stochastic_turn", timeframe, evaluate, needs)
