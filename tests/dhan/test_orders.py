from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhan.orders import (
    Accepted,
    BrokerOrder,
    DayOrders,
    Found,
    NoAccess,
    NotFound,
    NotSent,
    OrderClient,
    Rejected,
    TokenRefused,
    Unknown,
    Validity,
    classify_book,
    classify_lookup,
    classify_placement,
    read_order,
)
from dhan.transport import TEXT_LENGTH, BaseUrl, Lost, Reply, Unparsed
from schemas.ids import CorrelationId, DhanOrderId
from schemas.units import Price
from tests.dhan.broker import Answer, ScriptedDhan, hang_up, json_answer, text_answer, trading_error
from tests.dhan.factories import a_book_row, an_order, credentials

OURS = CorrelationId("AT0123456789abcdef")
ERROR = {"errorType": "Order_Error", "errorMessage": "no"}


def client(http: httpx.AsyncClient, broker: ScriptedDhan) -> OrderClient:
    return OrderClient(http, BaseUrl.parse(broker.url), credentials())


async def test_an_order_goes_out_with_our_name_for_it_and_comes_back_accepted(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on(
        "POST", "/v2/orders", json_answer({"orderId": "112111182198", "orderStatus": "TRANSIT"})
    )

    placed = await client(http, broker).place(an_order(validity=Validity.IOC))

    assert placed == Accepted(DhanOrderId("112111182198"), "TRANSIT")
    assert orjson.loads(broker.seen[0].body) == {
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "IOC",
        "securityId": "2885",
        "quantity": 10,
        "disclosedQuantity": 0,
        "price": 1658.55,
        "afterMarketOrder": False,
        "boProfitValue": None,
        "boStopLossValue": None,
        "triggerPrice": 0.0,
        "correlationId": "AT0123456789abcdef",
        "dhanClientId": "1100000001",
    }


@given(st.integers(min_value=1, max_value=10**11))
def test_a_price_keeps_its_paise_on_the_way_through_the_only_float(paise: int) -> None:
    on_the_wire = orjson.dumps(float(Price(paise).rupees())).decode()

    assert Price.from_rupees(on_the_wire) == paise


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"orderId": "7", "orderStatus": "PENDING"}, Accepted),
        (200, [{"orderId": "7", "orderStatus": "TRANSIT"}], Accepted),
        (202, {"orderId": 7, "orderStatus": "A_NEW_WORD"}, Accepted),
        (200, {"orderId": "7", "orderStatus": "REJECTED"}, Rejected),
        (400, ERROR | {"errorCode": "DH-905"}, Rejected),
        (400, ERROR | {"errorCode": "DH-906"}, Rejected),
        (401, ERROR | {"errorCode": "DH-901"}, Rejected),
        (403, ERROR | {"errorCode": "DH-911"}, Rejected),
        (429, ERROR | {"errorCode": "DH-904"}, NotSent),
        (400, ERROR | {"errorCode": "DH-908"}, Unknown),
        (400, ERROR | {"errorCode": "DH-909"}, Unknown),
        (408, ERROR | {"errorCode": "DH-910"}, Unknown),
        (429, Unparsed("<html>"), Unknown),
        (403, Unparsed("<html>"), Unknown),
        (404, None, Unknown),
        (500, ERROR | {"errorCode": "DH-906"}, Unknown),
        (502, Unparsed("<html>"), Unknown),
        (307, None, Unknown),
        (200, None, Unknown),
        (200, Unparsed("{"), Unknown),
        (200, {"status": "failed", "data": {"805": "Too many requests"}}, Unknown),
        (200, ERROR | {"errorCode": "DH-906"}, Unknown),
        (200, [], Unknown),
        (200, [{"orderId": "7", "orderStatus": "PENDING"}] * 2, Unknown),
        (200, {"orderId": True, "orderStatus": "PENDING"}, Unknown),
    ],
)
def test_only_dhans_own_words_reject_an_order(status: int, body: Any, expected: type) -> None:
    assert type(classify_placement(Reply(status, body))) is expected


