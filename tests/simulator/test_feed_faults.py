"""What a client of the market feed sees on the wire when a fault strikes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from schemas.units import UtcNs
from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from simulator.streaming import packets
from simulator.streaming.connection import Frame
from simulator.streaming.packets import Reason
from tests.simulator.factories import NIFTY, OTHER, RELIANCE, feed_client, running
from tests.simulator.wire import BINARY, CLOSE, FIN, PING, RST, Wire, wire

QUOTE = 17
MINUTES = 120  # seconds of market: enough prints for every test here


def quotes(simulator: Simulator) -> list[bytes]:
    """The packets of the share, as they would come without faults."""
    prints = simulator.market.prints
    mine = packets.quote(prints[prints["security_id"] == RELIANCE.security_id])
    return [packet.tobytes() for packet in mine]


@asynccontextmanager
async def listening(*faults: Fault, **settings: Any) -> AsyncIterator[tuple[Simulator, Wire]]:
    """A raw client that has subscribed to the share; the market stands before its first print."""
    async with (
        running(faults=faults, packets_per_frame=1, **settings) as simulator,
        wire(simulator) as client,
    ):
        await client.subscribe(QUOTE, RELIANCE)
        assert (await client.frame())[0] == BINARY  # the previous close: the subscription stands
        simulator.exchange.pause()
        yield simulator, client


async def prints(client: Wire, count: int) -> list[bytes]:
    """The next packets, without pings and the market's status."""
    found: list[bytes] = []
    while len(found) < count:
        frame = await client.frame()
        assert not isinstance(frame, str), frame
        if frame[0] != PING and frame[1][0] != 7:
            found.append(frame[1])
    return found


def after_status(frames: Sequence[tuple[int, bytes] | str]) -> list[tuple[int, bytes] | str]:
    return [frame for frame in frames if isinstance(frame, str) or frame[1][:1] != b"\x07"]


async def test_a_reset_comes_after_everything_sent_before_it_and_without_a_close_frame() -> None:
    async with listening(Fault(FaultKind.RESET, after=3)) as (simulator, client):
        await simulator.exchange.step(MINUTES)
        seen = after_status(await client.everything())

        assert seen == [*((BINARY, packet) for packet in quotes(simulator)[:3]), RST]


async def test_a_stall_is_silence_on_an_open_connection_that_still_pings() -> None:
    clock = [0.0]
    async with listening(
        Fault(FaultKind.STALL, after=2, delay=30.0), monotonic=lambda: clock[0], ping_every=0.05
    ) as (
        simulator,
        client,
    ):
        await simulator.exchange.step(MINUTES)
        silent_until = int((simulator.market.prints["second"] <= simulator.exchange.second).sum())
        before = await prints(client, 2)
        pinged = await client.frame()
        clock[0] = 30.0
        simulator.exchange.resume()
        (after,) = await prints(client, 1)

        expected = quotes(simulator)
        missed = int((simulator.market.prints["instrument"][:silent_until] == 1).sum())
        assert before == expected[:2]
        assert pinged[0] == PING
        assert after == expected[missed]


async def test_a_stall_of_one_instrument_leaves_the_others_talking() -> None:
    fault = Fault(FaultKind.STALL, delay=30.0, instrument=str(RELIANCE))
    clock = [0.0]
    settings: dict[str, Any] = {
        "faults": (fault,),
        "packets_per_frame": 1,
        "monotonic": lambda: clock[0],
    }
    async with running(**settings) as simulator, feed_client(simulator) as client:
        await client.subscribe(QUOTE, [RELIANCE, NIFTY])
        await client.packets(2)
        await simulator.exchange.step(MINUTES)
        silent = simulator.market.prints[: simulator.exchange.prints]
        clock[0] = 30.0
        simulator.exchange.resume()
        heard = [packet[4] for packet in await client.until_status()]

    started = int(np.flatnonzero(silent["security_id"] == RELIANCE.security_id)[0])
    during = len(silent) - int((silent["instrument"][started + 1 :] == 1).sum())
    assert silent["security_id"][:started].tolist() == [NIFTY.security_id] * started
    assert RELIANCE.security_id & 0xFF not in heard[started + 1 : during]
    assert RELIANCE.security_id & 0xFF in heard[during:]


