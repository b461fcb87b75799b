"""`ats status` and `ats top`: how the platform is doing, read from its topics.

Both join no consumer group and ask no service: what a process that hangs cannot tell, its topics
do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from typing import Final

from rich.console import Console
from rich.live import Live

from ats.commands.tail.command import connection
from ats.gateway.following import TopicsReader
from ats.gateway.lags import lags_of
from ats.gateway.platform import WATCHED, PlatformFold
from ats.gateway.views import json_of
from ats.settings import load
from ats.status.show import screen
from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.reader import read_topics
from executors.charges.rates import shipped_rates
from schemas.topics import TICKS
from schemas.units import UtcNs

LOOK_BACK: Final = UtcNs.minutes(24 * 60)
# of ticks, for their speed and for the latency of the bars that they closed
TICKS_BACK: Final = UtcNs.seconds(60)
REFRESH: Final = 2.0  # seconds between two looks at the groups


async def status(*, as_json: bool) -> None:
    """Print how it stands now: JSON where asked or in a pipe, else tables.

    Raises:
        Misconfigured: no cluster is named and no demo runs, or a topic is missing.
        TryLater: no broker answers.
    """
    kafka, plan = connection(Console(stderr=True)), load().plan()
    fold, _, moment = await _read_up(kafka)
    found = fold.status(moment, await lags_of(kafka, plan))
    if as_json or not sys.stdout.isatty():
        sys.stdout.write(json_of(found).decode() + "\n")
        return
    Console().print(screen(found))


async def top(*, once: bool) -> None:
    """Show it until Ctrl-C, again and again; with `once` a single picture.

    Raises:
        Misconfigured, TryLater: as `status`.
    """
    kafka, plan = connection(Console(stderr=True)), load().plan()
    fold, reader, moment = await _read_up(kafka)
    console = Console()
    following = asyncio.create_task(reader.run(lambda _: None))
    try:
        with Live(console=console, screen=console.is_terminal and not once) as live:
            while not following.done():
                lags = await lags_of(kafka, plan)
                live.update(screen(fold.status(moment, lags)), refresh=True)
                if once:
                    return
                await asyncio.wait({following}, timeout=REFRESH)
                moment = _now()
            following.result()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _read_up(kafka: KafkaConnection) -> tuple[PlatformFold, TopicsReader, UtcNs]:
    """The fold of what stands there, who reads on, and when the newest ticks were read."""
    fold, now = PlatformFold(shipped_rates()), _now()
    reader = TopicsReader(kafka, WATCHED, fold.apply, ShellMetrics())
    ticks = read_topics(kafka, [TICKS], since=UtcNs(now - TICKS_BACK), until_end=True)
    async with aclosing(ticks) as records:
        async for record in records:
            reader.take(record)
    moment = _now()
    await reader.catch_up(UtcNs(now - LOOK_BACK))
    return fold, reader, moment


def _now() -> UtcNs:
    return UtcNs(time.time_ns())
