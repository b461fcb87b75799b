"""What trades would have made on other days: same share, side, minutes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from backtest.honesty import other_days
from backtest.honesty.other_days import MinuteCloses
from backtest.market import DayMarket
from schemas.market import Side
from schemas.units import Paise, UtcNs
from simulator.market.generator import generate
from tests.backtest.factories import a_trade

FIRST = date(2026, 11, 16)


@pytest.fixture(scope="module")
def markets() -> list[DayMarket]:
    return [DayMarket.of(generate(5, FIRST + timedelta(days=n), 2)) for n in range(12)]


def kept(markets: list[DayMarket]) -> MinuteCloses:
    closes = MinuteCloses()
    for market in markets:
        closes.take(market)
    return closes


def test_who_knows_each_day_s_way_does_better_than_the_same_trades_on_other_days(
    markets: list[DayMarket],
) -> None:
    share = next(each.id for each in markets[0].listings if each.instrument.tradable)
    trades = []
    for market in markets:
        tape, noon = market.tapes[share], UtcNs(market.session.open + UtcNs.minutes(180))
        prices = [int(tape.prices[tape.seconds.searchsorted(at // 10**9) - 1])
                  for at in (market.session.open + UtcNs.minutes(1), noon)]  # fmt: skip
        side = Side.BUY if prices[1] > prices[0] else Side.SELL
        trades.append(
            a_trade(instrument=share, side=side, entered_at=UtcNs(market.session.open),
                    left_at=noon, entry_value=Paise(1_000_000), exit_value=Paise(1_000_000))
        )  # fmt: skip

    knowing, stuck = kept(markets).chance(trades, 1), kept(markets).chance(trades[::-1], 1)

    assert knowing
    assert knowing.p_value is not None
    assert knowing.p_value < 0.02
    assert knowing.groups == 12
    assert stuck == knowing


def test_without_prices_nothing_is_said(
    markets: list[DayMarket], monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = a_trade(entered_at=markets[0].session.open)
    assert MinuteCloses().chance([trade], 1) is None
    assert kept(markets[:1]).chance([], 1) is None

    monkeypatch.setattr(other_days, "MOST_MINUTES", 375 * 4)

    assert kept(markets).chance([trade], 1) is None