@pytest.mark.parametrize("reason", Reason)
async def test_a_disconnect_packet_states_any_reason_before_the_close(reason: Reason) -> None:
    async with listening(Fault(FaultKind.DISCONNECT, code=int(reason))) as (simulator, client):
        stepping = asyncio.create_task(simulator.exchange.step(MINUTES))
        seen = after_status([await client.frame() for _ in range(4)])
        client.close()
        await stepping

    assert seen == [
        (BINARY, struct.pack("<BHBIH", 50, 10, 0, 0, reason)),
        (CLOSE, struct.pack(">H", 1000)),
    ]


@pytest.mark.parametrize("code", [1000, 1011])
async def test_a_close_frame_has_the_code_asked_for(code: int) -> None:
    async with listening(Fault(FaultKind.CLOSE, code=code)) as (simulator, client):
        stepping = asyncio.create_task(simulator.exchange.step(MINUTES))
        seen = after_status([await client.frame() for _ in range(3)])
        client.close()
        await stepping

    assert seen == [(CLOSE, struct.pack(">H", code))]


async def test_close_code_1006_is_tcp_ending_without_a_close_frame() -> None:
    async with listening(Fault(FaultKind.CLOSE, code=1006, after=1)) as (simulator, client):
        await simulator.exchange.step(MINUTES)

        assert after_status(await client.everything()) == [(BINARY, quotes(simulator)[0]), FIN]


async def test_a_429_at_the_handshake_lasts_for_its_cool_off_and_for_its_user_alone() -> None:
    clock = [0.0]
    fault = Fault(FaultKind.HANDSHAKE_429, delay=60.0)
    statuses = []
    async with running(faults=(fault,), monotonic=lambda: clock[0]) as simulator:
        for moment in (0.0, 59.0, 60.0):
            clock[0] = moment
            async with wire(simulator) as client:
                statuses.append(client.status)
            async with wire(simulator, user=OTHER) as client:
                assert client.status == 101

        assert statuses == [429, 429, 101]
        assert simulator.faults.journal.total == 1


@pytest.mark.parametrize("bad_token", [True, False])
async def test_an_upgrade_may_succeed_and_the_socket_be_reset_at_once(bad_token: bool) -> None:
    faults = () if bad_token else (Fault(FaultKind.UPGRADE_THEN_RESET),)
    changed: dict[str, Any] = {"token": "stale"} if bad_token else {}
    async with running(faults=faults) as simulator, wire(simulator, **changed) as client:
        seen = client.status, await client.everything()

    assert seen == (101, [RST])


async def test_a_lag_delays_everything_and_loses_nothing_and_keeps_the_order() -> None:
    sent: list[Frame] = []
    async with listening(Fault(FaultKind.LAG, delay=1.0, lasting=0.5)) as (simulator, client):
        simulator.feed.listen_in(lambda _, frame: sent.append(frame))
        await simulator.exchange.step(MINUTES)
        on_time = [frame for frame in sent if frame[0] == packets.Mode.QUOTE]
        count = int((simulator.market.prints["second"] <= simulator.exchange.second).sum())
        mine = int((simulator.market.prints["instrument"][:count] == 1).sum())
        late = await prints(client, mine)

        assert on_time == []
        assert late == quotes(simulator)[:mine]


async def test_a_duplicate_comes_again_byte_for_byte() -> None:
    async with listening(Fault(FaultKind.DUPLICATE, after=1, copies=2)) as (simulator, client):
        await simulator.exchange.step(MINUTES)
        first, second, third = quotes(simulator)[:3]

        assert await prints(client, 5) == [first, second, second, second, third]


