from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import httpx
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dhan.orders import (
    BrokerOrder,
    DayOrders,
    Found,
    LegName,
    NotFound,
    OrderChange,
    OrderClient,
    Validity,
    classify_book,
    classify_day,
    classify_lookup,
    read_order,
)
from dhan.outcomes import (
    Accepted,
    InTransit,
    NoAccess,
    NotSent,
    Rejected,
    TokenRefused,
    Unknown,
    classify_change,
    classify_placement,
)
from dhan.transport import TEXT_LENGTH, Lost, OrderUrl, Reply, Unparsed, parse_json
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Price, Quantity, UtcNs
from tests.dhan.broker import Answer, ScriptedDhan, hang_up, json_answer, text_answer, trading_error
from tests.dhan.factories import a_book_row, an_order, credentials, received

OURS = CorrelationId("AT0123456789abcdef")
ERROR = {"errorType": "Order_Error", "errorMessage": "no"}


def client(http: httpx.AsyncClient, broker: ScriptedDhan) -> OrderClient:
    return OrderClient(http, OrderUrl.parse(broker.url), credentials())


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


def test_of_all_pages_only_one_with_429_says_that_a_limiter_turned_the_order_away() -> None:
    pages = [Reply(status, Unparsed("<html>")) for status in (403, 408, 429, 502, 503)]

    answers = [classify_placement(page) for page in pages]

    assert [isinstance(each, Unknown) and each.turned_away for each in answers] == [
        page.status == 429 for page in pages
    ]


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
    found = classify_lookup(Reply(200, received(shape(a_book_row(orderStatus="traded")))), OURS)

    assert isinstance(found, Found)
    assert (found.order.order_id, found.order.status) == ("112111182198", "TRADED")


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
        (
            200,
            received(a_book_row(correlationId="AT-of-another")),
            Unknown("answer_about_another_order"),
        ),
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

    assert isinstance(found, Found)
    assert (found.order.order_id, found.order.status) == ("112111182198", "TRANSIT")


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


async def test_a_stop_goes_out_with_its_trigger_and_a_limit_beyond_it(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/orders", json_answer({"orderId": "7", "orderStatus": "TRANSIT"}))

    await client(http, broker).place(
        an_order(side=Side.SELL, trigger=Price(164_000), price=Price(163_500))
    )

    sent = orjson.loads(broker.seen[0].body)
    assert (sent["orderType"], sent["triggerPrice"], sent["price"]) == ("STOP_LOSS", 1640.0, 1635.0)


CHANGED = DhanOrderId("112111182198")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"orderId": CHANGED, "orderStatus": "CANCELLED"}, Accepted(CHANGED, "CANCELLED")),
        (202, [{"orderId": CHANGED, "orderStatus": "TRANSIT"}], Accepted(CHANGED, "TRANSIT")),
        (202, None, Accepted(CHANGED, "")),
        (200, None, Unknown("acknowledgement_unreadable")),
        (202, Unparsed("<html>"), Unknown("acknowledgement_unreadable")),
        (200, ERROR | {"errorCode": "DH-906"}, Unknown("acknowledgement_unreadable")),
        (200, {"status": "failed"}, Unknown("acknowledgement_unreadable")),
        (
            200,
            {"orderId": "8", "orderStatus": "CANCELLED"},
            Unknown("answer_about_another_order"),
        ),
        (
            400,
            {"errorCode": "DH-906", "errorMessage": "Order is in Transit state"},
            InTransit("Order is in Transit state"),
        ),
        (400, ERROR | {"errorCode": "DH-906"}, Rejected("DH-906", "no")),
        (404, ERROR | {"errorCode": "DH-907"}, Rejected("DH-907", "no")),
        (401, ERROR | {"errorCode": "DH-901"}, Rejected("DH-901", "no", token_refused=True)),
        (429, ERROR | {"errorCode": "DH-904"}, NotSent("DH-904", "no")),
        (400, ERROR | {"errorCode": "DH-908"}, Unknown("http_400_DH-908")),
        (
            500,
            {"errorCode": "DH-906", "errorMessage": "Order is in Transit state"},
            Unknown("http_500_DH-906"),
        ),
        (408, ERROR | {"errorCode": "DH-910"}, Unknown("http_408_DH-910")),
        (502, Unparsed("<html>"), Unknown("http_502_not_json")),
        (307, None, Unknown("http_307_unreadable")),
    ],
)
def test_a_change_happened_or_was_refused_only_when_dhan_says_so_about_this_order(
    status: int, body: Any, expected: Any
) -> None:
    assert classify_change(Reply(status, body), CHANGED) == expected


