"""What is swept: `rules.ema_cross.fast=5..20:5` and the like, and all points of it. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import product
from math import prod
from typing import Final, TypeAlias

from schemas.errors import Misconfigured

MOST_POINTS: Final = 5_000  # 70 x 70; whoever wants more finds a best one by chance alone

Value: TypeAlias = int | float | str | bool
Point: TypeAlias = Mapping[str, Value]

_RANGE: Final = re.compile(r"(?P<first>-?[\d.]+)\.\.(?P<last>-?[\d.]+)(?::(?P<step>[\d.]+))?")
_EXAMPLE: Final = "write rules.ema_cross.fast=5..20, 5..20:5, or 5,8,13"


class Search(StrEnum):
    """Which points of a space are tried: all of them, or those that a search asks for."""

    GRID = "grid"
    BAYES = "bayes"


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter and the values it gets, in their order, each once."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """The swept parameters of one rule, by its name in the rules file."""

    rule: str
    axes: tuple[Axis, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """Every combination, the last parameter changing first.

        Raises:
            Misconfigured: there are too many.
        """
        if (count := prod(len(axis.values) for axis in self.axes)) > MOST_POINTS:
            raise Misconfigured(
                f"{count:,} points are too many, at most {MOST_POINTS:,}: widen a step, or let "
                "--search bayes choose some"
            )
        names = [axis.name for axis in self.axes]
        all_ = product(*(axis.values for axis in self.axes))
        return tuple(dict(zip(names, values, strict=True)) for values in all_)

    @property
    def corners(self) -> tuple[Point, ...]:
        """Every combination of the first and the last value of each parameter."""
        ends = (tuple(dict.fromkeys((axis.values[0], axis.values[-1]))) for axis in self.axes)
        return Space(self.rule, tuple(map(Axis, (axis.name for axis in self.axes), ends))).points


def space_of(sets: Sequence[str]) -> Space:
    """What all `--set` together mean.

    Raises:
        Misconfigured: one cannot be read, or several rules are named.
    """
    if not sets:
        raise Misconfigured(f"nothing is swept: give --set, {_EXAMPLE}")
    read = [_read(text) for text in sets]
    rules = list(dict.fromkeys(rule for rule, _ in read))
    if len(rules) > 1:
        raise Misconfigured(
            f"--set names {' and '.join(rules)}: each rule has an account of its own, so the "
            "parameters of one change nothing for the other; sweep them one after another"
        )
    names = [axis.name for _, axis in read]
    if len(names) > len(set(names)):
        raise Misconfigured("--set names one parameter twice: give all its values in one --set")
    return Space(rules[0], tuple(axis for _, axis in read))


def _read(text: str) -> tuple[str, Axis]:
    name, equals, values = text.partition("=")
    parts = name.split(".")
    if not equals or len(parts) != 3 or parts[0] != "rules" or not all(parts):
        raise Misconfigured(f"--set {text!r} is not usable: {_EXAMPLE}")
    found = _range(text, values) if ".." in values else [_value(each) for each in values.split(",")]
    return parts[1], Axis(parts[2], tuple(dict.fromkeys(found)))


def _range(text: str, values: str) -> list[Value]:
    match = _RANGE.fullmatch(values)
    try:
        first, last, step = (Decimal(each or 1) for each in match.groups()) if match else (0, 0, 0)
    except InvalidOperation:
        match = None
    if not match or step <= 0 or last < first:
        raise Misconfigured(f"--set {text!r} is not usable: {_EXAMPLE}")
    count = int((last - first) / step) + 1
    if count > MOST_POINTS:
        raise Misconfigured(f"--set {text!r} has {count:,} values, at most {MOST_POINTS:,}")
    whole = "." not in values.replace("..", "")
    steps = (first + nth * step for nth in range(count))
    return [int(each) if whole else float(each) for each in steps]


def _value(text: str) -> Value:
    """As TOML reads it; what is no TOML is a text, such as 15m."""
    try:
        value: Value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value
