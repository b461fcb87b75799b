"""What other hands do to an account, and the broker's own books, over `/control`."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.server import Simulator
from tests.simulator.factories import RELIANCE, USER, an_order, call, running
from tests.simulator.test_updates import listener

CHEAP, DEAR = 1490.0, 1510.0  # the market stands at 1,500
BOOKS = f"/control/books/{USER.client_id}"
EXITS = {"targetPrice": 1550.0, "stopLossPrice": 1450.0, "trailingJump": 0}


def print_at(simulator: Simulator, paise: int) -> None:
    simulator.exchange.book.on_price(RELIANCE, paise, simulator.exchange.second)


async def control(simulator: Simulator, path: str, body: Any = None) -> tuple[int, Any]:
    return await call(simulator, "POST", f"/control/orders{path}", json=body, user=None)


async def from_the_phone(simulator: Simulator, **order: Any) -> Any:
    wish = {"client_id": USER.client_id, "order": an_order(correlationId=None, **order)}
    status, reply = await control(simulator, "", wish)
    assert status == 200, reply
    return reply


async def books(simulator: Simulator) -> Any:
    status, told = await call(simulator, "GET", BOOKS, user=None)
    assert status == 200, told
    return told


async def a_super_order(simulator: Simulator, **order: Any) -> str:
    status, reply = await call(
        simulator, "POST", "/v2/super/orders", json=an_order(price=DEAR) | EXITS | order
    )
    assert status == 200, reply
    return str(reply["orderId"])


async def test_an_order_from_the_phone_is_placed_and_cancelled_and_the_account_hears_of_it() -> (
    None
):
    async with running() as simulator, listener(simulator) as updates:
        print_at(simulator, 150_000)
        placed = await from_the_phone(simulator, price=CHEAP)
        status, cancelled = await control(simulator, f"/{placed['orderId']}/cancel")
        heard = await updates.heard(3)
        again, _ = await control(simulator, f"/{placed['orderId']}/cancel")

    assert (placed["orderStatus"], status, cancelled["orderStatus"]) == (
        "PENDING",
        200,
        "CANCELLED",
    )
    assert {alert["source"] for alert in heard} == {"N"}
    assert [alert["status"] for alert in heard] == ["Transit", "Pending", "Cancelled"]
    assert again == 400


async def test_an_accepted_order_is_rejected_late_unless_it_has_traded() -> None:
    async with running() as simulator:
        print_at(simulator, 150_000)
        resting = (await from_the_phone(simulator, price=CHEAP))["orderId"]
        traded = await from_the_phone(simulator, price=DEAR, quantity=3_000)
        reason = {"reason": "EXCH: 16387: security not allowed"}
        _, rejected = await control(simulator, f"/{resting}/reject", reason)
        refused, _ = await control(simulator, f"/{traded['orderId']}/reject", reason)
        _, (row,) = await call(simulator, "GET", f"/v2/orders/{resting}")

    assert (rejected["orderStatus"], row["omsErrorCode"]) == ("REJECTED", "EXCH")
    assert row["omsErrorDescription"] == reason["reason"]
    assert (traded["orderStatus"], refused) == ("PART_TRADED", 400)


async def test_a_stop_that_is_lost_stays_lost_and_the_target_stands() -> None:
    async with running() as simulator:
        print_at(simulator, 150_000)
        order_id = await a_super_order(simulator)
        status, lost = await control(simulator, f"/{order_id}/lose", {"leg": "STOP_LOSS_LEG"})
        print_at(simulator, 150_500)
        told = await books(simulator)

    (made,) = told["super_orders"]
    assert (status, lost["orderStatus"]) == (200, "CANCELLED")
    assert [leg["orderStatus"] for leg in made["legDetails"]] == ["CANCELLED", "PENDING"]
    assert told["protection"]["exposures"][-1]["resting_stop"] == 0
    assert [spell["over"] for spell in told["protection"]["unprotected"]][-1] is False


async def test_the_books_say_exactly_what_an_account_did() -> None:
    async with running() as simulator:
        print_at(simulator, 150_000)
        order_id = await a_super_order(simulator)
        print_at(simulator, 155_005)
        told = await books(simulator)
        _, (position,) = await call(simulator, "GET", "/v2/positions")

    legs = [(row["legName"], row["parentOrderId"], row["orderStatus"]) for row in told["orders"]]
    assert legs == [
        ("ENTRY_LEG", "", "TRADED"),
        ("STOP_LOSS_LEG", order_id, "CANCELLED"),
        ("TARGET_LEG", order_id, "TRADED"),
    ]
    (row,) = told["positions"]
    assert (row["bought_paise"], row["sold_paise"]) == ("1500000", "1550000")
    assert (row["net"], row["realised_paise"]) == (0, "50000")
    assert position["realizedProfit"] == 500.0
    assert [trade["value_paise"] for trade in told["trades"]] == ["1500000", "1550000"]
    assert told["protection"]["exposures"][-1]["net"] == 0
    assert told["protection"]["market_seconds"] == {"worst": 0, "total": 0}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("", {"client_id": "nobody", "order": {}}, "no such account"),
        ("", {"client_id": USER.client_id, "order": {}}, "orderType"),
        ("", {"client_id": USER.client_id, "order": an_order(securityId="1")}, "SecurityId"),
        ("/1/cancel", None, "no such order"),
        ("/1/reject", {}, "reason"),
        ("/1/lose", {"leg": "STOP_LOSS_LEG"}, "no such order"),
        ("/1/lose", {"silent": True}, "silent"),
    ],
)
async def test_what_is_not_understood_is_said_in_one_sentence(
    path: str, body: Any, words: str
) -> None:
    async with running() as simulator:
        status, told = await control(simulator, path, body)

    assert status == 400
    assert words in told["error"]


async def test_there_are_no_books_of_an_unknown_account() -> None:
    async with running() as simulator:
        status, _ = await call(simulator, "GET", "/control/books/nobody", user=None)

    assert status == 400


async def test_a_leg_that_does_not_stand_cannot_be_lost() -> None:
    async with running() as simulator:
        print_at(simulator, 150_000)
        order_id = await a_super_order(simulator, price=CHEAP)
        status, told = await control(simulator, f"/{order_id}/lose", {"leg": "STOP_LOSS_LEG"})

    assert status == 400
    assert "does not stand at the exchange" in told["error"]
