"""A bounded memory of numbered events, and the place of a viewer in it. Pure.

A viewer is no queue but a place: two numbers. Whoever falls so far behind that the events after
their place are gone gets a snapshot. So a slow viewer costs no memory, and a viewer that comes back
with the id of its last event is served by the same few lines.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Self

from schemas.ids import InstrumentId
from schemas.units import UtcNs

_ID: Final = re.compile(r"([0-9a-f]{8,32})\.(0|[1-9][0-9]{0,14})\.(0|[1-9][0-9]{0,14})")


class Event(NamedTuple):
    """One event as every viewer is sent it.

    Attributes:
        frame: Name and data, without an id.
        instrument: Who does not ask for this instrument is not told; None: everybody is.
        told_at: When its record was published, UTC ns.
    """

    frame: bytes
    instrument: InstrumentId | None
    told_at: UtcNs


class Place(NamedTuple):
    """Up to which event a viewer was told.

    Attributes:
        epoch: Names the process that numbered them; numbers of another say nothing.
        public: Of what everybody sees.
        own: Of the viewer's own. Two numbers, because one for all would tell how busy others are.
    """

    epoch: str
    public: int
    own: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.public}.{self.own}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The place that an event's id names; None where it is no id of ours."""
        found = _ID.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None


def frame_of(name: str, data: bytes) -> bytes:
    """An event's lines; `data` is JSON without a line break."""
    return b"event: %b\ndata: %b\n" % (name.encode(), data)


@dataclass(slots=True)
class EventRing:
    """The newest events, numbered from 1.

    Attributes:
        most: How many are kept.
        most_bytes: Of all their frames; the newest is kept however large.
        last: Number of the newest; 0 before the first.
    """

    most: int
    most_bytes: int
    last: int = 0
    size: int = 0
    _events: deque[Event] = field(default_factory=deque)

    def append(self, event: Event) -> None:
        """Number and keep `event`; the oldest give way."""
        self.last += 1
        self.size += len(event.frame)
        self._events.append(event)
        while len(self._events) > self.most or (
            self.size > self.most_bytes and len(self._events) > 1
        ):
            self.size -= len(self._events.popleft().frame)

    def forget(self) -> None:
        """Let go of all, so that every viewer needs a snapshot."""
        self._events.clear()
        self.size = 0
        self.last += 1

    def after(self, number: int, most: int) -> list[Event] | None:
        """The first events behind `number`, at most `most`; None where some of them are gone."""
        waiting = self.last - number
        if not 0 <= waiting <= len(self._events):
            return None
        start = len(self._events) - waiting
        return list(islice(self._events, start, start + most))