async def test_an_out_of_order_trade_time_goes_back_and_nothing_else_changes() -> None:
    async with listening(Fault(FaultKind.OUT_OF_ORDER, seconds=90)) as (simulator, client):
        await simulator.exchange.step(MINUTES)
        (changed,) = np.frombuffer((await prints(client, 1))[0], packets.QUOTE)
        (original,) = np.frombuffer(quotes(simulator)[0], packets.QUOTE)

    assert original["last_trade_time"] - changed["last_trade_time"] == 90
    for name in set(packets.QUOTE.names or ()) - {"last_trade_time"}:
        assert changed[name] == original[name]


async def test_a_truncated_packet_is_short_and_the_next_is_whole() -> None:
    async with listening(Fault(FaultKind.TRUNCATE, cut=7)) as (simulator, client):
        await simulator.exchange.step(MINUTES)
        first, second = quotes(simulator)[:2]

        assert await prints(client, 2) == [first[:-7], second]


async def test_a_lost_packet_leaves_no_trace() -> None:
    async with listening(Fault(FaultKind.LOSE, after=1)) as (simulator, client):
        await simulator.exchange.step(MINUTES)
        first, _, third = quotes(simulator)[:3]

        assert await prints(client, 2) == [first, third]


@pytest.mark.parametrize("code", [0, 99])
async def test_a_heartbeat_or_a_packet_of_an_unknown_code_comes_between(code: int) -> None:
    async with listening(Fault(FaultKind.STRANGE_PACKET, after=1, code=code)) as (
        simulator,
        client,
    ):
        await simulator.exchange.step(MINUTES)
        first, second = quotes(simulator)[:2]

        assert await prints(client, 3) == [first, struct.pack("<BHBI", code, 8, 0, 0), second]


async def test_a_fault_for_one_connection_leaves_the_other_alone() -> None:
    async with running(
        faults=(Fault(FaultKind.LOSE, connection=2, times=10_000),), packets_per_frame=1
    ) as simulator:
        async with wire(simulator) as first, wire(simulator, user=OTHER) as second:
            for client in (first, second):
                await client.subscribe(QUOTE, RELIANCE)
                await client.frame()
            simulator.exchange.pause()
            await simulator.exchange.step(MINUTES)

            assert await prints(first, 3) == quotes(simulator)[:3]
        assert simulator.faults.journal.total > 3
        assert {entry.connection for entry in simulator.faults.journal} == {2}


async def test_a_connection_may_have_a_life_of_its_own_length() -> None:
    clock = [0.0]
    settings: dict[str, Any] = {
        "monotonic": lambda: clock[0],
        "ping_every": 0.02,
        "connection_life": 300.0,
    }
    async with running(**settings) as simulator, wire(simulator) as client:
        assert (await client.frame())[0] == PING
        clock[0] = 300.0

        assert (await client.everything())[-1] == RST


async def test_the_same_script_and_seed_give_the_same_bytes_and_the_same_journal() -> None:
    script = tuple(
        Fault(kind, chance=0.05, times=1_000)
        for kind in (
            FaultKind.DUPLICATE,
            FaultKind.LOSE,
            FaultKind.TRUNCATE,
            FaultKind.OUT_OF_ORDER,
        )
    )

    async def run(seed: int) -> tuple[list[Frame], list[tuple[int, str, str, UtcNs]]]:
        sent: list[Frame] = []
        async with (
            running(faults=script, fault_seed=seed) as simulator,
            feed_client(simulator) as client,
        ):
            await client.subscribe(QUOTE, [RELIANCE])
            await client.packets(1)
            simulator.feed.listen_in(lambda _, frame: sent.append(frame))
            await simulator.exchange.step(1_800)
            journal = [
                (one.fault, one.kind.value, one.thing, one.market_time)
                for one in simulator.faults.journal
            ]
            return sent, journal

    once, again, other = [await run(seed) for seed in (5, 5, 6)]

    assert once == again
    assert once != other
    assert len(once[1]) > 20
