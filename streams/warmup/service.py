"""Writes the past bars of a universe to `ats.ticks`, before the day's first tick."""

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
from schemas.binary import Rows
from schemas.calendar import Calendar
from schemas.errors import TryLater, Unreadable
from schemas.history import Bar
from schemas.ids import InstrumentId
from schemas.market import Instrument, Session, trading_day
from schemas.ticks import partition_of
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from streams.warmup.candle_history import CandleHistory
from streams.warmup.plan import REQUESTS, HistoryRequest, InstrumentHours, resample

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3  # of one request; each waits its turn again
AT_ONCE: Final = 8  # an answer takes about a second, so five a second need some under way
_DAY_NS: Final = 86_400 * NS_PER_SECOND


class DatedBar(Protocol):
    """A daily bar as Dhan's history gives it."""

    @property
    def day(self) -> date:
        """Its Indian day."""
        ...

    @property
    def open(self) -> Price:
        """First price, paise."""
        ...

    @property
    def high(self) -> Price:
        """Highest price, paise."""
        ...

    @property
    def low(self) -> Price:
        """Lowest price, paise."""
        ...

    @property
    def close(self) -> Price:
        """Last price, paise."""
        ...

    @property
    def volume(self) -> Quantity:
        """Units traded."""
        ...


class Archive(Protocol):
    """Where old bars come from; `dhan.history.History` is the real one."""

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DatedBar]:
        """Daily bars of `first` to `last`, in order.

        Raises:
            TryLater, Unreadable: no usable answer.
        """
        ...

    async def intraday(
        self, instrument: Instrument, minutes: Literal[1, 5, 15, 25, 60], first: UtcNs, until: UtcNs
    ) -> Sequence[Bar]:
        """Bars of `minutes` that lie between `first` and `until`, in order.

        Raises:
            TryLater, Unreadable: no usable answer.
        """
        ...


class Pace(Protocol):
    """Lets one request through at a time, no faster than the provider allows."""

    async def wait(self) -> None:
        """Return when the next request may go."""


@dataclass(slots=True)
class WarmUpReport:
    """What a warm-up wrote.

    Attributes:
        bars: Written to `ats.ticks`.
        requests: Sent to the historical API.
        cold: Per instrument whose history did not come, why: its indicators begin with live bars.
    """

    bars: int = 0
    requests: int = 0
    cold: dict[InstrumentId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarmUpPlan:
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
    plan: WarmUpPlan,
    candle_history: CandleHistory,
    archive: Archive | None,
    publisher: Publisher,
    *,
    pace: Pace,
    wall: Callable[[], int],
    progress: Callable[[int], None] = lambda _: None,
) -> WarmUpReport:
    """Write every instrument's past bars.

    From `candle_history` where that is enough, else from `archive` (None: there is none). `wall`
    gives UTC ns; `progress` gets how many instruments are done.

    Raises:
        TryLater: Kafka did not accept a record. An archive that fails makes its instrument cold,
            nothing more.
    """
    done, room, report = 0, asyncio.Semaphore(AT_ONCE), WarmUpReport()

    async def one(instrument: Instrument) -> None:
        nonlocal done
        async with room:
            rows = await _Collector(plan, candle_history, archive, pace, report).rows(instrument)
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
    plan: WarmUpPlan
    candle_history: CandleHistory
    archive: Archive | None
    pace: Pace
    report: WarmUpReport

    async def rows(self, instrument: Instrument) -> Rows:
        """Past bars of every timeframe (`schemas.history.BAR`)."""
        parts = [await self._of(instrument, request) for request in REQUESTS]
        return np.concatenate(
            [np.zeros(0, history.BAR), *(rows for part in parts for rows in part)]
        )

    async def _of(self, instrument: Instrument, request: HistoryRequest) -> list[Rows]:
        hours, until = InstrumentHours(self.plan.calendar, instrument.id), self.plan.until
        found = {each: self.candle_history.bars(each, until, hours) for each in request.timeframes}
        if any(bars is None for bars in found.values()):
            short = await self._requested(instrument, request, hours)
            if short is not None:
                found = {each: resample(short, each, until, hours) for each in request.timeframes}
        return [
            history.rows_of(instrument.id, timeframe, bars)
            for timeframe, bars in found.items()
            if bars
        ]

    async def _requested(
        self, instrument: Instrument, request: HistoryRequest, hours: InstrumentHours
    ) -> Sequence[Bar] | None:
        """The bars of one request; None when they did not come, which is then in the report."""
        if self.archive is None:
            self.report.cold[instrument.id] = (
                "ats.candles does not reach back far enough, and no Dhan account is set"
            )
            return None
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            await self.pace.wait()
            self.report.requests += 1
            try:
                return await _fetch(self.archive, instrument, request, self.plan.until, hours)
            except (TryLater, Unreadable) as error:
                why = str(error)
                log.warning(
                    "history_failed", instrument=str(instrument.id), attempt=attempt, reason=why
                )
        self.report.cold[instrument.id] = why
        return None


async def _fetch(
    archive: Archive,
    instrument: Instrument,
    request: HistoryRequest,
    until: UtcNs,
    hours: InstrumentHours,
) -> Sequence[Bar]:
    if request.minutes == 1_440:
        last = trading_day(until - 1)
        bars = await archive.daily(instrument, last - timedelta(days=request.days), last)
        return [_at_open(bar, sessions[0]) for bar in bars if (sessions := hours.sessions(bar.day))]
    return await archive.intraday(
        instrument, request.minutes, UtcNs(until - request.days * _DAY_NS), until
    )


def _at_open(bar: DatedBar, session: Session) -> Bar:
    return Bar(session.open, bar.open, bar.high, bar.low, bar.close, bar.volume)
