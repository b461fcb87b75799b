"""The depth feeds: bytes, limits, faults, and the unmodified `dhanhq` FullDepth reading them."""

from __future__ import annotations

import asyncio
import struct
import threading
from typing import Any

import numpy as np
import pytest
from dhanhq import DhanContext, FullDepth
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import InstrumentId, Segment
from simulator.faults import Fault, FaultKind
from simulator.market.tape import PRINT, Prints
from simulator.server import Simulator
from simulator.streaming import depth_packets, packets
from tests.simulator.factories import NIFTY, OTHER, RELIANCE, USER, running, until
from tests.simulator.wire import BINARY, CLOSE, RST, Wire, wire

SUBSCRIBE, FULL = 23, 21
TWENTY, TWO_HUNDRED = "/twentydepth", "/twohundreddepth"
LEVEL = struct.Struct("<dII")


@st.composite
def prints(draw: st.DrawFn) -> Prints:
    """One print of a share, between its circuits when it has some."""
    row = np.zeros(1, PRINT)
    row["price"] = price = draw(st.integers(1, 13_107_200))
    row["second"], row["volume"] = draw(st.integers(0, 2**31)), draw(st.integers(0, 2**32 - 1))
    row["security_id"] = draw(st.integers(0, 2**31 - 1))
    row["segment"] = draw(st.sampled_from([1, 2]))
    row["tick_size"] = draw(st.sampled_from([1, 5]))
    if draw(st.booleans()):
        row["lower_circuit"], row["upper_circuit"] = (
            price - draw(st.integers(0, 100)),
            price + draw(st.integers(0, 100)),
        )
    return row


@given(prints(), st.sampled_from([20, 200]))
def test_fulldepth_reads_our_packets(row: Prints, levels: int) -> None:
    feed: Any = FullDepth.__new__(FullDepth)  # without the event loop that its constructor installs
    feed.depth_level = levels
    bid, ask = depth_packets.both_sides(row, levels, first_sequence=7)

    first = feed.process_data(bid + ask)
    second = feed.process_data(first["remaining_data"])

    assert len(bid) == len(ask) == 12 + 16 * levels
    for read, kind in ((first, "Bid"), (second, "Ask")):
        assert (read["type"], read["security_id"]) == (kind, row["security_id"][0])
        assert read["exchange_segment"] == row["segment"][0]
    buyers = [(level["price"], level["quantity"], level["orders"]) for level in first["depth"]]
    sellers = [(level["price"], level["quantity"], level["orders"]) for level in second["depth"]]
    assert buyers == [LEVEL.unpack_from(bid, 12 + 16 * at) for at in range(levels)]
    assert sellers == [LEVEL.unpack_from(ask, 12 + 16 * at) for at in range(levels)]
    assert second["remaining_data"] is None
    assert buyers == sorted(buyers, key=lambda level: -level[0])
    standing = [level for level in sellers if level[0]]
    assert standing == sorted(standing, key=lambda level: level[0])


@given(prints())
def test_the_five_best_of_twenty_levels_are_those_of_the_full_packet(row: Prints) -> None:
    (shown,) = packets.full(row)["depth"]
    sides = depth_packets.both_sides(row, 20, first_sequence=0)

    for name, packet in zip(("bid", "ask"), sides, strict=True):
        deep = [LEVEL.unpack_from(packet, 12 + 16 * at) for at in range(5)]
        assert [np.float32(price) for price, _, _ in deep] == shown[f"{name}_price"].tolist()
        assert [quantity for _, quantity, _ in deep] == shown[f"{name}_quantity"].tolist()
        assert [orders for _, _, orders in deep] == shown[f"{name}_orders"].tolist()


def test_at_a_circuit_one_side_of_the_book_is_empty() -> None:
    row = np.zeros(2, PRINT)
    row["price"], row["tick_size"], row["volume"] = [90_00, 110_00], 5, 1
    row["lower_circuit"], row["upper_circuit"] = 90_00, 110_00

    at_low, at_high = packets.full(row)["depth"]

    assert at_low["bid_price"].tolist() == at_high["ask_price"].tolist() == [0.0] * 5
    assert at_low["ask_price"][0] == 90.0
    assert at_high["bid_price"][0] == np.float32(109.95)


def both(row: Prints, levels: int, sequence: int) -> bytes:
    return b"".join(depth_packets.both_sides(row, levels, sequence))


def first_prints(simulator: Simulator) -> Prints:
    every = simulator.market.prints
    shares: Prints = every[every["security_id"] == RELIANCE.security_id]
    return shares


async def subscribed(client: Wire, simulator: Simulator, levels: int) -> None:
    await client.subscribe(SUBSCRIBE, RELIANCE)
    await until(lambda: simulator.streams.depths[levels].subscriptions == 1)
    simulator.exchange.pause()
    await simulator.exchange.step(120)


async def test_both_sides_of_each_print_come_back_to_back_in_one_frame() -> None:
    async with running() as simulator, wire(simulator, TWENTY) as client:
        await subscribed(client, simulator, 20)
        frames = [await client.frame() for _ in range(3)]

        mine = first_prints(simulator)
        assert frames == [(BINARY, both(mine[at : at + 1], 20, 2 * at)) for at in range(3)]


async def test_two_hundred_levels_are_asked_for_flat_and_say_their_row_count() -> None:
    async with running() as simulator, wire(simulator, TWO_HUNDRED) as client:
        await client.send({"RequestCode": 23, "ExchangeSegment": "NSE_EQ", "SecurityId": "2885"})
        await until(lambda: simulator.streams.depths[200].subscriptions == 1)
        simulator.exchange.pause()
        await simulator.exchange.step(120)
        frame = await client.frame()

        assert frame == (BINARY, both(first_prints(simulator)[:1], 200, 0))
        assert struct.unpack_from("<hBBiI", frame[1]) == (3212, 41, 1, 2885, 200)


