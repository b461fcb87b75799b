from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import Paise, Quantity
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.handshake import Backoff
from streams.feed.link import Link
from streams.feed.watchlist import allocate


def share(number: int) -> Instrument:
    return Instrument(
        InstrumentId(Segment.NSE_EQ, number), f"S{number}", "", "EQUITY", Quantity(1), Paise(5)
    )


numbers = st.sets(st.integers(1, 40))


@given(st.lists(numbers, min_size=1, max_size=5), numbers)
def test_everything_wanted_is_carried_once_and_what_stays_stays_where_it_is(
    before: list[set[int]], wanted: set[int]
) -> None:
    most = 10
    carried: list[dict[InstrumentId, Instrument]] = []
    taken: set[int] = set()
    for numbers_ in before:  # no instrument on two connections, none too full
        mine = sorted(numbers_ - taken)[:most]
        taken |= set(mine)
        carried.append({share(number).id: share(number) for number in mine})
    wanted = set(sorted(wanted)[: most * len(carried)])

    shares = allocate([share(number) for number in sorted(wanted)], carried, most)

    assert sorted(each.id.security_id for part in shares for each in part) == sorted(wanted)
    assert all(len(part) <= most for part in shares)
    for held, part in zip(carried, shares, strict=True):
        assert {key for key in held if key.security_id in wanted} <= {each.id for each in part}


def test_more_than_all_connections_carry_is_refused_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match="ATS_FEED_CONNECTIONS"):
        allocate([share(1), share(2), share(3)], [{}, {}], 1)


class Narrow:
    """A socket whose first message waits for room."""

    def __init__(self) -> None:
        self.room, self.sent = asyncio.Event(), list[tuple[int, list[str]]]()
        self.messages = 0

    async def send(self, message: str) -> None:
        self.messages += 1
        if self.messages == 1:
            await self.room.wait()
        body = orjson.loads(message)
        self.sent.append(
            (body["RequestCode"], [each["SecurityId"] for each in body["InstrumentList"]])
        )


async def test_what_changes_while_a_subscription_is_on_its_way_is_asked_after_it() -> None:
    async def emit(*_: object, **__: object) -> None:
        pass

    socket: Any = Narrow()
    pump: Any = SimpleNamespace(wall=lambda: 1, clock=0)
    events: Any = SimpleNamespace(emit=emit)
    token: Any = None
    config = GatewayConfig(
        url="ws://x", client_id="1", instruments=(share(1),), partitions=1, calendar=EVERY_DAY
    )
    link = Link(
        config,
        pump,
        token,
        events=events,
        metrics=GatewayMetrics(),
        backoff=Backoff(Random(1), 1.0, 1.0),
    )
    link._socket = socket

    first = asyncio.create_task(link.set_subscriptions([share(1)]))
    await asyncio.sleep(0)
    second = asyncio.create_task(link.set_subscriptions([share(2)]))
    await asyncio.sleep(0)
    socket.room.set()
    await asyncio.gather(first, second)

    assert socket.sent == [(17, ["1"]), (18, ["1"]), (17, ["2"])]
