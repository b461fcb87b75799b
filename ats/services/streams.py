"""`ats streams`: ticks into candles, indicators and signals."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import structlog

from ats.runtime.metrics import Figure, Health
from ats.services.calendars import announce, calendar_of, whole_calendar
from ats.services.context import Context
from ats.services.manifests.common import log_of
from ats.services.manifests.market import engine_inputs
from ats.settings import Settings
from bus.metrics import ShellMetrics
from bus.records import Record
from bus.stateful import StatefulService, run_stateful
from schemas import ticks
from schemas.calendar import Calendar
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.market import Timeframe
from schemas.units import NS_PER_SECOND, UtcNs
from streams.columns.names import Indicator
from streams.engine.compiling import Compiled
from streams.engine.config import EngineConfig
from streams.engine.machine import warm_up
from streams.engine.rule_runner import RuleFault, bind
from streams.engine.talib_windows import TalibWindows
from streams.rules.config import RuleSet, warning_of
from streams.rules.config import read as read_rules
from streams.service import EngineStats, engine_service

_LARGE: Final = 1 << 20  # bytes
COUNTED: Final = {
    "ticks": "Ticks taken in since the partition's state began.",
    "late": "Ticks that came after their bar was over.",
    "outside": "Ticks outside of every session.",
    "resets": "Day volumes that fell.",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EngineFigures:
    """What the engines have seen, for `/metrics`.

    `late` counts ticks that came after their bar was over.
    """

    stats: EngineStats

    def figures(self) -> Iterable[Figure]:
        """Counters, instruments and clocks of the engines, by partition."""
        partitions = sorted(self.stats.machines)
        for name, what in COUNTED.items():
            counts = {str(partition): self.stats.count(name, partition) for partition in partitions}
            yield Figure(name, what, counts, counter=True, labels=("partition",))
        instruments = {
            str(partition): self.stats.instruments(partition) for partition in partitions
        }
        yield Figure("instruments", "Instruments with state.", instruments, labels=("partition",))
        stopped = {str(partition): self.stats.stopped(partition) for partition in partitions}
        yield Figure(
            "rules_stopped",
            "Rules that failed, once for each instrument they are silent on that day.",
            stopped,
            labels=("partition",),
        )
        clocks = {
            str(partition): self.stats.clock(partition) / NS_PER_SECOND for partition in partitions
        }
        yield Figure(
            "market_clock_seconds",
            "The market clock, as a Unix time.",
            clocks,
            labels=("partition",),
        )


class Computed(NamedTuple):
    """What an engine computes: rules, and everything below them."""

    rule_set: RuleSet
    config: EngineConfig


def service_of(
    settings: Settings, stats: EngineStats | None = None, calendar: Calendar | None = None
) -> StatefulService:
    """What `ats streams` runs under `settings`.

    Raises:
        Misconfigured: as `computed_under`.
    """
    return _service(computed_under(settings, calendar), stats)


def computed_under(settings: Settings, calendar: Calendar | None = None) -> Computed:
    """What `ats streams` computes under `settings`.

    Pass `whole_calendar`'s `calendar`; any other knows no auction shares.

    Raises:
        Misconfigured: a rules or calendar file that cannot be used, a timeframe or indicator that
            does not exist, or a rule that needs one that is left out.
    """
    rule_set = read_rules(settings.ats_rules)
    log.info(
        "rules", file=str(settings.ats_rules or ""), rules=[rule.key for rule in rule_set.rules]
    )
    if warning := warning_of(rule_set, settings.ats_rules):
        log.warning("no_rule_runs", said=warning)
    names = settings.ats_timeframes or tuple(Timeframe), settings.ats_indicators or tuple(Indicator)
    whole = EngineConfig.of(*names, calendar or calendar_of(settings))
    config = replace(whole, talib=rule_set.columns, talib_window=rule_set.window)
    bind(rule_set.rules, config, TalibWindows(config.talib, config.talib_window, config.timeframes))
    return Computed(rule_set, config)


def _service(computed: Computed, stats: EngineStats | None) -> StatefulService:
    engine = engine_service(computed.rule_set.rules, stats, computed.config, _say_stopped)
    return replace(engine, size=_ticks_in, received_at=_received_at)


def _say_stopped(fault: RuleFault) -> None:
    log.error(
        "rule_stopped",
        rule=fault.rule.key,
        instrument=str(fault.instrument),
        bar_end=fault.at.ist().isoformat(),
        reason=fault.reason,
        until="the next day, on this instrument only",
    )


def _ticks_in(record: Record) -> int:
    if is_history(record.value):
        return 0
    return (len(record.value or b"") - ticks.HEADER.itemsize) // ticks.TICK.itemsize


def _received_at(record: Record) -> UtcNs:
    """When the gateway received the record's first tick.

    The tick that caused an output may be a later one, so latency counted from here errs upwards.
    """
    try:
        batch = ticks.decode(record.value or b"")
    except Unreadable:  # history, or what became a dead letter: that too has a latency
        return record.published_at
    return UtcNs(batch.rows["received_at"][0]) if len(batch.rows) else batch.sent_at


def _give_memory_back() -> None:
    """Have the C library return large buffers to the system at once (malloc(3): M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD).

    By default it keeps everything below the largest buffer ever freed, so snapshots and fetches
    leave 100 MB behind.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.mallopt(-3, _LARGE)
        library.mallopt(-1, 8 * _LARGE)


async def run(context: Context) -> None:
    """Run the engine until told to stop."""
    _give_memory_back()
    settings, stats, metrics = context.settings, EngineStats(), ShellMetrics()
    context.records += [metrics, EngineFigures(stats)]
    connection, calendar = settings.kafka(), await whole_calendar(settings)
    announce(calendar, settings)
    computed = computed_under(settings, calendar)
    await log_of(connection, settings, "streams").record(engine_inputs(*computed))
    began = time.monotonic()

    def tell(compiled: Compiled) -> None:
        what = f"compiling the engine, once: {compiled.done} of {compiled.of} kernels"
        context.starting = Health(ok=False, why=what, done=compiled.done, of=compiled.of)
        log.info("engine_compiling", **compiled._asdict())

    await asyncio.to_thread(warm_up, tell)
    log.info("engine_compiled", seconds=round(time.monotonic() - began, 1))
    await run_stateful(
        _service(computed, stats),
        connection,
        settings.plan(),
        instance=f"streams-{settings.ats_instance}",
        stop=context.stop,
        metrics=metrics,
    )
