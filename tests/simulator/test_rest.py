from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from simulator.accounts import Accounts
from simulator.api.rate_limit import SECOND, Allowance, RateLimit
from simulator.config import SimulatedUser
from simulator.faults import Fault, FaultKind
from simulator.matching.rules import Rules
from tests.simulator.factories import OTHER, USER, an_order, call, running


async def test_an_order_is_accepted_and_found_by_every_road() -> None:
    async with running() as simulator:
        status, reply = await call(simulator, "POST", "/v2/orders", json=an_order())
        order_id = reply["orderId"]
        _, book = await call(simulator, "GET", "/v2/orders")
        _, by_id = await call(simulator, "GET", f"/v2/orders/{order_id}")
        _, by_name = await call(simulator, "GET", "/v2/orders/external/AT0001")

    assert (status, reply["orderStatus"]) == (200, "TRANSIT")
    assert book == by_id == [by_name]
    assert by_name["orderId"] == order_id
    assert (by_name["correlationId"], by_name["price"], by_name["quantity"]) == (
        "AT0001",
        1500.05,
        10,
    )
    assert by_name["createTime"] == "2026-11-23 09:15:00"


async def test_an_unknown_order_is_an_empty_list_by_id_and_an_error_by_name() -> None:
    async with running() as simulator:
        by_id = await call(simulator, "GET", "/v2/orders/1")
        status, by_name = await call(simulator, "GET", "/v2/orders/external/AT0001")

    assert by_id == (200, [])
    assert (status, by_name["errorCode"]) == (404, "DH-906")
    assert by_name["errorMessage"] == "Incorrect request for order and cannot be processed"


async def test_an_order_in_transit_is_in_the_book_and_unknown_by_name() -> None:
    late = Fault(FaultKind.LATE_REJECT, delay=60)
    async with running(faults=(late,)) as simulator:
        await call(simulator, "POST", "/v2/orders", json=an_order())
        status, by_name = await call(simulator, "GET", "/v2/orders/external/AT0001")
        _, (row,) = await call(simulator, "GET", "/v2/orders")

    assert (status, by_name["errorCode"]) == (404, "DH-906")
    assert (row["correlationId"], row["orderStatus"]) == ("AT0001", "TRANSIT")


@pytest.mark.parametrize("length", [26, 30, 31])
async def test_a_correlation_id_that_is_too_long_refuses_the_order_without_naming_the_field(
    length: int,
) -> None:
    async with running() as simulator:
        longest, _ = await call(
            simulator, "POST", "/v2/orders", json=an_order(correlationId="A" * 25)
        )
        status, body = await call(
            simulator, "POST", "/v2/orders", json=an_order(correlationId="A" * length)
        )
        _, book = await call(simulator, "GET", "/v2/orders")

    assert (longest, status, body["errorCode"]) == (200, 400, "DH-905")
    assert "orrelation" not in body["errorMessage"]
    assert len(book) == 1


async def test_the_documents_thirty_characters_are_a_switch() -> None:
    async with running(rules=Rules(longest_correlation_id=30)) as simulator:
        status, _ = await call(
            simulator, "POST", "/v2/orders", json=an_order(correlationId="A" * 30)
        )

    assert status == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": 0}, "DH-905"),
        ({"quantity": 1.5}, "DH-905"),
        ({"quantity": True}, "DH-905"),
        ({"transactionType": "HOLD"}, "DH-905"),
        ({"productType": "BO"}, "DH-905"),
        ({"orderType": "STOP_LOSS"}, "DH-905"),
        ({"validity": "GTC"}, "DH-905"),
        ({"exchangeSegment": "NSE"}, "DH-905"),
        ({"securityId": 2885}, "DH-905"),
        ({"securityId": "999999999"}, "DH-905"),
        ({"correlationId": "A" * 31}, "DH-905"),
        ({"correlationId": "A#1"}, "DH-905"),
        ({"price": 0}, "DH-905"),
        ({"price": "1500"}, "DH-905"),
        ({"price": 1500.001}, "DH-905"),
        ({"price": 1500.01}, "DH-906"),
        ({"exchangeSegment": "IDX_I", "securityId": "13"}, "DH-906"),
        ({"dhanClientId": OTHER.client_id}, "DH-901"),
    ],
)
async def test_a_bad_order_is_refused_in_dhans_words_and_leaves_no_trace(
    change: dict[str, Any], code: str
) -> None:
    async with running() as simulator:
        status, body = await call(simulator, "POST", "/v2/orders", json=an_order(**change))
        _, book = await call(simulator, "GET", "/v2/orders")

    assert status == (401 if code == "DH-901" else 400)
    assert set(body) == {"errorType", "errorCode", "errorMessage"}
    assert body["errorCode"] == code
    assert book == []


