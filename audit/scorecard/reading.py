"""Reads what a score card needs from the topics. Joins no consumer group and writes nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from audit.days import DayReader, messages
from audit.replay.reading import Progress
from audit.replay.recorded import Span
from audit.scorecard.forecasts import Recorded
from audit.scorecard.prices import MinuteBar
from bus.stored import Topics
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.messages import Candle, Decision, OrderIntent, Report, Signal, Trade
from schemas.topics import CANDLES, DECISIONS, ORDERS, REPORTS, SIGNALS, TRADES
from schemas.units import UtcNs

# only bars of a minute are decoded: of the others a day has as many again
_ONE_MINUTE: Final = f'"timeframe":"{Timeframe.M1.value}"'.encode()


class Written(NamedTuple):
    """When something was written down, by the writer's clock, and the market time it tells."""

    at: int
    tells: int


class MarketClock:
    """What time the market had when something was written down.

    Of a market that is played, only the bars that were written before can say.
    """

    def __init__(self, bars: Iterable[Written]) -> None:
        self._written: list[int] = []
        self._reached: list[int] = []
        latest = 0
        for at, tells in sorted(bars):
            latest = max(latest, tells)
            self._written.append(at)
            self._reached.append(latest)

    def at(self, written: int) -> int:
        """The market's time at the writer's `written`; 0 before the first bar."""
        place = bisect_right(self._written, written)
        return self._reached[place - 1] if place else 0


@dataclass(frozen=True, slots=True)
class ReadDays:
    """All of some days.

    Attributes:
        went_out: When each decision did, in market time, by its id; never before its signal.
        unreadable: What is no message and so not scored, each with its place and why.
    """

    recorded: Recorded
    bars: tuple[MinuteBar, ...]
    intents: tuple[OrderIntent, ...]
    trades: tuple[Trade, ...]
    went_out: dict[UUID, UtcNs]
    unreadable: tuple[str, ...]


async def _bars(days: DayReader) -> tuple[tuple[MinuteBar, ...], list[Written]]:
    """Those of a minute, and when each was written.

    A month of 250 shares has two million: as messages they would fill the memory.
    """
    bars, written = list[MinuteBar](), list[Written]()
    instruments: dict[InstrumentId, InstrumentId] = {}
    reading = days.each(CANDLES, lambda value: _ONE_MINUTE in value)
    async with aclosing(reading):
        async for record in reading:
            if isinstance(bar := record.message, Candle):
                instrument = instruments.setdefault(bar.instrument, bar.instrument)
                bars.append(MinuteBar.of(bar, instrument))
                written.append(Written(record.published_at, bars[-1].event_time))
    return tuple(bars), written


async def read_days(connection: Topics, span: Span, tell: Progress, *, played: bool) -> ReadDays:
    """Read the days of `span`. `played`: the writers' clock is not the market's.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    days = DayReader(connection, span, tell)
    bars, written = await _bars(days)
    clock = MarketClock(written) if played else None
    decisions = await days.of(DECISIONS)
    went_out: dict[UUID, UtcNs] = {}
    for each in decisions:
        at, decision = each.published_at, each.message
        now = UtcNs(max(decision.event_time, clock.at(at) if clock else at))
        went_out[decision.id] = min(now, went_out.get(decision.id, now))
    recorded = Recorded(
        messages(Signal, await days.of(SIGNALS)),
        messages(Report, await days.of(REPORTS)),
        messages(Decision, decisions),
    )
    intents = messages(OrderIntent, await days.of(ORDERS))
    trades = messages(Trade, await days.of(TRADES))
    return ReadDays(recorded, bars, intents, trades, went_out, tuple(days.unreadable))