def test_a_lost_change_is_unknown_unless_certainly_nothing_left() -> None:
    assert classify_change(Lost("deadline", may_have_arrived=True), CHANGED) == Unknown("deadline")
    assert isinstance(classify_change(Lost("pool", may_have_arrived=False), CHANGED), NotSent)


async def test_a_cancellation_names_the_order_in_its_path_and_goes_out_once(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    async def empty(_: web.Request) -> web.StreamResponse:
        return web.Response(status=202)

    broker.on("DELETE", "/v2/orders/", empty)

    assert await client(http, broker).cancel(CHANGED) == Accepted(CHANGED, "")
    assert [(seen.method, seen.path) for seen in broker.seen] == [
        ("DELETE", "/v2/orders/112111182198")
    ]


async def test_a_change_says_the_whole_order_as_it_shall_be(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("PUT", "/v2/orders/", json_answer({"orderId": CHANGED, "orderStatus": "TRANSIT"}))

    changed = await client(http, broker).modify(
        CHANGED, OrderChange(Quantity(6), Price(163_500), trigger=Price(164_000))
    )

    assert changed == Accepted(CHANGED, "TRANSIT")
    assert orjson.loads(broker.seen[0].body) == {
        "orderId": "112111182198",
        "orderType": "STOP_LOSS",
        "legName": None,
        "quantity": 6,
        "price": 1635.0,
        "disclosedQuantity": 0,
        "triggerPrice": 1640.0,
        "validity": "DAY",
        "dhanClientId": "1100000001",
    }


def test_a_book_row_is_read_with_its_money_exact_and_its_times_from_india() -> None:
    assert read_order(received(a_book_row())) == BrokerOrder(
        DhanOrderId("112111182198"),
        OURS,
        "PENDING",
        instrument=InstrumentId(Segment.NSE_EQ, 2885),
        side=Side.BUY,
        product="INTRADAY",
        order_type="LIMIT",
        quantity=Quantity(10),
        filled=Quantity(4),
        remaining=Quantity(6),
        average_price=Decimal("1658.4333"),
        price=Price(165_855),
        trigger=None,
        leg=LegName.ENTRY,
        exchange_order_id="1300000000123456",
        created_at=UtcNs.from_datetime(datetime(2026, 11, 27, 3, 50, 1, tzinfo=UTC)),
        updated_at=UtcNs.from_datetime(datetime(2026, 11, 27, 3, 50, 2, tzinfo=UTC)),
        exchange_at=UtcNs.from_datetime(datetime(2026, 11, 27, 3, 50, 2, tzinfo=UTC)),
    )


def test_the_value_filled_is_to_the_nearest_paisa() -> None:
    order = read_order(received(a_book_row()))

    assert order is not None
    assert order.filled_value == 663_373  # 4 x 1658.4333 rupees are 6633.7332
    assert replace(order, average_price=None).filled_value is None


def test_a_row_with_numbers_as_text_and_a_postbacks_spelling_is_read_alike() -> None:
    row = a_book_row(quantity="10", price="1658.55", averageTradedPrice="1658.4333", filled_qty=4)
    del row["filledQty"]

    assert read_order(received(row)) == read_order(received(a_book_row()))


@pytest.mark.parametrize(
    "odd",
    [
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": [10]},
        {"quantity": "ten"},
        {"quantity": True},
        {"quantity": "9" * 1_048_576},
        {"filledQty": {"units": 4}},
        {"price": -0.05},
        {"price": []},
        {"averageTradedPrice": "1658,43"},
        {"securityId": None},
        {"securityId": "28x5"},
        {"securityId": 2**32},
        {"transactionType": "HOLD"},
        {"legName": "SECOND_LEG"},
        {"orderId": "../../positions"},
        {"orderId": "7" * 65},
        {"orderId": None},
        {"orderStatus": ["TRADED"]},
        {"orderStatus": ""},
    ],
)
def test_an_odd_row_is_left_out_and_the_book_is_not_whole(odd: dict[str, Any]) -> None:
    day = classify_day(Reply(200, received([a_book_row(orderId="1"), a_book_row(**odd)])))

    assert isinstance(day, DayOrders)
    assert ([order.order_id for order in day.orders], day.whole) == (["1"], False)


@pytest.mark.parametrize("odd", ["1" + "0" * 400, "1e400", "-1e400", "1e" + "9" * 30, "9" * 5_000])
def test_a_number_beyond_any_amount_costs_its_own_row_alone(odd: str) -> None:
    book = orjson.dumps([a_book_row(orderId="1"), a_book_row(orderId="2", quantity=123_454_321)])

    day = classify_day(Reply(200, parse_json(book.replace(b"123454321", odd.encode()))))

    assert isinstance(day, DayOrders)
    assert ([order.order_id for order in day.orders], day.whole) == (["1"], False)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"updateTime": "27/11/2026 09:20"}, {"updated_at": None}),
        ({"updateTime": "2026-11-31 09:20:00"}, {"updated_at": None}),
        ({"updateTime": "0001-01-01 00:00:00"}, {"updated_at": None}),
        ({"updateTime": "9999-12-31 00:00:00"}, {"updated_at": None}),
        ({"updateTime": ["2026"]}, {"updated_at": None}),
        ({"exchangeSegment": "NSE_COMM", "securityId": "x"}, {"instrument": None}),
        ({"exchangeSegment": None}, {"instrument": None}),
        ({"price": 84.1225}, {"price": None}),
        ({"orderStatus": "Part Traded"}, {"status": "PART_TRADED"}),
        ({"legName": "STOP_LOSS_LEG"}, {"leg": LegName.STOP_LOSS}),
        ({"omsErrorCode": "NA", "omsErrorDescription": "no margin"}, {"reason": "no margin"}),
        ({"correlationId": "x" * 1_048_576}, {"correlation_id": "x" * 40}),
        ({"productType": "mtf"}, {"product": "MTF"}),
    ],
)  # fmt: skip
def test_what_only_describes_an_order_hides_none(
    told: dict[str, Any], expected: dict[str, Any]
) -> None:
    usual = read_order(received(a_book_row()))
    assert usual is not None

    assert read_order(received(a_book_row(**told))) == replace(usual, **expected)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(), st.lists, max_leaves=4
)


