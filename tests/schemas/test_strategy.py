"""How far the orders of a strategy go, by all that have a say."""

from __future__ import annotations

from itertools import product

import pytest

from schemas.strategy import Strategy, StrategyMode, counts_for, mode_of, most_careful

OFF, SHADOW, PAPER, LIVE = StrategyMode


@pytest.mark.parametrize("modes", list(product(StrategyMode, repeat=3)))
def test_the_most_careful_of_platform_user_and_strategy_decides(
    modes: tuple[StrategyMode, StrategyMode, StrategyMode],
) -> None:
    careful_first = (OFF, SHADOW, PAPER, LIVE)

    assert most_careful(*modes) is next(mode for mode in careful_first if mode in modes)


def test_a_record_without_a_strategy_holds_nothing_back() -> None:
    assert mode_of(None) is LIVE
    assert mode_of(Strategy(name="ema_cross", mode=SHADOW)) is SHADOW


@pytest.mark.parametrize(
    ("earlier", "later", "counts"),
    [
        (SHADOW, LIVE, False),
        (PAPER, LIVE, False),
        (SHADOW, PAPER, False),
        (LIVE, LIVE, True),
        (LIVE, SHADOW, True),
        (PAPER, SHADOW, True),
        (SHADOW, SHADOW, True),
    ],
)
def test_what_goes_less_far_stands_in_nobody_s_way(
    earlier: StrategyMode, later: StrategyMode, counts: bool
) -> None:
    assert counts_for(earlier, later) is counts
