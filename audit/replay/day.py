"""Replays recorded days, stage by stage: each stage gets what the one before it derived."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final

from audit.replay.comparison import Comparison, Difference, FieldDifference, field_difference
from audit.replay.comparison import first_of as first_of_all
from audit.replay.folds import Fold
from audit.replay.reading import Progress, recorded, whole
from audit.replay.recorded import Span, Stored
from bus.connection import KafkaConnection
from bus.reader import extents_of, record_at
from bus.records import Output
from bus.stateful import StatefulService
from executors.orders.book_machine import book_service
from schemas.topics import CANDLES, INDICATORS, ORDER_EVENTS, SIGNALS, TICKS, PartitionPlan, Topic
from schemas.units import IST, UtcNs

DAY: Final = UtcNs.minutes(24 * 60)


def span_of(first: date, last: date) -> Span:
    """From the first moment of `first` until `last` is over, on Indian clocks."""
    begins, ends = (
        UtcNs.from_datetime(datetime.combine(day, time(), tzinfo=IST)) for day in (first, last)
    )
    return Span(begins, UtcNs(ends + DAY))


@dataclass(frozen=True, slots=True)
class Cores:
    """The pure cores as they were set on the day.

    Attributes:
        engine: Candles, indicators and rules.
        books: Trades and positions from observations.
    """

    engine: StatefulService
    books: StatefulService = field(default_factory=book_service)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay.

    Attributes:
        comparisons: By topic, causes first.
        inputs: Records that went in as they stand, by topic.
        notes: What a reader has to know to judge the result.
    """

    comparisons: tuple[Comparison, ...]
    inputs: dict[str, int]
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything that was derived stands on the topics, and nothing else."""
        return not any(each.differences for each in self.comparisons)

    @property
    def first(self) -> Difference | None:
        """The first difference, of the first topic that has any."""
        return first_of_all(self.comparisons)


class Replay:
    """One replay of `span`.

    Nothing is written, and no consumer group is joined.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        span: Span,
        cores: Cores,
        *,
        verify: bool,
        tell: Progress = lambda *_: None,
    ) -> None:
        self._connection = connection
        self._span = span
        self._cores = cores
        self._verify = verify
        self._tell = tell
        self._inputs: dict[str, int] = {}
        self._notes: list[str] = []

    async def run(self) -> Replayed:
        """Derive everything again, and compare it where that was asked for.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers.
        """
        plan = await self._plan()
        engine = [await self._comparison(topic, caused=True) for topic in ENGINE]
        await self._fold(self._cores.engine, plan, engine)
        books = [
            await self._comparison(topic, caused=True) for topic in self._cores.books.outputs[::-1]
        ]
        await self._fold(self._cores.books, plan, books)
        return Replayed((*engine, *books), self._inputs, tuple(self._notes))

    async def field_of(self, difference: Difference) -> FieldDifference | None:
        """The first field in which what stands on the topic differs from what was derived."""
        stored = None
        if difference.offset is not None:
            place = difference.topic, difference.partition, difference.offset
            record = await record_at(self._connection, *place)
            caused = difference.topic in (*ENGINE, *self._cores.books.outputs)
            stored = Stored.of_record(record, caused=caused) if record else None
        return field_difference(stored, difference.replayed)

    async def _plan(self) -> PartitionPlan:
        """As many partitions as the topics have, whatever the settings say."""
        ticks = await extents_of(self._connection, TICKS)
        users = await extents_of(self._connection, ORDER_EVENTS)
        return PartitionPlan(len(ticks), len(users))

    async def _comparison(self, topic: Topic, *, caused: bool) -> Comparison:
        if not self._verify:
            return Comparison(topic, self._span)
        stands = await recorded(self._connection, topic, self._span, self._tell, caused=caused)
        return Comparison(topic, self._span, stands)

    async def _fold(
        self, service: StatefulService, plan: PartitionPlan, comparisons: Sequence[Comparison]
    ) -> list[Output]:
        """Compare all that `service` makes of its source; returns its signals, if it makes any."""
        fold, by_topic = Fold(service, plan), {each.topic.name: each for each in comparisons}
        kept, count = list[Output](), 0
        what = f"replaying {service.source.name}"
        records = whole(self._connection, [service.source], what, self._tell)
        async with aclosing(records):
            async for record in records:
                count += 1
                for output in fold.apply(record):
                    if by_topic[output.topic.name].take(output) and output.topic is SIGNALS:
                        kept.append(output)
        for each in comparisons:
            each.close()
        self._inputs[service.source.name] = count
        self._notes += _notes_of(fold)
        return kept


ENGINE: Final = (CANDLES, INDICATORS, SIGNALS)


def _notes_of(fold: Fold) -> list[str]:
    source = fold.service.source.name
    late = [
        f"{source}-{number} begins at offset {offset}: what was known before it is not recorded, "
        "so what has a long memory may differ"
        for number, offset in sorted(fold.begun.items())
        if offset
    ]
    if fold.unreadable:
        late.append(f"{fold.unreadable:,} records of {source} are no message; they are passed over")
    return late
