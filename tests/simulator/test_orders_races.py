"""Replies against order updates: what comes first, and what only the updates tell."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from tests.simulator.factories import RELIANCE, an_order, call, running
from tests.simulator.test_updates import Listener, listener

ORDERS = "/v2/orders"
WAITING = 1490.0  # the market stands at 1,500


def print_at(simulator: Simulator, paise: int) -> None:
    simulator.exchange.book.on_price(RELIANCE, paise, simulator.exchange.second)


async def statuses(updates: Listener, count: int) -> list[str]:
    return [alert["status"].upper() for alert in await updates.heard(count)]


async def test_a_fill_reaches_the_client_before_the_reply_to_its_placement() -> None:
    arrived: list[str] = []

    async def place(simulator: Simulator) -> Any:
        answer = await call(simulator, "POST", ORDERS, json=an_order(price=WAITING))
        arrived.append("reply")
        return answer

    async with (
        running(faults=(Fault(FaultKind.FILL_BEFORE_REPLY),)) as simulator,
        listener(simulator) as updates,
    ):
        print_at(simulator, 150_000)
        placing = asyncio.create_task(place(simulator))
        for _ in range(3):
            arrived.extend(await statuses(updates, 1))
        status, reply = await placing

    assert arrived == ["TRANSIT", "PENDING", "TRADED", "reply"]
    assert (status, reply["orderStatus"]) == (200, "TRANSIT")


async def test_a_late_rejection_is_told_by_an_update_with_its_reason() -> None:
    fault = Fault(FaultKind.LATE_REJECT, delay=0.05, message="EXCH: 16387: security not allowed")
    async with running(faults=(fault,)) as simulator, listener(simulator) as updates:
        _, reply = await call(simulator, "POST", ORDERS, json=an_order(price=WAITING))
        placed, rejected = await updates.heard(2)

    assert reply["orderStatus"] == "TRANSIT"
    assert [alert["status"].upper() for alert in (placed, rejected)] == ["TRANSIT", "REJECTED"]
    assert rejected["orderno"] == reply["orderId"]
    assert rejected["reasondescription"] == "EXCH: 16387: security not allowed"


async def test_an_order_from_the_phone_is_told_with_its_source_and_without_a_name_of_ours() -> None:
    async with (
        running(faults=(Fault(FaultKind.PHONE_ORDER),), speed=1.0) as simulator,
        listener(simulator) as updates,
    ):
        print_at(simulator, 150_000)
        simulator.exchange.pause()
        await simulator.exchange.step(60)
        (placed,) = await updates.heard(1)

    assert placed["source"] == "N"
    assert placed["correlationid"].startswith(f"{placed['clientid']}-")


@pytest.mark.parametrize("first", ["cancel", "fill"])
async def test_of_a_cancellation_and_a_fill_the_client_hears_one_end(first: str) -> None:
    async with running() as simulator, listener(simulator) as updates:
        print_at(simulator, 150_000)
        _, reply = await call(simulator, "POST", ORDERS, json=an_order(price=WAITING))
        path = f"{ORDERS}/{reply['orderId']}"
        if first == "fill":
            print_at(simulator, 148_900)
        status, _ = await call(simulator, "DELETE", path)
        print_at(simulator, 148_900)
        heard = await statuses(updates, 3)
        _, (row,) = await call(simulator, "GET", path)

    assert heard == ["TRANSIT", "PENDING", "CANCELLED" if first == "cancel" else "TRADED"]
    assert (status, row["orderStatus"]) == (
        (200, "CANCELLED") if first == "cancel" else (400, "TRADED")
    )
