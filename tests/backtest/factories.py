"""Trades as tests need them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

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
