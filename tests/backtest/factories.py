"""Trades and market files as tests need them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ats.backtest.playing import PlayOptions
from backtest.fills import Fills
from backtest.trade import Ending, Trade
from schemas.ids import DecisionId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Quantity, UtcNs

ENTERED = UtcNs.seconds(1_471_320_000)  # 2016-08-16 09:30 IST


def a_trade(**given: Any) -> Trade:
    """Ten units bought at 100 rupees and sold at 101."""
    usual: dict[str, Any] = {
        "rule": "ema_cross",
        "account": "ema_cross",
        "decision": DecisionId(UUID(int=1)),
        "instrument": InstrumentId(Segment.NSE_EQ, 2885),
        "symbol": "RELIANCE",
        "side": Side.BUY,
        "quantity": Quantity(10),
        "entered_at": ENTERED,
        "left_at": UtcNs(ENTERED + UtcNs.minutes(20)),
        "entry_value": Paise(100_000),
        "exit_value": Paise(101_000),
        "charges": Paise(150),
        "ending": Ending.TARGET,
        "mae": Paise(-300),
        "mfe": Paise(1_000),
    }
    return Trade(**(usual | given))


def random_candles(path: Path, days: Iterable[str]) -> Path:
    """Days of two shares that walk at random, as a CSV of one-minute candles."""
    chance = np.random.default_rng(3)
    rows = ["symbol,timestamp,open,high,low,close,volume"]
    for day in days:
        for symbol, first in (("RELIANCE", 100_000), ("TCS", 250_000)):
            course = first + 5 * np.cumsum(chance.normal(0, 30, 376).astype(int))
            for minute, (opened, last) in enumerate(pairwise(course.tolist())):
                low, high = min(opened, last) - 5, max(opened, last) + 5
                told = ",".join(f"{each / 100:.2f}" for each in (opened, high, low, last))
                at = f"{day} {9 + (15 + minute) // 60:02}:{(15 + minute) % 60:02}:00"
                rows.append(f"{symbol},{at},{told},{1_000 + minute}")
    path.write_text("\n".join(rows))
    return path


def played(candles: Path) -> PlayOptions:
    """The days of one file, as the commands play them without any option."""
    return PlayOptions(
        rules=None,
        days=None,
        catalogue=Path("nowhere"),
        markets=(candles,),
        symbols=None,
        fills=Fills.BOOK,
        latency=1,
        seed=7,
        jobs=1,
    )
