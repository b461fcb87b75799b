"""Answers that Dhan gave in life, beside the repository: no reader takes them for more than they
are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dhan.orders import classify_day
from dhan.outcomes import (
    NotSent,
    Rejected,
    TokenRefused,
    Unknown,
    classify_change,
    classify_placement,
)
from dhan.portfolio import FundLimits, classify_funds, classify_holdings, classify_trades
from dhan.super_orders import classify_super_orders
from dhan.trader_control import PnlExitState, classify_pnl_exit
from dhan.transport import Reply, parse_json
from schemas.ids import DhanOrderId

pytestmark = pytest.mark.market_data


@pytest.fixture
def recorded(market_data: Path) -> dict[str, Reply]:
    folder = market_data / "dhan_json"
    if not folder.is_dir():
        pytest.skip("no recorded answers: expected shared/data/dhan_json beside the repository")
    listed: list[dict[str, Any]] = json.loads((folder / "MANIFEST.json").read_text())
    return {
        each["file"]: Reply(each["status"], parse_json((folder / each["file"]).read_bytes()))
        for each in listed
    }


def test_refusals_of_life_are_what_their_codes_say(recorded: dict[str, Reply]) -> None:
    dead_token = recorded["client_error_dh_901_0.json"]
    limited = recorded["client_error_dh_904_0.json"]

    assert isinstance(classify_trades(dead_token), TokenRefused)
    placed = classify_placement(dead_token)
    assert isinstance(placed, Rejected)
    assert placed.token_refused
    assert isinstance(classify_change(limited, DhanOrderId("1")), NotSent)
    assert isinstance(classify_placement(recorded["client_error_dh_905_0.json"]), Rejected)


def test_answers_of_other_endpoints_prove_no_order_no_funds_and_no_exit(
    recorded: dict[str, Reply],
) -> None:
    for name, reply in recorded.items():
        assert not isinstance(classify_funds(reply), FundLimits), name
        assert not isinstance(classify_pnl_exit(reply), PnlExitState), name
        for classify in (classify_day, classify_super_orders, classify_trades, classify_holdings):
            assert not getattr(classify(reply), "whole", False), name
        if reply.status == 200:
            assert isinstance(classify_placement(reply), Unknown), name