def test_a_lost_request_is_unknown_unless_certainly_nothing_left() -> None:
    assert classify_placement(Lost("deadline", may_have_arrived=True)) == Unknown("deadline")
    assert isinstance(classify_placement(Lost("connect_error", may_have_arrived=False)), NotSent)


@given(
    st.integers(100, 599),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists),
)
def test_no_answer_whatever_crashes_the_classification_or_accepts_an_order_without_an_id(
    status: int, body: Any
) -> None:
    assert isinstance(classify_placement(Reply(status, body)), Unknown)
    assert not isinstance(classify_lookup(Reply(status, body), OURS), Found)
    assert not isinstance(classify_book(Reply(status, body), OURS), Found)


@pytest.mark.parametrize(
    "shape", [lambda row: row, lambda row: [row]], ids=["object", "array of one"]
)
def test_a_found_order_may_come_as_an_object_or_an_array_of_one(
    shape: Callable[[Any], Any],
) -> None:
    found = classify_lookup(Reply(200, shape(a_book_row(orderStatus="traded"))), OURS)

    assert found == Found(BrokerOrder(DhanOrderId("112111182198"), OURS, "TRADED"))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, [], NotFound()),
        (404, ERROR | {"errorCode": "DH-906"}, NotFound()),
        (400, ERROR | {"errorCode": "DH-907"}, NotFound()),
        (404, Unparsed("<html>"), Unknown("http_404_not_json")),
        (401, ERROR | {"errorCode": "DH-901"}, TokenRefused("http_401_DH-901")),
        (401, Unparsed("<html>"), TokenRefused("http_401_not_json", in_words=False)),
        (500, ERROR | {"errorCode": "DH-907"}, Unknown("http_500_DH-907")),
        (200, None, Unknown("http_200_unreadable")),
        (200, a_book_row(correlationId="AT-of-another"), Unknown("answer_about_another_order")),
    ],
)
def test_an_order_is_absent_only_when_dhan_says_so(status: int, body: Any, expected: Any) -> None:
    assert classify_lookup(Reply(status, body), OURS) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, ERROR | {"errorCode": "DH-902"}, NoAccess("http_403_DH-902")),
        (403, ERROR | {"errorCode": "DH-903"}, NoAccess("http_403_DH-903")),
        (403, ERROR | {"errorCode": "DH-911"}, NoAccess("http_403_DH-911")),
        (400, ERROR | {"errorCode": "DH-905"}, NoAccess("http_400_DH-905")),
        (400, [ERROR | {"errorCode": "DH-906"}], NoAccess("http_400_DH-906")),
        (401, ERROR | {"errorCode": "DH-901"}, TokenRefused("http_401_DH-901")),
        (400, ERROR | {"errorCode": "DH-901"}, TokenRefused("http_400_DH-901")),
        (429, ERROR | {"errorCode": "DH-904"}, Unknown("http_429_DH-904")),
        (400, ERROR | {"errorCode": "DH-908"}, Unknown("http_400_DH-908")),
        (403, Unparsed("<html>"), Unknown("http_403_not_json")),
        (500, ERROR | {"errorCode": "DH-902"}, Unknown("http_500_DH-902")),
    ],
)
def test_a_book_that_is_refused_in_words_is_no_access_and_anything_else_may_pass(
    status: int, body: Any, expected: Any
) -> None:
    assert classify_book(Reply(status, body), OURS) == expected


