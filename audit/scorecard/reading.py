"""Reads what a score card needs from the topics. Joins no consumer group and writes nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from audit.replay.reading import Progress, whole
from audit.replay.recorded import Span
from audit.scorecard.forecasts import Recorded
from bus.records import Record
from bus.stored import Topics
from schemas.codec import decode, head_of
from schemas.errors import Unreadable
from schemas.market import Timeframe
from schemas.messages import Candle, Decision, Message, OrderIntent, Report, Signal, Trade
from schemas.topics import CANDLES, DECISIONS, ORDERS, REPORTS, SIGNALS, TRADES, Topic
from schemas.units import UtcNs

# only bars of a minute are decoded: of the others a day has as many again
_ONE_MINUTE: Final = f'"timeframe":"{Timeframe.M1.value}"'.encode()

M = TypeVar("M", bound=Message)


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
    """

    recorded: Recorded
    candles: tuple[Candle, ...]
    intents: tuple[OrderIntent, ...]
    trades: tuple[Trade, ...]
    went_out: dict[UUID, UtcNs]


async def read_days(connection: Topics, span: Span, tell: Progress, *, played: bool) -> ReadDays:
    """Read the days of `span`. `played`: the writers' clock is not the market's.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    days = _Days(connection, span, tell)
    bars = await days.of(Candle, CANDLES, _ONE_MINUTE)
    clock = MarketClock(Written(at, bar.event_time) for bar, at in bars) if played else None
    decisions = await days.of(Decision, DECISIONS)
    went_out: dict[UUID, UtcNs] = {}
    for decision, at in decisions:
        now = UtcNs(max(decision.event_time, clock.at(at) if clock else at))
        went_out[decision.id] = min(now, went_out.get(decision.id, now))
    return ReadDays(
        Recorded(
            _messages(await days.of(Signal, SIGNALS)),
            _messages(await days.of(Report, REPORTS)),
            _messages(decisions),
        ),
        _messages(bars),
        _messages(await days.of(OrderIntent, ORDERS)),
        _messages(await days.of(Trade, TRADES)),
        went_out,
    )


@dataclass(frozen=True, slots=True)
class _Days:
    connection: Topics
    span: Span
    tell: Progress

    async def of(self, kind: type[M], topic: Topic, only: bytes = b"") -> list[tuple[M, UtcNs]]:
        """Each message of the days that can be read, and when it was written."""
        found = []
        async with aclosing(self._records(topic)) as records:
            async for record in records:
                value = record.value or b""
                head = head_of(value)
                if only not in value or head is None or head.event_time not in self.span:
                    continue
                try:
                    found.append((decode(kind, value), record.published_at))
                except Unreadable:
                    continue
        return found

    def _records(self, topic: Topic) -> AsyncGenerator[Record, None]:
        return whole(self.connection, [topic], f"reading {topic.name}", self.tell)


def _messages(read: Iterable[tuple[M, UtcNs]]) -> tuple[M, ...]:
    return tuple(message for message, _ in read)
