"""What the JSON Schemas say, in the few forms that ours have: records, enums, types of fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from schemas.export import exported
from schemas.topics import CATALOGUE

HEAD: Final = "Made by `python -m tools.messages` from schemas/messages.py: change that, not this."


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        kind: Its JSON Schema.
        optional: Absent from some messages, such as those that corrected nothing.
    """

    name: str
    kind: dict[str, Any]
    optional: bool

    @property
    def says(self) -> str:
        """What the schema says of it, in one line; empty where the name says all."""
        alternatives = (each.get("description", "") for each in self.kind.get("anyOf", ()))
        said = self.kind.get("description") or next(filter(None, alternatives), "")
        return " ".join(said.split())


@dataclass(frozen=True, slots=True)
class Shape:
    """A record or, where it has `values`, an enum.

    Attributes:
        message: It stands on a topic, and has what all messages have.
    """

    name: str
    says: str
    message: bool
    fields: tuple[Field, ...] = ()
    values: tuple[str, ...] = ()


@cache
def topics() -> dict[str, str]:
    """Topic -> name of its message."""
    return {each.name: each.message.__name__ for each in CATALOGUE if each.message}


@cache
def shapes() -> tuple[Shape, ...]:
    """Every record and enum once: enums first, and what a record is made of before it."""
    found: dict[str, dict[str, Any]] = {}
    for schema in exported().values():
        found |= schema.get("$defs", {}) | {schema["title"]: schema}
    return shapes_of(found)


def shapes_of(schemas: Mapping[str, dict[str, Any]]) -> tuple[Shape, ...]:
    """The same of JSON Schemas by name, which refer to each other only."""
    # a JsonValue is anything
    found = {name: _shape(name, part) for name, part in schemas.items() if name != "JsonValue"}
    ordered: dict[str, Shape] = {}
    for shape in sorted(
        found.values(), key=lambda each: (not each.values, each.message, each.name)
    ):
        _add(shape.name, found, ordered)
    return tuple(ordered.values())


def _add(name: str, found: Mapping[str, Shape], ordered: dict[str, Shape]) -> None:
    if name not in ordered:
        for field in found[name].fields:
            for part in parts_of(field.kind):
                _add(part, found, ordered)
        ordered[name] = found[name]


def parts_of(kind: Any) -> Iterator[str]:
    """The shapes that a type names, at any depth."""
    if isinstance(kind, dict):
        if name := target(kind):
            yield name
        for part in kind.values():
            yield from parts_of(part)
    elif isinstance(kind, list):
        for part in kind:
            yield from parts_of(part)


def _shape(name: str, schema: dict[str, Any]) -> Shape:
    says, values = schema.get("description", ""), tuple(schema.get("enum", ()))
    fields = () if values else tuple(_fields(schema))
    return Shape(name, says, name in topics().values(), fields, values)


def _fields(schema: dict[str, Any]) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, kind in schema["properties"].items():
        yield Field(name, kind, name not in required)


def target(kind: dict[str, Any]) -> str | None:
    """The name of the shape that a type refers to; None where it is plain."""
    reference: str | None = kind.get("$ref")
    name = reference.rpartition("/")[2] if reference else None
    return None if name == "JsonValue" else name


def nullable(kind: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The type without null, and whether it may be null.

    Raises:
        ValueError: a choice of several types, which none of our messages has.
    """
    choices = kind.get("anyOf")
    if choices is None:
        return kind, False
    real = [each for each in choices if each.get("type") != "null"]
    if len(real) != 1:
        raise ValueError(f"a choice of types: {kind}")
    return real[0], len(real) < len(choices)
