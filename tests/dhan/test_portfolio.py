from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhan import portfolio
from dhan.outcomes import NoAccess, Rows, TokenRefused, Unknown
from dhan.portfolio import (
    FundLimits,
    HoldingRow,
    PortfolioClient,
    PositionRow,
    TradeRow,
    classify_funds,
    classify_holdings,
    classify_positions,
    classify_trades,
)
from dhan.transport import Lost, OrderUrl, Reply, Unparsed
from schemas.ids import DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Quantity, UtcNs
from tests.dhan.broker import ScriptedDhan, json_answer, trading_error
from tests.dhan.factories import credentials, received

ERROR = {"errorType": "Order_Error", "errorMessage": "no"}
RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)


def client(http: httpx.AsyncClient, broker: ScriptedDhan) -> PortfolioClient:
    return PortfolioClient(http, OrderUrl.parse(broker.url), credentials())


def a_trade(**changes: Any) -> dict[str, Any]:
    row = {
        "dhanClientId": "1100000001",
        "orderId": "112111182198",
        "exchangeOrderId": "1300000000123456",
        "exchangeTradeId": "15112111182045",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "tradingSymbol": "RELIANCE",
        "customSymbol": "Reliance Industries",
        "securityId": "2885",
        "tradedQuantity": 4,
        "tradedPrice": 1658.55,
        "createTime": "2026-11-27 09:20:01",
        "updateTime": "NA",
        "exchangeTime": "2026-11-27 09:20:02",
        "drvExpiryDate": "0001-01-01",
        "drvOptionType": "NA",
        "drvStrikePrice": 0.0,
    }
    return row | changes


def a_position(**changes: Any) -> dict[str, Any]:
    row = {
        "dhanClientId": "1100000001",
        "tradingSymbol": "RELIANCE",
        "securityId": "2885",
        "positionType": "SHORT",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "buyAvg": 1658.4333,
        "buyQty": 4,
        "costPrice": 1660.0,
        "sellAvg": 1660.0,
        "sellQty": 10,
        "netQty": -6,
        "realizedProfit": 6.27,
        "unrealizedProfit": -12.5,
        "rbiReferenceRate": 1.0,
        "multiplier": 1,
        "dayBuyQty": 4,
        "daySellQty": 10,
        "dayBuyValue": 6633.73,
        "daySellValue": 16600.0,
        "crossCurrency": False,
    }
    return row | changes


def a_holding(**changes: Any) -> dict[str, Any]:
    row = {
        "exchange": "ALL",
        "tradingSymbol": "HDFCBANK",
        "securityId": "1333",
        "isin": "INE040A01034",
        "totalQty": 100,
        "dpQty": 90,
        "t1Qty": 10,
        "availableQty": 80,
        "collateralQty": 20,
        "avgCostPrice": 965.125,
    }
    return row | changes


FUNDS = {
    "dhanClientId": "1100000001",
    "availabelBalance": 98440.0,
    "sodLimit": 113642,
    "collateralAmount": 0.0,
    "receiveableAmount": 0.0,
    "utilizedAmount": 15202.0,
    "blockedPayoutAmount": 0.0,
    "withdrawableBalance": -0.55,
}


