"""The broker's own book as a guardian reads it, also where a row of it is odd."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dhan.outcomes import Unknown
from dhan.transport import OrderUrl
from executors.orders.reading import AccountClients, Reading, read_account
from schemas.ids import InstrumentId, Segment
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.dhan.factories import credentials
from tests.executors.factories import RELIANCE
from tests.executors.test_observer import ORDER, POSITION

OTHER = InstrumentId(Segment.NSE_EQ, 1333)
ODD = {"securityId": "1333", "exchangeSegment": "NSE_EQ"}


async def read(http: httpx.AsyncClient, dhan: ScriptedDhan, **lists: list[Any]) -> Any:
    for path in ("orders", "super/orders", "positions"):
        dhan.on("GET", f"/v2/{path}", json_answer(lists.get(path.replace("/", "_"), [])))
    clients = AccountClients.open(http, OrderUrl.parse(dhan.url), credentials())
    return await read_account(clients, lambda: 1.0)


@pytest.mark.parametrize(
    "lists",
    [
        {"orders": [ORDER, ORDER | ODD | {"quantity": "1.5"}]},
        {"orders": [ORDER, ORDER | ODD | {"transactionType": None}]},
        {"orders": [ORDER], "positions": [POSITION, POSITION | ODD | {"netQty": "many"}]},
        {"orders": [ORDER], "super_orders": [ORDER | ODD | {"legDetails": [{"legName": "?"}]}]},
    ],
)
async def test_an_odd_row_puts_its_own_instrument_in_doubt_and_no_other(
    http: httpx.AsyncClient, dhan: ScriptedDhan, lists: dict[str, list[Any]]
) -> None:
    """Else one row of garbage would leave the whole account without exits all day."""
    reading = await read(http, dhan, **lists)

    assert isinstance(reading, Reading)
    assert reading.doubtful == {OTHER}
    assert RELIANCE.id in reading.book.instruments()


@pytest.mark.parametrize("odd", [{"securityId": "?"}, {"exchangeSegment": ""}, 7])
async def test_a_row_that_may_be_about_anything_leaves_no_book(
    http: httpx.AsyncClient, dhan: ScriptedDhan, odd: Any
) -> None:
    row = ORDER | ODD | {"quantity": "1.5"} | odd if isinstance(odd, dict) else odd

    assert await read(http, dhan, orders=[ORDER, row]) == Unknown("book_unreadable")


async def test_an_odd_row_of_a_segment_that_is_not_ours_is_nothing_to_us(
    http: httpx.AsyncClient, dhan: ScriptedDhan
) -> None:
    foreign = {"exchangeSegment": "NYSE_EQ", "netQty": "0.25"}
    reading = await read(http, dhan, positions=[POSITION, POSITION | foreign])

    assert isinstance(reading, Reading)
    assert reading.doubtful == frozenset()
