from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dhan.orders import LegName
from dhan.outcomes import Accepted, InTransit, NoAccess, Rejected, Rows, TokenRefused, Unknown
from dhan.super_orders import (
    BrokerLeg,
    BrokerSuperOrder,
    EntryChange,
    Exits,
    NewSuperOrder,
    SuperOrderClient,
    classify_super_orders,
)
from dhan.transport import Lost, OrderUrl, Reply, Unparsed
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Price, Quantity
from tests.dhan.broker import ScriptedDhan, hang_up, json_answer, trading_error
from tests.dhan.factories import a_book_row, credentials, received

OURS = CorrelationId("AT0123456789abcdef")
NUMBER = DhanOrderId("112111182198")
EXITS = Exits(stop_loss=Price(163_000), target=Price(170_000))
ERROR = {"errorType": "Order_Error", "errorMessage": "no"}
ACCEPTED = {"orderId": NUMBER, "orderStatus": "TRANSIT"}


def client(http: httpx.AsyncClient, broker: ScriptedDhan) -> SuperOrderClient:
    return SuperOrderClient(http, OrderUrl.parse(broker.url), credentials())


def a_super_order(**changes: Any) -> NewSuperOrder:
    order = NewSuperOrder(
        instrument=InstrumentId(Segment.NSE_EQ, 2885),
        side=Side.BUY,
        quantity=Quantity(10),
        price=Price(165_855),
        exits=EXITS,
        correlation_id=OURS,
    )
    return replace(order, **changes)


def a_leg_row(**changes: Any) -> dict[str, Any]:
    row = {
        "orderId": NUMBER,
        "legName": "STOP_LOSS_LEG",
        "transactionType": "SELL",
        "totalQuatity": 4,
        "remainingQuantity": 4,
        "triggeredQuantity": 0,
        "price": 1630.0,
        "orderStatus": "PENDING",
        "trailingJump": 0.0,
    }
    return row | changes


def a_super_row(*legs: Any, **changes: Any) -> dict[str, Any]:
    listed = legs or (a_leg_row(), a_leg_row(legName="TARGET_LEG", price=1700.0))
    return a_book_row(legName="ENTRY_LEG", legDetails=list(listed), **changes)


