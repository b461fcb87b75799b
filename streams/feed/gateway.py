"""The gateway: Dhan's feed into `ats.ticks`.

Its links take in, one pump sends; nothing that was read is dropped. Up to five links (Dhan's limit
per account) share one pump and so one market clock. The pump decodes what has come, hands records
to Kafka, and lets market time be heard. When Kafka is slow, frames and rows gather up to a bound;
then the links stop reading, so that Dhan waits for us and nothing is dropped. Where this stops: a
feed held up for longer than Dhan's patience (40 s) closes, which the gap event tells.
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
from streams.feed.batcher import Batcher, Closed
from streams.feed.config import PER_CONNECTION, GatewayConfig, GatewayMetrics
from streams.feed.connection import Backoff
from streams.feed.decode import Decoded
from streams.feed.events import FeedLog
from streams.feed.link import Link, Token
from streams.feed.tasks import cancel, failure_of
from streams.feed.watchlist import Watchlist, allotted

log = structlog.get_logger(__name__)

MOST_ROWS: Final = 65_536  # rows ahead of Kafka, 3.7 MB
FLOOR: Final = UtcNs.seconds(60)  # live, the market's clock is never further behind the wall's
# seconds between two rounds of records: many small ones cost everyone more than these save
WINDOW: Final = 0.010
CEILING: Final = UtcNs.seconds(5)  # live, a trade further ahead of our clock did not happen


async def run_gateway(
    config: GatewayConfig,
    publisher: Publisher,
    token: Token,
    stop: asyncio.Event,
    metrics: GatewayMetrics | None = None,
    *,
    watchlist: Watchlist | None = None,
    earlier: UtcNs | None = None,
    wall: Callable[[], int] = time.time_ns,
    random: Random | None = None,
) -> None:
    """Run until `stop` is set and everything read is acknowledged by Kafka.

    `token` is asked before every connection, so a renewed token is taken up by itself; `watchlist`
    changes what is watched while it runs (it starts with `config.instruments`); `earlier` is what
    `streams.feed.earlier.last_told` found, and the gap since then is told; `wall` gives UTC ns;
    `random` spreads reconnections.

    Raises:
        Misconfigured: Dhan refused the account (codes 806 to 810) or the address is wrong.
        TryLater: Kafka did not accept a record.
    """
    random = random or Random()  # noqa: S311 (jitter, no secret)
    gateway = _Gateway(config, publisher, metrics or GatewayMetrics(), wall)
    gateway.add_links(token, random)
    await gateway.watch(config.instruments)
    gateway.resume(earlier)
    await gateway.run(stop, watchlist or Watchlist())


class _Gateway:
    """The pump, and what links ask of it (`streams.feed.link.Pump`)."""

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
        shares = allotted(
            tuple(instruments), [link.instruments for link in self._links], PER_CONNECTION
        )
        for link, share in zip(self._links, shares, strict=True):
            await link.carry(share)
        self._metrics.instruments = sum(len(link.instruments) for link in self._links)

    def resume(self, earlier: UtcNs | None) -> None:
        """Let every link that carries something tell what is missing since an earlier life of this gateway."""
        for link in self._links:
            if link.instruments:
                link.resume(earlier)

    # What links ask

    @property
    def clock(self) -> UtcNs:
        return self._batcher.clock

    def wall(self) -> int:
        return self._wall()

    def wake(self) -> None:
        self._wake.set()

    def is_full(self) -> bool:
        return self._batcher.waiting >= MOST_ROWS

    async def moved_on(self) -> None:
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
            await self._say_goodbye(str(failure) if failure else "asked to stop")
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

    async def _say_goodbye(self, why: str) -> None:
        for link in self._links:
            await link.tell_malformed(at_once=True)
            await link.tell(FeedState.STOPPED, why)
        await self._publisher.flush()

    async def _drain(self, pump: asyncio.Task[None]) -> None:
        """Wait until everything read is acknowledged."""
        while not (pump.done() or (self._batcher.idle and all(link.idle for link in self._links))):
            waiting = asyncio.create_task(self.moved_on())
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
                await self._take_in(link)
            round_ = list(self._batcher.due(UtcNs(self._wall())))
            for closed in round_:
                await self._send(closed)
            if time.monotonic() - beat >= self._config.heartbeat:
                beat = time.monotonic()
                await self._beat()
            self._metrics.waiting = self._batcher.waiting
            self._room.set()
            if round_:
                await asyncio.sleep(WINDOW)

    async def _take_in(self, link: Link) -> None:
        found = link.take(self._wall() + CEILING if self._config.live else None)
        if found is None:
            return
        self._count(found)
        if len(found.rows):
            if self._config.live and not self._batcher.clock:
                # old trades come first, sent again to a new subscriber: they must not tell the
                # market's time
                self._batcher.move_clock(self._wall() - FLOOR)
            self._batcher.add(found.rows)
            self._metrics.clock = self._batcher.clock
            self._metrics.last_tick = time.monotonic()
            await link.heard(found.rows)

    def _count(self, found: Decoded) -> None:
        self._metrics.packets += found.packets
        self._metrics.ticks += len(found.rows)
        self._metrics.strangers += found.strangers
        self._metrics.others += found.others
        self._metrics.malformed += len(found.problems)

    async def _beat(self) -> None:
        """Let market time be heard everywhere, and trouble be told."""
        if self._config.live and all(link.listens for link in self._links):
            # while nobody listens, time must not pass: an engine would believe that it saw the
            # market's open
            self._batcher.move_clock(self._wall() - FLOOR)
            self._metrics.clock = self._batcher.clock
        for closed in self._batcher.heartbeats(UtcNs(self._wall())):
            await self._send(closed)
        for link in self._links:
            await link.tell_malformed()

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
