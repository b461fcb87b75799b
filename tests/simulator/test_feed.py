from __future__ import annotations

import asyncio
import struct
from typing import Any

import aiohttp
import numpy as np
import pytest

from schemas.ids import InstrumentId, Segment
from simulator.config import SimulatedUser
from simulator.streaming import packets
from simulator.streaming.subscriptions import PER_CONNECTION
from tests.simulator.factories import (
    NIFTY,
    OTHER,
    RELIANCE,
    USER,
    call,
    feed_client,
    running,
    split,
    until,
)

FULL, QUOTE, TICKER, NO_FULL = 21, 17, 15, 22


async def test_a_subscriber_gets_the_previous_close_and_then_every_print_in_order() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [RELIANCE])
        (close,) = await client.packets(1)
        simulator.exchange.open_market()
        got = await client.until_status()

    mine = simulator.market.prints[simulator.market.prints["security_id"] == RELIANCE.security_id]
    assert close == packets.previous_close(RELIANCE, simulator.market.listings[1].previous_close)
    assert b"".join(got) == packets.full(mine).tobytes()


async def test_each_instrument_comes_in_the_mode_it_was_asked_for_in_the_order_of_the_market() -> (
    None
):
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(QUOTE, [RELIANCE])
        await client.subscribe(TICKER, [NIFTY])
        await client.packets(2)
        simulator.exchange.open_market()
        got = await client.until_status()

    tape = simulator.market.prints
    expected = np.where(tape["segment"] == 0, packets.Mode.TICKER, packets.Mode.QUOTE)
    assert [packet[0] for packet in got] == expected.tolist()


async def test_only_what_is_subscribed_is_sent_and_nothing_after_unsubscribing() -> None:
    async with running(speed=100.0) as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [RELIANCE, NIFTY])
        await client.packets(2)
        await client.subscribe(NO_FULL, [NIFTY])
        await until(lambda: simulator.feed.subscriptions == 1)
        simulator.exchange.open_market()
        got = [packet for packet in await client.packets(30) if packet[0] == 8]

    assert {struct.unpack_from("<I", packet, 4)[0] for packet in got} == {RELIANCE.security_id}


async def test_several_connections_each_hear_everything_even_when_one_reads_late() -> None:
    async with (
        running() as simulator,
        feed_client(simulator) as quick,
        feed_client(simulator, OTHER) as slow,
    ):
        for client in (quick, slow):
            await client.subscribe(FULL, [RELIANCE, NIFTY])
            await client.packets(2)
        simulator.exchange.open_market()
        reading = asyncio.create_task(quick.until_status())
        await asyncio.sleep(0.3)
        late, early = await asyncio.gather(slow.until_status(), reading)

    assert late == early
    assert len(late) == len(simulator.market.prints)


async def test_the_market_waits_for_a_reader_that_does_not_read() -> None:
    async with running(shares=20) as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [listing.id for listing in simulator.market.listings])
        await client.packets(21)
        simulator.exchange.open_market()
        seen = -1
        while seen != simulator.exchange.prints:
            seen = simulator.exchange.prints
            await asyncio.sleep(0.5)

        assert 0 < seen < len(simulator.market.prints)
        assert len(await client.until_status()) == len(simulator.market.prints)


