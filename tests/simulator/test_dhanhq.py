"""The unmodified `dhanhq` 2.3.0 at the simulator: it sees the market's ticks and trades."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dhanhq import DhanContext, DhanHTTP, DhanLogin, MarketFeed, Security, dhanhq

from simulator.market.tape import Prints
from simulator.server import Simulator
from tests.simulator.factories import DAY, NIFTY, RELIANCE, USER, call, csv_of, running, until


def context(simulator: Simulator) -> Any:
    made = DhanContext(USER.client_id, USER.token)
    made.get_dhan_http().base_url = f"{simulator.url}/v2"
    return made


def listen(
    simulator: Simulator, heard: list[Any], connected: Callable[[], None]
) -> tuple[threading.Thread, list[Any]]:
    """A thread with a MarketFeed of all three modes; the list gets the feed, so that the test can
    end it.
    """
    feeds: list[Any] = []

    def run() -> None:
        subscribed = [
            (0, str(NIFTY.security_id), MarketFeed.Ticker),
            (1, str(RELIANCE.security_id), MarketFeed.Full),
        ]
        feed = MarketFeed(
            context(simulator),
            subscribed,
            on_connect=lambda _: connected(),
            on_message=lambda _, message: heard.append(message),
            on_error=lambda *_: None,
        )
        feeds.append(feed)
        feed.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, feeds


def an_hour(path: Path) -> Path:
    """A recorded hour of a share and an index."""
    rows = []
    for minute in range(60):
        at, low = f"2026-11-23T10:{minute:02d}:00+05:30", 1_400 + minute % 7
        rows.append(f"RELIANCE,{at},{low}.35,{low + 1}.05,{low}.05,{low}.95,{1_000 + minute * 37}")
        rows.append(f"NIFTY,{at},2{low}.15,2{low + 1}.9,2{low}.05,2{low + 1}.4,0")
    path.write_text("".join(csv_of(rows)))
    return path


async def test_marketfeed_sees_exactly_the_ticks_the_market_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard: list[Any] = []
    connected = threading.Event()
    # the SDK reads only the first packet of a frame
    async with running(packets_per_frame=1, market=an_hour(tmp_path / "hour.csv")) as simulator:
        monkeypatch.setattr(
            MarketFeed, "market_feed_wss", simulator.url.replace("http", "ws") + "/feed"
        )
        thread, feeds = listen(simulator, heard, connected.set)
        await asyncio.to_thread(connected.wait, 10)
        await until(lambda: len(heard) == 2)  # both previous closes: the subscriptions stand
        simulator.exchange.open_market()
        await until(lambda: heard.count("Markets Open") == 4)
        feeds[0]._running = False
    await asyncio.to_thread(thread.join, 10)

    ticks = [tick for tick in heard if isinstance(tick, dict) and tick["type"] != "Previous Close"]
    assert len(ticks) == 2 * (60 * 4 + 1)
    assert [seen(tick) for tick in ticks] == [sent(row) for row in simulator.market.prints]
    assert not thread.is_alive()


def seen(tick: dict[str, Any]) -> tuple[Any, ...]:
    known = tick["exchange_segment"], tick["security_id"], tick["LTP"], tick["LTT"]
    return (
        (*known, tick["volume"], tick["LTQ"], tick["high"], tick["low"])
        if tick["type"] == "Full Data"
        else known
    )


def sent(row: Prints) -> tuple[Any, ...]:
    clock = datetime.fromtimestamp(int(row["second"]) + 19_800, UTC)
    price, high, low = (f"{row[name] / 100:.2f}" for name in ("price", "high", "low"))
    known = row["segment"], row["security_id"], price, f"{clock:%H:%M:%S}"
    return (*known, row["volume"], row["quantity"], high, low) if row["segment"] else known


async def test_the_order_classes_place_list_find_and_cancel() -> None:
    async with running(order_rate_limit=None) as simulator:
        dhan = dhanhq(context(simulator))
        place = {
            "security_id": "2885",
            "exchange_segment": dhan.NSE,
            "order_type": dhan.LIMIT,
            "product_type": dhan.INTRA,
        }
        placed = await asyncio.to_thread(
            dhan.place_order,
            transaction_type=dhan.BUY,
            quantity=10,
            price=1400.05,
            tag="ATparity1",
            **place,
        )
        order_id = placed["data"]["orderId"]
        book = await asyncio.to_thread(dhan.get_order_list)
        by_id = await asyncio.to_thread(dhan.get_order_by_id, order_id)
        by_name = await asyncio.to_thread(dhan.get_order_by_correlationID, "ATparity1")
        unknown = await asyncio.to_thread(dhan.get_order_by_correlationID, "ATparity2")
        cancelled = await asyncio.to_thread(dhan.cancel_order, order_id)
        refused = await asyncio.to_thread(
            dhan.place_order,
            transaction_type=dhan.BUY,
            quantity=0,
            price=1400.05,
            tag="ATparity3",
            **place,
        )

    assert placed["status"] == "success"
    assert book["data"] == by_id["data"] == [by_name["data"]]
    assert by_name["data"]["price"] == 1400.05
    assert unknown["status"] == "failure"
    assert unknown["remarks"]["error_code"] == "DH-906"
    assert cancelled["data"]["orderStatus"] == "CANCELLED"
    assert refused["remarks"]["error_code"] == "DH-905"


async def test_an_order_trades_while_the_market_moves() -> None:
    async with running() as simulator:
        dhan = dhanhq(context(simulator))
        placed = await asyncio.to_thread(
            dhan.place_order,
            "2885",
            dhan.NSE,
            dhan.BUY,
            10,
            dhan.LIMIT,
            dhan.INTRA,
            1_500,
            tag="ATfill",
        )
        simulator.exchange.open_market()
        await until(lambda: simulator.exchange.finished)
        (order,) = (await asyncio.to_thread(dhan.get_order_by_id, placed["data"]["orderId"]))[
            "data"
        ]
        positions = (await asyncio.to_thread(dhan.get_positions))["data"]

    first = simulator.market.prints[simulator.market.prints["security_id"] == RELIANCE.security_id][
        0
    ]
    assert (order["orderStatus"], order["filledQty"], order["remainingQuantity"]) == (
        "TRADED",
        10,
        0,
    )
    assert order["averageTradedPrice"] == first["price"] / 100
    assert positions[0]["netQty"] == 10


async def test_daily_history_funds_and_the_instrument_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with running() as simulator:
        dhan = dhanhq(context(simulator))
        history = await asyncio.to_thread(
            dhan.historical_daily_data, "2885", dhan.NSE, "EQUITY", "2026-11-16", DAY.isoformat()
        )
        funds = await asyncio.to_thread(dhan.get_fund_limits)
        for mode, name in (("compact", "COMPACT_CSV_URL"), ("detailed", "DETAILED_CSV_URL")):
            suffix = "" if mode == "compact" else "-detailed"
            monkeypatch.setattr(
                Security, name, f"{simulator.url}/instruments/api-scrip-master{suffix}.csv"
            )
        compact = await asyncio.to_thread(
            Security.fetch_security_list, "compact", str(tmp_path / "compact.csv")
        )
        detailed = await asyncio.to_thread(
            Security.fetch_security_list, "detailed", str(tmp_path / "detailed.csv")
        )

    assert len(history["data"]["close"]) == 5
    assert funds["data"]["availabelBalance"] == 1_000_000
    assert compact.set_index("SEM_TRADING_SYMBOL").loc["RELIANCE", "SEM_SMST_SECURITY_ID"] == 2885
    assert detailed.set_index("UNDERLYING_SYMBOL").loc["RELIANCE", "SECURITY_ID"] == 2885
    assert detailed.set_index("UNDERLYING_SYMBOL").loc["RELIANCE", "TICK_SIZE"] == 5.0


async def test_dhanlogin_walks_through_the_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    async with running() as simulator:
        monkeypatch.setattr(DhanLogin, "AUTH_BASE_URL", f"{simulator.url}/auth")
        monkeypatch.setattr(DhanHTTP, "API_BASE_URL", f"{simulator.url}/v2")
        login = DhanLogin(USER.client_id)
        consent = await asyncio.to_thread(
            login.generate_login_session, "simulated-app", "simulated-secret"
        )
        _, page = await call(
            simulator, "GET", f"/auth/login/consentApp-login?consentAppId={consent}", user=None
        )
        status, _ = await call(
            simulator, "POST", f"/auth/login/consentApp-login?consentAppId={consent}", user=None
        )
        assert "simulated-app" in page
        assert status == 302
