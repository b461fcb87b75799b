"""Rules asked about closed bars: what the kernels must capture for them, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Direction
from streams.columns.names import INDICATOR_OF, VALUES
from streams.columns.parse import parse_column
from streams.engine.closed import COMPLETE, END, INSTRUMENT, TICKS, TIMEFRAME, Closed, NeededColumns
from streams.engine.compiled import Numbers
from streams.engine.config import EngineConfig
from streams.engine.extras import Extras
from streams.engine.kernels import OWN_PREVIOUS
from streams.engine.layout import AT
from streams.rules import Rule

_BY_TALIB: Final = 1_000_000  # while places are collected: the column is one of `Extras`
_FACT: Final = {"ticks": TICKS, "complete": COMPLETE}


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that spoke on one closed bar.

    Attributes:
        at: The bar's row.
        features: What the rule needed.
    """

    rule: Rule
    direction: Direction
    at: int
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class Question:
    """A rule and where its columns stand.

    Attributes:
        timeframe: Place of the rule's timeframe.
        places: Of each need in `Closed.values`; of facts, counted down from -1.
        keys: Of the only instruments it is about.
    """

    rule: Rule
    timeframe: int
    places: tuple[int, ...]
    keys: frozenset[int] | None

    def columns(self, closed: Closed, asked: Numbers) -> NeededColumns:
        values, facts = closed.values, closed.facts
        found = [
            values[asked, at] if at >= 0 else facts[asked, -1 - at].astype(np.float64)
            for at in self.places
        ]
        table = np.stack(found, axis=1) if found else np.empty((len(asked), 0))
        return NeededColumns(self.rule.needs, table)


def prepared(
    rules: Iterable[Rule], config: EngineConfig, extras: Extras
) -> tuple[tuple[Question, ...], Numbers]:
    """Each rule's question, and the captures that they need (`arrays.Out`).

    Raises:
        Misconfigured: a rule needs what the engine does not compute.
    """
    captures: dict[tuple[int, int], int] = {}
    questions = []
    for rule in rules:
        if rule.timeframe not in config.timeframes:
            raise Misconfigured(
                f"rule {rule.key}: bars of {rule.timeframe} are not made; add it to ATS_TIMEFRAMES"
            )
        places = tuple(_place(rule, need, config, captures, extras) for need in rule.needs)
        keys = None if rule.instruments is None else frozenset(map(_key_of, rule.instruments))
        questions.append(Question(rule, config.timeframes.index(rule.timeframe), places, keys))
    kept = len(VALUES) + len(captures)
    moved = tuple(
        replace(each, places=tuple(_after(kept, at) for at in each.places)) for each in questions
    )
    return moved, np.array([*captures], np.int64).reshape(-1, 2)


def _after(kept: int, at: int) -> int:
    """Values of TA-Lib stand after all that the kernels write."""
    return kept + at - _BY_TALIB if at >= _BY_TALIB else at


def _key_of(instrument: InstrumentId) -> int:
    return instrument.segment.code << 32 | instrument.security_id


def _place(
    rule: Rule,
    need: str,
    config: EngineConfig,
    captures: dict[tuple[int, int], int],
    extras: Extras,
) -> int:
    column = parse_column(need, rule.timeframe)
    value = column.base
    if column.is_talib:
        asking, of = (
            config.timeframes.index(rule.timeframe),
            config.timeframes.index(column.timeframe),
        )
        return _BY_TALIB + extras.place(asking, of, value, previous=column.previous)
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


def answers(
    questions: Iterable[Question], closed: Closed, keys: Numbers, fired_at: Mapping[str, Numbers]
) -> list[Fired]:
    """Ask every rule about the bars of its timeframe.

    Keep what its cooldown lets through, in order of the bars. `keys` are those of the bars'
    instruments. Notes in `fired_at` who spoke.
    """
    tradable = keys >> 32 != 0  # an index has no orders
    frames = closed.facts[:, TIMEFRAME]
    of: dict[int, Numbers] = {}
    hits: list[tuple[int, int, Fired]] = []
    for nth, question in enumerate(questions):
        if question.timeframe not in of:
            of[question.timeframe] = np.flatnonzero(tradable & (frames == question.timeframe))
        asked = of[question.timeframe]
        if question.keys is not None:
            asked = np.array(
                [at for at in asked.tolist() if int(keys[at]) in question.keys], np.int64
            )
        if not len(asked):
            continue
        columns = question.columns(closed, asked)
        verdicts = question.rule.ask(columns, len(asked))
        for row in np.flatnonzero(verdicts).tolist():
            at = int(asked[row])
            if _cooled_down(question.rule, closed.facts[at], fired_at[question.rule.key]):
                direction = Direction.BULLISH if verdicts[row] > 0 else Direction.BEARISH
                features = dict(zip(columns.names, columns.table[row].tolist(), strict=True))
                hits.append((at, nth, Fired(question.rule, direction, at, features)))
    return [fired for _, _, fired in sorted(hits, key=lambda hit: hit[:2])]


def _cooled_down(rule: Rule, facts: Numbers, last: Numbers) -> bool:
    number, now = int(facts[INSTRUMENT]), int(facts[END])
    if last[number] and now - last[number] < rule.cooldown:
        return False
    last[number] = now
    return True
