"""Figures that chance explains, beside outsiders' values; chance itself is called chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest

from audit.scorecard.intervals import MIN_COUNT
from backtest.honesty.bootstrap import (
    mean_interval,
    profit_factor_interval,
    stationary_places,
)
from backtest.honesty.costs import Sum
from backtest.honesty.permutation import MIN_GROUPS, by_days, by_signs
from backtest.honesty.sharpe import (
    Sharpe,
    best_by_chance,
    deflated,
    probability_above,
    sharpe_of,
)
from schemas.units import Paise

Floats = npt.NDArray[np.float64]

RESULTS = np.array([((n * 7919) % 101 - 45) * 10.0 + (n % 5) * 3 for n in range(60)])
SEEDS = 1_000
TRIED = 499
KOLMOGOROV_1_PERCENT = 1.628  # times the root of the number; Massey (1951), table 1


def test_the_interval_of_a_mean_is_that_of_arch() -> None:
    """Golden: arch 8.0.0, StationaryBootstrap(6, …).conf_int, percentile, 200,000 resamples."""
    found = mean_interval(RESULTS, 6, seed=1)

    assert found.value == pytest.approx(52.8333, abs=1e-3)
    assert (found.low, found.high) == pytest.approx((12.95, 94.22), abs=4)


def test_the_interval_of_a_profit_factor_is_that_of_arch() -> None:
    found = profit_factor_interval(RESULTS, 6, seed=1)

    assert found.value == pytest.approx(1.5103, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((1.107, 2.100), abs=0.06)


def test_what_lost_nothing_has_no_profit_factor_and_few_results_no_interval() -> None:
    assert profit_factor_interval(np.array([3.0, 4.0]), 2, seed=1).value is None
    assert mean_interval(RESULTS[: MIN_COUNT - 1], 6, seed=1).low is None
    assert mean_interval(RESULTS[:MIN_COUNT], 6, seed=1).low is not None


def test_results_are_drawn_in_runs_of_the_mean_length_that_was_asked_for() -> None:
    drawn = stationary_places(np.random.default_rng(1), 400, 500, 5)

    goes_on = (drawn[:, 1:] - drawn[:, :-1]) % 500 == 1
    assert goes_on.mean() == pytest.approx(1 - 1 / 5, abs=0.01)


def test_the_p_value_of_signs_is_the_exact_one_of_scipy() -> None:
    """Golden: scipy 1.17.1 permutation_test(permutation_type="samples"), all 4,096 of them."""
    gained = np.array([120.0, -30, 80, 55, -10, 95, 20, -45, 60, 33, -5, 70])

    assert by_signs(gained, range(12), seed=1).p_value == pytest.approx(0.01758, abs=0.004)


def test_trades_of_one_day_are_one_witness() -> None:
    gained = np.ones(40)

    alone = by_signs(gained, range(40), seed=1).p_value
    days = by_signs(gained, [n // 4 for n in range(40)], seed=1).p_value

    assert alone == pytest.approx(1 / 5_000)
    assert days == pytest.approx(2**-10, abs=0.001)
    assert by_signs(gained, [n // 5 for n in range(40)], seed=1).p_value is None
    assert MIN_GROUPS == 10


def test_the_deflated_sharpe_ratio_is_that_of_the_paper_s_example() -> None:
    """Golden: Bailey and López de Prado (2014), "A numerical example": five years of 250 days."""
    found = Sharpe(2.5 / sqrt(250), skewness=-3, kurtosis=10, count=1_250)
    scatter = sqrt(0.5 / 250)
    ratios = (-scatter / sqrt(2), scatter / sqrt(2))

    assert best_by_chance(ratios, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated(found, ratios, 100) == pytest.approx(0.9004, abs=5e-5)
    assert deflated(found, ratios, 46) == pytest.approx(0.9505, abs=5e-5)


def test_the_sharpe_ratio_and_its_moments_are_those_of_scipy() -> None:
    """Golden: scipy 1.17.1 skew and kurtosis(fisher=False)."""
    found = sharpe_of(RESULTS)

    assert found
    assert (found.ratio, found.skewness, found.kurtosis) == pytest.approx(
        (0.1762370, -0.0062180, 1.7804994), abs=1e-7
    )


def test_one_try_is_deflated_by_nothing() -> None:
    found = sharpe_of(RESULTS)

    assert found
    assert deflated(found, (0.1,), 1) == probability_above(found, 0.0)


def test_days_that_are_all_alike_have_no_sharpe_ratio() -> None:
    assert sharpe_of(np.zeros(20)) is None
    assert sharpe_of(np.array([1.0, 2.0])) is None


def test_costs_take_what_they_say() -> None:
    total = Sum(gross=Paise(100_000), charges=Paise(30_000), turnover=Paise(50_000_000))

    assert total.net(1.0, 0.0) == 70_000
    assert total.net(2.0, 5.0) == 100_000 - 60_000 - 25_000
    assert total.break_even == pytest.approx(14.0)
    assert total.net(1.0, 14.0) == 0


DAYS, BARS, HELD, A_DAY = 20, 75, 6, 4


def market(edge: float = 0.0) -> Floats:
    """Shape (days, bars): closes of a random walk; a drift for the whole of it is no edge."""
    random = np.random.default_rng(5)
    return 10_000 + np.cumsum(random.normal(0.4 + edge, 8, (DAYS, BARS)), axis=1)


def trades_of(random: np.random.Generator, moves: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Places and sides of a rule that knows nothing."""
    places = random.integers(0, moves.shape[1], DAYS * A_DAY)
    return places, random.choice([-1.0, 1.0], DAYS * A_DAY)