async def test_no_token_and_a_wrong_token_open_nothing() -> None:
    stranger = SimulatedUser("1", "nobody's")
    async with running() as simulator:
        for method, path in (
            ("GET", "/v2/orders"), ("POST", "/v2/orders"), ("DELETE", "/v2/orders/1"), ("GET",
            "/v2/positions"),
            ("GET", "/v2/fundlimit"), ("GET", "/v2/profile"), ("POST", "/v2/charts/historical"),
        ):  # fmt: skip
            for user in (None, stranger):
                status, body = await call(simulator, method, path, user=user)
                assert (status, body["errorCode"]) == (401, "DH-901")


async def test_an_order_can_be_cancelled_once() -> None:
    async with running() as simulator:
        _, placed = await call(simulator, "POST", "/v2/orders", json=an_order())
        path = f"/v2/orders/{placed['orderId']}"
        first = await call(simulator, "DELETE", path)
        second = await call(simulator, "DELETE", path)

    assert first == (200, {"orderId": placed["orderId"], "orderStatus": "CANCELLED"})
    assert (second[0], second[1]["errorCode"]) == (400, "DH-906")


async def test_the_eleventh_order_of_a_second_is_turned_away_for_that_user_only() -> None:
    async with running() as simulator:
        replies = [await call(simulator, "POST", "/v2/orders", json=an_order()) for _ in range(11)]
        others = await call(
            simulator, "POST", "/v2/orders", json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )
        _, book = await call(simulator, "GET", "/v2/orders")

    assert others[0] == 200
    refused = [body["errorCode"] for status, body in replies if status == 429]
    assert len(book) + len(refused) == 11
    assert set(refused) <= {"DH-904"}


def test_the_rate_limit_counts_any_window_of_one_second() -> None:
    now = [0.0]
    limit = RateLimit((Allowance(2, SECOND),), lambda: now[0])

    taken = []
    for moment in (0.0, 0.9, 0.95, 1.0, 1.5, 1.95):
        now[0] = moment
        taken.append(limit.allows("one"))

    assert taken == [True, True, False, True, False, True]
    assert all(RateLimit((), lambda: 0.0).allows("one") for _ in range(100))


async def test_positions_and_funds_follow_the_trades() -> None:
    async with running(order_rate_limit=None) as simulator:
        simulator.exchange.book.on_price(simulator.market.listings[1].id, 150_000, 1)
        for side, quantity in (("BUY", 10), ("SELL", 4)):
            body = an_order(transactionType=side, quantity=quantity, orderType="MARKET", price=0)
            await call(simulator, "POST", "/v2/orders", json=body)
        _, positions = await call(simulator, "GET", "/v2/positions")
        _, funds = await call(simulator, "GET", "/v2/fundlimit")
        _, orders = await call(simulator, "GET", "/v2/orders")

    (position,) = positions
    assert (position["netQty"], position["positionType"], position["buyAvg"]) == (6, "LONG", 1500.0)
    # the bid stands a tick below
    assert funds["availabelBalance"] == 1_000_000 - 6 * 1_500 * 0.2 - 4 * 0.05
    assert [order["orderStatus"] for order in orders] == ["TRADED", "TRADED"]
    assert orders[0]["orderType"] == "LIMIT"


@pytest.mark.parametrize(
    "kind", [FaultKind.ACCEPT_THEN_DROP_REPLY, FaultKind.ACCEPT_THEN_500, FaultKind.SLOW_REPLY]
)
async def test_an_order_whose_reply_goes_wrong_is_in_the_book_all_the_same(kind: FaultKind) -> None:
    async with running(faults=(Fault(kind, delay=0.05),)) as simulator:
        if kind is FaultKind.ACCEPT_THEN_DROP_REPLY:
            with pytest.raises(aiohttp.ClientConnectionError):
                await call(simulator, "POST", "/v2/orders", json=an_order())
        else:
            status, _ = await call(simulator, "POST", "/v2/orders", json=an_order())
            assert status == (500 if kind is FaultKind.ACCEPT_THEN_500 else 200)
        found, _ = await call(simulator, "GET", "/v2/orders/external/AT0001")
        again, _ = await call(
            simulator, "POST", "/v2/orders", json=an_order(correlationId="AT0002")
        )

    assert found == 200
    assert again == 200


