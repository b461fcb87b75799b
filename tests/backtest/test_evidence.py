"""Trades as evidence: what is counted, by what day, and after how many tries."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from backtest.honesty.evidence import Tries, evidence_by_rule, evidence_of
from backtest.honesty.sharpe import sharpe_of
from backtest.trade import Trade
from schemas.market import Side
from schemas.units import Paise, UtcNs
from tests.backtest.factories import ENTERED, a_trade

FIRST = date(2016, 8, 16)
DAYS = [FIRST + timedelta(days=n) for n in range(20)]
A_DAY = UtcNs.minutes(24 * 60)


def trades(gains: list[int]) -> list[Trade]:
    """One a day, bought for 1,000 rupees, charged 1.50."""
    return [
        a_trade(entered_at=UtcNs(ENTERED + n * A_DAY), exit_value=Paise(100_000 + gain))
        for n, gain in enumerate(gains)
    ]


def test_sums_are_those_of_the_trades_and_the_mean_is_in_basis_points_after_charges() -> None:
    found = evidence_of(trades([1_000, -400]), DAYS[:2])

    assert (found.total.gross, found.total.charges, found.net) == (600, 300, 300)
    assert found.total.turnover == 2 * 200_000 + 600
    assert found.mean.value == pytest.approx(15.0)  # 1.5 rupees of 1,000
    assert found.profit_factor.value == pytest.approx(850 / 550)


def test_a_day_without_a_trade_is_a_result_of_zero() -> None:
    found = evidence_of(trades([1_000, -400, 700]), DAYS)

    assert found.sharpe == sharpe_of(np.array([850, -550, 550] + [0] * 17, float))
    assert (found.days, found.trades) == (20, 3)


def test_the_side_of_a_sale_counts_the_other_way() -> None:
    sold = a_trade(side=Side.SELL, entry_value=Paise(101_000), exit_value=Paise(100_000))

    assert evidence_of([sold], DAYS).total.gross == 1_000


def test_the_order_of_the_trades_changes_nothing() -> None:
    some = trades([(n * 37) % 90 * 10 - 300 for n in range(40)])
    days = [FIRST + timedelta(days=n) for n in range(40)]

    assert evidence_of(some, days) == evidence_of(some[::-1], days)


def test_more_tries_leave_less_of_the_same_result() -> None:
    some = trades([(n * 37) % 90 * 10 - 100 for n in range(20)])
    ratios = tuple(n / 20 - 0.5 for n in range(20))

    once, often = (evidence_of(some, DAYS, Tries(count, ratios)) for count in (1, 200))

    assert once.deflated is not None
    assert often.deflated is not None
    assert once.deflated > 0.95
    assert often.deflated < 0.5


def test_every_rule_that_was_played_is_a_try_for_each_of_them() -> None:
    ours = trades([(n * 37) % 90 * 10 - 100 for n in range(20)])
    theirs = [replace(each, rule="theirs", exit_value=Paise(99_000)) for each in ours[:9]]

    alone = evidence_by_rule(ours, ["ema_cross"], DAYS)["ema_cross"]
    both = evidence_by_rule([*ours, *theirs], ["ema_cross", "theirs", "silent"], DAYS)

    assert [each.tries for each in both.values()] == [3, 3, 3]
    assert [each.trades for each in both.values()] == [20, 9, 0]
    assert (both["ema_cross"].deflated or 1) < (alone.deflated or 0)


def test_no_trade_is_no_evidence() -> None:
    found = evidence_of([], DAYS)

    assert (found.net, found.mean.value, found.sharpe, found.deflated) == (0, None, None, None)
    assert found.sides.p_value is None