async def test_a_super_order_goes_out_with_its_exits_and_our_name_for_it(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/super/orders", json_answer(ACCEPTED))

    placed = await client(http, broker).place(a_super_order())

    assert placed == Accepted(NUMBER, "TRANSIT")
    assert orjson.loads(broker.seen[0].body) == {
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "securityId": "2885",
        "quantity": 10,
        "price": 1658.55,
        "targetPrice": 1700.0,
        "stopLossPrice": 1630.0,
        "trailingJump": 0.0,
        "correlationId": OURS,
        "dhanClientId": "1100000001",
    }


@pytest.mark.parametrize(
    ("side", "stop_loss", "target"),
    [
        (Side.BUY, 165_855, 170_000),
        (Side.BUY, 163_000, 165_855),
        (Side.BUY, 170_000, 163_000),
        (Side.SELL, 163_000, 170_000),
        (Side.SELL, 165_855, 163_000),
    ],
)
def test_an_entry_that_does_not_lie_between_its_exits_cannot_be_made(
    side: Side, stop_loss: int, target: int
) -> None:
    with pytest.raises(ValueError, match="does not lie between"):
        a_super_order(side=side, exits=Exits(Price(stop_loss), Price(target)))


async def test_a_sale_has_its_stop_above_and_its_target_below(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/super/orders", json_answer(ACCEPTED))
    sale = a_super_order(side=Side.SELL, exits=Exits(Price(170_000), Price(163_000), Paise(50)))

    await client(http, broker).place(sale)

    sent = orjson.loads(broker.seen[0].body)
    assert (sent["stopLossPrice"], sent["targetPrice"], sent["trailingJump"]) == (1700, 1630, 0.5)


async def test_a_super_order_whose_reply_was_lost_is_unknown_and_goes_out_once(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/super/orders", hang_up)

    assert isinstance(await client(http, broker).place(a_super_order()), Unknown)
    assert len(broker.seen) == 1


async def test_each_leg_is_changed_by_its_own_fields(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("PUT", "/v2/super/orders/", json_answer(ACCEPTED))
    ours = client(http, broker)

    changed = [
        await ours.modify_entry(NUMBER, EntryChange(Quantity(8), Price(165_000), EXITS)),
        await ours.modify_stop_loss(NUMBER, Price(164_000), Paise(100)),
        await ours.modify_target(NUMBER, Price(171_000)),
    ]

    assert changed == [Accepted(NUMBER, "TRANSIT")] * 3
    assert {seen.path for seen in broker.seen} == {f"/v2/super/orders/{NUMBER}"}
    common = {"orderId": NUMBER, "dhanClientId": "1100000001"}
    assert [orjson.loads(seen.body) for seen in broker.seen] == [
        common
        | {
            "legName": "ENTRY_LEG",
            "orderType": "LIMIT",
            "quantity": 8,
            "price": 1650.0,
            "targetPrice": 1700.0,
            "stopLossPrice": 1630.0,
            "trailingJump": 0.0,
        },
        common | {"legName": "STOP_LOSS_LEG", "stopLossPrice": 1640.0, "trailingJump": 1.0},
        common | {"legName": "TARGET_LEG", "targetPrice": 1710.0},
    ]


@pytest.mark.parametrize("leg", list(LegName))
async def test_a_leg_is_cancelled_by_name_and_an_empty_202_is_success(
    http: httpx.AsyncClient, broker: ScriptedDhan, leg: LegName
) -> None:
    async def empty(_: web.Request) -> web.StreamResponse:
        return web.Response(status=202)

    broker.on("DELETE", "/v2/super/orders/", empty)

    assert await client(http, broker).cancel(NUMBER, leg) == Accepted(NUMBER, "")
    assert broker.seen[0].path == f"/v2/super/orders/{NUMBER}/{leg.value}"


async def test_a_leg_in_transit_is_cancelled_later_and_a_refused_one_never(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    ours = client(http, broker)
    broker.on("DELETE", "/v2/super/", trading_error("DH-906", "Order is in Transit state"))
    in_transit = await ours.cancel(NUMBER, LegName.TARGET)
    broker.on("DELETE", "/v2/super/", trading_error("DH-906", "already traded"))
    refused = await ours.cancel(NUMBER, LegName.TARGET)

    assert in_transit == InTransit("Order is in Transit state")
    assert refused == Rejected("DH-906", "already traded")


def test_the_list_is_read_with_the_legs_of_each() -> None:
    listed = classify_super_orders(Reply(200, received([a_super_row(orderStatus="TRIGGERED")])))

    assert isinstance(listed, Rows)
    [order] = listed.rows
    assert (order.entry.order_id, order.entry.status, order.legs_whole) == (
        NUMBER,
        "TRIGGERED",
        True,
    )
    assert order.leg(LegName.STOP_LOSS) == BrokerLeg(
        leg=LegName.STOP_LOSS,
        order_id=NUMBER,
        status="PENDING",
        side=Side.SELL,
        quantity=Quantity(4),
        remaining=Quantity(4),
        triggered=Quantity(0),
        price=Price(163_000),
        trailing_jump=Paise(0),
    )
    assert order.leg(LegName.ENTRY) is None


def only(row: Any) -> tuple[BrokerSuperOrder | None, bool]:
    listed = classify_super_orders(Reply(200, received([row])))
    assert isinstance(listed, Rows)
    return (listed.rows[0] if listed.rows else None), listed.whole


def test_the_right_spelling_of_the_total_quantity_is_read_too() -> None:
    leg = a_leg_row(totalQuantity=4)
    del leg["totalQuatity"]

    order, _ = only(a_super_row(leg))

    assert order is not None
    assert order.legs[0].quantity == 4


@pytest.mark.parametrize(
    "odd",
    [
        a_leg_row(legName="NA"),
        a_leg_row(legName="FOURTH_LEG"),
        a_leg_row(orderStatus=None),
        a_leg_row(totalQuatity=-1),
        a_leg_row(price="high"),
        a_leg_row(trailingJump=[]),
        ["STOP_LOSS_LEG"],
        None,
    ],
)
def test_an_odd_leg_costs_only_itself_and_is_said(odd: Any) -> None:
    order, whole = only(a_super_row(odd, a_leg_row(legName="TARGET_LEG")))

    assert order is not None
    assert ([leg.leg for leg in order.legs], order.legs_whole) == ([LegName.TARGET], False)
    assert whole


@pytest.mark.parametrize("legs", ["STOP", {"legName": "STOP_LOSS_LEG"}, 5])
def test_legs_that_are_no_list_are_no_proof_of_their_absence(legs: Any) -> None:
    order, _ = only(a_super_row() | {"legDetails": legs})

    assert order is not None
    assert (order.legs, order.legs_whole) == ((), False)


def test_an_odd_entry_is_left_out_and_the_list_is_not_whole() -> None:
    assert only(a_super_row(quantity="ten")) == (None, False)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Reply(200, []), Rows(())),
        (Reply(401, ERROR | {"errorCode": "DH-901"}), TokenRefused("http_401_DH-901")),
        (Reply(403, ERROR | {"errorCode": "DH-902"}), NoAccess("http_403_DH-902")),
        (Reply(429, ERROR | {"errorCode": "DH-904"}), Unknown("http_429_DH-904")),
        (Reply(200, {"legDetails": []}), Unknown("http_200_unreadable")),
        (Reply(200, None), Unknown("http_200_unreadable")),
        (Reply(502, Unparsed("<html>")), Unknown("http_502_not_json")),
        (Lost("deadline", may_have_arrived=True), Unknown("deadline")),
    ],
)
def test_what_is_no_list_says_why(result: Any, expected: Any) -> None:
    assert classify_super_orders(result) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(a_leg_row())), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(a_super_row())), JSON))
def test_no_row_whatever_raises(changes: dict[str, Any]) -> None:
    listed = classify_super_orders(Reply(200, [received(a_super_row()) | changes]))

    assert isinstance(listed, Rows)
    assert listed.whole is bool(listed.rows)
