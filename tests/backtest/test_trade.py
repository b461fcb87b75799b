"""What a trade says of itself."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.market import Side
from tests.backtest.factories import a_trade


@pytest.mark.parametrize(("side", "gross"), [(Side.BUY, 1_000), (Side.SELL, -1_000)])
def test_a_trade_earns_what_its_exit_is_better_than_its_entry(side: Side, gross: int) -> None:
    assert a_trade(side=side).gross == gross


def test_what_a_trade_leaves_is_after_charges() -> None:
    assert a_trade().net == 850


def test_a_trade_is_of_the_indian_day_on_which_it_was_entered() -> None:
    assert a_trade().day == date(2016, 8, 16)


def test_prices_are_averages_over_the_fills() -> None:
    assert (a_trade().entry_price, a_trade().exit_price) == (10_000, 10_100)