async def test_packets_share_a_frame_under_load_and_stand_alone_when_asked_to() -> None:
    for most in (64, 1):
        async with running(packets_per_frame=most) as simulator, feed_client(simulator) as client:
            await client.subscribe(FULL, [RELIANCE, NIFTY])
            await client.packets(2)
            simulator.exchange.open_market()
            sizes = [len(split(await client.frame())) for _ in range(20)]

        assert max(sizes) == most


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"token": "wrong"}, "token"),
        ({"clientId": OTHER.client_id}, "client"),
        ({"version": "1"}, "version"),
    ],
)
async def test_with_bad_credentials_the_upgrade_succeeds_and_the_socket_is_reset(
    changed: dict[str, Any], message: str
) -> None:
    async with running() as simulator, feed_client(simulator, **changed) as client:
        ended = await client.end()

    assert ended.type in (
        aiohttp.WSMsgType.CLOSED,
        aiohttp.WSMsgType.CLOSING,
        aiohttp.WSMsgType.ERROR,
    ), message
    assert client.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_the_sixth_connection_of_a_user_evicts_the_oldest_with_805() -> None:
    async with running() as simulator, aiohttp.ClientSession() as session:
        query = {"version": "2", "token": USER.token, "clientId": USER.client_id, "authType": "2"}
        sockets = [
            await session.ws_connect(f"{simulator.url}/feed", params=query) for _ in range(6)
        ]
        async with feed_client(simulator, OTHER) as client:
            await client.subscribe(FULL, [RELIANCE])
            await client.packets(1)
        last_word = await sockets[0].receive(timeout=5)
        _, state = await call(simulator, "GET", "/control/state")

    assert last_word.data == packets.disconnect(packets.Reason.TOO_MANY_CONNECTIONS)
    assert state["connections"] in (5, 6)  # the other user's may still be saying goodbye


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", 814),
        ("[]", 814),
        ('{"RequestCode": 99}', 814),
        ('{"RequestCode": 21, "InstrumentCount": 2, "InstrumentList": []}', 814),
        (
            (
                '{"RequestCode": 21, "InstrumentCount": 1, "InstrumentList": [{"ExchangeSegment": '
                '"NSE_EQ", "SecurityId": 2885}]}'
            ),
            814,
        ),
        (
            (
                '{"RequestCode": 21, "InstrumentCount": 1, "InstrumentList": [{"ExchangeSegment": '
                '"NSE", "SecurityId": "1"}]}'
            ),
            814,
        ),
    ],
)
async def test_a_message_against_the_protocol_ends_the_connection_with_a_reason(
    text: str, reason: int
) -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.socket.send_str(text)

        assert await client.frame() == packets.disconnect(packets.Reason(reason))
        assert (await client.end()).type is aiohttp.WSMsgType.CLOSE


async def test_more_than_a_hundred_instruments_in_a_message_are_too_many() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [InstrumentId(Segment.NSE_EQ, at) for at in range(101)])

        assert await client.frame() == packets.disconnect(packets.Reason.TOO_MANY_INSTRUMENTS)


async def test_more_than_five_thousand_instruments_on_a_connection_are_too_many() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        for start in range(0, PER_CONNECTION, 100):
            await client.subscribe(
                FULL, [InstrumentId(Segment.NSE_FNO, start + at) for at in range(100)]
            )
        await client.subscribe(FULL, [RELIANCE])

        assert await client.frame() == packets.disconnect(packets.Reason.TOO_MANY_INSTRUMENTS)


async def test_an_unknown_instrument_is_met_with_silence() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [InstrumentId(Segment.NSE_EQ, 4_000_000_000), RELIANCE])

        (close,) = await client.packets(1)

    assert struct.unpack_from("<I", close, 4) == (RELIANCE.security_id,)


async def test_previous_close_comes_for_indices_only_when_set_so() -> None:
    async with running(previous_close_for_all=False) as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [RELIANCE, NIFTY])

        (close,) = await client.packets(1)

    assert struct.unpack_from("<I", close, 4) == (NIFTY.security_id,)


