"""How long each hop of a story took, by when its records were written. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from audit.story import Story
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    FanOut,
    LlmCall,
    Message,
    OrderIntent,
    Signal,
    Trade,
)
from schemas.units import UtcNs


class Hop(NamedTuple):
    """From the record before to this one, in nanoseconds of the writers' clocks.

    Kafka keeps milliseconds, and the clocks of two machines differ: a hop may be below zero.
    """

    begin: str
    end: str
    took: int


_STATIONS: Final[Mapping[type[Message], str]] = {
    Candle: "bar",
    Signal: "signal",
    LlmCall: "first answer of a model",
    Decision: "decision",
    FanOut: "fan-out",
    OrderIntent: "order",
    Execution: "outcome",
    Trade: "trade",
}


def hops(story: Story) -> tuple[Hop, ...]:
    """Between the first records of each kind, along the chain."""
    stations = list(_stations(story))
    return tuple(
        Hop(begin, end, int(later - earlier))
        for (begin, earlier), (end, later) in pairwise(stations)
    )


def _stations(story: Story) -> Iterator[tuple[str, UtcNs]]:
    if closed := next((each.closed_at for each in story.ticks if each.closed_at), None):
        yield "tick that closed the bar", closed
    for kind, name in _STATIONS.items():
        first = next((each for each in story.records if isinstance(each.message, kind)), None)
        if first is not None:
            yield name, first.published_at
