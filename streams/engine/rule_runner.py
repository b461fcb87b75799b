"""Rules on closed bars: what the kernels must capture for them, and which of them fire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.errors import Misconfigured
from schemas.market import Direction
from streams.columns.names import INDICATOR_OF, VALUES
from streams.columns.parse import parse_column
from streams.engine.bars import OWN_PREVIOUS
from streams.engine.closed_bars import (
    COMPLETE,
    END,
    INSTRUMENT,
    TICKS,
    TIMEFRAME,
    ClosedBars,
    NeededColumns,
)
from streams.engine.compiled import IntArray
from streams.engine.config import EngineConfig
from streams.engine.layout import AT
from streams.engine.tables import key_of
from streams.engine.talib_windows import TalibWindows
from streams.rules import Rule

# while places are collected: the column is one of `TalibWindows`
_BY_TALIB: Final = 1_000_000
_FACT: Final = {"ticks": TICKS, "complete": COMPLETE}


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that fired on one closed bar.

    Attributes:
        at: The bar's row.
        features: What the rule needed.
    """

    rule: Rule
    direction: Direction
    at: int
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule and where its columns stand.

    Attributes:
        timeframe: Place of the rule's timeframe.
        places: Of each need in `ClosedBars.values`; of facts, counted down from -1.
        keys: Of the only instruments it is about.
    """

    rule: Rule
    timeframe: int
    places: tuple[int, ...]
    keys: frozenset[int] | None

    def columns(self, closed: ClosedBars, rows: IntArray) -> NeededColumns:
        """What the rule needs of the bars in `rows`."""
        values, facts = closed.values, closed.facts
        found = [
            values[rows, at] if at >= 0 else facts[rows, -1 - at].astype(np.float64)
            for at in self.places
        ]
        table = np.stack(found, axis=1) if found else np.empty((len(rows), 0))
        return NeededColumns(self.rule.needs, table)


def bind(
    rules: Iterable[Rule], config: EngineConfig, talib: TalibWindows
) -> tuple[tuple[BoundRule, ...], IntArray]:
    """The rules with the places of their columns, and the captures they need (`arrays.Out`).

    Raises:
        Misconfigured: a rule needs what the engine does not compute.
    """
    captures: dict[tuple[int, int], int] = {}
    bound = []
    for rule in rules:
        if rule.timeframe not in config.timeframes:
            raise Misconfigured(
                f"rule {rule.key}: bars of {rule.timeframe} are not made; add it to ATS_TIMEFRAMES"
            )
        places = tuple(_place(rule, need, config, captures, talib) for need in rule.needs)
        keys = None if rule.instruments is None else frozenset(map(key_of, rule.instruments))
        bound.append(BoundRule(rule, config.timeframes.index(rule.timeframe), places, keys))
    kept = len(VALUES) + len(captures)
    moved = tuple(
        replace(each, places=tuple(_after(kept, at) for at in each.places)) for each in bound
    )
    return moved, np.array([*captures], np.int64).reshape(-1, 2)


def _after(kept: int, at: int) -> int:
    """Values of TA-Lib stand after all that the kernels write."""
    return kept + at - _BY_TALIB if at >= _BY_TALIB else at


def _place(
    rule: Rule,
    need: str,
    config: EngineConfig,
    captures: dict[tuple[int, int], int],
    talib: TalibWindows,
) -> int:
    column = parse_column(need, rule.timeframe)
    value = column.base
    if column.is_talib:
        own, source = (
            config.timeframes.index(rule.timeframe),
            config.timeframes.index(column.timeframe),
        )
        return _BY_TALIB + talib.capture(own, source, value, previous=column.previous)
    if value in _FACT:
        return -1 - _FACT[value]
    if value in INDICATOR_OF and INDICATOR_OF[value] not in config.indicators:
        raise Misconfigured(
            f"rule {rule.key} needs {need!r}; add {INDICATOR_OF[value]} to ATS_INDICATORS"
        )
    if column.previous:
        capture = (OWN_PREVIOUS, AT[value])
    elif column.timeframe == rule.timeframe:
        return AT[value]
    elif column.timeframe in config.timeframes:
        capture = (config.timeframes.index(column.timeframe), AT[value])
    else:
        raise Misconfigured(
            f"rule {rule.key} needs {need!r}: bars of {column.timeframe} are not made; "
            "add it to ATS_TIMEFRAMES"
        )
    return len(VALUES) + captures.setdefault(capture, len(captures))


def evaluate(
    rules: Iterable[BoundRule], closed: ClosedBars, keys: IntArray, fired_at: Mapping[str, IntArray]
) -> list[RuleHit]:
    """Evaluate every rule on the bars of its timeframe.

    Keeps what its cooldown lets through, in order of the bars. `keys` are those of the bars'
    instruments. Notes in `fired_at` when a rule fired.

    Raises:
        Misconfigured: a rule failed.
    """
    tradable = keys >> 32 != 0  # an index has no orders
    frames = closed.facts[:, TIMEFRAME]
    rows_of: dict[int, IntArray] = {}
    hits: list[tuple[int, int, RuleHit]] = []
    for nth, bound in enumerate(rules):
        if bound.timeframe not in rows_of:
            rows_of[bound.timeframe] = np.flatnonzero(tradable & (frames == bound.timeframe))
        rows = rows_of[bound.timeframe]
        if bound.keys is not None:
            rows = np.array([at for at in rows.tolist() if int(keys[at]) in bound.keys], np.int64)
        if not len(rows):
            continue
        columns = bound.columns(closed, rows)
        directions = bound.rule.evaluate(columns, len(rows))
        for row in np.flatnonzero(directions).tolist():
            at = int(rows[row])
            if _cooled_down(bound.rule, closed.facts[at], fired_at[bound.rule.key]):
                direction = Direction.BULLISH if directions[row] > 0 else Direction.BEARISH
                features = dict(zip(columns.names, columns.table[row].tolist(), strict=True))
                hits.append((at, nth, RuleHit(bound.rule, direction, at, features)))
    return [hit for _, _, hit in sorted(hits, key=lambda hit: hit[:2])]


def _cooled_down(rule: Rule, facts: IntArray, last: IntArray) -> bool:
    number, now = int(facts[INSTRUMENT]), int(facts[END])
    if last[number] and now - last[number] < rule.cooldown:
        return False
    last[number] = now
    return True
