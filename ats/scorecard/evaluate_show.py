"""Two cards beside each other: for people, and as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from rich.console import Console

from ats.replay.whatif_show import say
from ats.scorecard.show import as_dict, table
from audit.scorecard.card import Card
from audit.scorecard.paired import Paired
from audit.shown import clean


@dataclass(frozen=True, slots=True)
class Way:
    """One way of deciding, by the name of its prompt file."""

    name: str
    card: Card


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Both ways on the same signals.

    Attributes:
        unknown: Signals left out, because an answer is missing on one side.
    """

    ways: tuple[Way, ...]
    difference: Paired
    unknown: int


def as_json(evaluated: Evaluated) -> str:
    """Both cards as `ats scorecard` has them, and the paired difference."""
    told = evaluated.difference
    body = {
        "ways": [{"name": each.name, "card": as_dict(each.card)} for each in evaluated.ways],
        "paired": {
            "signals": told.signals,
            "changed": told.changed,
            "difference_bp": told.difference.value,
            "low": told.difference.low,
            "high": told.difference.high,
            "said": told.sentence,
        },
        "unknown": evaluated.unknown,
    }
    return clean(orjson.dumps(body).decode())


def show(console: Console, evaluated: Evaluated) -> None:
    """For people."""
    for each in evaluated.ways:
        console.print(table(clean(each.name), [each.card.acted, *each.card.sections[0].lines]))
    told = evaluated.difference
    say(console, f"{told.changed:,} of {told.signals:,} signals were decided otherwise.")
    say(console, told.sentence)
    if evaluated.unknown:
        say(console, f"{evaluated.unknown:,} signals are left out: answers to them are missing.")
