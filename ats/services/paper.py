"""`ats paper`: paper orders at DHAN_ORDER_URL, filled by what trades on `ats.ticks`."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog

from ats.services.calendars import announce, calendar_of, with_auction_shares
from ats.services.context import Context, instrument_master, trading_date
from ats.services.manifests.common import log_of
from ats.services.manifests.orders import paper_inputs
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.metrics import COUNTER
from bus.reader import ends_of, read_topics
from bus.records import Record, TopicPartition
from bus.topics import check_topics
from dhan.transport import OrderUrl
from schemas import history, ticks
from schemas.errors import Misconfigured, Unreadable
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from simulator.matching.enums import Change
from simulator.matching.order import OrderSnapshot
from simulator.paper.config import PaperConfig
from simulator.paper.server import PaperServer

log = structlog.get_logger(__name__)

FOLDER: Final = "paper"  # in ATS_STATE_DIR: the journals
API: Final = "/v2"  # where Dhan's order API begins


@dataclass(slots=True)
class PaperMetrics:
    """Counters of one process; what was done before a restart is not counted again.

    Attributes:
        orders: Accepted, exits of super orders included.
        fills: Trades of paper orders.
        records: Of `ats.ticks` taken in.
        clock: The market clock of the last of them, UTC ns; when it stands still, nothing fills.
    """

    orders: int = field(default=0, metadata=COUNTER)
    fills: int = field(default=0, metadata=COUNTER)
    records: int = field(default=0, metadata=COUNTER)
    clock: UtcNs = field(default=UtcNs(0))

    def changed(self, order: OrderSnapshot) -> None:
        self.orders += order.change is Change.PLACED
        self.fills += order.change is Change.TRADED

    def read(self, batch: ticks.Batch) -> None:
        self.records += 1
        self.clock = batch.clock


async def run(context: Context) -> None:
    """Trade on paper until told to stop."""
    settings, metrics = context.settings, PaperMetrics()
    context.records.append(metrics)
    host, port = address_of(settings)
    connection = settings.kafka()
    await check_topics(connection, settings.plan(), (TICKS,))
    config, folder = await config_of(settings), settings.ats_state_dir / FOLDER
    await log_of(connection, settings, "paper").record(paper_inputs(settings, config))
    server = PaperServer(config, folder, host=host, port=port)
    server.on_change(metrics.changed)
    try:
        begin = await server.recover(await ends_of(connection, TICKS))
        tape = _Tape(connection, server, metrics, dict(begin))
        await tape.read(until_end=True)
        server.caught_up()
        try:
            await server.start()
        except OSError as error:
            raise Misconfigured(
                f"DHAN_ORDER_URL={settings.dhan_order_url} cannot be had: "
                f"{os.strerror(error.errno or 0)}; name another port, or end what listens there"
            ) from None
        reading = asyncio.create_task(tape.read(until_end=False), name="paper tape")
        assert server.ticking is not None, "it ticks from its start on"
        await _until_stopped(context.stop, reading, server.ticking)
    finally:
        await server.stop()


async def _until_stopped(stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Wait for the first of them to end, end the others, and raise what one of them raised."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, *tasks):
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def address_of(settings: Settings) -> tuple[str, int]:
    """Host and port of DHAN_ORDER_URL, which are this machine's.

    Raises:
        Misconfigured: paper trading is not what the settings ask for, or it is not at such an
            address.
    """
    if settings.ats_mode != "paper":
        raise Misconfigured(
            f"ATS_MODE={settings.ats_mode} places real orders, which `ats paper` does not: set "
            "ATS_MODE=paper"
        )
    parts = urlsplit(OrderUrl.parse(settings.dhan_order_url).url)
    if parts.scheme != "http" or parts.path != API or not parts.port or not parts.hostname:
        raise Misconfigured(
            f"DHAN_ORDER_URL={settings.dhan_order_url} is no address that `ats paper` can listen "
            f"at: write http://127.0.0.1:PORT{API}"
        )
    return parts.hostname, parts.port


async def config_of(settings: Settings) -> PaperConfig:
    """Instruments and hours as every service sees them, and the paper accounts' own terms."""
    master = await instrument_master(settings)
    calendar = with_auction_shares(calendar_of(settings), master)
    announce(calendar, settings)
    return PaperConfig(
        instruments=master.by_id,
        calendar=calendar,
        day=trading_date(settings),
        funds=Paise.from_rupees(settings.ats_paper_funds_rupees),
        latency=UtcNs(settings.ats_paper_latency_ms * NS_PER_SECOND // 1_000),
        market_clock=settings.ats_clock == "market",
    )


@dataclass(slots=True)
class _Tape:
    """`ats.ticks`, shown to the server; `position` is the offset of each partition to read next."""

    connection: KafkaConnection
    server: PaperServer
    metrics: PaperMetrics
    position: dict[int, int]

    async def read(self, *, until_end: bool) -> None:
        """Go on where it stopped, to the end of now or for ever."""
        since = {TopicPartition(TICKS.name, at): next_ for at, next_ in self.position.items()}
        records = read_topics(self.connection, (TICKS,), since=since, until_end=until_end)
        async with aclosing(records):
            async for record in records:
                await self._take(record)
                self.position[record.partition] = record.offset + 1
                await asyncio.sleep(0)  # orders come in between records

    async def _take(self, record: Record) -> None:
        value = record.value or b""
        if history.is_history(value):
            self.server.pass_over(record.partition, record.offset)
            return
        try:
            batch = ticks.decode(value)
        except Unreadable as error:  # the engine buries it
            log.warning("ticks_unreadable", record=str(record), reason=error.reason)
            self.server.pass_over(record.partition, record.offset)
            return
        await self.server.show(record.partition, record.offset, batch)
        self.metrics.read(batch)
