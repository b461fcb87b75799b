"""Filters of `ats tail`: `--where symbol=TCS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ats.commands.tail.entries import Entry
from ats.commands.tail.fields import fields_of, inside, names_in
from schemas.errors import Misconfigured
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of the value and what it must be.

    Attributes:
        path: Names from the outside in, such as `("values", "ema_9")`.
        wanted: As it stands in JSON; letters of either case are equal, numbers equal by value.
    """

    path: tuple[str, ...]
    wanted: str

    def holds(self, value: Any) -> bool:
        """Whether it holds for a value; of a list, for any of its elements."""
        return any(_equal(each, self.wanted) for each in _found(value, self.path))


def conditions_of(words: Sequence[str], topics: Sequence[Topic]) -> tuple[Condition, ...]:
    """Read `FIELD=VALUE` words.

    Raises:
        Misconfigured: a word of another form, or a field that one of `topics` does not have, with
            those that it has.
    """
    conditions = tuple(map(_condition, words))
    for topic in topics:
        for condition in conditions:
            _check(topic, condition)
    return conditions


def match(entry: Entry, conditions: Sequence[Condition]) -> bool:
    """Whether every condition holds. What cannot be read is never filtered away."""
    return bool(entry.odd) or all(condition.holds(entry.value) for condition in conditions)


def _condition(word: str) -> Condition:
    path, equals, wanted = word.partition("=")
    if not equals or not all(parts := path.strip().split(".")):
        raise Misconfigured(
            f"--where {word!r} is not usable: write it as FIELD=VALUE, such as symbol=TCS"
        )
    return Condition(tuple(parts), wanted.strip())


def _check(topic: Topic, condition: Condition) -> None:
    annotation, names = None, tuple(fields_of(topic))
    for depth, name in enumerate(condition.path):
        try:
            annotation = inside(annotation, name) if depth else fields_of(topic)[name]
        except KeyError:
            path, outer = ".".join(condition.path[: depth + 1]), ".".join(condition.path[:depth])
            there = f"{outer} has {', '.join(names)}" if outer else f"it has {', '.join(names)}"
            raise Misconfigured(
                f"--where {path}: {topic.name} has no such field; "
                + (there if names else f"{outer} has no fields")
            ) from None
        names = names_in(annotation)


def _found(value: Any, path: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return [found for each in value for found in _found(each, path)]
    if not path:
        return [value]
    return (
        _found(value[path[0]], path[1:]) if isinstance(value, Mapping) and path[0] in value else []
    )


def _equal(value: Any, wanted: str) -> bool:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value] == wanted.casefold()
    if isinstance(value, int | float):
        try:
            return Decimal(wanted) == Decimal(str(value))
        except InvalidOperation:
            return False
    return isinstance(value, str) and value.casefold() == wanted.casefold()
