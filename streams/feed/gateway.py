"""The gateway: Dhan's feed into `ats.ticks`, and its order books into `ats.depth`.

Links read, one pump sends; nothing that was read is dropped. Up to five links (Dhan's limit per
account) share one pump and so one market clock. The pump decodes what has come, hands records to
Kafka, and publishes the market's time. When Kafka is slow, frames and rows gather up to a bound;
then the links stop reading, so that Dhan waits for us and nothing is dropped. Where this stops:
Dhan closes a feed that is held up for longer than 40 s, and a gap event names the span.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from bus.publisher import Publisher
from bus.records import Output
from schemas.errors import Misconfigured
from schemas.market import Instrument
from schemas.messages import FeedState
from schemas.ticks import encode
from schemas.topics import TICKS
from schemas.units import UtcNs
from streams.feed.batcher import Batcher, FinishedBatch
from streams.feed.book_sampler import BookSampler
from streams.feed.books import bad
from streams.feed.config import PER_CONNECTION, GatewayConfig, GatewayMetrics
from streams.feed.decode import Decoded
from streams.feed.events import FeedLog
from streams.feed.handshake import Backoff
from streams.feed.link import Link, Token
from streams.feed.packets import Code
from streams.feed.tasks import cancel, failure_of
from streams.feed.watchlist import Watchlist, allocate

log = structlog.get_logger(__name__)

MAX_BUFFERED_ROWS: Final = 65_536  # rows ahead of Kafka, 3.7 MB
# live, the market's clock is never further behind the wall's
MAX_CLOCK_LAG: Final = UtcNs.seconds(60)
# seconds between two rounds of records: many small ones cost everyone more than these save
FLUSH_INTERVAL: Final = 0.010
# live, a trade further ahead of our clock did not happen
MAX_CLOCK_LEAD: Final = UtcNs.seconds(5)


async def run_gateway(
    config: GatewayConfig,
    publisher: Publisher,
    token: Token,
    stop: asyncio.Event,
    metrics: GatewayMetrics | None = None,
    *,
    watchlist: Watchlist | None = None,
    previous: UtcNs | None = None,
    wall: Callable[[], int] = time.time_ns,
    random: Random | None = None,
) -> None:
    """Run until `stop` is set and everything read is acknowledged by Kafka.

    `token` is asked before every connection, so a renewed token is taken up by itself; `watchlist`
    changes what is watched while it runs (it starts with `config.instruments`); `previous` is what
    `streams.feed.previous_run.last_clock` found, and the gap since then is published; `wall` gives
    UTC ns; `random` spreads reconnections.

    Raises:
        Misconfigured: Dhan refused the account (codes 806 to 810) or the address is wrong.
        TryLater: Kafka did not accept a record.
    """
    random = random or Random()  # noqa: S311 (jitter, no secret)
    gateway = _Gateway(config, publisher, metrics or GatewayMetrics(), wall)
    gateway.add_links(token, random)
    await gateway.watch(config.instruments)
    gateway.resume(previous)
    await gateway.run(stop, watchlist or Watchlist())


class _Gateway:
    """The pump, and what links need of it (`streams.feed.link.FeedSink`)."""

    def __init__(
        self,
        config: GatewayConfig,
        publisher: Publisher,
        metrics: GatewayMetrics,
        wall: Callable[[], int],
    ) -> None:
        self._config = config
        self._publisher = publisher
        self._metrics = metrics
        self._wall = wall
        self._batcher = Batcher(config.partitions, config.gateway)
        self._books = BookSampler(
            config.partitions, config.gateway, UtcNs(wall()), live=config.live
        )
        self._links: list[Link] = []
        self._wake = asyncio.Event()  # something for the pump
        self._room = asyncio.Event()  # the pump has caught up

    def add_links(self, token: Token, random: Random) -> None:
        started = UtcNs(self._wall())
        for nth in range(self._config.connections):
            events = FeedLog(self._publisher, self._config.gateway + nth, started)
            link = Link(
                self._config,
                self,
                token,
                events=events,
                metrics=self._metrics,
                backoff=Backoff(random, self._config.cool_off, self._config.longest_wait),
            )
            self._links.append(link)

    async def watch(self, instruments: Iterable[Instrument]) -> None:
        """Give every link its share; an instrument stays where it is."""
        shares = allocate(
            tuple(instruments), [link.instruments for link in self._links], PER_CONNECTION
        )
        for link, share in zip(self._links, shares, strict=True):
            await link.set_subscriptions(share)
        self._metrics.instruments = sum(len(link.instruments) for link in self._links)

    def resume(self, previous: UtcNs | None) -> None:
        """Every link that carries something looks for a gap since the previous run's last clock."""
        for link in self._links:
            if link.instruments:
                link.resume(previous)

    # For links: the FeedSink

    @property
    def clock(self) -> UtcNs:
        return self._batcher.clock

    def wall(self) -> int:
        return self._wall()

    def wake(self) -> None:
        self._wake.set()

    def is_full(self) -> bool:
        return self._batcher.waiting >= MAX_BUFFERED_ROWS

    async def wait_for_progress(self) -> None:
        self._room.clear()
        await self._room.wait()

    # The whole

    async def run(self, stop: asyncio.Event, watchlist: Watchlist) -> None:
        readers = [
            asyncio.create_task(link.keep_connected(stop), name="feed link") for link in self._links
        ]
        readers.append(asyncio.create_task(self._follow(watchlist), name="feed watch list"))
        pump = asyncio.create_task(self._pump(), name="feed pump")
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*readers, pump, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for reader in readers:
                await cancel(reader)
            if not pump.done():
                await self._drain(pump)
        finally:
            for task in (stopped, pump, *readers):
                await cancel(task)
        failure = next((error for task in (pump, *readers) if (error := failure_of(task))), None)
        if not failure_of(pump):
            await self._emit_stopped(str(failure) if failure else "asked to stop")
        if failure:
            raise failure

    async def _follow(self, watchlist: Watchlist) -> None:
        async for instruments in watchlist.changes():
            try:
                await self.watch(instruments)
            except Misconfigured as error:
                log.error(
                    "watch_list_refused",
                    reason=str(error),
                    still_watching=self._metrics.instruments,
                )

    async def _emit_stopped(self, why: str) -> None:
        for link in self._links:
            await link.emit_malformed(at_once=True)
            await link.emit(FeedState.STOPPED, why)
        await self._publisher.flush()

    async def _drain(self, pump: asyncio.Task[None]) -> None:
        """Wait until everything read is acknowledged."""
        while not (pump.done() or (self._batcher.idle and all(link.idle for link in self._links))):
            waiting = asyncio.create_task(self.wait_for_progress())
            await asyncio.wait({pump, waiting}, return_when=asyncio.FIRST_COMPLETED)
            await cancel(waiting)

    # The pump

    async def _pump(self) -> None:
        beat = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    max(0.0, beat + self._config.heartbeat - time.monotonic())
                ):
                    await self._wake.wait()
            self._wake.clear()
            for link in self._links:
                await self._ingest(link)
            for output in self._books.due(self._now()):
                await self._publisher.send(output)
            round_ = list(self._batcher.due(UtcNs(self._wall())))
            for finished in round_:
                await self._send(finished)
            if time.monotonic() - beat >= self._config.heartbeat:
                beat = time.monotonic()
                await self._beat()
            self._metrics.waiting = self._batcher.waiting
            self._room.set()
            if round_:
                await asyncio.sleep(FLUSH_INTERVAL)

    async def _ingest(self, link: Link) -> None:
        found = link.take(self._wall() + MAX_CLOCK_LEAD if self._config.live else None)
        if found is None:
            return
        self._count(found)
        if len(found.rows):
            if self._config.live and not self._batcher.clock:
                # old trades come first, sent again to a new subscriber: they must not set the
                # market's time
                self._batcher.move_clock(self._wall() - MAX_CLOCK_LAG)
            self._batcher.add(found.rows)
            if found.books is not None:
                self._books.add(found.rows, found.books)
            self._metrics.clock = self._batcher.clock
            self._metrics.last_tick = time.monotonic()
            await link.on_accepted(found.rows)

    def _now(self) -> int:
        """Market time."""
        return self._wall() if self._config.live else self._batcher.clock

    def _count(self, found: Decoded) -> None:
        self._metrics.packets += found.packets
        self._metrics.ticks += len(found.rows)
        self._metrics.unsubscribed += found.unsubscribed
        self._metrics.ignored += found.ignored
        self._metrics.malformed += len(found.problems)
        if found.books is not None:
            self._metrics.books += int((found.rows["mode"] == Code.FULL).sum())
            self._metrics.bad_books += int(bad(found.books).sum())

    async def _beat(self) -> None:
        """Publish the market's time to idle partitions, and what could not be read."""
        if self._config.live and all(link.listens for link in self._links):
            # while nobody listens, time must not pass: an engine would believe that it saw the
            # market's open
            self._batcher.move_clock(self._wall() - MAX_CLOCK_LAG)
            self._metrics.clock = self._batcher.clock
        for finished in self._batcher.heartbeats(UtcNs(self._wall())):
            await self._send(finished)
        for link in self._links:
            await link.emit_malformed()

    async def _send(self, finished: FinishedBatch) -> None:
        partition, batch = finished
        output = Output(TICKS, str(partition).encode(), encode(batch), partition)
        sent = await self._publisher.send(output)
        sent.add_done_callback(lambda _: self._acknowledged(partition))
        self._metrics.records += 1
        self._metrics.heartbeats += not len(batch.rows)

    def _acknowledged(self, partition: int) -> None:
        """Also when it failed: then the next send of the publisher raises, and the gateway ends."""
        self._batcher.acknowledged(partition)
        self._wake.set()