@pytest.mark.parametrize("kind", [FaultKind.HTML_429, FaultKind.REJECT])
async def test_a_refusing_fault_leaves_no_order_and_hits_only_its_user(kind: FaultKind) -> None:
    async with running() as simulator:
        fault = {"kind": kind, "client_id": USER.client_id, "message": "RMS: margin shortfall"}
        added, _ = await call(simulator, "POST", "/control/faults", json=fault)
        others, _ = await call(
            simulator, "POST", "/v2/orders", json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )
        status, body = await call(simulator, "POST", "/v2/orders", json=an_order())
        _, book = await call(simulator, "GET", "/v2/orders")

    assert (added, others, book) == (201, 200, [])
    if kind is FaultKind.HTML_429:
        assert status == 429
        assert body.startswith("<html>")
    else:
        assert (status, body["errorCode"], body["errorMessage"]) == (
            400,
            "DH-906",
            "RMS: margin shortfall",
        )


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "meteor"},
        {},
        [],
        {"kind": "reject", "colour": "red"},
        {"kind": "reject", "times": 0},
        {"kind": "reject", "delay": "x"},
    ],
)
async def test_an_unknown_fault_is_named(fault: Any) -> None:
    async with running() as simulator:
        status, body = await call(simulator, "POST", "/control/faults", json=fault)

    assert status == 400
    assert "not a fault" in body["error"]


async def test_users_can_be_added_while_it_runs() -> None:
    new = SimulatedUser("1100000003", "token-of-three")
    async with running() as simulator:
        before, _ = await call(simulator, "GET", "/v2/profile", user=new)
        added, _ = await call(
            simulator,
            "POST",
            "/control/users",
            json={"client_id": new.client_id, "token": new.token},
        )
        after, profile = await call(simulator, "GET", "/v2/profile", user=new)
        bad, reply = await call(
            simulator, "POST", "/control/users", json={"client_id": "4", "token": ["secret"]}
        )

    assert (before, added, after) == (401, 201, 200)
    assert profile["dhanClientId"] == new.client_id
    assert bad == 400
    assert "secret" not in str(reply)


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("users", {"client_id": "4", "token": "t", "fund": 5}, "fund: unknown"),
        ("users", {"token": "t"}, "client_id: missing"),
        ("users", {"client_id": "4", "token": ""}, "token: "),
        ("users", {"client_id": "4", "token": "t", "funds": "much"}, "funds: "),
        ("users", {"client_id": "4", "token": "t", "data_plan": "no"}, "data_plan: "),
        ("users", {"client_id": "4", "token": "t", "expires_at": "tomorrow"}, "expires_at: "),
        (
            "users",
            {"client_id": "4", "token": "t", "totp_secret": "JBSWY3DPEHPK3PXP"},
            "totp_secret: ",
        ),
        ("users", {"client_id": "4", "token": "t", "totp_secret": "not base 32"}, "totp_secret: "),
        ("tokens/kill", {"client": "4"}, "client: unknown"),
        ("tokens/kill", {"client_id": 4}, "client_id: "),
        ("clock", {"do": "pause", "sped": 3}, "sped: unknown"),
        ("start", {"at": "10:00"}, "at: unknown"),
        ("feed/drop", {"client_id": "4"}, "client_id: unknown"),
        ("feed/truncate", {"count": 4}, "count: unknown"),
    ],
)
async def test_the_switchboard_refuses_what_it_does_not_know_and_names_the_field(
    path: str, body: dict[str, Any], names: str
) -> None:
    async with running() as simulator:
        status, reply = await call(simulator, "POST", f"/control/{path}", json=body)
        started = simulator.exchange.started

    assert status == 400
    assert names in reply["error"]
    assert not started


async def test_a_user_added_over_http_may_have_what_one_of_the_settings_has() -> None:
    body = {
        "client_id": "1100000009",
        "token": "t",
        "funds": 250_000,
        "data_plan": False,
        "pin": "654321",
    }
    async with running() as simulator:
        added, _ = await call(simulator, "POST", "/control/users", json=body)
        _, funds = await call(
            simulator, "GET", "/v2/fundlimit", user=SimulatedUser("1100000009", "t")
        )
        _, charts = await call(
            simulator, "POST", "/v2/charts/intraday", user=SimulatedUser("1100000009", "t"), json={}
        )

    assert added == 201
    assert funds["sodLimit"] == 250_000.0
    assert charts["errorCode"] == "DH-902"


def test_a_token_dies_when_it_expires_and_when_another_is_minted() -> None:
    now = [datetime(2026, 11, 23, 9, 0, tzinfo=UTC)]
    accounts = Accounts([USER], 1, lambda: now[0])

    fresh = accounts.mint(USER.client_id)

    assert accounts.holder(USER.token) is None
    assert accounts.holder(fresh.token) == fresh
    now[0] += timedelta(hours=24)
    assert accounts.holder(fresh.token) is None


async def test_a_path_that_does_not_exist_is_a_plain_404() -> None:
    async with running() as simulator:
        status, _ = await call(simulator, "GET", "/v2/nothing")

    assert status == 404
