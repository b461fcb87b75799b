"""Reads the story of one order from Kafka, without a consumer group.

Four passes: find what is asked about, learn the ids of its chain, gather all that carry them, then
the bars and their ticks. What cannot be read is left out; the story names it where it holds an id
of its orders.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from audit.story import (
    Bar,
    Recorded,
    Story,
    Subject,
    belongs,
    names_of,
    subject_of,
    told,
    widened,
)
from audit.ticks import BarTicks, begins_before, ticks_of
from bus.reader import ends_of, read_topics, record_at, there
from bus.records import Record, TopicPartition
from bus.stored import Since, Topics
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.lineage import HEADER, Cause
from schemas.market import trading_day
from schemas.messages import Candle, Message, OrderIntent, Signal
from schemas.topics import (
    BY_NAME,
    CANDLES,
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    INDICATORS,
    LATER,
    LLM,
    MARKET_CONTEXT,
    NEWS,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    REPORTS,
    SCANS,
    SIGNALS,
    TICKS,
    TRADES,
    Topic,
)
from schemas.units import UtcNs

# the nearest first: most ask about an order
SEARCHED: Final = (
    EXECUTIONS, ORDERS, DECISIONS, TRADES, EXITS, ORDER_EVENTS, POSITIONS, SIGNALS, REPORTS, LLM,
    FANOUTS, NEWS, MARKET_CONTEXT,
)  # fmt: skip
_RANK: Final = {topic.name: rank for rank, topic in enumerate(SEARCHED)}
_LINKS: Final = (DECISIONS, ORDERS, EXECUTIONS)
_OF_DECISIONS: Final = (SIGNALS, SCANS, MARKET_CONTEXT, NEWS, REPORTS, LLM, FANOUTS)
_OF_USERS: Final = (ORDER_EVENTS, TRADES, POSITIONS, EXITS)
# a bar is written just before the signal that it raised; a restart of the engine may be between
BAR_BEFORE: Final = UtcNs.minutes(10)
DAY_BEFORE: Final = UtcNs.minutes(8 * 60)  # a session, and the minutes around it
MOST_NAMED: Final = 20  # records that tell of an order and cannot be read
PREFIX: Final = 8  # characters of an id that may stand for the whole, as people copy them
# records of ticks: of a bar of five minutes a partition has 1,200, of which each is read at once
TICK_SPANS: Final = (256, 2_048, 16_384)
_PLACE: Final = re.compile(r"(ats\.[a-z-]+)-(\d{1,6})@(\d{1,18})")

Reading = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What a name names.

    Attributes:
        start: The message; None where nothing has the name, or several ids begin so.
        meant: The ids that begin so, where only a part was given.
    """

    start: Recorded | None = None
    meant: tuple[str, ...] = ()


