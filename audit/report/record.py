"""What a report is made of: one day's messages, of everybody or of one user alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from audit.days import DayReader, messages
from audit.story import Recorded
from schemas.ids import InstrumentId, UserId
from schemas.market import Timeframe
from schemas.messages import Candle, FanOut, Message, Trade
from schemas.topics import (
    CANDLES,
    DEAD_LETTER,
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    FEED,
    LLM,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    SIGNALS,
    TRADES,
)

# what all users may see
_PUBLIC: Final = (SIGNALS, LLM, DECISIONS, FANOUTS, FEED)
_OF_USERS: Final = (ORDERS, EXECUTIONS, ORDER_EVENTS, TRADES, POSITIONS, EXITS)
_TIMEFRAMES: Final = (Timeframe.M1, Timeframe.M5)

M = TypeVar("M", bound=Message)
Holds: TypeAlias = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One trading day.

    Attributes:
        user: Whose; None is everybody's.
        records: Each message of the day once, bars only of what was traded.
        unreadable: What is no message and so in no figure, each with its place and why.
    """

    day: date
    user: UserId | None
    records: Sequence[Recorded]
    unreadable: Sequence[str] = ()

    def of(self, kind: type[M]) -> tuple[M, ...]:
        """The messages of one kind."""
        return messages(kind, self.records)

    def written(self, kind: type[M]) -> Iterable[tuple[M, int]]:
        """The messages of one kind, and when each was written first (UTC ns)."""
        for each in self.records:
            if isinstance(each.message, kind):
                yield each.message, each.published_at


async def read_record(days: DayReader, day: date, user: UserId | None) -> DayRecord:
    """Read the day. Of another user than `user` nothing is kept, also not that there is one.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    found: list[Recorded] = []
    for topic in _PUBLIC:
        found += await days.of(topic)
    for topic in _OF_USERS:
        found += _only(user, await days.of(topic, _holding(user)))
    if user is None:
        found += await days.of(DEAD_LETTER)
    traded = {each.fill.instrument for each in messages(Trade, found)}
    found += await days.of(CANDLES, _bar_of(traded))
    once: dict[tuple[str, UUID], Recorded] = {}
    for each in sorted(found, key=lambda each: each.published_at):
        once.setdefault((each.topic, each.message.id), each)
    own = [_without_others(each) if user else each for each in once.values()]
    return DayRecord(day, user, own, tuple(days.unreadable) if user is None else ())


def _holding(user: UserId | None) -> Holds:
    needle = b"" if user is None else str(user).encode()
    return lambda value: needle in value


def _only(user: UserId | None, records: Iterable[Recorded]) -> Iterable[Recorded]:
    if user is None:
        return records
    return (each for each in records if getattr(each.message, "user_id", None) == user)


def _without_others(each: Recorded) -> Recorded:
    """A fan-out lists who got no order."""
    if not isinstance(each.message, FanOut):
        return each
    return replace(each, message=each.message.model_copy(update={"without": ()}))


def _bar_of(traded: set[InstrumentId]) -> Holds:
    needles = [f'"instrument":"{each}"'.encode() for each in traded]
    frames = [f'"timeframe":"{each.value}"'.encode() for each in _TIMEFRAMES]

    def holds(value: bytes) -> bool:
        return any(each in value for each in frames) and any(each in value for each in needles)

    return holds


def bars_of(record: DayRecord, timeframe: Timeframe) -> dict[InstrumentId, list[Candle]]:
    """Of each instrument that was traded the bars, by time."""
    found: dict[InstrumentId, dict[int, Candle]] = {}
    for bar in record.of(Candle):
        if bar.timeframe is timeframe:
            found.setdefault(bar.instrument, {})[bar.start] = bar
    return {key: [bars[start] for start in sorted(bars)] for key, bars in found.items()}
