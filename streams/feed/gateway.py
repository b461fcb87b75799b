"""The gateway: one connection to Dhan's feed in, records of `ats.ticks` out.

Two tasks share a queue of frames. The reader keeps a connection open and takes frames from it; the pump decodes what has
come, hands records to Kafka, and lets market time be heard. When Kafka is slow the queue fills and the reader stops
reading, so that Dhan waits for us and nothing is dropped. Where this stops: a feed held up for longer than Dhan's patience
(40 s) closes, which the gap event tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection

from bus.publisher import Publisher
from bus.records import Output
from schemas.errors import Misconfigured
from schemas.market import session_of, trading_day
from schemas.messages import FeedState
from schemas.ticks import Rows, encode
from schemas.topics import TICKS
from schemas.units import UtcNs
from streams.feed.batcher import Batcher, Closed
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.connection import Backoff, Ending, ending_by, ending_of, open_feed, pause, subscriptions
from streams.feed.decode import Arrival, Decoder
from streams.feed.events import FeedLog

log = structlog.get_logger(__name__)

MOST_FRAMES: Final = 512  # frames read ahead of the pump
MOST_ROWS: Final = 65_536  # rows ahead of Kafka, 3.7 MB
FLOOR: Final = UtcNs.seconds(60)  # live, the market's clock is never further behind the wall's
CEILING: Final = UtcNs.seconds(5)  # live, a trade further ahead of our clock did not happen
TELL_MALFORMED_EVERY: Final = 1.0  # seconds: a flood of garbage is one event a second with a count
WATCH_EVERY: Final = 0.5

Token = Callable[[], Awaitable[str]]


async def run_gateway(
    config: GatewayConfig,
    publisher: Publisher,
    token: Token,
    stop: asyncio.Event,
    metrics: GatewayMetrics | None = None,
    *,
    wall: Callable[[], int] = time.time_ns,
    random: Random | None = None,
) -> None:
    """Run until `stop` is set and everything read is acknowledged by Kafka.

    `token` is asked before every connection, so a renewed token is taken up by itself; `wall` gives UTC ns; `random`
    spreads reconnections.

    Raises:
        Misconfigured: Dhan refused the account (codes 806 to 810) or the address is wrong.
        TryLater: Kafka did not accept a record.
    """
    backoff = Backoff(random or Random())  # noqa: S311 (jitter, no secret)
    gateway = _Gateway(config, publisher, token, metrics=metrics or GatewayMetrics(), wall=wall, backoff=backoff)
    await gateway.run(stop)


class _Gateway:
    def __init__(
        self,
        config: GatewayConfig,
        publisher: Publisher,
        token: Token,
        *,
        metrics: GatewayMetrics,
        wall: Callable[[], int],
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._publisher = publisher
        self._token = token
        self._metrics = metrics
        self._wall = wall
        self._backoff = backoff
        self._events = FeedLog(publisher, config.gateway, UtcNs(wall()))
        self._decoder = Decoder(config.instruments)
        self._batcher = Batcher(config.partitions, config.gateway)
        self._arrivals: list[Arrival] = []
        self._wake = asyncio.Event()  # something for the pump
        self._room = asyncio.Event()  # the pump has caught up
        self._goodbye: int | None = None
        self._heard = False  # anything on this connection; before that the token may be a bad one
        self._lost_at: UtcNs | None = None  # market clock when the last connection broke
        self._stale = False
        self._malformed: list[str] = []
        self._told_malformed = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        reader = asyncio.create_task(self._keep_connected(stop), name="feed reader")
        pump = asyncio.create_task(self._pump(), name="feed pump")
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({reader, pump, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await _cancel(reader)
            if not pump.done():
                await self._drain(pump)
        finally:
            await _cancel(stopped)
            await _cancel(pump)
        failure = _failure(pump) or _failure(reader)
        if not _failure(pump):
            await self._tell_malformed()
            await self._tell(FeedState.STOPPED, str(failure) if failure else "asked to stop")
            await self._publisher.flush()
        if failure:
            raise failure

    async def _drain(self, pump: asyncio.Task[None]) -> None:
        """Wait until everything read is acknowledged."""
        while not (pump.done() or (self._batcher.idle and not self._arrivals)):
            self._room.clear()
            waiting = asyncio.create_task(self._room.wait())
            await asyncio.wait({pump, waiting}, return_when=asyncio.FIRST_COMPLETED)
            await _cancel(waiting)

    # The reader

    async def _keep_connected(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            ending = await self._one_connection()
            await self._tell(FeedState.DISCONNECTED, ending.reason)
            if ending.fatal:
                raise Misconfigured(ending.reason)
            await pause(self._backoff.wait(ending), stop)

    async def _one_connection(self) -> Ending:
        """Connect, subscribe and read until the connection ends; returns why it did."""
        self._goodbye = None
        self._heard = False
        try:
            ending = await self._converse()
        except Exception as error:  # noqa: BLE001 (sorted by ending_of, which raises what is not the network's)
            ending = ending_of(error)
        await self._caught_up()  # a disconnect packet, or ticks before the gap, may still wait for the pump
        self._metrics.connected = False
        self._lost_at = self._lost_at or self._batcher.clock or None
        return self._last_word() or ending

    async def _converse(self) -> Ending:
        socket = await open_feed(self._config, await self._token())
        try:
            self._metrics.connected = True
            self._metrics.connections += 1
            await self._tell(FeedState.CONNECTED)
            await self._subscribe(socket)
            return await self._read(socket)
        finally:
            await socket.close()

    def _last_word(self) -> Ending | None:
        return None if self._goodbye is None else ending_by(self._goodbye)

    async def _subscribe(self, socket: ClientConnection) -> None:
        for message in subscriptions(self._config.instruments, self._config.mode):
            await socket.send(message)
        await self._tell(FeedState.SUBSCRIBED, instruments=len(self._config.instruments))

    async def _read(self, socket: ClientConnection) -> Ending:
        self._metrics.last_tick = time.monotonic()
        watch = asyncio.create_task(self._watch(), name="feed watch")
        frames = asyncio.create_task(self._take_frames(socket), name="feed frames")
        try:
            await asyncio.wait({watch, frames}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(frames)
            await _cancel(watch)
        if error := _failure(frames):
            raise error
        return watch.result()

    async def _take_frames(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv()
            if isinstance(frame, str):
                frame = frame.encode()  # Dhan sends no text; the decoder will say what it makes of it
            self._metrics.frames += 1
            self._arrivals.append(Arrival(frame, self._wall()))
            self._wake.set()
            if self._full():
                await self._caught_up()

    def _full(self) -> bool:
        return len(self._arrivals) >= MOST_FRAMES or self._batcher.waiting >= MOST_ROWS

    async def _caught_up(self) -> None:
        while self._arrivals or self._full():
            self._room.clear()
            await self._room.wait()

    async def _watch(self) -> Ending:
        """Return when the connection has to end: Dhan said goodbye, or nothing has come for too long."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if goodbye := self._last_word():
                return goodbye
            silence = time.monotonic() - self._metrics.last_tick
            if silence < self._config.stale_after or not self._market_is_open():
                continue
            if not self._stale:
                self._stale = True
                await self._tell(FeedState.STALE, f"no tick for {silence:.0f} s")
            if silence > self._config.give_up_after:
                return Ending(f"no tick for {silence:.0f} s, connecting anew")

    def _market_is_open(self) -> bool:
        now = self._wall() if self._config.live else self._batcher.clock
        return now in session_of(trading_day(now))

    # The pump

    async def _pump(self) -> None:
        beat = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, beat + self._config.heartbeat - time.monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            await self._take_in()
            for closed in self._batcher.due(UtcNs(self._wall())):
                await self._send(closed)
            if time.monotonic() - beat >= self._config.heartbeat:
                beat = time.monotonic()
                await self._beat()
            self._metrics.waiting = self._batcher.waiting
            self._room.set()

    async def _take_in(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        if not arrivals:
            return
        latest = self._wall() + CEILING if self._config.live else None
        found = self._decoder.decode(arrivals, latest=latest)
        self._heard = self._heard or found.packets > 0
        self._metrics.packets += found.packets
        self._metrics.strangers += found.strangers
        self._metrics.others += found.others
        self._metrics.malformed += len(found.problems)
        self._malformed += found.problems
        if found.goodbye is not None:
            self._goodbye = found.goodbye
        if len(found.rows):
            await self._take_rows(found.rows)

    async def _take_rows(self, rows: Rows) -> None:
        self._batcher.add(rows)
        self._metrics.ticks += len(rows)
        self._metrics.clock = self._batcher.clock
        self._metrics.last_tick = time.monotonic()
        self._stale = False
        self._backoff.succeeded()
        if self._lost_at is not None:
            gap = self._lost_at, UtcNs(rows["clock"][0])
            self._lost_at = None
            await self._tell(FeedState.GAP, "ticks between two connections may be missing", gap=gap)

    async def _beat(self) -> None:
        """Let market time be heard everywhere, and trouble be told."""
        if self._config.live and self._metrics.connected and self._heard:
            # while nobody listens, time must not pass: an engine would believe that it saw the market's open
            self._batcher.move_clock(self._wall() - FLOOR)
            self._metrics.clock = self._batcher.clock
        for closed in self._batcher.heartbeats(UtcNs(self._wall())):
            await self._send(closed)
        if time.monotonic() - self._told_malformed >= TELL_MALFORMED_EVERY:
            await self._tell_malformed()

    async def _tell_malformed(self) -> None:
        if not self._malformed:
            return
        problems, self._malformed = self._malformed, []
        self._told_malformed = time.monotonic()
        await self._tell(FeedState.MALFORMED, problems[0], packets=len(problems))

    async def _send(self, closed: Closed) -> None:
        partition, batch = closed
        output = Output(TICKS, str(partition).encode(), encode(batch), partition)
        sent = await self._publisher.send(output)
        sent.add_done_callback(lambda _: self._acknowledged(partition))
        self._metrics.records += 1
        self._metrics.heartbeats += not len(batch.rows)

    def _acknowledged(self, partition: int) -> None:
        """Also when it failed: then the next send of the publisher raises, and the gateway ends."""
        self._batcher.acknowledged(partition)
        self._wake.set()

    async def _tell(self, state: FeedState, reason: str = "", **more: Any) -> None:
        await self._events.tell(state, self._batcher.clock, reason, **more)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """End a task and wait for it; its own failure stays in it for `_failure`."""
    task.cancel()
    await asyncio.wait({task})


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() or not task.done() else task.exception()
