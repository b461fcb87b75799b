"""A day of one rule for a notebook: it says what a backtest says, and can be looked at."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ats.backtest.day import PlayedDay, played_day
from backtest.market import markets_of
from backtest.run import run
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.engine.config import EngineConfig
from streams.rules.ema_cross import ema_cross
from tests.backtest.factories import random_candles

GIVEN = {"timeframe": "1m", "fast": 5, "slow": 9}


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    return random_candles(folder / "candles.csv", ["2016-08-16", "2016-08-17"])


@pytest.fixture(scope="module")
def day(candles: Path) -> PlayedDay:
    return played_day([candles], "ema_cross", given=GIVEN)


def test_the_last_day_has_the_signals_and_trades_of_a_backtest(
    candles: Path, day: PlayedDay
) -> None:
    rule = ema_cross(timeframe=Timeframe.M1, fast=5, slow=9)

    made = run(markets_of(candles), (rule,), EngineConfig.needed_by([rule], EVERY_DAY))

    own = [each for each in made.trades if each.day == day.market.session.day]
    assert sorted(day.trades, key=str) == sorted(own, key=str)
    assert len(day.signals) == made.days[-1].signals > 4 < len(own)


def test_the_picture_and_the_tables_tell_each_signal_and_trade_of_the_share(
    day: PlayedDay,
) -> None:
    picture = ET.fromstring(day.picture("TCS"))  # our own

    marks = [each.get("class") for each in picture]
    trades, signals = day.trades_of("TCS"), day.signals_of("TCS")
    assert marks.count("trade") == len(trades) > 0
    assert marks.count("signal") == len(signals) > 0
    net = sum(each.net for each in day.trades if each.symbol == "TCS")
    assert round(sum(float(each["net, ₹"]) for each in trades) * 100) == net
    assert set(day.symbols) == {"RELIANCE", "TCS"}


def test_a_share_that_the_day_does_not_have_is_said(day: PlayedDay) -> None:
    with pytest.raises(Misconfigured, match=r"candles\.csv has no 'INFY': choose from"):
        day.picture("INFY")
