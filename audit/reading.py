"""Reads the story of one order from Kafka, without a consumer group.

Three passes: find what is asked about, learn the ids of its chain, gather all that carry them. What
cannot be read is passed over here: it stands in the dead letters.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Final

from audit.story import (
    Bar,
    Recorded,
    Story,
    Subject,
    answers_to,
    belongs,
    subject_of,
    told,
    widened,
)
from bus.connection import KafkaConnection
from bus.reader import Since, read_topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.market import trading_day
from schemas.messages import Candle, Message, Signal
from schemas.topics import (
    CANDLES,
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    INDICATORS,
    LLM,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    REPORTS,
    SCANS,
    SIGNALS,
    TRADES,
    Topic,
)
from schemas.units import UtcNs

# the nearest first: most ask about an order
SEARCHED: Final = (
    EXECUTIONS, ORDERS, DECISIONS, TRADES, EXITS, ORDER_EVENTS, POSITIONS, SIGNALS, REPORTS, LLM,
    FANOUTS,
)  # fmt: skip
# a bar is written just before the signal that it raised; a restart of the engine may be between
BAR_BEFORE: Final = UtcNs.minutes(10)
DAY_BEFORE: Final = UtcNs.minutes(8 * 60)  # a session, and the minutes around it

Reading = Callable[[int], None]


class Reader:
    """Reads what was written since a moment.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """

    def __init__(
        self, connection: KafkaConnection, since: Since, on_read: Reading = lambda _: None
    ) -> None:
        """`on_read` is told how many records have been looked at."""
        self._connection = connection
        self._since = since
        self._on_read = on_read
        self._looked_at = 0

    async def find(self, name: str) -> Recorded | None:
        """The first message that `name`, an id of ours or Dhan's, names."""
        for topic in SEARCHED:
            async with aclosing(self._read([topic], {name.encode()})) as found:
                async for each in found:
                    if answers_to(each.message, name):
                        return each
        return None

    async def story(self, start: Message) -> Story | None:
        """All that is recorded about what `start` tells of; None where it has no story."""
        subject = subject_of(start)
        if subject is None:
            return None
        records: list[Recorded] = []
        # each step needs the ids that the one before it found
        for topics in ([DECISIONS], [ORDERS, EXECUTIONS], [DECISIONS], [SIGNALS]):
            found = [each async for each in self._read(topics, _needles(subject))]
            subject = widened(subject, (each.message for each in found))
            records += found
        rest = [SCANS, REPORTS, LLM, FANOUTS, ORDER_EVENTS, TRADES, POSITIONS, EXITS]
        if not subject.user:
            rest = [SCANS, REPORTS, LLM, FANOUTS]
        records += [each async for each in self._read(rest, _needles(subject))]
        records += await self._bars(subject, records)
        return told(subject, records)

    async def bars_around(self, story: Story) -> list[Candle]:
        """The day's bars of the instrument and timeframe of the story's first signal."""
        signals = [each for each in story.records if isinstance(each.message, Signal)]
        if not signals:
            return []
        signal = story.of(Signal)[0]
        since = UtcNs(signals[0].published_at - DAY_BEFORE)
        needles = {str(signal.instrument).encode()}
        async with aclosing(self._read([CANDLES], needles, since)) as bars:
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
        async with aclosing(self._read([CANDLES, INDICATORS], needles, since)) as bars:
            async for each in bars:
                if belongs(each.message, subject):
                    found.append(each)
                    wanted.discard((each.topic, _bar(each.message)))
                if not wanted:
                    break
        return found

    async def _read(
        self, topics: Sequence[Topic], needles: Collection[bytes], since: Since | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Messages whose bytes hold one of `needles`."""
        kinds = {topic.name: topic.message for topic in topics}
        begin = self._since if since is None else since
        async with aclosing(
            read_topics(self._connection, topics, since=begin, until_end=True)
        ) as records:
            async for record in records:
                self._looked_at += 1
                if not self._looked_at % 1_000:
                    self._on_read(self._looked_at)
                value, kind = record.value or b"", kinds[record.topic]
                if kind is None or not any(needle in value for needle in needles):
                    continue
                try:
                    message = decode(kind, value)
                except Unreadable:
                    continue
                place = (record.topic, record.partition, record.offset, record.published_at)
                yield Recorded(*place, message)


def _needles(subject: Subject) -> set[bytes]:
    ids = {*subject.signals, *subject.decisions, *subject.scans, *(subject.orders or ())}
    return {str(each).encode() for each in (*ids, *([subject.user] if subject.user else []))}


def _is_of_day(bar: Candle, signal: Signal) -> bool:
    if (bar.instrument, bar.timeframe) != (signal.instrument, signal.timeframe):
        return False
    return trading_day(bar.event_time) == trading_day(signal.event_time)


def _bar(message: Message) -> Bar:
    return Bar(message.instrument, message.timeframe, message.event_time)  # type: ignore[attr-defined]
