"""Fields of orders, trades, positions and updates that depend on what is traded, as measured."""

from __future__ import annotations

from typing import Any

import orjson

from simulator.config import Casing, SimulatedUser
from simulator.market.contracts import Contract
from simulator.market.tape import Listing
from simulator.matching.enums import Change
from simulator.server import Simulator
from simulator.streaming.update_messages import alert
from tests.simulator.factories import USER, an_order, call, running
from tests.simulator.test_orders_dhanhq import SHARE, a_desk

RICH = SimulatedUser(USER.client_id, USER.token, funds=100_000_000)
OPTION_FIELDS = ("drvOptionType", "drvStrikePrice", "drvExpiryDate")


def first_option(simulator: Simulator) -> tuple[Listing, Contract]:
    listing = next(one for one in simulator.market.listings if one.contract)
    assert listing.contract is not None
    return listing, listing.contract


async def rows_of_a_trade(simulator: Simulator, **order: Any) -> list[dict[str, Any]]:
    """One order's row in the order book, in the trade book and among the positions."""
    status, reply = await call(simulator, "POST", "/v2/orders", json=an_order(**order))
    assert status == 200, reply
    rows = []
    for path in ("orders", "trades", "positions"):
        _, listed = await call(simulator, "GET", f"/v2/{path}")
        rows.append(listed[0])
    return rows


async def test_an_option_has_its_side_strike_and_expiry_wherever_it_is_shown() -> None:
    async with running(options=("NIFTY",), users=(RICH,)) as simulator:
        listing, contract = first_option(simulator)
        book = simulator.exchange.book
        price = listing.previous_close
        book.on_price(listing.id, price, simulator.exchange.second)
        rows = await rows_of_a_trade(
            simulator,
            exchangeSegment="NSE_FNO",
            securityId=str(listing.id.security_id),
            quantity=listing.instrument.lot_size,
            price=price / 100,
        )
        update = orjson.loads(alert(book.all()[0].snapshot(Change.TRADED), Casing.PASCAL))["Data"]

    wanted = ["CALL", contract.strike / 100, contract.expiry.isoformat()]
    assert [[row[name] for name in OPTION_FIELDS] for row in rows] == [wanted] * 3
    assert (update["OptType"], update["StrikePrice"]) == ("CE", contract.strike / 100)
    assert update["ExpiryDate"].startswith(contract.expiry.isoformat())


async def test_a_share_has_the_measured_words_for_what_it_has_not() -> None:
    async with running() as simulator:
        (listing,) = (one for one in simulator.market.listings if one.instrument.tradable)
        price = listing.previous_close
        simulator.exchange.book.on_price(listing.id, price, simulator.exchange.second)
        rows = await rows_of_a_trade(simulator, price=price / 100)

    assert [[row[name] for name in OPTION_FIELDS] for row in rows] == [
        ["NA", 0.0, "0001-01-01"]
    ] * 3
    assert (rows[0]["legName"], rows[0]["omsErrorDescription"]) == ("NA", "CONFIRMED")


async def test_an_order_without_a_correlation_id_gets_one_by_which_it_is_found() -> None:
    async with a_desk() as desk:
        order_id = await desk.place(-2)
        another = await desk.place(-2)
        row, other = await desk.order(order_id), await desk.order(another)
        found = await desk.ask(desk.dhan.get_order_by_correlationID, row["correlationId"])

    client, _, milliseconds = row["correlationId"].partition("-")
    assert (client, milliseconds.isdecimal()) == (USER.client_id, True)
    assert len(row["correlationId"]) <= 25
    assert row["correlationId"] != other["correlationId"]
    assert found["orderId"] == order_id


async def test_an_exit_leg_is_named_in_the_list_as_it_is_in_the_order_book() -> None:
    async with a_desk() as desk:
        placed = await desk.ask(
            desk.dhan.place_super_order, *SHARE.values(), "BUY", 10, "LIMIT", "INTRADAY",
            desk.at(-1), desk.at(2), desk.at(-3), 0
        )  # fmt: skip
        (waiting,) = await desk.ask(desk.dhan.get_super_order_list)
        desk.print(-1)
        (standing,) = await desk.ask(desk.dhan.get_super_order_list)
        book = await desk.ask(desk.dhan.get_order_list)

    assert {leg["orderId"] for leg in waiting["legDetails"]} == {placed["orderId"]}
    assert {leg["orderId"]: leg["legName"] for leg in standing["legDetails"]} == {
        row["orderId"]: row["legName"] for row in book if row["legName"] != "ENTRY_LEG"
    }


async def test_updates_of_entry_and_exits_say_that_they_are_of_a_super_order() -> None:
    async with a_desk() as desk:
        told: list[dict[str, Any]] = []
        desk.simulator.exchange.book.on_change(
            lambda order: told.append(orjson.loads(alert(order, Casing.PASCAL))["Data"])
        )
        placed = await desk.ask(
            desk.dhan.place_super_order, *SHARE.values(), "BUY", 10, "LIMIT", "INTRADAY",
            desk.at(0), desk.at(2), desk.at(-3), 0
        )  # fmt: skip
        plain = await desk.place(-2)

    assert {(one["LegNo"], one["AlgoOrdNo"]) for one in told if one["Remarks"]} == {
        (1, ""),
        (2, placed["orderId"]),
        (3, placed["orderId"]),
    }
    assert {one["Remarks"] for one in told} == {"Super Order", ""}
    assert {one["OrderNo"] for one in told if not one["Remarks"]} == {plain}