async def test_goodbye_closes_in_order() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.socket.send_json({"RequestCode": 12})

        assert (await client.end()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize("answers", [True, False], ids=["answering", "silent"])
async def test_a_client_that_answers_pings_stays_and_a_silent_one_is_reset_after_forty_seconds(
    answers: bool,
) -> None:
    clock = [0.0]
    async with (
        running(ping_every=0.01, monotonic=lambda: clock[0]) as simulator,
        aiohttp.ClientSession() as session,
    ):
        query = {"version": "2", "token": USER.token, "clientId": USER.client_id, "authType": "2"}
        socket = await session.ws_connect(f"{simulator.url}/feed", params=query, autoping=False)
        for _ in range(20):
            message = await socket.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.PING:
                break
            if answers:
                await socket.pong(message.data)
            await asyncio.sleep(0.02)
            clock[0] += 5.0

        assert socket.closed is not answers
        assert clock[0] > 40.0


async def test_a_dropped_feed_is_reset_and_a_new_connection_hears_the_rest() -> None:
    async with running(speed=500.0) as simulator:
        async with feed_client(simulator) as client:
            await client.subscribe(FULL, [RELIANCE])
            simulator.exchange.open_market()
            await client.packets(5)
            status, body = await call(simulator, "POST", "/control/feed/drop")
            ended = await client.end()
        async with feed_client(simulator) as again:
            await again.subscribe(FULL, [RELIANCE])
            packets_ = await again.packets(3)

    assert (status, body) == (200, {"dropped": 1})
    assert ended.type is not aiohttp.WSMsgType.CLOSE
    assert packets_[-1][0] == 8


async def test_a_truncated_packet_stands_alone_and_everything_after_it_is_whole() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(FULL, [RELIANCE])
        await client.packets(1)
        await call(simulator, "POST", "/control/feed/truncate")
        simulator.exchange.open_market()
        await client.packets(2)  # the market's status
        cut, whole = await client.frame(), await client.until_status()

    assert (cut[0], len(cut)) == (8, packets.FULL.itemsize - 5)
    assert all(len(packet) == packets.FULL.itemsize for packet in whole)
    mine = simulator.market.prints["security_id"] == RELIANCE.security_id
    assert len(whole) == mine.sum() - 1


async def test_the_state_tells_how_far_the_session_is() -> None:
    async with running() as simulator:
        _, before = await call(simulator, "GET", "/control/state", user=None)
        await call(simulator, "POST", "/control/start")
        await call(simulator, "POST", "/control/start")
        await until(lambda: simulator.exchange.finished)
        _, state = await call(simulator, "GET", "/control/state")

    assert (before["started"], before["progress"], before["ticks"]) == (False, 0.0, 0)
    assert (state["progress"], state["broken"]) == (1.0, False)
    assert state["ticks"] == state["ticks_total"] == len(simulator.market.prints)
    assert state["market_time"] == "2026-11-23T15:30:00+05:30"


async def test_a_user_may_have_a_feed_for_each_token_only_once_added() -> None:
    new = SimulatedUser("1100000009", "late")
    async with running() as simulator:
        await call(
            simulator,
            "POST",
            "/control/users",
            json={"client_id": new.client_id, "token": new.token},
        )
        async with feed_client(simulator, new) as client:
            await client.subscribe(FULL, [RELIANCE])
            assert len(await client.packets(1)) == 1


@pytest.mark.parametrize(
    ("subscribe", "unsubscribe", "response"), [(15, 16, 2), (17, 18, 4), (21, 22, 8)]
)
async def test_each_mode_has_its_codes_to_subscribe_and_unsubscribe(
    subscribe: int, unsubscribe: int, response: int
) -> None:
    async with running() as simulator, feed_client(simulator) as client:
        simulator.exchange.pause()
        await client.subscribe(subscribe, [RELIANCE, NIFTY])
        await client.packets(2)
        await simulator.exchange.step(120)
        count = int((simulator.market.prints["second"] <= simulator.exchange.second).sum())
        got = await client.packets(count + 2)
        for other in {16, 18, 22} - {unsubscribe}:
            await client.subscribe(other, [NIFTY])  # of another mode: changes nothing
        await client.subscribe(unsubscribe, [RELIANCE])
        await until(lambda: simulator.feed.subscriptions == 1)

    assert [packet[0] for packet in got] == [7, 7] + [response] * count


async def test_true_utc_trade_times_are_a_switch() -> None:
    async with (
        running(true_utc=True, packets_per_frame=1) as simulator,
        feed_client(simulator) as client,
    ):
        await client.subscribe(TICKER, [RELIANCE])
        await client.packets(1)
        simulator.exchange.open_market()
        first = (await client.packets(3))[-1]
        mine = simulator.market.prints[
            simulator.market.prints["security_id"] == RELIANCE.security_id
        ]

    assert struct.unpack_from("<I", first, 12) == (mine["second"][0],)


@pytest.mark.parametrize("allowed", [True, False])
async def test_numeric_security_ids_are_refused_unless_switched_on(allowed: bool) -> None:
    listed = [{"ExchangeSegment": "NSE_EQ", "SecurityId": RELIANCE.security_id}]
    async with running(numeric_ids=allowed) as simulator, feed_client(simulator) as client:
        await client.socket.send_json(
            {"RequestCode": FULL, "InstrumentCount": 1, "InstrumentList": listed}
        )

        assert (await client.frame())[0] == (6 if allowed else 50)


async def test_in_quote_mode_a_contract_brings_its_open_interest_beside_each_quote() -> None:
    async with running(options=("NIFTY",)) as simulator, feed_client(simulator) as client:
        market = simulator.market
        place = next(at for at, listing in enumerate(market.listings) if listing.contract)
        await client.subscribe(QUOTE, [market.listings[place].id])
        await client.packets(1)
        simulator.exchange.open_market()
        got: list[bytes] = []
        while len(got) < 6:
            got += [packet for packet in split(await client.frame()) if packet[0] != 7]
        mine = market.source.tape(place)

    quotes, interests = packets.quote(mine), packets.open_interest(mine)
    assert mine["open_interest"][0] > 0
    assert got[:6] == [
        packet.tobytes() for pair in zip(quotes[:3], interests[:3], strict=True) for packet in pair
    ]
