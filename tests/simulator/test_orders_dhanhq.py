"""Every endpoint of orders, portfolio and control, driven by the unmodified `dhanhq` 2.3.0."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from dhanhq import DhanContext, DhanHTTP, DhanLogin, dhanhq

from schemas.market import to_tick
from simulator.config import SimulatedHolding, SimulatedUser
from simulator.server import Simulator
from tests.simulator.factories import DAY, RELIANCE, USER, running

RICH = SimulatedUser(
    USER.client_id, USER.token, holdings=(SimulatedHolding(2885, 50, "1234.50", pledged=10),)
)
SHARE = {"security_id": "2885", "exchange_segment": "NSE_EQ"}


class Session:
    """The official client, one account, and the market in the test's hand."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        context = DhanContext(USER.client_id, USER.token)
        context.get_dhan_http().base_url = f"{simulator.url}/v2"
        self.dhan: Any = dhanhq(context)
        listing = simulator.market.listings[simulator.market.by_id[RELIANCE]]
        self.tick = listing.instrument.tick_size
        self.base = listing.previous_close
        self.print(0)

    def at(self, percent: float) -> float:
        """A price so far from where the market began, in rupees."""
        return to_tick(self.base * (1 + percent / 100), self.tick) / 100

    def print(self, percent: float) -> None:
        """The market trades there."""
        exchange = self.simulator.exchange
        exchange.book.on_price(RELIANCE, round(self.at(percent) * 100), exchange.second)

    async def ask(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The data of a call that succeeds."""
        reply = await asyncio.to_thread(method, *args, **kwargs)
        assert reply["status"] == "success", reply
        return reply["data"]

    async def refused(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """The code of a call that is refused."""
        reply = await asyncio.to_thread(method, *args, **kwargs)
        assert reply["status"] == "failure", reply
        return str(reply["remarks"]["error_code"])

    async def place(self, percent: float = 0.0, quantity: int = 10, **changed: Any) -> str:
        wish = {
            **SHARE,
            "transaction_type": "BUY",
            "quantity": quantity,
            "order_type": "LIMIT",
            "product_type": "INTRADAY",
            "price": self.at(percent),
        }
        return str((await self.ask(self.dhan.place_order, **(wish | changed)))["orderId"])

    async def cancel(self, order_id: str) -> tuple[str, str]:
        """Code and words of a cancellation that is refused."""
        reply = await asyncio.to_thread(self.dhan.cancel_order, order_id)
        assert reply["status"] == "failure", reply
        return reply["remarks"]["error_code"], reply["remarks"]["error_message"]

    async def order(self, order_id: str) -> Any:
        (row,) = await self.ask(self.dhan.get_order_by_id, order_id)
        return row


@asynccontextmanager
async def a_desk(**settings: Any) -> AsyncIterator[Session]:
    async with running(**({"order_rate_limit": None, "users": (RICH,)} | settings)) as simulator:
        yield Session(simulator)


async def test_place_modify_and_cancel() -> None:
    async with a_desk() as desk:
        order_id = await desk.place(-2)
        wish = ("LIMIT", None, 20, desk.at(-1), 0, 0, "DAY")
        modified = await desk.ask(desk.dhan.modify_order, order_id, *wish)
        waiting = await desk.order(order_id)
        cancelled = await desk.ask(desk.dhan.cancel_order, order_id)
        again = await desk.refused(desk.dhan.cancel_order, order_id)

    assert modified == {"orderId": order_id, "orderStatus": "TRANSIT"}
    assert (waiting["quantity"], waiting["price"], waiting["orderStatus"]) == (
        20,
        desk.at(-1),
        "PENDING",
    )
    assert cancelled == {"orderId": order_id, "orderStatus": "CANCELLED"}
    assert again == "DH-906"


async def test_a_partial_fill_is_seen_in_book_and_trades() -> None:
    async with a_desk() as desk:
        order_id = await desk.place(0, quantity=3_000, tag="AT-part")
        row = await desk.ask(desk.dhan.get_order_by_correlationID, "AT-part")
        (first,) = await desk.ask(desk.dhan.get_trade_book, order_id)
        desk.print(-0.5)
        day = await desk.ask(desk.dhan.get_trade_book)
        history = await desk.ask(desk.dhan.get_trade_history, str(DAY), str(DAY))
        beyond = await desk.ask(desk.dhan.get_trade_history, str(DAY), str(DAY), 1)
        book = await desk.ask(desk.dhan.get_order_list)

    assert row["orderStatus"] == "PART_TRADED"
    assert row["filledQty"] + row["remainingQuantity"] == 3_000
    assert (first["tradedQuantity"], first["tradedPrice"]) == (row["filledQty"], row["price"])
    assert day[0] == first
    assert [trade["tradedQuantity"] for trade in history] == [
        trade["tradedQuantity"] for trade in day
    ]
    assert {"isin", "stt", "stampDuty", "customSymbol"} <= history[0].keys()
    assert (history[0]["createTime"], beyond) == ("NA", [])
    bought = sum(trade["tradedQuantity"] * trade["tradedPrice"] for trade in day)
    assert book[0]["averageTradedPrice"] * book[0]["filledQty"] == pytest.approx(bought)


async def test_stop_and_market_orders() -> None:
    async with a_desk() as desk:
        stop = await desk.place(1.5, order_type="STOP_LOSS", trigger_price=desk.at(1))
        market = await desk.place(0, order_type="MARKET", price=0)
        waiting, traded = await desk.order(stop), await desk.order(market)
        desk.print(1.2)
        triggered = await desk.order(stop)

    assert (waiting["orderStatus"], waiting["orderType"]) == ("PENDING", "STOP_LOSS")
    assert waiting["triggerPrice"] == desk.at(1)
    assert (traded["orderType"], traded["orderStatus"]) == ("LIMIT", "TRADED")
    assert triggered["orderStatus"] == "TRADED"


async def test_an_immediate_or_cancel_order_leaves_nothing_behind() -> None:
    async with a_desk() as desk:
        row = await desk.order(await desk.place(-1, validity="IOC"))

    assert (row["orderStatus"], row["remainingQuantity"]) == ("CANCELLED", 10)


async def test_slicing_makes_orders_of_the_freeze_quantity() -> None:
    async with a_desk() as desk:
        wish = {
            **SHARE,
            "transaction_type": "BUY",
            "order_type": "LIMIT",
            "product_type": "INTRADAY",
            "price": desk.at(-5),
        }
        replies = await desk.ask(
            desk.dhan.place_slice_order, quantity=250_000, tag="AT-slice", **wish
        )
        book = await desk.ask(desk.dhan.get_order_list)

    assert [row["orderId"] for row in book] == [reply["orderId"] for reply in replies]
    assert [row["quantity"] for row in book] == [100_000, 100_000, 50_000]
    assert {row["correlationId"] for row in book} == {"AT-slice"}


async def test_an_after_market_order_waits_for_the_open() -> None:
    async with a_desk(speed=1.0) as desk:
        order_id = await desk.place(0, after_market_order=True, amo_time="OPEN")
        before = await desk.order(order_id)
        await desk.simulator.exchange.step(60)
        after = await desk.order(order_id)
        closed = await desk.refused(
            desk.dhan.place_order,
            "2885",
            "NSE_EQ",
            "BUY",
            1,
            "LIMIT",
            "INTRADAY",
            desk.at(0),
            0,
            0,
            True,
        )

    assert (before["orderStatus"], before["afterMarketOrder"]) == ("PENDING", True)
    assert after["orderStatus"] in {"TRADED", "PENDING"}
    assert closed == "DH-906"


async def test_a_super_order_from_entry_to_exit() -> None:
    async with a_desk() as desk:
        placed = await desk.ask(
            desk.dhan.place_super_order, *SHARE.values(), "BUY", 10, "LIMIT", "INTRADAY",
            desk.at(0), desk.at(2), desk.at(-1), 1.0
        )  # fmt: skip
        order_id = placed["orderId"]
        moved = await desk.ask(
            desk.dhan.modify_super_order,
            order_id,
            None,
            "STOP_LOSS_LEG",
            stopLossPrice=desk.at(-2),
            trailingJump=2.0,
        )
        target = await desk.ask(
            desk.dhan.modify_super_order, order_id, None, "TARGET_LEG", targetPrice=desk.at(3)
        )
        (standing,) = await desk.ask(desk.dhan.get_super_order_list)
        cancelled = await desk.ask(desk.dhan.cancel_super_order, order_id, "TARGET_LEG")
        desk.print(1)
        (trailed,) = await desk.ask(desk.dhan.get_super_order_list)
        desk.print(-2)
        (over,) = await desk.ask(desk.dhan.get_super_order_list)

    assert placed["orderStatus"] == "TRANSIT"
    assert moved["orderStatus"] == target["orderStatus"] == "TRANSIT"
    assert (standing["orderStatus"], standing["legName"], standing["filledQty"]) == (
        "TRADED",
        "ENTRY_LEG",
        10,
    )
    stop, exit_ = standing["legDetails"]
    assert (stop["legName"], stop["price"], stop["trailingJump"]) == (
        "STOP_LOSS_LEG",
        desk.at(-2),
        2.0,
    )
    assert (exit_["legName"], exit_["price"], exit_["totalQuatity"]) == (
        "TARGET_LEG",
        desk.at(3),
        10,
    )
    assert cancelled["orderStatus"] == "CANCELLED"
    assert trailed["legDetails"][0]["price"] > desk.at(-2)
    assert over["orderStatus"] == "CLOSED"
    assert [leg["orderStatus"] for leg in over["legDetails"]] == ["TRADED", "CANCELLED"]


async def test_a_super_orders_entry_is_modified_and_cancelled() -> None:
    async with a_desk() as desk:
        place = (
            "2885",
            "NSE_EQ",
            "BUY",
            10,
            "LIMIT",
            "INTRADAY",
            desk.at(-1),
            desk.at(2),
            desk.at(-3),
        )
        order_id = (await desk.ask(desk.dhan.place_super_order, *place))["orderId"]
        await desk.ask(
            desk.dhan.modify_super_order,
            order_id,
            "LIMIT",
            "ENTRY_LEG",
            7,
            desk.at(-1.5),
            desk.at(1),
            desk.at(-4),
            0.5,
        )
        (modified,) = await desk.ask(desk.dhan.get_super_order_list)
        await desk.ask(desk.dhan.cancel_super_order, order_id, "ENTRY_LEG")
        (cancelled,) = await desk.ask(desk.dhan.get_super_order_list)

    assert (modified["quantity"], modified["price"], modified["orderStatus"]) == (
        7,
        desk.at(-1.5),
        "PENDING",
    )
    assert [leg["price"] for leg in modified["legDetails"]] == [desk.at(-4), desk.at(1)]
    assert cancelled["orderStatus"] == "CANCELLED"


async def test_a_single_forever_order() -> None:
    async with a_desk() as desk:
        placed = await desk.ask(
            desk.dhan.place_forever,
            "2885",
            "NSE_EQ",
            "BUY",
            "CNC",
            "LIMIT",
            5,
            desk.at(-1),
            desk.at(-1),
        )
        order_id = placed["orderId"]
        await desk.ask(
            desk.dhan.modify_forever,
            order_id,
            "SINGLE",
            "LIMIT",
            "TARGET_LEG",
            6,
            desk.at(-2),
            desk.at(-2),
            0,
            "DAY",
        )
        (waiting,) = await desk.ask(desk.dhan.get_forever)
        desk.print(-2)
        (sent,) = await desk.ask(desk.dhan.get_forever)
        (order,) = await desk.ask(desk.dhan.get_order_list)
        late = await desk.refused(desk.dhan.cancel_forever, order_id)

    assert (waiting["orderStatus"], waiting["orderType"], waiting["quantity"]) == (
        "CONFIRM",
        "SINGLE",
        6,
    )
    assert waiting["triggerPrice"] == desk.at(-2)
    assert (sent["orderStatus"], order["orderStatus"], order["quantity"]) == ("TRADED", "TRADED", 6)
    assert late == "DH-906"


async def test_an_oco_forever_order_and_its_cancellation() -> None:
    async with a_desk() as desk:
        pair = (
            "2885",
            "NSE_EQ",
            "SELL",
            "CNC",
            "LIMIT",
            5,
            desk.at(2),
            desk.at(2),
            "OCO",
            0,
            "DAY",
            desk.at(-3),
            desk.at(-2),
            4,
        )
        gone, kept = [(await desk.ask(desk.dhan.place_forever, *pair))["orderId"] for _ in range(2)]
        cancelled = await desk.ask(desk.dhan.cancel_forever, gone)
        desk.print(-2)
        rows = await desk.ask(desk.dhan.get_forever)
        orders = await desk.ask(desk.dhan.get_order_list)

    assert cancelled["orderStatus"] == "CANCELLED"
    statuses = [(row["orderId"], row["legName"], row["orderStatus"]) for row in rows]
    assert statuses == [
        (gone, "TARGET_LEG", "CANCELLED"),
        (gone, "STOP_LOSS_LEG", "CANCELLED"),
        (kept, "TARGET_LEG", "CANCELLED"),
        (kept, "STOP_LOSS_LEG", "TRADED"),
    ]
    assert [order["quantity"] for order in orders] == [4]


async def test_positions_conversion_and_exit_all() -> None:
    async with a_desk() as desk:
        await desk.place(0)
        resting = await desk.place(-3)
        (position,) = await desk.ask(desk.dhan.get_positions)
        # 202 without a body, which this client reports as a failure
        told = await asyncio.to_thread(
            desk.dhan.convert_position, "INTRADAY", "NSE_EQ", "LONG", "2885", 4, "CNC"
        )
        converted = await desk.ask(desk.dhan.get_positions)
        too_many = await desk.refused(
            desk.dhan.convert_position, "INTRADAY", "NSE_EQ", "LONG", "2885", 7, "CNC"
        )
        left = await desk.ask(desk.dhan.exit_all_positions)
        flat = await desk.ask(desk.dhan.get_positions)
        order = await desk.order(resting)

    assert (position["positionType"], position["netQty"], position["buyAvg"]) == (
        "LONG",
        10,
        desk.at(0),
    )
    assert told["status"] == "failure"
    assert [(row["productType"], row["netQty"]) for row in converted] == [
        ("INTRADAY", 6),
        ("CNC", 4),
    ]
    assert too_many == "DH-906"
    assert left["status"] == "SUCCESS"
    assert [(row["positionType"], row["netQty"]) for row in flat] == [("CLOSED", 0)] * 2
    assert order["orderStatus"] == "CANCELLED"


async def test_holdings_funds_and_margins() -> None:
    async with a_desk() as desk:
        (holding,) = await desk.ask(desk.dhan.get_holdings)
        ask = (*SHARE.values(), "BUY", 10, "INTRADAY", 1_000.0)
        margin = await desk.ask(desk.dhan.margin_calculator, *ask)
        leg = {
            "exchangeSegment": "NSE_EQ",
            "transactionType": "BUY",
            "quantity": 10,
            "productType": "CNC",
            "securityId": "2885",
            "price": 1_000.0,
        }
        basket = await desk.ask(
            desk.dhan.margin_calculator_multi, [leg, leg | {"productType": "INTRADAY"}]
        )
        await desk.place(0)
        with_position = await desk.ask(
            desk.dhan.margin_calculator_multi, [leg], include_position=True
        )
        funds = await desk.ask(desk.dhan.get_fund_limits)

    assert (holding["totalQty"], holding["availableQty"], holding["collateralQty"]) == (50, 40, 10)
    assert (holding["avgCostPrice"], holding["exchange"]) == (1_234.5, "ALL")
    assert (margin["totalMargin"], margin["leverage"]) == (2_000.0, "5.00")
    assert margin["insufficientBalance"] == 0.0
    assert (basket["totalMargin"], basket["equityMargin"]) == (12_000.0, 12_000.0)
    used = desk.at(0) * 10 * 0.2
    assert with_position["totalMargin"] == pytest.approx(10_000 + used)
    assert funds["utilizedAmount"] == pytest.approx(used)
    assert funds["availabelBalance"] == pytest.approx(1_000_000 - used)
    assert funds["sodLimit"] == 1_000_000


async def test_an_order_beyond_the_funds_is_accepted_and_rejected_in_the_book() -> None:
    async with a_desk() as desk:
        row = await desk.order(await desk.place(0, quantity=90_000))

    assert (row["orderStatus"], row["omsErrorCode"]) == ("REJECTED", "RMS")
    assert "Margin Shortfall" in row["omsErrorDescription"]


async def test_the_kill_switch() -> None:
    async with a_desk() as desk:
        order_id = await desk.place(-2)
        busy = await desk.refused(desk.dhan.kill_switch, "activate")
        await desk.ask(desk.dhan.cancel_order, order_id)
        activated = await desk.ask(desk.dhan.kill_switch, "activate")
        status = await desk.ask(desk.dhan.status_kill_switch)
        refused = await desk.refused(
            desk.dhan.place_order, "2885", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", desk.at(0)
        )
        await desk.ask(desk.dhan.kill_switch, "deactivate")
        again = await desk.ask(desk.dhan.status_kill_switch)

    assert (busy, refused) == ("DH-906", "DH-906")
    assert activated["killSwitchStatus"] == "Kill Switch has been successfully activated"
    assert (status["killSwitchStatus"], again["killSwitchStatus"]) == ("ACTIVATE", "DEACTIVATE")


async def test_the_exit_at_a_profit_or_loss() -> None:
    async with a_desk() as desk:
        await desk.place(0)
        none = await desk.ask(desk.dhan.get_pnl_exit)
        set_ = await desk.ask(desk.dhan.set_pnl_exit, 50.0, 5_000.0, ["INTRADAY", "DELIVERY"], True)
        active = await desk.ask(desk.dhan.get_pnl_exit)
        stopped = await desk.ask(desk.dhan.stop_pnl_exit)
        await desk.ask(desk.dhan.set_pnl_exit, 50.0, 5_000.0, ["INTRADAY"], True)
        desk.print(1)
        (position,) = await desk.ask(desk.dhan.get_positions)
        killed = await desk.ask(desk.dhan.status_kill_switch)

    assert none["pnlExitStatus"] == "INACTIVE"
    assert set_["pnlExitStatus"] == "ACTIVE"
    assert (active["profit"], active["loss"], active["enable_kill_switch"]) == (
        "50.00",
        "5000.00",
        True,
    )
    assert active["productType"] == ["INTRADAY", "DELIVERY"]
    assert stopped["pnlExitStatus"] == "DISABLED"
    assert (position["positionType"], killed["killSwitchStatus"]) == ("CLOSED", "ACTIVATE")


async def test_profile_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [datetime(2026, 11, 23, 4, 0, tzinfo=UTC)]
    async with a_desk(static_ip=True, now=lambda: now[0]) as desk:
        monkeypatch.setattr(DhanHTTP, "API_BASE_URL", f"{desk.simulator.url}/v2")
        monkeypatch.setattr(DhanLogin, "API_BASE_URL", f"{desk.simulator.url}/v2")
        login = DhanLogin(USER.client_id)
        profile = await asyncio.to_thread(login.user_profile, USER.token)
        refused = await desk.refused(desk.dhan.cancel_order, "1")
        saved = await desk.ask(login.set_ip, USER.token, "10.0.0.9", "PRIMARY")
        stranger = await desk.ask(login.get_ip, USER.token)
        early = await desk.refused(login.modify_ip, USER.token, "127.0.0.1", "PRIMARY")
        now[0] = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
        await desk.ask(login.modify_ip, USER.token, "127.0.0.1", "PRIMARY")
        known = await desk.ask(login.get_ip, USER.token)
        allowed = await desk.refused(desk.dhan.cancel_order, "1")

    assert profile["dhanClientId"] == USER.client_id
    assert (refused, early, allowed) == ("DH-905", "DH-905", "DH-907")
    assert saved == {"message": "IP saved successfully", "status": "SUCCESS"}
    assert (stranger["ordersAllowed"], stranger["detectedIP"]) == (False, "127.0.0.1")
    assert (stranger["primaryIP"], stranger["modifyDatePrimary"]) == ("10.0.0.9", "2026-11-30")
    assert (known["ordersAllowed"], known["ipMatchStatus"]) == (True, "MATCH_PRIMARY")