async def test_an_order_that_the_lookup_does_not_know_is_found_in_the_book_while_it_is_in_transit(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/orders/external/", trading_error("DH-906", status=404))
    broker.on("GET", "/v2/orders", json_answer([a_book_row(orderStatus="TRANSIT")]))

    found = await client(http, broker).find(OURS)

    assert found == Found(BrokerOrder(DhanOrderId("112111182198"), OURS, "TRANSIT"))


@pytest.mark.parametrize(
    "book", [hang_up, text_answer("<html>", 502), trading_error("DH-902", status=403)]
)
async def test_an_order_is_not_found_only_when_the_book_says_so_too(
    http: httpx.AsyncClient, broker: ScriptedDhan, book: Answer
) -> None:
    broker.on("GET", "/v2/orders/external/", trading_error("DH-906", status=404))
    broker.on("GET", "/v2/orders", book)

    unproven = await client(http, broker).find(OURS)
    broker.on("GET", "/v2/orders", json_answer([a_book_row(correlationId="other")]))

    assert isinstance(unproven, Unknown | NoAccess)
    assert await client(http, broker).find(OURS) == NotFound()


@pytest.mark.parametrize("status", [400, 401])
def test_an_order_refused_for_its_token_says_so(status: int) -> None:
    refused = classify_placement(Reply(status, ERROR | {"errorCode": "DH-901"}))
    other = classify_placement(Reply(400, ERROR | {"errorCode": "DH-906"}))

    assert isinstance(refused, Rejected)
    assert isinstance(other, Rejected)
    assert (refused.token_refused, other.token_refused) == (True, False)


@pytest.mark.parametrize("order_id", ["", "1\u00002", "\ud800", "7" * 65, "\u0967\u0968", "12 34"])
def test_an_order_id_that_is_none_is_no_acknowledgement(order_id: str) -> None:
    assert isinstance(
        classify_placement(Reply(200, {"orderId": order_id, "orderStatus": "PENDING"})), Unknown
    )


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_text_dhan_gives_for_a_reason_can_be_kept(code: str, message: str) -> None:
    rejected = classify_placement(Reply(400, {"errorCode": f"DH{code}", "errorMessage": message}))
    row = a_book_row(omsErrorCode=code, omsErrorDescription=message, orderStatus=f"X{message}")
    order = read_order(row)

    assert isinstance(rejected, Rejected)
    assert order is not None
    for text in (rejected.code, rejected.message, order.reason, order.status, order.correlation_id):
        assert "\0" not in text
        assert text.encode().decode() == text
        assert len(text) <= 2 * TEXT_LENGTH + 1


async def test_a_lookup_refused_in_unclear_words_is_settled_by_the_whole_book(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/orders/external/", trading_error("DH-905"))
    broker.on(
        "GET",
        "/v2/orders",
        json_answer([a_book_row(correlationId="other"), a_book_row(orderStatus="TRADED")]),
    )

    found = await client(http, broker).find(OURS)

    assert isinstance(found, Found)
    assert found.order.status == "TRADED"


def test_a_book_with_an_unreadable_row_proves_no_absence() -> None:
    assert classify_book(Reply(200, [a_book_row(correlationId="other")]), OURS) == NotFound()
    assert classify_book(Reply(200, [{"orderId": None}]), OURS) == Unknown("order_book_unreadable")


def test_two_orders_of_one_name_in_the_book_prove_nothing() -> None:
    rows = [a_book_row(correlationId=OURS, orderStatus=status) for status in ("REJECTED", "TRADED")]

    assert classify_book(Reply(200, rows), OURS) == Unknown("two_orders_of_one_name")
    orders = [order for row in rows if (order := read_order(row))]
    assert DayOrders(tuple(orders)).named(OURS) is None


async def test_a_lost_lookup_asks_nothing_else(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/orders/external/", hang_up)

    assert isinstance(await client(http, broker).find(OURS), Unknown)
    assert len(broker.seen) == 1


async def test_an_html_error_page_after_sending_is_unknown_and_is_not_sent_again(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/orders", text_answer("<html>Bad Gateway</html>", 502))

    assert await client(http, broker).place(an_order()) == Unknown("http_502_not_json")
    assert len(broker.seen) == 1
