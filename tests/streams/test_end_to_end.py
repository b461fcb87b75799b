"""The real ways: simulator → gateway → Kafka → engine, with drops, cut packets, refusals and
poison.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import sys
from collections import defaultdict
from datetime import date
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from bus.connection import KafkaConnection
from bus.exit import Exit
from bus.publisher import Publisher
from bus.records import Output, Record
from schemas import ticks
from schemas.calendar import Calendar, Holiday
from schemas.calendar_file import exchange_calendar
from schemas.codec import decode
from schemas.depth import BookFault, Depth
from schemas.errors import Misconfigured
from schemas.market import trading_day
from schemas.messages import DeadLetter, FeedState
from schemas.topics import CANDLES, DEAD_LETTER, DEPTH, INDICATORS, SIGNALS, TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.faults import Fault, FaultKind
from streams.engine.engine import Engine
from streams.engine.machine import EngineMachine
from streams.feed import gateway as gateway_module
from streams.feed import link as link_module
from streams.feed.book_sampler import SPAN
from streams.feed.config import Mode
from streams.feed.watchlist import Watchlist
from tests.streams import faults
from tests.streams.conftest import PLAN
from tests.streams.factories import at, random_market, shards, streams_of
from tests.streams.gateways import (
    USER,
    WITHIN,
    a_gateway,
    a_server,
    a_simulator,
    everything,
    feed_of,
    gateways,
    listed,
    until,
)
from tests.streams.test_books import LAST, SOUND, changed, with_levels
from tests.streams.test_decode import NOON, SHARES, head, ltt, quote

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOLIDAY = Calendar(holidays=(Holiday(day=trading_day(UtcNs(NOON))),))
SATURDAY = at("12:00:00", date(2024, 1, 6))


@pytest.mark.parametrize("mode", Mode)
async def test_every_tick_the_simulator_sent_reaches_the_topic_in_order(
    own_kafka: KafkaConnection, mode: Mode
) -> None:
    async with (
        a_simulator() as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator), mode=mode) as gateway,
    ):
        sent = simulator.market.prints
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))

        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks == len(sent))
        await gateway.finish()

        rows = await gateway.rows()
        for listing in simulator.market.listings:
            ours = rows[rows["security_id"] == listing.id.security_id]
            theirs = sent[sent["security_id"] == listing.id.security_id]
            assert (ours["price"] == theirs["price"]).all()
            assert (ours["exchange_time"] == theirs["second"] * 10**9).all()
            if mode is not Mode.TICKER and listing.instrument.tradable:
                assert (ours["volume"] == theirs["volume"]).all()
        assert [event.state for event in await gateway.events()] == [
            FeedState.CONNECTED, FeedState.SUBSCRIBED, FeedState.STOPPED,
        ]  # fmt: skip
        assert gateway.metrics.malformed == gateway.metrics.unsubscribed == 0


async def test_hostile_books_are_named_and_every_tick_beside_them_reaches_the_topic(
    own_kafka: KafkaConnection,
) -> None:
    hostile = [changed(0, bid=float("nan")), changed(0, bid=LAST), changed(1, ask_quantity=2**31)]
    frames = [with_levels(levels, SHARES[0].id) for levels in (SOUND, *hostile)]
    last = quote(SHARES[1].id, when=ltt(NOON + SPAN))  # the time of the books is over

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        for frame in (*frames, with_levels(SOUND, SHARES[2].id), last):
            await socket.send(frame)
        await socket.wait_closed()

    async with (
        a_server(talk) as url,
        a_gateway(own_kafka, url, tuple(SHARES), mode=Mode.FULL) as gateway,
    ):
        await until(lambda: gateway.metrics.ticks == len(frames) + 2)
        await gateway.finish()

        books = [
            each
            for record in await everything(own_kafka, DEPTH)
            for each in decode(Depth, record.value).books
            if each.book.at == NOON
        ]
        assert {each.instrument: each.book.fault for each in books} == {
            SHARES[0].id: BookFault.QUANTITY, SHARES[2].id: None,
        }  # fmt: skip
        assert (gateway.metrics.books, gateway.metrics.bad_books) == (5, 3)
        assert gateway.metrics.malformed == 0


async def test_after_a_reset_it_subscribes_again_and_names_the_gap(
    own_kafka: KafkaConnection,
) -> None:
    async with (
        a_simulator(speed=3_000.0) as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator)) as gateway,
    ):
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks > 200)
        before = gateway.metrics.clock

        assert simulator.feed.drop_all() == 1
        await until(lambda: not gateway.metrics.connected)
        await until(
            lambda: gateway.metrics.connected > 0 and gateway.metrics.clock > before + 10**9
        )
        after = gateway.metrics.ticks
        await until(lambda: gateway.metrics.ticks > after)
        await gateway.finish()

        events = await gateway.events()
        assert [event.state for event in events] == [
            FeedState.CONNECTED, FeedState.SUBSCRIBED, FeedState.DISCONNECTED,
            FeedState.CONNECTED, FeedState.SUBSCRIBED,
            FeedState.GAP, FeedState.STOPPED,
        ]  # fmt: skip
        gap = events[-2]
        assert gap.gap_from is not None
        assert gap.gap_to is not None
        assert before <= gap.gap_from < gap.gap_to
        rows = await gateway.rows()
        assert gap.gap_from in rows["clock"]
        assert not ((rows["clock"] > gap.gap_from) & (rows["clock"] < gap.gap_to)).any()
        assert len(gateway.asked) == 2


async def test_ticks_that_come_without_a_pause_gather_between_rounds_of_records(
    own_kafka: KafkaConnection,
) -> None:
    async with (
        a_simulator(speed=3_000.0) as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator)) as gateway,
    ):
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks > 5_000)
        await gateway.finish()

        batches = [
            (record.partition, ticks.decode(record.value or b""))
            for record in await everything(own_kafka, TICKS)
        ]
        ours = [
            (place, batch) for place, batch in batches if batch.gateway == gateway.config.gateway
        ]
        sent = [
            [b.sent_at for place, b in ours if place == each and len(b.rows)]
            for each in range(PLAN.instrument)
        ]
        pauses = [later - earlier for moments in sent for earlier, later in pairwise(moments)]
        assert len(pauses) > 10
        # a sleep never ends early; the clock of the loop and that of the wall may differ by a
        # little
        assert min(pauses) > 0.9 * gateway_module.FLUSH_INTERVAL * NS_PER_SECOND


async def test_a_packet_cut_short_is_told_and_everything_else_goes_on(
    own_kafka: KafkaConnection,
) -> None:
    async with (
        a_simulator(speed=3_000.0) as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator)) as gateway,
    ):
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks > 100)

        simulator.feed.truncate_next()
        await until(lambda: gateway.metrics.malformed == 1)
        seen = gateway.metrics.ticks
        await until(lambda: gateway.metrics.ticks > seen + 100)
        await gateway.finish()

        (event,) = [event for event in await gateway.events() if event.state is FeedState.MALFORMED]
        assert "is cut short: 45 of 50 bytes" in event.reason
        assert gateway.metrics.connections == 1


@pytest.mark.parametrize("code", [806, 807, 808, 809, 810])
async def test_a_refusal_that_only_a_person_can_mend_stops_the_gateway_with_the_reason(
    own_kafka: KafkaConnection, code: int
) -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.send(quote() + head(50, 10, SHARES[0].id) + struct.pack("<H", code))
        await socket.wait_closed()

    async with a_server(refuse) as url, a_gateway(own_kafka, url, tuple(SHARES)) as gateway:
        with pytest.raises(Misconfigured, match=f"code {code}") as refused:
            await asyncio.wait_for(gateway.task, WITHIN)

        assert USER.token not in str(refused.value)
        assert (await gateway.events())[-1].state is FeedState.STOPPED
        assert f"code {code}" in (await gateway.events())[-1].reason
        assert len(await gateway.rows()) == 1


async def test_too_many_connections_are_answered_with_a_long_pause(
    own_kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    knocks = 0

    async def no_wait(seconds: float, stop: asyncio.Event) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            stop.set()

    def too_many(socket: ServerConnection, _: Request) -> Response:
        nonlocal knocks
        knocks += 1
        return socket.respond(HTTPStatus.TOO_MANY_REQUESTS, "slow down")

    async def never(_: ServerConnection) -> None:
        raise AssertionError("nobody gets in")

    monkeypatch.setattr(link_module, "pause", no_wait)
    async with (
        a_server(never, too_many) as url,
        a_gateway(own_kafka, url, tuple(SHARES)) as gateway,
    ):
        await asyncio.wait_for(gateway.task, WITHIN)

        assert knocks == 3
        assert all(seconds > 60 for seconds in waits)
        events = await gateway.events()
        assert "429" in events[0].reason
        assert not any(USER.token in event.reason for event in events)


async def test_a_feed_that_resets_every_connection_is_tried_more_and_more_slowly(
    own_kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def no_wait(seconds: float, stop: asyncio.Event) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            stop.set()

    async def reset(socket: ServerConnection) -> None:
        socket.transport.abort()

    monkeypatch.setattr(link_module, "pause", no_wait)
    async with a_server(reset) as url, a_gateway(own_kafka, url, tuple(SHARES)) as gateway:
        await asyncio.wait_for(gateway.task, WITHIN)

    assert waits[0] <= 0.5
    assert 15 <= waits[-1] <= 30
    assert all(later > earlier / 2 for earlier, later in pairwise(waits))


async def test_a_silent_feed_in_an_open_session_is_stale_once_and_then_connected_anew(
    own_kafka: KafkaConnection,
) -> None:
    async def one_tick(socket: ServerConnection) -> None:
        await socket.send(quote())
        await socket.wait_closed()

    async with (
        a_server(one_tick) as url,
        a_gateway(own_kafka, url, tuple(SHARES)) as patient,
        a_gateway(
            own_kafka, url, tuple(SHARES), calendar=HOLIDAY, stale_after=0.2, give_up_after=1.2
        ) as resting,
        a_gateway(
            own_kafka,
            url,
            tuple(SHARES),
            live=True,
            wall=lambda: SATURDAY,
            calendar=exchange_calendar(),
            stale_after=0.2,
        ) as weekend,
        a_gateway(own_kafka, url, tuple(SHARES), stale_after=0.2, give_up_after=1.2) as gateway,
    ):
        await until(lambda: gateway.metrics.connections == 2)
        for each in (gateway, patient, resting, weekend):
            await each.finish()

        states = [event.state for event in await gateway.events()]
        assert states[:4] == [
            FeedState.CONNECTED,
            FeedState.SUBSCRIBED,
            FeedState.STALE,
            FeedState.DISCONNECTED,
        ]
        for each in (patient, resting, weekend):
            assert FeedState.STALE not in [event.state for event in await each.events()]


class Clock:
    """A wall clock that a test moves."""

    def __init__(self, moment: int) -> None:
        self.moment = moment

    def __call__(self) -> int:
        return self.moment


async def test_live_the_wall_clock_closes_quiet_bars_but_only_while_a_feed_is_heard(
    own_kafka: KafkaConnection,
) -> None:
    wall, hang_up = Clock(NOON + 10**9), asyncio.Event()

    async def one_tick(socket: ServerConnection) -> None:
        await socket.send(quote() + quote(when=ltt(NOON + 10 * 10**9)))
        await hang_up.wait()

    async def told() -> int:
        batches = [
            ticks.decode(record.value or b"") for record in await everything(own_kafka, TICKS)
        ]
        return max(batch.clock for batch in batches if batch.gateway == gateway.config.gateway)

    async with (
        a_server(one_tick) as url,
        a_gateway(own_kafka, url, tuple(SHARES), live=True, wall=wall) as gateway,
    ):
        await until(lambda: gateway.metrics.ticks == 1)
        assert gateway.metrics.malformed == 1  # the trade nine seconds ahead of the clock

        wall.moment = NOON + 600 * 10**9
        await until(lambda: gateway.metrics.clock == NOON + 540 * 10**9)
        await until(lambda: gateway.metrics.heartbeats >= PLAN.instrument)
        hang_up.set()
        await until(lambda: not gateway.metrics.connected)
        wall.moment = NOON + 6_000 * 10**9
        await gateway.finish()

        assert await told() == NOON + 540 * 10**9


async def test_live_old_trades_of_a_new_subscription_tell_no_time_and_the_morning_is_not_watched(
    own_kafka: KafkaConnection,
) -> None:
    morning, wall = NOON - 3 * 3_600 * 10**9, Clock(NOON)

    async def last_trades(socket: ServerConnection) -> None:
        for share, when in zip(SHARES, (morning, NOON - 10**9), strict=False):
            await socket.send(quote(share.id, when=ltt(when)))
        await socket.wait_closed()

    async with (
        a_server(last_trades) as url,
        a_gateway(own_kafka, url, tuple(SHARES), live=True, wall=wall) as gateway,
    ):
        await until(lambda: gateway.metrics.ticks == 2)
        await gateway.finish()
        rows = await gateway.rows()

    assert rows["clock"].min() >= NOON - gateway_module.MAX_CLOCK_LAG
    noon = UtcNs(NOON).ist()
    assert set(rows["joined"].tolist()) == {noon.hour * 60 + noon.minute + 1}


async def test_a_slow_kafka_makes_the_feed_wait_and_loses_nothing(
    own_kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_BUFFERED_ROWS", 300)
    monkeypatch.setattr(link_module, "MAX_BUFFERED_FRAMES", 4)
    ahead = 0

    class Slow(Publisher):
        async def send(self, output: Output) -> asyncio.Future[Any]:
            nonlocal ahead
            ahead = max(ahead, gateway.metrics.waiting)
            await asyncio.sleep(0.01)
            return await super().send(output)

    async with (
        a_simulator() as simulator,
        Slow(own_kafka) as slow,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator), publisher=slow) as gateway,
    ):
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks == len(simulator.market.prints))
        await gateway.finish()

        assert len(await gateway.rows()) == len(simulator.market.prints)
        # the bound, and the frames that were read before it was reached
        assert 0 < ahead < 300 + 4 * 64


async def test_more_instruments_than_one_connection_carries_are_spread_and_share_one_clock(
    own_kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "PER_CONNECTION", 4)
    async with (
        a_simulator() as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator), connections=2) as gateway,
    ):
        next(gateways)  # the second connection's number
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        assert gateway.metrics.connected == 2

        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks == len(simulator.market.prints))
        await gateway.finish()

        rows = await gateway.rows()
        clocks = [
            ticks.decode(record.value or b"").rows["clock"]
            for record in await everything(own_kafka, TICKS)
            if ticks.decode(record.value or b"").gateway == gateway.config.gateway
        ]  # fmt: skip
        assert len(rows) == len(simulator.market.prints)
        assert all((np.diff(part) >= 0).all() for part in clocks)
        subscribed = [
            event.instruments
            for event in await gateway.events()
            if event.state is FeedState.SUBSCRIBED
        ]
        assert subscribed == [4]  # of the first connection; the rest are on the second


async def test_the_watch_list_changes_while_the_gateway_runs(own_kafka: KafkaConnection) -> None:
    watchlist = Watchlist()
    async with a_simulator(speed=3_000.0) as simulator:
        first, second, *rest = listed(simulator)
        async with a_gateway(
            own_kafka, feed_of(simulator), (first, second), watchlist=watchlist
        ) as gateway:
            await until(lambda: simulator.feed.subscriptions == 2)
            simulator.exchange.open_market()
            await until(lambda: gateway.metrics.ticks > 20)

            watchlist.replace((second, *rest))
            await until(lambda: gateway.metrics.instruments == 1 + len(rest))
            changed = gateway.metrics.clock
            await until(lambda: gateway.metrics.clock > changed + 600 * 10**9)
            await gateway.finish()

        rows = await gateway.rows()
        seen = {
            instrument.symbol: rows[rows["security_id"] == instrument.id.security_id][
                "exchange_time"
            ]
            for instrument in (first, second, rest[0])
        }
        assert seen[first.symbol].max() <= changed < seen[second.symbol].max()
        assert seen[rest[0].symbol].min() > seen[first.symbol].min()
        assert gateway.metrics.connections == 1
        told = [
            event.reason for event in await gateway.events() if event.state is FeedState.SUBSCRIBED
        ]
        assert told == ["", f"{len(rest)} added, 1 removed"]


async def test_a_watch_list_beyond_dhans_limit_is_refused_and_the_old_one_stays(
    own_kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "PER_CONNECTION", 3)
    watchlist = Watchlist()
    async with a_simulator(speed=3_000.0) as simulator:
        few, many = listed(simulator)[:3], listed(simulator)
        async with a_gateway(own_kafka, feed_of(simulator), few, watchlist=watchlist) as gateway:
            await until(lambda: simulator.feed.subscriptions == 3)
            watchlist.replace(many)
            simulator.exchange.open_market()
            await until(lambda: gateway.metrics.ticks > 100)

            assert gateway.metrics.instruments == 3
            await gateway.finish()


async def test_neither_logs_nor_errors_hold_the_token(
    own_kafka: KafkaConnection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def one_tick(socket: ServerConnection) -> None:
        await socket.send(quote())

    async with a_server(one_tick) as url, a_gateway(own_kafka, url, tuple(SHARES)) as gateway:
        await until(lambda: gateway.metrics.connections == 2)
        await gateway.finish()
    async with a_gateway(own_kafka, "http://not-a-websocket", tuple(SHARES)) as gateway:
        with pytest.raises(Misconfigured, match="DHAN_FEED_URL") as refused:
            await gateway.task

    client_lines = [
        record for record in caplog.records if not record.name.startswith("websockets.server")
    ]
    assert client_lines
    assert not any(USER.token in record.getMessage() for record in client_lines)
    assert USER.token not in repr(refused.value)


async def test_a_silence_on_an_open_connection_is_a_gap_even_when_it_ends_by_itself(
    own_kafka: KafkaConnection,
) -> None:
    stall = Fault(FaultKind.STALL, after=300, delay=0.8)
    async with (
        a_simulator(speed=1_000.0, faults=(stall,)) as simulator,
        a_gateway(own_kafka, feed_of(simulator), listed(simulator), stale_after=0.4) as gateway,
    ):
        await until(lambda: simulator.feed.subscriptions == len(simulator.market.listings))
        simulator.exchange.open_market()
        await until(lambda: gateway.metrics.ticks > 400)
        await gateway.finish()

        gaps = [event for event in await gateway.events() if event.state is FeedState.GAP]
        clocks = np.unique((await gateway.rows())["clock"])
        assert gateway.metrics.connections == 1
        assert len(gaps) >= 1  # on a loaded machine the simulator itself may be silent once more
        for gap in gaps:
            assert "on an open connection" in gap.reason
            assert gap.gap_from is not None
            assert gap.gap_from in clocks
            assert gap.gap_to == clocks[np.searchsorted(clocks, gap.gap_from) + 1]


async def test_an_old_trade_sent_again_after_a_reconnect_does_not_end_the_gap(
    own_kafka: KafkaConnection,
) -> None:
    minute = 60 * NS_PER_SECOND
    connections = iter([[quote()], [quote(), quote(when=ltt(NOON + minute))], []])

    async def hang_up(socket: ServerConnection) -> None:
        await socket.recv()
        for packet in next(connections, []):
            await socket.send(packet)
            await asyncio.sleep(0.1)  # each packet in a batch of its own

    async with a_server(hang_up) as url, a_gateway(own_kafka, url, tuple(SHARES)) as gateway:
        await until(lambda: gateway.metrics.ticks == 3)
        await gateway.finish()

        (gap,) = [event for event in await gateway.events() if event.state is FeedState.GAP]
        assert (gap.gap_from, gap.gap_to) == (NOON, NOON + minute)


async def test_what_came_before_the_gateway_gave_up_on_a_silent_feed_is_not_lost(
    own_kafka: KafkaConnection,
) -> None:
    last_words = 64 * quote()

    async def speak_when_left(socket: ServerConnection) -> None:
        await socket.send(quote())
        send_close = socket.protocol.receive_data

        def reply(data: bytes) -> None:
            # the gateway's close: packets already on their way reach it before ours
            if data[0] & 0x0F == 8:
                socket.transport.write(
                    b"\x82\x7e" + len(last_words).to_bytes(2, "big") + last_words
                )
            send_close(data)

        socket.protocol.receive_data = reply  # type: ignore[method-assign]
        await socket.wait_closed()

    async with (
        a_server(speak_when_left) as url,
        a_gateway(own_kafka, url, tuple(SHARES), stale_after=0.1, give_up_after=0.2) as gateway,
    ):
        await until(lambda: gateway.metrics.connections == 2)
        await gateway.finish()

        assert gateway.metrics.ticks >= 65


async def test_no_tick_is_lost_and_every_gap_told_under_thirty_faults(
    own_kafka: KafkaConnection,
) -> None:
    script = faults.a_script(
        30, 5.0, seed=140
    )  # one with every kind: five stalls, six endings, both refused handshakes
    result = await faults.run(own_kafka, script, seed=140)

    assert sum(result.fired.values()) == 30
    assert result.sent > 200
    assert (result.lost, result.invented, result.disordered) == ([], [], 0)
    assert result.malformed == result.cut > 0
    assert result.unsent > 0
    assert result.untold == []


# Last: it leaves a record on the topic that no other test can read.
async def test_the_engine_over_kafka_equals_the_pure_engine_and_poison_becomes_dead_letters(
    own_kafka: KafkaConnection,
) -> None:
    market = random_market(17, 1_500, instruments=6, days=2)
    poison = b"not a micro-batch"
    async with Publisher(own_kafka) as publisher:
        for partition, batches in enumerate(shards(market, PLAN.instrument)):
            for nth, batch in enumerate(batches):
                if nth == 3 and partition == 1:
                    await publisher.send(Output(TICKS, b"1", poison, partition))
                await publisher.send(
                    Output(TICKS, b"%d" % partition, ticks.encode(batch), partition)
                )
        await publisher.flush()
    readable = [record for record in await everything(own_kafka, TICKS) if record.value != poison]
    expected = pure(readable)

    async def told() -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]:
        got: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        for topic in (SIGNALS, CANDLES, INDICATORS):
            for record in await everything(own_kafka, topic):
                got[topic.name, record.partition].append((record.key, record.value))
        return got

    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.streams.engine_process", own_kafka.bootstrap_servers
    )
    async with asyncio.timeout(WITHIN):
        while sum(map(len, (await told()).values())) < sum(map(len, expected.values())):
            assert engine.returncode is None, Exit(engine.returncode)
            await asyncio.sleep(0.2)
    engine.terminate()
    assert await asyncio.wait_for(engine.wait(), WITHIN) == Exit.STOPPED

    got = await told()
    assert got == expected
    assert any(name == SIGNALS.name for name, _ in got)
    letters = [
        decode(DeadLetter, record.value) for record in await everything(own_kafka, DEAD_LETTER)
    ]
    assert [(letter.topic, letter.partition) for letter in letters] == [(TICKS.name, 1)]


def pure(records: list[Record]) -> dict[tuple[str, int], list[tuple[bytes, bytes]]]:
    """What each partition of each topic must hold, computed without Kafka."""
    machines = {partition: EngineMachine(Engine()) for partition in range(PLAN.instrument)}
    outputs: dict[int, list[Output]] = defaultdict(list)
    for record in records:
        outputs[record.partition] += machines[record.partition].apply(record)
    return {
        (name, partition): values
        for partition, made in outputs.items()
        for name, values in streams_of(made).items()
        if values
    }
