"""Daily bars that are written down as they were answered, and used from there.

A Scout that starts again on the same day sees the bars of the first time, and asks only for those
that did not come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from agents.recorded import messages_on
from agents.scout import Candidate, DatedBar, History, Ineligible, judged, without_history
from bus.connection import KafkaConnection
from bus.stored import Since
from schemas import topics
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, derive
from schemas.inputs import MAX_BARS, Answered, DailyBars
from schemas.market import Instrument
from schemas.units import Price, Quantity, UtcNs

PublishBars: TypeAlias = Callable[[DailyBars], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecordedBar:
    """One trading day of `ats.daily-bars`. `volume` is in units."""

    day: date
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """The histories of one trading date (`agents.scout.History`).

    Attributes:
        opens: When the day's first session begins.
        recorded: What is written down already, by instrument.
    """

    source: History
    day: date
    opens: UtcNs
    recorded: dict[InstrumentId, DailyBars]
    publish: PublishBars

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DatedBar]:
        """The recorded bars; asks the source where none are recorded, and records its answer.

        Raises:
            TryLater: the source is away, or the answer could not be written down.
            Unreadable: the answer is no history.
        """
        known = self.recorded.get(instrument.id)
        if known is None or (known.first, known.last) != (first, last):
            known = await self._asked(instrument, first, last)
            self.recorded[instrument.id] = known
        return bars_of(known)

    async def _asked(self, instrument: Instrument, first: date, last: date) -> DailyBars:
        empty = DailyBars(
            id=derive("daily-bars", self.day.isoformat(), instrument.id, Answered.OK),
            event_time=self.opens,
            trading_date=self.day,
            instrument=instrument.id,
            first=first,
            last=last,
            outcome=Answered.OK,
        )
        try:
            bars = await self.source.daily(instrument, first, last)
            answer = _filled(empty, bars)
        except (TryLater, Unreadable) as error:
            await self.publish(_failed(empty, error))
            raise
        await self.publish(answer)
        return answer


def _failed(empty: DailyBars, error: TryLater | Unreadable) -> DailyBars:
    outcome = Answered.AWAY if isinstance(error, TryLater) else Answered.UNREADABLE
    id_ = derive("daily-bars", empty.trading_date.isoformat(), empty.instrument, outcome)
    return empty.model_copy(update={"id": id_, "outcome": outcome, "detail": str(error)[:500]})


def _filled(empty: DailyBars, bars: Sequence[DatedBar]) -> DailyBars:
    if len(bars) > MAX_BARS:
        raise Unreadable(f"{len(bars)} bars, at most {MAX_BARS} fit a span of days", "bars")
    return empty.model_copy(
        update={
            "days": tuple(bar.day for bar in bars),
            "open": tuple(Price(bar.open) for bar in bars),
            "high": tuple(Price(bar.high) for bar in bars),
            "low": tuple(Price(bar.low) for bar in bars),
            "close": tuple(Price(bar.close) for bar in bars),
            "volume": tuple(Quantity(bar.volume) for bar in bars),
        }
    )


def bars_of(recorded: DailyBars) -> tuple[RecordedBar, ...]:
    """The bars of a record, oldest first."""
    columns = (recorded.open, recorded.high, recorded.low, recorded.close, recorded.volume)
    return tuple(RecordedBar(*row) for row in zip(recorded.days, *columns, strict=True))


def judged_again(recorded: DailyBars, instrument: Instrument) -> Candidate | Ineligible:
    """What the Scout made of a recorded answer on `instrument`. Pure."""
    if recorded.outcome is not Answered.OK:
        away = recorded.outcome is Answered.AWAY
        return without_history(instrument, recorded.detail, away=away)
    return judged(recorded.trading_date, instrument, bars_of(recorded))


async def recorded_bars(
    connection: KafkaConnection, day: date, since: Since
) -> dict[InstrumentId, DailyBars]:
    """What is written down for the Scout of `day`: the first answer of each instrument."""
    found: dict[InstrumentId, DailyBars] = {}
    told = messages_on(connection, topics.DAILY_BARS, DailyBars, since, until_end=True)
    async with aclosing(told) as answers:
        async for bars in answers:
            if bars.trading_date == day and bars.outcome is Answered.OK:
                found.setdefault(bars.instrument, bars)
    return found