@pytest.mark.parametrize("code", [24, 25])
async def test_both_unsubscribe_codes_work(code: int) -> None:
    async with running() as simulator, wire(simulator, TWENTY) as client:
        depth = simulator.streams.depths[20]
        await client.subscribe(SUBSCRIBE, RELIANCE)
        await until(lambda: depth.subscriptions == 1)
        await client.subscribe(code, RELIANCE)
        await until(lambda: depth.subscriptions == 0)
        await client.send({"RequestCode": 12})

        assert await client.frame() == (CLOSE, struct.pack(">H", 1000))


@pytest.mark.parametrize(
    ("path", "listed", "reason"),
    [
        (TWENTY, [InstrumentId(Segment.NSE_EQ, at) for at in range(51)], 804),
        (TWO_HUNDRED, [RELIANCE, InstrumentId(Segment.NSE_EQ, 1)], 804),
        (TWENTY, [NIFTY], 814),
    ],
)
async def test_too_many_instruments_or_another_segment_end_it_with_fourteen_bytes(
    path: str, listed: list[InstrumentId], reason: int
) -> None:
    async with running() as simulator, wire(simulator, path) as client:
        await client.subscribe(SUBSCRIBE, *listed)

        assert await client.frame() == (BINARY, struct.pack("<hBBiIh", 14, 50, 0, 0, 0, reason))


async def test_more_instruments_in_a_second_message_count_too() -> None:
    async with running() as simulator, wire(simulator, TWENTY) as client:
        for start in (0, 50):
            await client.subscribe(
                SUBSCRIBE, *(InstrumentId(Segment.NSE_EQ, start + at) for at in range(50))
            )

        assert await client.frame() == (BINARY, depth_packets.disconnect(804))


async def test_depth_has_five_connections_of_its_own_beside_the_feeds_five() -> None:
    async with running() as simulator:
        clients = [wire(simulator, path) for path in ("/feed", TWENTY) for _ in range(5)]
        held = [await client.__aenter__() for client in clients]
        async with wire(simulator, TWENTY) as sixth, wire(simulator, TWENTY, user=OTHER):
            oldest = await held[5].frame()
            await sixth.subscribe(SUBSCRIBE, RELIANCE)
            await until(lambda: simulator.streams.depths[20].subscriptions == 1)
        for client in clients:
            await client.__aexit__(None, None, None)

    assert oldest == (BINARY, depth_packets.disconnect(805))


async def test_a_bad_token_is_reset_after_the_upgrade() -> None:
    async with running() as simulator, wire(simulator, TWENTY, token="stale") as client:
        assert (client.status, await client.everything()) == (101, [RST])


async def test_faults_strike_depth_packets_one_side_at_a_time() -> None:
    faults = (
        Fault(FaultKind.LOSE, endpoint=TWENTY, after=1),
        Fault(FaultKind.DISCONNECT, endpoint=TWENTY, after=4, code=807),
    )
    async with running(faults=faults) as simulator, wire(simulator, TWENTY) as client:
        await client.subscribe(SUBSCRIBE, RELIANCE)
        await until(lambda: simulator.streams.depths[20].subscriptions == 1)
        simulator.exchange.pause()
        stepping = asyncio.create_task(simulator.exchange.step(120))
        seen = [await client.frame() for _ in range(3)]
        client.close()
        await stepping

        one, two = (
            depth_packets.both_sides(first_prints(simulator)[at : at + 1], 20, 2 * at)
            for at in range(2)
        )
    assert seen == [
        (BINARY, one[0]),
        (BINARY, two[0] + two[1]),
        (BINARY, depth_packets.disconnect(807)),
    ]
    assert next(entry.thing for entry in simulator.faults.journal) == "depth ask of segment 1:2885"


@pytest.mark.parametrize(("levels", "path"), [(20, TWENTY), (200, TWO_HUNDRED)])
async def test_fulldepth_sees_both_sides_of_every_print(
    monkeypatch: pytest.MonkeyPatch, levels: int, path: str
) -> None:
    heard: list[Any] = []

    def listen(simulator: Simulator) -> None:
        feed = FullDepth(DhanContext(USER.client_id, USER.token), [(1, "2885")], depth_level=levels)
        feed.on_ticks = heard.append
        feed.run_forever()
        while len(heard) < 10:
            feed.get_data()
        feed.ws.transport.abort()  # an orderly close would wait for the packets it has not read

    async with running() as simulator:
        monkeypatch.setattr(
            FullDepth, f"depth_{levels}_feed_wss", simulator.url.replace("http", "ws") + path
        )
        thread = threading.Thread(target=listen, args=(simulator,), daemon=True)
        thread.start()
        await until(lambda: simulator.streams.depths[levels].subscriptions == 1)
        simulator.exchange.open_market()
        await asyncio.to_thread(thread.join, 20)
        mine = first_prints(simulator)

    for read, row in zip(heard, mine, strict=False):
        assert read["security_id"] == row["security_id"]
        assert len(read["depth"]) == levels
        assert f"ask : {{price:{row['price'] / 100:.2f}," in read["depth"][0]
        assert f"bid : {{price:{(row['price'] - row['tick_size']) / 100:.2f}," in read["depth"][0]
    assert len(heard) == 10