class Reader:
    """Reads what was written since a moment.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """

    def __init__(self, connection: Topics, since: Since, on_read: Reading = lambda _: None) -> None:
        """`on_read` is told how many records have been looked at."""
        self._connection = connection
        self._since = since
        self._on_read = on_read
        self._looked_at = 0
        self._absent: frozenset[Topic] | None = None
        self._unreadable: dict[str, str] = {}

    async def find(self, name: str) -> Found:
        """What `name` names: an id of ours or Dhan's, the begin of one of ours, or a place."""
        asked = name.strip()
        if (place := _PLACE.fullmatch(asked)) and place[1] in BY_NAME:
            return Found(await self._at(BY_NAME[place[1]], int(place[2]), int(place[3])))
        part = asked.lower() if len(asked) >= PREFIX else ""
        needles = {each.encode() for each in {asked, part} - {""}}
        best: tuple[int, Recorded] | None = None
        beginning: dict[str, Recorded] = {}
        if not needles:
            return Found()
        async with aclosing(self._read(SEARCHED, needles)) as found:
            async for each in found:
                names = names_of(each.message)
                if str(each.message.id) == part:
                    return Found(each)
                if asked in names or part in names:
                    rank = _RANK[each.topic]
                    best = (rank, each) if best is None or rank < best[0] else best
                elif part:
                    for whole in (it for it in names if it.startswith(part)):
                        beginning.setdefault(whole, each)
        if best:
            return Found(best[1])
        start = next(iter(beginning.values())) if len(beginning) == 1 else None
        return Found(start, tuple(sorted(beginning)))

    async def story(self, start: Message) -> Story | None:
        """All that is recorded about what `start` tells of; None where it has no story."""
        subject = subject_of(start)
        if subject is None:
            return None
        self._unreadable.clear()
        records: list[Recorded] = []
        # the second time with the ids that the first one found
        for _ in range(2):
            needles = _needles(subject) | _decisions_of(records)
            records = [each async for each in self._read(_LINKS, needles, subject)]
            subject = widened(subject, (each.message for each in records))
        rest = _OF_DECISIONS + (_OF_USERS if subject.user else ())
        records += [each async for each in self._read(rest, _needles(subject), subject)]
        subject = widened(subject, (each.message for each in records))
        bars = await self._bars(subject, records)
        story = told(subject, [*records, *bars])
        ticks = tuple([each async for each in self._ticks(story)])
        return replace(story, missing=(*story.missing, *self._left_out()), ticks=ticks)

    def _left_out(self) -> Iterator[str]:
        for place, why in islice(self._unreadable.items(), MOST_NAMED):
            yield f"{place} tells of it and cannot be read: {why}"
        if (more := len(self._unreadable) - MOST_NAMED) > 0:
            yield f"{more:,} more records tell of it and cannot be read"

    async def bars_around(self, story: Story) -> list[Candle]:
        """The day's bars of the instrument and timeframe of the story's first signal."""
        signals = [each for each in story.records if isinstance(each.message, Signal)]
        if not signals:
            return []
        signal = story.of(Signal)[0]
        since = UtcNs(signals[0].published_at - DAY_BEFORE)
        needles = {str(signal.instrument).encode()}
        async with aclosing(self._read([CANDLES], needles, since=since)) as bars:
            candles = [each.message async for each in bars if isinstance(each.message, Candle)]
        return [bar for bar in candles if _is_of_day(bar, signal)]

    async def _bars(self, subject: Subject, records: Sequence[Recorded]) -> list[Recorded]:
        signals = [each for each in records if isinstance(each.message, Signal)]
        wanted = {(topic.name, bar) for bar in subject.bars for topic in (CANDLES, INDICATORS)}
        found: list[Recorded] = []
        if not signals:
            return found
        since = UtcNs(min(each.published_at for each in signals) - BAR_BEFORE)
        needles = {str(bar.instrument).encode() for bar in subject.bars}
        async with aclosing(self._read([CANDLES, INDICATORS], needles, since=since)) as bars:
            async for each in bars:
                if belongs(each.message, subject):
                    found.append(each)
                    wanted.discard((each.topic, _bar(each.message)))
                if not wanted:
                    break
        return found

    async def _ticks(self, story: Story) -> AsyncGenerator[BarTicks, None]:
        """The ticks of each bar of `story` whose record names the tick that closed it."""
        for each in story.records:
            cause = each.headers.get(HEADER)
            if not isinstance(each.message, Candle) or cause is None:
                continue
            try:
                closed_by = Cause.decode(cause).offset
            except Unreadable:
                continue
            yield await self._ticks_of(each.message, each.partition, closed_by)

    async def _ticks_of(self, bar: Candle, partition: int, closed_by: int) -> BarTicks:
        ends = await ends_of(self._connection, TICKS)
        for span in TICK_SPANS:
            begin = max(0, closed_by - span)
            starts = {TopicPartition(TICKS.name, number): end for number, end in ends.items()}
            starts[TopicPartition(TICKS.name, partition)] = begin
            records: list[Record] = []
            reading = read_topics(self._connection, [TICKS], since=starts, until_end=True)
            async with aclosing(reading) as ticks:
                async for record in ticks:
                    if record.partition != partition:
                        continue
                    if record.offset > closed_by:
                        break
                    records.append(record)
            whole = not begin or bool(records and begins_before(records[0], bar))
            if whole or not records:
                break
        return ticks_of(bar, records, whole=whole)

    async def _at(self, topic: Topic, partition: int, offset: int) -> Recorded | None:
        record = await record_at(self._connection, topic, partition, offset)
        try:
            return None if record is None else _recorded(topic, record)
        except Unreadable as error:
            raise Misconfigured(f"{record} cannot be read: {error}") from None

    async def _there(self, topics: Sequence[Topic]) -> list[Topic]:
        """Without those that came later than the record, which is asked once."""
        if self._absent is None:
            self._absent = LATER.difference(await there(self._connection, tuple(LATER)))
        return [each for each in topics if each not in self._absent]

    async def _read(
        self,
        topics: Sequence[Topic],
        needles: Collection[bytes],
        subject: Subject | None = None,
        since: Since | None = None,
    ) -> AsyncGenerator[Recorded, None]:
        """Messages whose bytes hold one of `needles`, or user and instrument of `subject`."""
        both = _of_position(subject)
        begin = self._since if since is None else since
        wanted = await self._there(topics)
        async with aclosing(
            read_topics(self._connection, wanted, since=begin, until_end=True)
        ) as records:
            async for record in records:
                self._looked_at += 1
                if not self._looked_at % 1_000:
                    self._on_read(self._looked_at)
                value = record.value or b""
                if not any(needle in value for needle in needles) and not (
                    both and all(each in value for each in both)
                ):
                    continue
                try:
                    found = _recorded(BY_NAME[record.topic], record)
                except Unreadable as error:
                    if subject and any(needle in value for needle in _own(subject)):
                        self._unreadable[str(record)] = str(error)
                    continue
                if found is not None:
                    yield found


def _recorded(topic: Topic, record: Record) -> Recorded | None:
    """None of a topic without messages. Raises Unreadable of what is no message."""
    if topic.message is None:
        return None
    message = decode(topic.message, record.value)
    place = (record.topic, record.partition, record.offset, record.published_at)
    return Recorded(*place, message, record.headers)


def _needles(subject: Subject) -> set[bytes]:
    ids = {*subject.signals, *subject.decisions, *subject.scans, *(subject.orders or ())}
    return {str(each).encode() for each in ids}


def _own(subject: Subject) -> set[bytes]:
    """Ids by which a record is about the story itself: those of a user's orders, else all."""
    if subject.user is None:
        return _needles(subject)
    return {str(each).encode() for each in subject.orders or ()}


def _decisions_of(records: Sequence[Recorded]) -> set[bytes]:
    """Of the orders of one position."""
    messages = (each.message for each in records)
    orders = (each for each in messages if isinstance(each, OrderIntent))
    return {str(each.decision_id).encode() for each in orders}


def _of_position(subject: Subject | None) -> tuple[bytes, ...]:
    """What a message about one user's position holds."""
    if subject is None or not subject.user:
        return ()
    return str(subject.user).encode(), str(subject.instrument).encode()


def _is_of_day(bar: Candle, signal: Signal) -> bool:
    if (bar.instrument, bar.timeframe) != (signal.instrument, signal.timeframe):
        return False
    return trading_day(bar.event_time) == trading_day(signal.event_time)


def _bar(message: Message) -> Bar:
    return Bar(message.instrument, message.timeframe, message.event_time)  # type: ignore[attr-defined]