@given(st.dictionaries(st.sampled_from(sorted(a_book_row())), JSON))
def test_no_row_whatever_is_more_than_left_out(changes: dict[str, Any]) -> None:
    day = classify_day(Reply(200, [received(a_book_row()) | changes]))

    assert isinstance(day, DayOrders)
    assert day.whole is bool(day.orders)


async def test_a_days_book_of_seven_thousand_orders_is_read_beside_the_event_loop(
    http: httpx.AsyncClient, broker: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()

    def watched(body: object) -> BrokerOrder | None:
        threads.add(threading.current_thread().name)
        return read_order(body)

    monkeypatch.setattr("dhan.orders.read_order", watched)
    rows = [a_book_row(orderId=str(number)) for number in range(7_000)]
    broker.on("GET", "/v2/orders", json_answer(rows))

    day = await client(http, broker).orders_of_the_day()

    assert isinstance(day, DayOrders)
    assert (len(day.orders), day.whole) == (7_000, True)
    assert threading.current_thread().name not in threads


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
    told = {"omsErrorCode": code, "omsErrorDescription": message, "orderStatus": f"X{message}"}
    row = received(a_book_row()) | told
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
    assert classify_book(Reply(200, received([a_book_row(correlationId="x")])), OURS) == NotFound()
    assert classify_book(Reply(200, [{"orderId": None}]), OURS) == Unknown("order_book_unreadable")


def test_two_orders_of_one_name_in_the_book_prove_nothing() -> None:
    rows = received([a_book_row(orderStatus=status) for status in ("REJECTED", "TRADED")])

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
