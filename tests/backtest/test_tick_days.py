"""Recorded trades are backtested with their own prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backtest.market import markets_of
from backtest.run import run
from schemas.calendar import EVERY_DAY
from schemas.market import Timeframe
from streams.engine.config import EngineConfig
from streams.rules.ema_cross import ema_cross

DAYS = ("2016-08-16", "2016-08-17")


def trades(path: Path) -> Path:
    """Two days of two shares, a trade every twenty seconds, that walk at random."""
    chance = np.random.default_rng(3)
    rows = ["time,symbol,price,quantity"]
    for day in DAYS:
        for symbol, first in (("RELIANCE", 100_000), ("TCS", 250_000)):
            course = first + 5 * np.cumsum(chance.normal(0, 15, 1_125).astype(int))
            for nth, price in enumerate(course.tolist()):
                minute, second = divmod(15 * 60 + 20 * nth, 60)
                clock = f"{9 + minute // 60:02}:{minute % 60:02}:{second:02}"
                rows.append(f"{day} {clock},{symbol},{price / 100:.2f},{50 + nth}")
    path.write_text("\n".join(rows))
    return path


def test_days_of_trades_are_played_with_the_prints_that_were_recorded(tmp_path: Path) -> None:
    path = trades(tmp_path / "trades.csv")
    rule = ema_cross(timeframe=Timeframe.M1)

    markets = list(markets_of(path))
    made = run(markets, (rule,), EngineConfig.needed_by([rule], EVERY_DAY))

    assert [f"{each.session.day}" for each in markets] == list(DAYS)
    for market in markets:
        for tape in market.tapes.values():
            assert tape.quantities[:-1].tolist() == list(range(50, 50 + 1_125))
    assert len(made.trades) > 10


def test_only_some_symbols_of_a_tick_file_are_played(tmp_path: Path) -> None:
    path = trades(tmp_path / "trades.csv")

    markets = list(markets_of(path, symbols=frozenset({"TCS"})))

    named = [[each.instrument.symbol for each in market.listings] for market in markets]
    assert named == [["TCS"], ["TCS"]]
