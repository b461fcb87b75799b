"""Collects the past bars of a universe and writes them to `ats.ticks`, before the day's first tick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, Protocol

import numpy as np
import structlog

from bus.publisher import Publisher
from bus.records import Output
from schemas import history
from schemas.calendar import Calendar
from schemas.errors import TryLater, Unreadable
from schemas.history import Bar
from schemas.ids import InstrumentId
from schemas.market import Instrument, Session, trading_day
from schemas.packed import Rows
from schemas.ticks import partition_of
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from streams.warmup.known import Known
from streams.warmup.plan import SOURCES, Hours, Source, longer

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3  # for one question; each waits its turn again
AT_ONCE: Final = 8  # an answer takes about a second, so five a second need some under way
_DAY_NS: Final = 86_400 * NS_PER_SECOND


class DatedBar(Protocol):
    """A daily bar as Dhan's history gives it."""

    @property
    def day(self) -> date: ...
    @property
    def open(self) -> Price: ...
    @property
    def high(self) -> Price: ...
    @property
    def low(self) -> Price: ...
    @property
    def close(self) -> Price: ...
    @property
    def volume(self) -> Quantity: ...


class Archive(Protocol):
    """Where old bars come from; `dhan.history.History` is the real one."""

    async def daily(
        self, instrument: Instrument, first: date, last: date
    ) -> Sequence[DatedBar]: ...

    async def intraday(
        self, instrument: Instrument, minutes: Literal[1, 5, 15, 25, 60], first: UtcNs, until: UtcNs
    ) -> Sequence[Bar]: ...


class Pace(Protocol):
    """Lets one request through at a time, no faster than the provider allows."""

    async def wait(self) -> None: ...


@dataclass(slots=True)
class WarmUp:
    """What came of it.

    Attributes:
        bars: Written to `ats.ticks`.
        asked: Questions to the historical API.
        cold: Per instrument whose history did not come, why: its indicators begin in place, with
            live bars.
    """

    bars: int = 0
    asked: int = 0
    cold: dict[InstrumentId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to collect.

    Attributes:
        until: Market time; bars that end later are left out.
        partitions: Of `ats.ticks`.
        calendar: That of the engine, whose bars these continue.
    """

    instruments: tuple[Instrument, ...]
    until: UtcNs
    partitions: int
    calendar: Calendar


async def warm_up(
    plan: Plan,
    known: Known,
    archive: Archive | None,
    publisher: Publisher,
    *,
    pace: Pace,
    wall: Callable[[], int],
    progress: Callable[[int], None] = lambda _: None,
) -> WarmUp:
    """Write every instrument's past bars.

    From `known` where that reaches, else from `archive` (None: there is none). `wall` gives UTC ns;
    `progress` is told how many instruments are done.

    Raises:
        TryLater: Kafka did not accept a record. An archive that fails makes its instrument cold,
            nothing more.
    """
    done, room, report = 0, asyncio.Semaphore(AT_ONCE), WarmUp()

    async def one(instrument: Instrument) -> None:
        nonlocal done
        async with room:
            rows = await _Collector(plan, known, archive, pace, report).rows(instrument)
            for value in history.records(rows, UtcNs(wall())):
                partition = partition_of(instrument.id, plan.partitions)
                await publisher.send_and_wait(
                    Output(TICKS, str(partition).encode(), value, partition)
                )
        report.bars += len(rows)
        done += 1
        progress(done)

    await asyncio.gather(*map(one, plan.instruments))
    return report


@dataclass(frozen=True, slots=True)
class _Collector:
    plan: Plan
    known: Known
    archive: Archive | None
    pace: Pace
    report: WarmUp

    async def rows(self, instrument: Instrument) -> Rows:
        parts = [await self._of(instrument, source) for source in SOURCES]
        return np.concatenate(
            [np.zeros(0, history.BAR), *(rows for part in parts for rows in part)]
        )

    async def _of(self, instrument: Instrument, source: Source) -> list[Rows]:
        hours, until = Hours(self.plan.calendar, instrument.id), self.plan.until
        found = {each: self.known.bars(each, until, hours) for each in source.timeframes}
        if any(bars is None for bars in found.values()):
            short = await self._asked(instrument, source, hours)
            if short is not None:
                found = {each: longer(short, each, until, hours) for each in source.timeframes}
        return [
            history.rows_of(instrument.id, timeframe, bars)
            for timeframe, bars in found.items()
            if bars
        ]

    async def _asked(
        self, instrument: Instrument, source: Source, hours: Hours
    ) -> Sequence[Bar] | None:
        """The source's bars; None when they did not come, which is then in the report."""
        if self.archive is None:
            self.report.cold[instrument.id] = (
                "ats.candles does not reach back far enough, and no Dhan account is set"
            )
            return None
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            await self.pace.wait()
            self.report.asked += 1
            try:
                return await _question(self.archive, instrument, source, self.plan.until, hours)
            except (TryLater, Unreadable) as error:
                why = str(error)
                log.warning(
                    "history_failed", instrument=str(instrument.id), attempt=attempt, reason=why
                )
        self.report.cold[instrument.id] = why
        return None


async def _question(
    archive: Archive, instrument: Instrument, source: Source, until: UtcNs, hours: Hours
) -> Sequence[Bar]:
    if source.minutes == 1_440:
        last = trading_day(until - 1)
        bars = await archive.daily(instrument, last - timedelta(days=source.days), last)
        return [_at_open(bar, sessions[0]) for bar in bars if (sessions := hours.sessions(bar.day))]
    return await archive.intraday(
        instrument, source.minutes, UtcNs(until - source.days * _DAY_NS), until
    )


def _at_open(bar: DatedBar, session: Session) -> Bar:
    return Bar(session.open, bar.open, bar.high, bar.low, bar.close, bar.volume)
