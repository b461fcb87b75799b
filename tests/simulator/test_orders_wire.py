"""The order side's wire: field names, switches, limits, addresses."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.units import Quantity
from simulator.config import Quirks, SimulatedUser
from simulator.matching.rules import Rules, StopMarket
from simulator.server import Simulator
from tests.simulator.factories import DAY, OTHER, RELIANCE, USER, an_order, call, running

ORDERS = "/v2/orders"
ORDER_FIELDS = {
    "dhanClientId", "orderId", "exchangeOrderId", "correlationId", "orderStatus", "transactionType",
    "exchangeSegment",
    "productType", "orderType", "validity", "tradingSymbol", "securityId", "quantity",
    "disclosedQuantity", "price",
    "triggerPrice", "afterMarketOrder", "boProfitValue", "boStopLossValue", "legName", "createTime",
    "updateTime",
    "exchangeTime", "drvExpiryDate", "drvOptionType", "drvStrikePrice", "omsErrorCode",
    "omsErrorDescription", "algoId",
    "remainingQuantity", "averageTradedPrice", "filledQty",
}  # fmt: skip
TRADE_FIELDS = {
    "dhanClientId", "orderId", "exchangeOrderId", "exchangeTradeId", "transactionType",
    "exchangeSegment", "productType",
    "orderType", "tradingSymbol", "securityId", "tradedQuantity", "tradedPrice", "createTime",
    "updateTime",
    "exchangeTime", "drvExpiryDate", "drvOptionType", "drvStrikePrice",
}  # fmt: skip
HISTORY_FIELDS = TRADE_FIELDS | {
    "customSymbol", "isin", "instrument", "sebiTax", "stt", "brokerageCharges", "serviceTax",
    "exchangeTransactionCharges", "stampDuty",
}  # fmt: skip
SUPER_FIELDS = {
    "dhanClientId", "orderId", "correlationId", "orderStatus", "transactionType", "exchangeSegment",
    "productType",
    "orderType", "validity", "tradingSymbol", "securityId", "quantity", "remainingQuantity", "ltp",
    "price",
    "afterMarketOrder", "legName", "exchangeOrderId", "createTime", "updateTime", "exchangeTime",
    "omsErrorDescription",
    "averageTradedPrice", "filledQty", "legDetails",
}  # fmt: skip
LEG_FIELDS = {
    "orderId", "legName", "transactionType", "totalQuatity", "remainingQuantity",
    "triggeredQuantity", "price",
    "orderStatus", "trailingJump",
}  # fmt: skip
FOREVER_FIELDS = {
    "dhanClientId", "orderId", "orderStatus", "transactionType", "exchangeSegment", "productType",
    "orderType",
    "tradingSymbol", "securityId", "quantity", "price", "triggerPrice", "legName", "createTime",
    "updateTime",
    "exchangeTime", "drvExpiryDate", "drvOptionType", "drvStrikePrice",
}  # fmt: skip
POSITION_FIELDS = {
    "dhanClientId", "tradingSymbol", "securityId", "positionType", "exchangeSegment", "productType",
    "buyAvg", "buyQty",
    "costPrice", "sellAvg", "sellQty", "netQty", "realizedProfit", "unrealizedProfit",
    "rbiReferenceRate", "multiplier",
    "carryForwardBuyQty", "carryForwardSellQty", "carryForwardBuyValue", "carryForwardSellValue",
    "dayBuyQty",
    "daySellQty", "dayBuyValue", "daySellValue", "drvExpiryDate", "drvOptionType", "drvStrikePrice",
    "crossCurrency",
}  # fmt: skip
A_SUPER = {"targetPrice": 1600.0, "stopLossPrice": 1400.0, "trailingJump": 10.0}
A_FOREVER = {"orderFlag": "SINGLE", "productType": "CNC", "price": 1400.0, "triggerPrice": 1400.0}
A_LEG = {
    "exchangeSegment": "NSE_EQ",
    "transactionType": "BUY",
    "quantity": 10,
    "productType": "CNC",
    "securityId": "2885",
    "price": 100.0,
}


def price(simulator: Simulator, paise: int = 150_000) -> None:
    simulator.exchange.book.on_price(RELIANCE, paise, simulator.exchange.second)


async def test_every_row_has_dhans_fields_and_no_others() -> None:
    async with running(order_rate_limit=None) as simulator:
        price(simulator)
        await call(simulator, "POST", ORDERS, json=an_order(price=1500.0))
        await call(simulator, "POST", "/v2/super/orders", json=an_order(price=1500.0) | A_SUPER)
        await call(simulator, "POST", "/v2/forever/orders", json=an_order() | A_FOREVER)
        rows = {
            path: (await call(simulator, "GET", path))[1][0]
            for path in (
                ORDERS, "/v2/trades", "/v2/trades/", f"/v2/trades/{DAY}/{DAY}/0",
                "/v2/super/orders", "/v2/forever/orders", "/v2/forever/all", "/v2/positions",
            )
        }  # fmt: skip

    assert set(rows[ORDERS]) == ORDER_FIELDS
    assert set(rows["/v2/trades"]) == set(rows["/v2/trades/"]) == TRADE_FIELDS
    assert set(rows[f"/v2/trades/{DAY}/{DAY}/0"]) == HISTORY_FIELDS
    assert set(rows["/v2/super/orders"]) == SUPER_FIELDS
    assert set(rows["/v2/super/orders"]["legDetails"][0]) == LEG_FIELDS
    assert set(rows["/v2/forever/orders"]) == set(rows["/v2/forever/all"]) == FOREVER_FIELDS
    assert set(rows["/v2/positions"]) == POSITION_FIELDS


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", ORDERS, {"orderType": "STOP_LOSS", "triggerPrice": 0}),
        ("POST", ORDERS, {"orderType": "STOP_LOSS", "triggerPrice": "1500"}),
        ("POST", ORDERS, {"afterMarketOrder": "perhaps"}),
        ("POST", ORDERS, {"afterMarketOrder": True, "amoTime": "NOON"}),
        ("POST", ORDERS, {"afterMarketOrder": True, "amoTime": ["OPEN"]}),
        ("POST", ORDERS, {"disclosedQuantity": -1}),
        ("POST", ORDERS, {"price": []}),
        ("POST", ORDERS, {"price": {}}),
        ("POST", ORDERS, {"quantity": []}),
        ("POST", "/v2/orders/slicing", {"quantity": 0}),
        ("PUT", "/v2/orders/1", {"orderType": "LIMIT", "price": 0}),
        ("POST", "/v2/super/orders", {**A_SUPER, "orderType": "STOP_LOSS"}),
        ("POST", "/v2/super/orders", {**A_SUPER, "targetPrice": "1600"}),
        ("POST", "/v2/super/orders", {**A_SUPER, "targetPrice": 1000.0}),
        ("PUT", "/v2/super/orders/1", {"legName": "TARGET_LEG"}),
        ("PUT", "/v2/super/orders/1", {"legName": "THIRD_LEG", "targetPrice": 1.0}),
        ("POST", "/v2/forever/orders", {**A_FOREVER, "orderFlag": "TRIPLE"}),
        ("POST", "/v2/forever/orders", {**A_FOREVER, "orderFlag": "OCO"}),
        ("POST", "/v2/forever/orders", {**A_FOREVER, "productType": "INTRADAY"}),
        (
            "POST",
            "/v2/positions/convert",
            {"fromProductType": "INTRADAY", "toProductType": "INTRADAY"},
        ),
        ("POST", "/v2/positions/convert", {"convertQty": "four"}),
        ("POST", "/v2/margincalculator", {"price": "x"}),
        ("POST", "/v2/margincalculator", {"securityId": "999999999"}),
        ("POST", "/v2/margincalculator/multi", {"scripList": "all"}),
        ("POST", "/v2/margincalculator/multi", {"scripList": [1]}),
        ("POST", "/v2/pnlExit", {"profitValue": 1, "lossValue": -1}),
        ("POST", "/v2/pnlExit", {"profitValue": 1, "lossValue": 1, "productType": ["CNC"]}),
        ("POST", "/v2/killswitch?killSwitchStatus=PERHAPS", {}),
        ("POST", "/v2/ip/setIP", {"ip": "here", "ipFlag": "PRIMARY"}),
        ("POST", "/v2/ip/setIP", {"ip": "10.0.0.1", "ipFlag": "THIRD"}),
        ("PUT", "/v2/ip/modifyIP", {"ip": "10.0.0.1", "ipFlag": "PRIMARY"}),
    ],
)
async def test_a_bad_body_is_refused_with_dh_905_and_changes_nothing(
    method: str, path: str, body: dict[str, Any]
) -> None:
    async with running(order_rate_limit=None) as simulator:
        price(simulator)
        status, answer = await call(simulator, method, path, json=an_order() | body)
        assert simulator.exchange.book.all() == []

    assert (status, answer["errorCode"]) == (400, "DH-905")


@pytest.mark.parametrize("path", ["/v2/trades/1"])
async def test_what_does_not_exist_is_answered_with_no_data(path: str) -> None:
    async with running() as simulator:
        status, body = await call(simulator, "GET", path)

    assert (status, body["errorCode"]) == (400, "DH-907")


async def test_an_account_that_owns_nothing_is_answered_as_measured_with_500_and_dh_1111() -> None:
    async with running() as simulator:
        status, body = await call(simulator, "GET", "/v2/holdings")

    assert status == 500
    assert body == {
        "errorType": "HOLDING_ERROR",
        "errorCode": "DH-1111",
        "errorMessage": "No holdings available",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v2/orders/1"), ("POST", "/v2/orders/slicing"), ("GET", "/v2/trades"), ("POST",
        "/v2/super/orders"),
        ("PUT", "/v2/super/orders/1"), ("DELETE", "/v2/super/orders/1/ENTRY_LEG"), ("GET",
        "/v2/super/orders"),
        ("POST", "/v2/forever/orders"), ("GET", "/v2/forever/all"), ("DELETE",
        "/v2/forever/orders/1"),
        ("DELETE", "/v2/positions"), ("POST", "/v2/positions/convert"), ("GET", "/v2/holdings"),
        ("POST", "/v2/margincalculator"), ("POST", "/v2/margincalculator/multi"), ("POST",
        "/v2/killswitch"),
        ("GET", "/v2/killswitch"), ("POST", "/v2/pnlExit"), ("GET", "/v2/ip/getIP"), ("POST",
        "/v2/ip/setIP"),
    ],
)  # fmt: skip
async def test_nothing_of_an_account_opens_without_its_token(method: str, path: str) -> None:
    async with running() as simulator:
        for user in (None, SimulatedUser("1", "nobody's")):
            status, body = await call(simulator, method, path, user=user)
            assert (status, body["errorCode"]) == (401, "DH-901")


async def test_the_documents_contradictions_are_switches() -> None:
    quirks = Quirks(
        acknowledged_as="PENDING",
        by_id_as_array=False,
        by_name_as_array=True,
        slices_as_array=False,
        super_cancel_has_body=False,
        exit_all_has_body=False,
        multi_margin_in_camel_case=False,
    )
    async with running(quirks=quirks, order_rate_limit=None) as simulator:
        price(simulator)
        _, placed = await call(simulator, "POST", ORDERS, json=an_order(price=1400.0))
        _, by_id = await call(simulator, "GET", f"{ORDERS}/{placed['orderId']}")
        _, by_name = await call(simulator, "GET", f"{ORDERS}/external/AT0001")
        unknown = await call(simulator, "GET", f"{ORDERS}/1")
        _, slices = await call(
            simulator, "POST", "/v2/orders/slicing", json=an_order(price=1400.0, quantity=150_000)
        )
        _, made = await call(
            simulator, "POST", "/v2/super/orders", json=an_order(price=1450.0) | A_SUPER
        )
        cancelled = await call(simulator, "DELETE", f"/v2/super/orders/{made['orderId']}/ENTRY_LEG")
        left = await call(simulator, "DELETE", "/v2/positions")
        basket = {"scripts": [A_LEG], "includeOrders": "true"}
        _, margin = await call(simulator, "POST", "/v2/margincalculator/multi", json=basket)

    assert placed["orderStatus"] == "PENDING"
    assert by_id["orderId"] == placed["orderId"]
    assert by_name == [by_id]
    assert (unknown[0], unknown[1]["errorCode"]) == (400, "DH-907")
    assert set(slices) == {"orderId", "orderStatus"}
    assert cancelled == left == (202, "")
    assert (margin["total_margin"], margin["currency"], margin["hedge_benefit"]) == (
        "1000.00",
        "INR",
        "",
    )


async def test_rules_come_from_the_settings() -> None:
    rules = Rules(
        stop_market=StopMarket.REFUSED,
        freeze_quantity=Quantity(100),
        reject_in_book=False,
        market_hours=True,
    )
    async with running(rules=rules, order_rate_limit=None) as simulator:
        price(simulator)
        stop = an_order(orderType="STOP_LOSS_MARKET", price=0, triggerPrice=1550.0)
        refused = [
            (await call(simulator, "POST", ORDERS, json=body))[1]["errorMessage"]
            for body in (stop, an_order(quantity=101), an_order(price=9_000.0))
        ]
        simulator.exchange.open_market()
        while not simulator.exchange.finished:
            await simulator.exchange.step(25_000)
        closed = (await call(simulator, "POST", ORDERS, json=an_order()))[1]["errorMessage"]

    assert [("Stop loss" in refused[0]), ("freeze" in refused[1]), ("circuit" in refused[2])] == [
        True
    ] * 3
    assert "Market is Closed" in closed


@pytest.mark.parametrize(
    ("window", "seconds"), [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)]
)
async def test_orders_are_counted_by_second_minute_hour_and_day(window: str, seconds: int) -> None:
    limits: dict[str, Any] = {
        "order_rate_limit": 9,
        "orders_per_minute": 9,
        "orders_per_hour": 9,
        "orders_per_day": 9,
    }
    limits["order_rate_limit" if window == "second" else f"orders_per_{window}"] = 2
    now = [0.0]
    async with running(monotonic=lambda: now[0], **limits) as simulator:
        paths = [("POST", ORDERS), ("DELETE", f"{ORDERS}/1"), ("PUT", f"{ORDERS}/1")]
        statuses = [
            (await call(simulator, method, path, json=an_order()))[0] for method, path in paths
        ]
        others = await call(
            simulator, "POST", ORDERS, json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )
        now[0] = seconds - 0.01
        early = await call(simulator, "POST", ORDERS, json=an_order())
        now[0] = float(seconds)
        later = await call(simulator, "POST", ORDERS, json=an_order())

    assert statuses == [200, 400, 429]
    assert others[0] == 200
    assert (early[0], early[1]["errorCode"], later[0]) == (429, "DH-904", 200)


async def test_orders_can_be_counted_on_the_markets_clock() -> None:
    async with running(order_rate_limit=1, rate_by_market_time=True) as simulator:
        first, second = [
            (await call(simulator, "POST", ORDERS, json=an_order()))[0] for _ in range(2)
        ]
        simulator.exchange.second += 1
        third, _ = await call(simulator, "POST", ORDERS, json=an_order())

    assert (first, second, third) == (200, 429, 200)


async def test_reads_have_a_limit_of_their_own_and_without_an_order_limit_there_is_none() -> None:
    async with running(reads_per_second=2, monotonic=lambda: 0.0) as simulator:
        reads = [(await call(simulator, "GET", ORDERS))[0] for _ in range(3)]
        placed, _ = await call(simulator, "POST", ORDERS, json=an_order())
    async with running(
        reads_per_second=2, order_rate_limit=None, monotonic=lambda: 0.0
    ) as simulator:
        free = [(await call(simulator, "GET", ORDERS))[0] for _ in range(3)]

    assert (reads, placed, free) == ([200, 200, 429], 200, [200] * 3)


@pytest.mark.parametrize("code", ["DH-905", "DH-911"])
async def test_orders_come_only_from_a_registered_address_and_reads_from_anywhere(
    code: str,
) -> None:
    async with running(static_ip=True, quirks=Quirks(bad_ip_code=code)) as simulator:
        _, refused = await call(simulator, "POST", ORDERS, json=an_order())
        read, _ = await call(simulator, "GET", ORDERS)
        await call(
            simulator, "POST", "/v2/ip/setIP", json={"ip": "127.0.0.1", "ipFlag": "SECONDARY"}
        )
        status, _ = await call(simulator, "POST", ORDERS, json=an_order())
        strangers, _ = await call(
            simulator, "POST", ORDERS, json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )

    assert (refused["errorCode"], refused["errorMessage"]) == (code, "Invalid IP")
    assert (read, status) == (200, 200)
    assert strangers >= 400


async def test_the_profile_has_dhans_fields() -> None:
    async with running() as simulator:
        _, profile = await call(simulator, "GET", "/v2/profile", user=USER)

    assert set(profile) == {
        "dhanClientId", "tokenValidity", "activeSegment", "ddpi", "mtf", "dataPlan", "dataValidity",
    }  # fmt: skip
