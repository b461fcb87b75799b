"""Our Dhan client against the simulator, which was written from the documents and shares no code
with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest_asyncio

from dhan.history import History
from dhan.instruments import fetch, parse
from dhan.orders import Accepted, Found, NotFound, OrderClient, Rejected, Validity
from dhan.transport import BaseUrl
from schemas.ids import CorrelationId, Segment
from schemas.market import trading_day
from schemas.units import Price
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from tests.dhan.factories import TOKEN, an_order, credentials


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    running = Simulator(SimulatorConfig(users=(SimulatedUser("1100000001", TOKEN),), shares=5))
    await running.start()
    yield running
    await running.stop()


def at(simulator: Simulator) -> BaseUrl:
    return BaseUrl.parse(f"{simulator.url}/v2")


async def test_an_order_is_accepted_and_found_by_our_name_for_it(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = OrderClient(http, at(simulator), credentials())

    placed = await client.place(an_order(validity=Validity.IOC))
    found = await client.find(an_order().correlation_id)

    assert isinstance(placed, Accepted)
    assert isinstance(found, Found)
    assert found.order.order_id == placed.order_id


async def test_an_order_nobody_placed_is_not_found(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    assert (
        await OrderClient(http, at(simulator), credentials()).find(CorrelationId("AT-nobody"))
        == NotFound()
    )


async def test_a_wrong_price_and_a_wrong_token_are_rejected_in_words(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    off_grid = await OrderClient(http, at(simulator), credentials()).place(
        an_order(price=Price(165853))
    )
    stranger = await OrderClient(
        http, at(simulator), credentials("some-other-token-of-nobody")
    ).place(an_order())

    assert isinstance(off_grid, Rejected)
    assert isinstance(stranger, Rejected)
    assert (off_grid.code, stranger.code) == ("DH-906", "DH-901")


async def test_the_master_names_every_instrument_of_the_market(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    text = await fetch(http, f"{simulator.url}/instruments/api-scrip-master-detailed.csv")

    master = parse(text, frozenset(Segment))

    assert master.bad == ()
    assert list(master.by_id.values()) == [
        listing.instrument for listing in simulator.market.listings
    ]


async def test_daily_candles_come_for_the_days_asked_for(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    listing = next(listing for listing in simulator.market.listings if listing.instrument.tradable)
    today = trading_day(simulator.market.session.open)

    bars = await History(http, at(simulator), credentials()).daily(
        listing.instrument, today - timedelta(days=30), today - timedelta(days=1)
    )

    assert len(bars) >= 15
    assert all(today - timedelta(days=30) <= bar.day < today for bar in bars)
    assert all(bar.day.weekday() < 5 for bar in bars)