def p_values_by_signs() -> Iterator[float | None]:
    closes = market()
    moves, days = closes[:, HELD:] - closes[:, :-HELD], np.repeat(np.arange(DAYS), A_DAY)
    for seed in range(SEEDS):
        places, sides = trades_of(np.random.default_rng(seed), moves)
        yield by_signs(sides * moves[days, places], days.tolist(), seed, tried=TRIED).p_value


def p_values_by_days() -> Iterator[float | None]:
    """The side follows from what the price did before on the day, as a breakout's does."""
    closes = market()
    for seed in range(SEEDS):
        places = np.random.default_rng(seed).integers(HELD, BARS - HELD, (DAYS, A_DAY))
        yield by_days(on_days(closes, places, np.sign), seed, tried=TRIED).p_value


def on_days(
    closes: Floats, places: npt.NDArray[np.int64], way: Callable[[Floats], Floats]
) -> Floats:
    """What trades of each day, whose side is `way` of the move before, make on each day."""
    own = np.arange(DAYS)[:, np.newaxis]
    sides = way(closes[own, places] - closes[own, places - HELD])
    moves = closes[:, HELD:] - closes[:, :-HELD]
    made: Floats = (sides[:, np.newaxis, :] * moves[:, places].transpose(1, 0, 2)).sum(axis=2)
    return made


@pytest.mark.parametrize("p_values", [p_values_by_signs, p_values_by_days])
def test_a_random_rule_is_called_random_its_p_values_are_uniform(
    p_values: Callable[[], Iterator[float | None]],
) -> None:
    found = np.sort([each for each in p_values() if each is not None])

    # Kolmogorov and Smirnov: the farthest that the steps are from the diagonal
    steps = np.arange(1, SEEDS + 1) / SEEDS
    farthest = max(np.max(steps - found), np.max(found - steps + 1 / SEEDS))
    assert len(found) == SEEDS
    assert farthest < KOLMOGOROV_1_PERCENT / sqrt(SEEDS)


def test_an_edge_that_is_there_is_found_and_a_ride_on_a_drift_is_no_knowledge_of_the_day() -> None:
    random = np.random.default_rng(3)
    drifting, places = market(edge=6.0), random.integers(HELD, BARS - HELD, (DAYS, A_DAY))
    # each day's own drift goes on, up on some days and down on others
    trending = market() + np.outer(random.normal(0, 9, DAYS), np.arange(BARS))

    follows, rides = on_days(trending, places, np.sign), on_days(drifting, places, np.ones_like)

    smallest = pytest.approx(1 / 5_000)
    assert by_days(follows, seed=1).p_value == smallest
    assert by_signs(np.diag(follows), range(DAYS), seed=1).p_value == smallest
    assert by_signs(np.diag(rides), range(DAYS), seed=1).p_value == smallest
    assert (by_days(rides, seed=1).p_value or 0) > 0.1
