"""What a client sees on the wire when orders go wrong on purpose, what the book knows, and that the
journal has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from simulator.config import Quirks
from simulator.faults import Fault, FaultKind
from simulator.matching.enums import Change, Source, Status
from simulator.matching.order import OrderSnapshot
from simulator.server import Simulator
from tests.simulator.factories import RELIANCE, USER, an_order, call, running, until

ORDERS = "/v2/orders"
BY_NAME = f"{ORDERS}/external/AT0001"


@asynccontextmanager
async def struck_by(
    kind: FaultKind, *, quirks: Quirks | None = None, **parameters: Any
) -> AsyncIterator[Simulator]:
    fault = Fault(kind, **parameters)
    async with running(
        faults=(fault,), order_rate_limit=None, quirks=quirks or Quirks()
    ) as simulator:
        price(simulator, 150_000)
        yield simulator
        assert [entry.kind for entry in simulator.faults.journal] == [kind]
        assert simulator.faults.waiting == ()


def price(simulator: Simulator, paise: int) -> None:
    simulator.exchange.book.on_price(RELIANCE, paise, simulator.exchange.second)


async def place(simulator: Simulator, **changed: Any) -> tuple[int, Any]:
    """A limit order that rests, unless told otherwise."""
    return await call(simulator, "POST", ORDERS, json=an_order(**{"price": 1490.0} | changed))


def in_book(simulator: Simulator) -> list[Status]:
    return [order.status for order in simulator.exchange.book.all()]


async def test_a_lost_reply_is_a_broken_connection_and_an_order_in_the_book() -> None:
    async with struck_by(FaultKind.ACCEPT_THEN_DROP_REPLY) as simulator:
        with pytest.raises(aiohttp.ClientConnectionError):
            await place(simulator)
        found, row = await call(simulator, "GET", BY_NAME)

    assert (found, row["orderStatus"]) == (200, "PENDING")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_can_follow_acceptance(status: int) -> None:
    async with struck_by(FaultKind.ACCEPT_THEN_500, status=status) as simulator:
        answer = await place(simulator)
        assert in_book(simulator) == [Status.PENDING]

    assert (answer[0], answer[1]["errorCode"]) == (status, "DH-908")


async def test_a_fault_after_acceptance_does_not_hide_a_refusal() -> None:
    async with struck_by(FaultKind.ACCEPT_THEN_500) as simulator:
        status, body = await place(simulator, price=1490.01)
        assert in_book(simulator) == []

    assert (status, body["errorCode"]) == (400, "DH-906")


async def test_a_slow_reply_comes_after_the_order_is_in_the_book() -> None:
    async with struck_by(FaultKind.SLOW_REPLY, delay=0.2) as simulator:
        reply = asyncio.create_task(place(simulator))
        await until(lambda: in_book(simulator) == [Status.PENDING])
        assert not reply.done()
        status, _ = await reply

    assert status == 200


async def test_a_reply_can_be_empty() -> None:
    async with struck_by(FaultKind.EMPTY_BODY) as simulator:
        status, body = await place(simulator)
        assert in_book(simulator) == [Status.PENDING]

    assert (status, body) == (200, "")


async def test_a_429_can_be_an_html_page() -> None:
    async with struck_by(FaultKind.HTML_429) as simulator:
        status, body = await place(simulator)
        assert in_book(simulator) == []

    assert status == 429
    assert body.startswith("<html>")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("DH-901", 401), ("DH-902", 403), ("DH-903", 403), ("DH-904", 429), ("DH-905", 400),
        ("DH-906", 400),
        ("DH-907", 400), ("DH-908", 500), ("DH-909", 502), ("DH-910", 400), ("DH-911", 403),
    ],
)  # fmt: skip
async def test_every_error_code_can_be_had(code: str, status: int) -> None:
    async with struck_by(FaultKind.ERROR, code=code, message="because") as simulator:
        answer, body = await place(simulator)
        assert in_book(simulator) == []

    assert answer == status
    assert set(body) == {"errorType", "errorCode", "errorMessage"}
    assert (body["errorCode"], body["errorMessage"]) == (code, "because")


async def test_an_order_can_be_rejected_in_words_of_the_test() -> None:
    async with struck_by(FaultKind.REJECT, message="RMS: no") as simulator:
        status, body = await place(simulator)

    assert (status, body["errorCode"], body["errorMessage"]) == (400, "DH-906", "RMS: no")


@pytest.mark.parametrize("as_array", [False, True])
async def test_a_lookup_comes_as_object_or_as_list_and_a_fault_turns_it_round(
    as_array: bool,
) -> None:
    async with struck_by(FaultKind.SHAPE, quirks=Quirks(by_name_as_array=as_array)) as simulator:
        await place(simulator)
        _, turned = await call(simulator, "GET", BY_NAME)
        _, usual = await call(simulator, "GET", BY_NAME)

    assert isinstance(usual, list) is as_array
    assert turned == (usual[0] if as_array else [usual])


@pytest.mark.parametrize("path", [ORDERS, BY_NAME])
async def test_a_status_nobody_knows_can_come(path: str) -> None:
    async with struck_by(
        FaultKind.UNKNOWN_STATUS, message="O_PENDING", endpoint=f"GET {path}"
    ) as simulator:
        await place(simulator)
        _, body = await call(simulator, "GET", path)

    row = body[0] if isinstance(body, list) else body
    assert (row["orderStatus"], row["correlationId"]) == ("O_PENDING", "AT0001")


async def test_a_fill_can_be_told_before_the_reply_to_the_placement() -> None:
    heard: list[str] = []
    async with struck_by(FaultKind.FILL_BEFORE_REPLY) as simulator:
        simulator.exchange.book.on_change(lambda told: heard.append(told.change))
        status, reply = await place(simulator)
        heard.append("reply")
        _, (row,) = await call(simulator, "GET", f"{ORDERS}/{reply['orderId']}")

    assert heard == [Change.PLACED, Change.ACCEPTED, Change.TRADED, "reply"]
    assert (status, reply["orderStatus"], row["orderStatus"]) == (200, "TRANSIT", "TRADED")


@pytest.mark.parametrize("says_cancelled", [False, True])
async def test_a_cancellation_can_lose_its_race_and_say_so_or_not(says_cancelled: bool) -> None:
    quirks = Quirks(lost_race_says_cancelled=says_cancelled)
    async with struck_by(FaultKind.CANCEL_FILL_RACE, quirks=quirks) as simulator:
        _, reply = await place(simulator)
        path = f"{ORDERS}/{reply['orderId']}"
        status, body = await call(simulator, "DELETE", path)
        _, (row,) = await call(simulator, "GET", path)

    assert (row["orderStatus"], row["averageTradedPrice"]) == ("TRADED", 1490.0)
    if says_cancelled:
        assert (status, body["orderStatus"]) == (200, "CANCELLED")
    else:
        assert (status, body["errorCode"]) == (400, "DH-906")


async def test_an_accepted_order_can_be_rejected_later() -> None:
    async with struck_by(FaultKind.LATE_REJECT, delay=0.1, message="EXCH:17070: no") as simulator:
        status, reply = await place(simulator, price=1510.0)
        path = f"{ORDERS}/{reply['orderId']}"
        _, (before,) = await call(simulator, "GET", path)
        await until(lambda: in_book(simulator) == [Status.REJECTED])
        _, (after,) = await call(simulator, "GET", path)

    assert (status, reply["orderStatus"], before["orderStatus"]) == (200, "TRANSIT", "TRANSIT")
    assert (after["omsErrorCode"], after["omsErrorDescription"]) == ("EXCH", "EXCH:17070: no")
    assert after["filledQty"] == 0


async def test_an_order_can_come_from_the_phone() -> None:
    heard: list[OrderSnapshot] = []
    async with struck_by(FaultKind.PHONE_ORDER, quantity=3, after=5) as simulator:
        simulator.exchange.book.on_change(heard.append)
        simulator.exchange.open_market()
        await until(lambda: simulator.exchange.finished)
        _, (row,) = await call(simulator, "GET", ORDERS)

    assert {told.request.source for told in heard} == {Source.PHONE}
    assert row["correlationId"].startswith(f"{USER.client_id}-")
    assert (row["quantity"], row["dhanClientId"]) == (3, USER.client_id)
    assert row["orderStatus"] == "TRADED"


@pytest.mark.parametrize("uses", [0, 1, 2])
async def test_a_token_can_die_at_any_call_and_the_orders_stay(uses: int) -> None:
    calls = (("POST", ORDERS), ("GET", ORDERS), ("DELETE", f"{ORDERS}/1"))
    async with struck_by(FaultKind.TOKEN_DEATH, after=uses) as simulator:
        answers = [
            await call(simulator, method, path, json=an_order(price=1490.0))
            for method, path in calls
        ]
        assert len(in_book(simulator)) == (uses > 0)

    dead = [status == 401 for status, _ in answers]
    assert dead == [at >= uses for at in range(3)]
    assert all(body["errorCode"] == "DH-901" for status, body in answers if status == 401)


async def test_a_fault_can_be_meant_for_one_endpoint_and_leave_the_others_alone() -> None:
    async with struck_by(FaultKind.EMPTY_BODY, endpoint="PUT /v2/orders/*") as simulator:
        _, reply = await place(simulator)
        wish = {"orderType": "LIMIT", "validity": "DAY", "quantity": 12, "price": 1485.0}
        changed = await call(simulator, "PUT", f"{ORDERS}/{reply['orderId']}", json=wish)
        _, (row,) = await call(simulator, "GET", f"{ORDERS}/{reply['orderId']}")

    assert changed == (200, "")
    assert row["quantity"] == 12


async def test_the_journal_names_the_order_that_was_struck() -> None:
    async with struck_by(FaultKind.ACCEPT_THEN_500) as simulator:
        await place(simulator, correlationId="AT-named")
        (entry,) = simulator.faults.journal

    assert (entry.thing, entry.endpoint, entry.client_id) == (
        "AT-named",
        "POST /v2/orders",
        USER.client_id,
    )