async def test_the_days_trades_are_one_row_a_fill_with_exact_prices_and_utc_times(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/trades", json_answer([a_trade()]))

    trades = await client(http, broker).trades()

    assert [(seen.method, seen.path) for seen in broker.seen] == [("GET", "/v2/trades")]
    assert trades == Rows(
        (
            TradeRow(
                "15112111182045",
                DhanOrderId("112111182198"),
                RELIANCE,
                Side.BUY,
                "INTRADAY",
                Quantity(4),
                Decimal("1658.55"),
                "1300000000123456",
                UtcNs.from_datetime(datetime(2026, 11, 27, 3, 50, 2, tzinfo=UTC)),
            ),
        )
    )


async def test_positions_keep_their_signs_and_dhans_digits(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/positions", json_answer([a_position()]))

    assert await client(http, broker).positions() == Rows(
        (
            PositionRow(
                instrument=RELIANCE,
                symbol="RELIANCE",
                product="INTRADAY",
                net=-6,
                bought=Quantity(4),
                sold=Quantity(10),
                buy_average=Decimal("1658.4333"),
                sell_average=Decimal("1660.0"),
                day_bought=Quantity(4),
                day_sold=Quantity(10),
                day_buy_value=Decimal("6633.73"),
                day_sell_value=Decimal("16600.0"),
                realised=Decimal("6.27"),
                unrealised=Decimal("-12.5"),
            ),
        )
    )


async def test_holdings_and_funds_are_read_as_dhan_spells_them(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/holdings", json_answer([a_holding()]))
    broker.on("GET", "/v2/fundlimit", json_answer(FUNDS))
    ours = client(http, broker)

    assert await ours.holdings() == Rows(
        (
            HoldingRow(
                symbol="HDFCBANK",
                security_id="1333",
                isin="INE040A01034",
                quantity=Quantity(100),
                available=Quantity(80),
                collateral=Quantity(20),
                average_cost=Decimal("965.125"),
            ),
        )
    )
    assert await ours.funds() == FundLimits(
        available=Decimal("98440.0"),
        start_of_day=Decimal(113642),
        utilised=Decimal("15202.0"),
        collateral=Decimal("0.0"),
        receivable=Decimal("0.0"),
        blocked=Decimal("0.0"),
        withdrawable=Decimal("-0.55"),
    )


async def test_an_account_without_holdings_is_answered_with_an_error_and_has_none(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/holdings", trading_error("DH-1111", "No holdings available", 500))

    assert await client(http, broker).holdings() == Rows(())


def test_that_error_says_nothing_of_trades() -> None:
    answer = Reply(500, ERROR | {"errorCode": "DH-1111"})

    assert classify_trades(answer) == Unknown("http_500_DH-1111")


def test_a_trade_of_a_segment_unknown_to_ats_is_kept_and_names_no_instrument() -> None:
    trades = classify_trades(Reply(200, received([a_trade(exchangeSegment="INX_EQ")])))

    assert isinstance(trades, Rows)
    assert (trades.rows[0].instrument, trades.whole) == (None, True)


def test_a_currency_keeps_its_four_decimals() -> None:
    row = a_trade(exchangeSegment="NSE_CURRENCY", tradedPrice=84.1225)
    trades = classify_trades(Reply(200, received([row])))

    assert isinstance(trades, Rows)
    assert trades.rows[0].price == Decimal("84.1225")


ODD: list[tuple[Callable[[Any], Any], Callable[..., dict[str, Any]], dict[str, Any]]] = [
    (classify_trades, a_trade, {"exchangeTradeId": None}),
    (classify_trades, a_trade, {"exchangeTradeId": ["1"]}),
    (classify_trades, a_trade, {"orderId": "NA"}),
    (classify_trades, a_trade, {"transactionType": None}),
    (classify_trades, a_trade, {"tradedQuantity": 0}),
    (classify_trades, a_trade, {"tradedQuantity": 1.5}),
    (classify_trades, a_trade, {"tradedPrice": 0}),
    (classify_trades, a_trade, {"tradedPrice": -1}),
    (classify_trades, a_trade, {"tradedPrice": "9" * 1_048_576}),
    (classify_trades, a_trade, {"securityId": {}}),
    (classify_positions, a_position, {"netQty": None}),
    (classify_positions, a_position, {"netQty": "many"}),
    (classify_positions, a_position, {"buyQty": -4}),
    (classify_positions, a_position, {"realizedProfit": [1]}),
    (classify_positions, a_position, {"securityId": ""}),
    (classify_holdings, a_holding, {"totalQty": None}),
    (classify_holdings, a_holding, {"avgCostPrice": -1}),
]


@pytest.mark.parametrize(("classify", "row", "odd"), ODD)
def test_an_odd_row_is_left_out_and_the_list_is_not_whole(
    classify: Callable[[Any], Any], row: Callable[..., dict[str, Any]], odd: dict[str, Any]
) -> None:
    listed = classify(Reply(200, received([row(), row(**odd), ["row"], None])))

    assert (len(listed.rows), listed.whole) == (1, False)


EVERY = [classify_trades, classify_positions, classify_holdings, classify_funds]


@pytest.mark.parametrize("classify", EVERY)
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Reply(401, ERROR | {"errorCode": "DH-901"}), TokenRefused("http_401_DH-901")),
        (Reply(401, Unparsed("<html>")), TokenRefused("http_401_not_json", in_words=False)),
        (Reply(403, ERROR | {"errorCode": "DH-902"}), NoAccess("http_403_DH-902")),
        (Reply(429, ERROR | {"errorCode": "DH-904"}), Unknown("http_429_DH-904")),
        (Reply(200, None), Unknown("http_200_unreadable")),
        (Reply(200, {"status": "failed"}), Unknown("http_200_unreadable")),
        (Reply(502, Unparsed("<html>")), Unknown("http_502_not_json")),
        (Lost("deadline", may_have_arrived=True), Unknown("deadline")),
    ],
)
def test_what_shows_nothing_says_why(
    classify: Callable[[Any], Any], result: Any, expected: Any
) -> None:
    assert classify(result) == expected


@pytest.mark.parametrize("odd", [{"availabelBalance": None}, {"sodLimit": "much"}])
def test_funds_that_cannot_be_read_are_unknown(odd: dict[str, Any]) -> None:
    assert classify_funds(Reply(200, received(FUNDS | odd))) == Unknown("http_200_unreadable")


def test_the_right_spelling_of_the_balance_is_read_too() -> None:
    funds = classify_funds(Reply(200, {"availableBalance": Decimal(5)}))

    assert isinstance(funds, FundLimits)
    assert funds.available == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(), st.lists, max_leaves=4
)
NAMES = sorted({*a_trade(), *a_position(), *a_holding(), *FUNDS})


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_answer_whatever_raises(changes: dict[str, Any]) -> None:
    for classify, row in zip(EVERY[:3], (a_trade(), a_position(), a_holding()), strict=True):
        listed = classify(Reply(200, [received(row) | changes]))
        assert isinstance(listed, Rows)
        assert listed.whole is bool(listed.rows)
    assert isinstance(classify_funds(Reply(200, received(FUNDS) | changes)), FundLimits | Unknown)


async def test_a_long_trade_book_is_read_beside_the_event_loop(
    http: httpx.AsyncClient, broker: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[threading.Thread] = set()
    read = portfolio._trade

    def watched(row: Any) -> TradeRow:
        threads.add(threading.current_thread())
        return read(row)

    monkeypatch.setattr(portfolio, "_trade", watched)
    broker.on("GET", "/v2/trades", json_answer([a_trade()] * 1_000))

    trades = await client(http, broker).trades()

    assert isinstance(trades, Rows)
    assert len(trades.rows) == 1_000
    assert threading.main_thread() not in threads


async def test_a_list_longer_than_any_day_is_no_answer(
    http: httpx.AsyncClient, broker: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dhan.outcomes.MAX_ROWS", 3)
    broker.on("GET", "/v2/trades", json_answer([a_trade()] * 4))

    assert await client(http, broker).trades() == Unknown("too_many_rows")
