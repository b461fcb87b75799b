"""Dhan's order side for paper money: one address of this machine, one loop.

It has the order API and the order updates of the simulator, and no market data: that comes from
Dhan. Its market is whatever `show` is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from schemas.errors import TryLater
from schemas.ids import InstrumentId, Segment
from schemas.market import trading_day
from schemas.ticks import Batch
from schemas.units import Price, UtcNs
from simulator.api.rate_limit import RateLimit
from simulator.api.replies import refuse, unknown_path
from simulator.faults import Faults
from simulator.matching.order import OrderSnapshot
from simulator.paper.config import PaperConfig
from simulator.paper.day import PaperDay
from simulator.paper.journal import Journal
from simulator.paper.opening import Opening
from simulator.paper.requests import PaperAccounts, PaperRequest
from simulator.paper.tape import Print
from simulator.refusals import BAD_TOKEN, SERVER_ERROR, TOO_FAST
from simulator.streaming.connection import SocketOptions, Surroundings, connection_numbers
from simulator.streaming.updates import ENDPOINT as UPDATES
from simulator.streaming.updates import UpdateOptions, Updates
from simulator.trading import order_allowances, read_allowances

SHUTDOWN: Final = 2.0  # seconds requests in flight may take to end
MAX_BODY: Final = 1 << 20  # bytes; the largest order is a hundredth
LOOK_EVERY: Final = 0.01  # seconds; a fifth of an order's latency
HOST: Final = "127.0.0.1"
SUFFIX: Final = ".jsonl"

log = structlog.get_logger(__name__)


def _wall_clock() -> UtcNs:
    return UtcNs(time.time_ns())


class PaperServer:
    """Paper trading on one machine; `url` is known after `start`.

    `folder` holds a journal for each day. One process may write there at a time.

    Attributes:
        ticking: From `start` on; it ends only by an error, after which the process has to end.
    """

    def __init__(
        self,
        config: PaperConfig,
        folder: Path,
        *,
        host: str = HOST,
        port: int,
        now: Callable[[], UtcNs] = _wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._folder = folder
        self._host = host
        self._port = port
        self._now = now
        self._accounts = PaperAccounts()
        limits = config.limits
        faults = Faults((), 0, monotonic=monotonic, market_now=lambda: self.day.now)
        sockets = SocketOptions(
            limits.feed_connections, limits.ping_every, limits.drop_after, limits.connection_life
        )
        self._listeners: list[Callable[[OrderSnapshot], None]] = []
        self._updates = Updates(
            self._accounts,
            (),
            UpdateOptions(limits.update_keys, limits.acknowledge_login),
            Surroundings(faults, sockets, monotonic, connection_numbers()),
        )
        self._orders = RateLimit(order_allowances(limits), monotonic)
        self._reads = RateLimit(read_allowances(limits), monotonic)
        self._journal: Journal | None = None
        self._day: PaperDay | None = None
        self._runner: web.AppRunner | None = None
        self.ticking: asyncio.Task[None] | None = None
        self.url = ""

    @property
    def day(self) -> PaperDay:
        """The day in progress. Only after `recover`."""
        assert self._day is not None, "recover() comes first"
        return self._day

    def on_change(self, listener: Callable[[OrderSnapshot], None]) -> None:
        """Call `listener` after every change of an order. Before `recover`."""
        self._listeners.append(listener)

    async def recover(self, ends: Mapping[int, int]) -> Mapping[int, int]:
        """Bring the newest day back; returns the offset of each partition to show next.

        Show what stands there, and then say `caught_up`.

        Without a journal, the tape begins at `ends`: what traded before there were accounts is
        nobody's.

        Raises:
            Misconfigured: the journal cannot be used, or another process writes it.
        """
        for path in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True):
            if await self._read(path):
                break
        else:
            config = self._config
            self._begin(Opening(config.day, config.funds, config.latency, ends))
        self.day.behind = True
        return {**ends, **self.day.positions}

    def caught_up(self) -> None:
        """What traded before our start has been shown: time may pass."""
        self.day.behind = False
        self._roll()

    def pass_over(self, partition: int, offset: int) -> None:
        """A record of the tape holds no prints."""
        self.day.positions[partition] = max(self.day.positions.get(partition, 0), offset + 1)

    async def start(self) -> None:
        """Bind the port. After `caught_up`.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_get(UPDATES, self._updates.serve)
        app.router.add_route("*", "/v2/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self.url = f"http://{self._host}:{self._runner.addresses[0][1]}"
        self.ticking = asyncio.create_task(self._tick(), name="paper time")
        log.info("paper.listening", url=self.url, day=self.day.day.isoformat())

    async def stop(self) -> None:
        """Close every connection and let go of the journal."""
        if self.ticking is not None:
            self.ticking.cancel()
            await asyncio.gather(self.ticking, return_exceptions=True)
        await self._updates.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._journal is not None:
            self._journal.close()

    async def show(self, partition: int, offset: int, batch: Batch) -> None:
        """Take one record of the tape in. Showing it twice changes nothing."""
        await self.day.show(partition, offset, read_prints(batch))
        self.day.heard(batch.clock)
        self.day.settle()
        self._roll()

    async def _tick(self) -> None:
        while True:
            self._roll()
            await self.day.let_time_pass()
            self.day.settle()
            if self._journal is not None and self._journal.broken:
                raise TryLater(f"{self._journal.path} could not be written")
            await asyncio.sleep(LOOK_EVERY)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        found = self.day.routes.find(request.method, request.path)
        if found is None:
            return await unknown_path(request)
        token = request.headers.get("access-token", "")
        account = self._accounts.holder(token, request.headers.get("client-id"))
        if account is None:
            return refuse(BAD_TOKEN)
        route, parts = found
        limit = self._orders if route.trades else self._reads
        if not limit.allows(account.client_id):
            return refuse(TOO_FAST)
        body = await request.read()
        asked = PaperRequest(
            account.client_id, route.name, parts, dict(request.query), body, request.remote
        )
        try:
            self._roll()
            reply = await self.day.ask(asked)
            self.day.settle()
        except TryLater:
            log.exception("paper.not_written")
            return refuse(SERVER_ERROR)
        return reply

    # Days

    def _roll(self) -> None:
        """Begin the next day when its time has come, and this one's tape has been read."""
        if self.day.behind:
            return
        today = trading_day(self.day.now if self._config.market_clock else self._now())
        if today > self.day.day:
            opening = self.day.closing(today)
            assert self._journal is not None, "a day has a journal"
            self._journal.close()
            self._begin(opening)

    def _begin(self, opening: Opening) -> None:
        journal = Journal(self._folder / f"{opening.day.isoformat()}{SUFFIX}")
        journal.append(opening.entry())
        journal.sync()
        self._open(opening, journal)
        self._listen()

    async def _read(self, path: Path) -> bool:
        """Bring back the day that `path` is of; False when it died before its first line."""
        journal = Journal(path)
        entries = journal.entries()
        first = next(entries, None)
        if first is None:
            journal.close()  # its first line is written again
            return False
        self._open(Opening.read(first), journal)
        await self.day.recover(entries)
        self._listen()
        log.info("paper.recovered", day=self.day.day.isoformat(), orders=len(self.day.book.all()))
        return True

    def _listen(self) -> None:
        for listener in (self._updates.tell, *self._listeners):
            self.day.on_change(listener)

    def _open(self, opening: Opening, journal: Journal) -> None:
        self._journal = journal
        self._day = PaperDay(opening, self._config, journal, self._now)


def read_prints(batch: Batch) -> list[Print]:
    """The rows of a record of `ats.ticks` as prints, in their order."""
    rows = batch.rows
    columns = (
        rows[name].tolist()
        for name in (
            "segment", "security_id", "price", "volume", "last_quantity", "exchange_time",
            "received_at", "clock",
        )
    )  # fmt: skip
    return [
        Print(
            InstrumentId(_SEGMENTS[segment], number),
            Price(price),
            volume,
            quantity,
            UtcNs(traded_at),
            UtcNs(received_at),
            UtcNs(clock),
        )
        for segment, number, price, volume, quantity, traded_at, received_at, clock in zip(
            *columns, strict=True
        )
    ]


_SEGMENTS: Final = {segment.code: segment for segment in Segment}
