"""Compares what was derived again with what stands on a topic, by id and by byte. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from audit.replay.recorded import Entry, RecordedTopic, Span, Stored
from bus.records import Output
from schemas.codec import head_of
from schemas.topics import Topic
from schemas.units import UtcNs

NOTHING: Final = "(nothing)"
LONGEST: Final = 200  # characters of one value that are told


class Kind(StrEnum):
    """How record and replay differ."""

    DIFFERENT = "different"  # of one id, other bytes
    MISSING = "missing"  # derived, and not on the topic
    UNKNOWN = "unknown"  # on the topic, and not derived
    CONTRADICTED = "contradicted"  # on the topic twice, with different bytes
    UNREADABLE = "unreadable"  # on the topic, and no message
    UNANSWERED = "unanswered"  # derived from a question whose answer is not recorded


@dataclass(frozen=True, slots=True)
class Difference:
    """One message that record and replay do not agree on.

    Attributes:
        moment: Its market time; 0 where nobody can read it.
        partition: Where it stands, or should.
        offset: None where it stands nowhere.
        replayed: As derived; None where it was not.
        note: What is known beside the bytes.
    """

    topic: Topic
    kind: Kind
    id: str
    moment: UtcNs
    partition: int
    offset: int | None = None
    replayed: Stored | None = field(default=None, repr=False)
    note: str = ""

    @property
    def place(self) -> str:
        """As Kafka's tools name it."""
        at = "nowhere" if self.offset is None else str(self.offset)
        return f"{self.topic.name}-{self.partition}@{at}"

    @property
    def order(self) -> tuple[int, int, int]:
        """Earlier ones come first; at one moment by where they stand."""
        return int(self.moment), self.partition, self.offset if self.offset is not None else -1


@dataclass(slots=True)
class Comparison:
    """One topic, while a replay goes on.

    Attributes:
        recorded: What stands there; None where nothing is compared, only derived.
        derived: Messages that the replay made, within the span.
        equal: Those of them that stand there byte for byte.
        counts: The others, by kind.
        first: The earliest difference.
        on_derived: Told of each derived message of the span.
    """

    topic: Topic
    span: Span
    recorded: RecordedTopic | None = None
    derived: int = 0
    equal: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    first: Difference | None = None
    on_derived: Callable[[Output], None] = lambda _: None
    _seen: set[bytes] = field(default_factory=set)

    def take(self, output: Output, note: str = "") -> bool:
        """Compare one derived message that has its partition; whether it is of the span.

        `note` says why it may differ, where that is known.
        """
        head = head_of(output.value)
        assert head is not None, "cores derive messages of ours"
        if head.event_time not in self.span:
            return False
        self.on_derived(output)
        if self.recorded is None:
            self.derived += 1
            return True
        if head.id in self._seen:
            return True
        self._seen.add(head.id)
        self.derived += 1
        replayed = Stored.of_output(output, caused=self.recorded.caused)
        entry = self.recorded.entries.get(head.id)
        if entry is not None and entry.digest == replayed.digest:
            self.equal += 1
            return True
        kind = Kind.MISSING if entry is None else Kind.DIFFERENT
        partition = replayed.partition if entry is None else entry.partition
        offset = None if entry is None else entry.offset
        moment = head.event_time if entry is None else min(head.event_time, entry.event_time)
        self.note(
            Difference(
                self.topic, kind, head.id.decode(), moment, partition, offset, replayed, note
            )
        )
        return True

    def note(self, difference: Difference) -> None:
        """Count one difference, and keep it where none is earlier."""
        self.counts[difference.kind] += 1
        if self.first is None or difference.order < self.first.order:
            self.first = difference

    def close(self) -> None:
        """Count what stands there and was not derived, contradicts itself, or cannot be read."""
        if self.recorded is None:
            return
        for id_, entry in self.recorded.entries.items():
            if id_ not in self._seen:
                self._note_entry(Kind.UNKNOWN, id_, entry)
        for id_, entry in self.recorded.contradictions:
            self._note_entry(Kind.CONTRADICTED, id_, entry)
        for partition, offset in self.recorded.unreadable:
            self.note(Difference(self.topic, Kind.UNREADABLE, "", UtcNs(0), partition, offset))

    def _note_entry(self, kind: Kind, id_: bytes, entry: Entry) -> None:
        place = entry.partition, entry.offset
        self.note(Difference(self.topic, kind, id_.decode(), entry.event_time, *place))

    @property
    def differences(self) -> int:
        """How many messages record and replay do not agree on."""
        return self.counts.total()


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """The first field, in order of names, in which two messages differ."""

    name: str
    recorded: str
    replayed: str


def field_difference(recorded: Stored | None, replayed: Stored | None) -> FieldDifference | None:
    """Where both differ first: by its content, else by where it stands; None where nowhere."""
    if recorded is None or replayed is None:
        return FieldDifference(
            "(the whole message)",
            _said(recorded.value if recorded else None),
            _said(replayed.value if replayed else None),
        )
    for name, ours, theirs in _fields(recorded, replayed):
        if ours != theirs:
            return FieldDifference(name, _said(ours), _said(theirs))
    return None


def _fields(recorded: Stored, replayed: Stored) -> Iterator[tuple[str, Any, Any]]:
    yield from _leaves("", _read(recorded.value), _read(replayed.value))
    yield "(bytes)", recorded.value, replayed.value
    yield "(key)", recorded.key, replayed.key
    yield "(partition)", recorded.partition, replayed.partition
    yield "(cause)", recorded.cause, replayed.cause


def _leaves(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            under = f"{path}.{name}" if path else name
            yield from _leaves(under, ours.get(name), theirs.get(name))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _leaves(f"{path}[{at}]", one, other)
    else:
        yield path, ours, theirs


def _read(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _said(value: Any) -> str:
    if value is None:
        return NOTHING
    text = value.decode(errors="replace") if isinstance(value, bytes) else orjson.dumps(value)
    text = text.decode() if isinstance(text, bytes) else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def first_of(comparisons: Iterable[Comparison]) -> Difference | None:
    """The first difference of the first topic that has one: `comparisons` come causes first."""
    return next((each.first for each in comparisons if each.first), None)
