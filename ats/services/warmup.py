"""`ats warm-up`: past bars into `ats.ticks`, so that indicators are ready at the open."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing

import structlog
from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ats.services.calendars import calendar_of, no_session, with_auction_shares
from ats.services.context import (
    Context,
    credentials_of,
    instrument_master,
    symbols_of,
    trading_date,
    universe_of,
)
from ats.services.manifests.common import log_of
from ats.services.manifests.ticks import warm_up_inputs
from ats.settings import Settings
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.topics import check_topics
from dhan.history import History
from dhan.rate_limiter import RateLimiter
from dhan.transport import BaseUrl, open_client
from schemas import topics
from schemas.calendar import Calendar
from schemas.errors import Misconfigured
from schemas.units import UtcNs
from streams.warmup.candle_history import CandleHistory
from streams.warmup.service import WarmUpPlan, WarmUpReport, warm_up

log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Collect and write; ends by itself.

    Instruments whose history does not come start cold, and are named.
    """
    settings = context.settings
    connection = settings.kafka()
    await check_topics(connection, settings.plan(), (topics.TICKS, topics.CANDLES))
    master = await instrument_master(settings)
    instruments, calendar = (
        universe_of(master, symbols_of(settings)),
        with_auction_shares(calendar_of(settings), master),
    )
    plan = WarmUpPlan(
        instruments, _until(settings, calendar), settings.ats_instrument_partitions, calendar
    )
    inputs = warm_up_inputs(settings, instruments, master, calendar)
    await log_of(connection, settings, "warm-up").record(inputs)
    async with AsyncExitStack() as stack:
        bar = stack.enter_context(_progress())
        reading = bar.add_task("reading ats.candles", total=None)
        candle_history = CandleHistory()
        candles = read_topics(connection, [topics.CANDLES], since="start", until_end=True)
        await candle_history.read_all(await stack.enter_async_context(aclosing(candles)))
        bar.remove_task(reading)
        writing = bar.add_task("past bars", total=len(instruments))
        archive = await _archive(settings, stack)
        publisher = await stack.enter_async_context(Publisher(connection))
        report = await warm_up(
            plan,
            candle_history,
            archive,
            publisher,
            pace=RateLimiter(clock=time.monotonic),
            wall=time.time_ns,
            progress=lambda done: bar.update(writing, completed=done),
        )
    _tell(report, len(instruments))


def _until(settings: Settings, calendar: Calendar) -> UtcNs:
    """Where history ends: now when live, the session's open in a replay."""
    if settings.ats_clock == "wall" and settings.ats_trading_date is None:
        return UtcNs(time.time_ns())
    day = trading_date(settings)
    session = calendar.session(day)
    if session is None:
        raise Misconfigured(
            f"nothing to warm up for: {no_session(calendar, day)}; see ATS_TRADING_DATE"
        )
    return session.open


async def _archive(settings: Settings, stack: AsyncExitStack) -> History | None:
    if not settings.admin_dhan_access_token.get_secret_value():
        return None
    http = await stack.enter_async_context(open_client())
    return History(http, BaseUrl.parse(settings.dhan_data_url), credentials_of(settings))


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _tell(report: WarmUpReport, instruments: int) -> None:
    for instrument, why in list(report.cold.items())[:20]:
        log.warning("starts_cold", instrument=str(instrument), reason=why)
    log.info(
        "warmed_up",
        instruments=instruments,
        cold=len(report.cold),
        bars=report.bars,
        requests=report.requests,
    )
