"""Rules on closed bars: what the kernels must capture for them, and which of them fire.

A rule that fails stops for that instrument and that day, where somebody wants to hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import numpy as np

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Direction
from schemas.units import NS_PER_SECOND, UtcNs
from streams.columns.names import FACTS, INDICATOR_OF, TIME_FACTS, VALUES
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
from streams.engine.compiled import FloatArray, IntArray
from streams.engine.config import EngineConfig
from streams.engine.layout import AT
from streams.engine.past_columns import PastColumns, bars_in_turn
from streams.engine.tables import instrument_of, key_of
from streams.engine.talib_windows import TalibWindows
from streams.rules import Directions, Flags, Rule

# while places are collected: the column is one of `TalibWindows`
_BY_TALIB: Final = 1_000_000
_FACT: Final = {"ticks": TICKS, "complete": COMPLETE} | {
    name: len(FACTS) + nth for nth, name in enumerate(TIME_FACTS)
}
_IST_NS: Final = 19_800 * NS_PER_SECOND
_DAY_NS: Final = 86_400 * NS_PER_SECOND


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


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A rule that failed on one bar, and is silent on that instrument for the rest of the day.

    Attributes:
        at: The bar's end.
    """

    rule: Rule
    instrument: InstrumentId
    at: UtcNs
    reason: str


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


OnFault: TypeAlias = Callable[[RuleFault], None]

Listener: TypeAlias = Callable[[IntArray, NeededColumns, Directions], None]
"""Hears of a rule the facts of the bars it was asked about, its columns and its answers."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Bars that a rule is asked about at once.

    Attributes:
        past: Of a timeframe's `PastColumns`, what was there before each bar.
    """

    rows: IntArray
    past: FloatArray | None = None

    def only(self, chosen: Flags) -> _Part:
        return _Part(self.rows[chosen], None if self.past is None else self.past[chosen])


@dataclass(slots=True)
class RuleRunner:
    """Evaluates rules on closed bars and keeps what they depend on besides.

    Attributes:
        on_fault: Hears of a rule that failed; None: the failure is raised.
        fired_at: Per rule, market time of its last signal for each instrument, 0 for none.
        past: What rules look back at, by place of the timeframe.
        stopped: Per rule and instrument's number, the end of the bar it failed on.
        listeners: Per rule, who hears what it is asked.
    """

    bound: tuple[BoundRule, ...]
    on_fault: OnFault | None = None
    fired_at: dict[str, IntArray] = field(init=False)
    past: dict[int, PastColumns] = field(init=False)
    stopped: dict[str, dict[int, int]] = field(init=False)
    listeners: dict[str, list[Listener]] = field(init=False)

    def __post_init__(self) -> None:
        keys = [each.rule.key for each in self.bound]
        self.fired_at = {key: np.zeros(0, np.int64) for key in keys}
        self.stopped = {key: {} for key in keys}
        self.listeners = {key: [] for key in keys}
        self.past = {place: _past_of(own) for place, own in _looking_back(self.bound).items()}

    @property
    def looks_at_time(self) -> bool:
        """Whether a rule needs one of `TIME_FACTS`."""
        return any(place < -len(FACTS) for each in self.bound for place in each.places)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` instruments."""
        for key, moments in self.fired_at.items():
            more = np.zeros(capacity - len(moments), np.int64)
            self.fired_at[key] = np.concatenate([moments, more])
        for past in self.past.values():
            past.grow(capacity)

    def evaluate(self, closed: ClosedBars, keys: IntArray) -> list[RuleHit]:
        """Evaluate every rule on the bars of its timeframe.

        Keeps what its cooldown lets through, in order of the bars. `keys` are those of the bars'
        instruments; `closed.facts` end with `TIME_FACTS` where a rule looks at them. Bars without
        ticks, which history left open, are only looked back at.

        Raises:
            Misconfigured: a rule failed, and nobody listens.
        """
        tradable = keys >> 32 != 0  # an index has no orders
        published = closed.facts[:, TICKS] > 0
        frames = closed.facts[:, TIMEFRAME]
        pasts = {
            place: list(self._turns(place, closed, np.flatnonzero(tradable & (frames == place))))
            for place in self.past
        }
        plain: dict[int, list[_Part]] = {}
        hits: list[tuple[int, int, RuleHit]] = []
        for nth, bound in enumerate(self.bound):
            place = bound.timeframe
            if bound.rule.lookback == 0 and place not in plain:
                plain[place] = [_Part(np.flatnonzero(tradable & published & (frames == place)))]
            for part in (pasts if bound.rule.lookback else plain)[place]:
                chosen = self._chosen(bound, part, closed, keys)
                if len(chosen.rows):
                    hits += ((hit.at, nth, hit) for hit in self._hits(bound, chosen, closed, keys))
        return [hit for _, _, hit in sorted(hits, key=lambda hit: hit[:2])]

    def _turns(self, place: int, closed: ClosedBars, rows: IntArray) -> Iterator[_Part]:
        past, numbers = self.past[place], closed.facts[rows, INSTRUMENT]
        for turn in bars_in_turn(numbers):
            before = past.push(numbers[turn], _values_at(closed, past.places, rows[turn]))
            part = _Part(rows[turn], before)
            yield part.only(closed.facts[part.rows, TICKS] > 0)

    def _chosen(self, bound: BoundRule, part: _Part, closed: ClosedBars, keys: IntArray) -> _Part:
        """The bars of the instruments that the rule is about and has not stopped for."""
        if bound.keys is not None:
            part = part.only(np.isin(keys[part.rows], list(bound.keys)))
        if self.stopped[bound.rule.key]:
            facts = closed.facts[part.rows]
            going = [not self._is_stopped(bound.rule, fact) for fact in facts]
            part = part.only(np.array(going, np.bool_))
        return part

    def _hits(
        self, bound: BoundRule, part: _Part, closed: ClosedBars, keys: IntArray
    ) -> Iterator[RuleHit]:
        rule, facts = bound.rule, closed.facts[part.rows]
        columns = NeededColumns(
            rule.needs,
            _values_at(closed, bound.places, part.rows),
            None if part.past is None else self.past[bound.timeframe].needed(rule, part.past),
        )
        directions = self._directions(rule, columns, facts, keys[part.rows])
        for hear in self.listeners[rule.key]:
            hear(facts, columns, directions)
        for row in np.flatnonzero(directions).tolist():
            if _cooled_down(rule, facts[row], self.fired_at[rule.key]):
                direction = Direction.BULLISH if directions[row] > 0 else Direction.BEARISH
                features = dict(zip(columns.names, columns.table[row].tolist(), strict=True))
                yield RuleHit(rule, direction, int(part.rows[row]), features)

    def _directions(
        self, rule: Rule, columns: NeededColumns, facts: IntArray, keys: IntArray
    ) -> Directions:
        """What the rule says of each bar; where it fails, nothing, and it stops there."""
        try:
            return rule.evaluate(columns, len(facts))
        except Misconfigured:
            if self.on_fault is None:
                raise
        directions = np.zeros(len(facts), np.int8)
        for row, (fact, key) in enumerate(zip(facts, keys.tolist(), strict=True)):
            if self._is_stopped(rule, fact):
                continue
            try:
                directions[row] = np.sign(rule.evaluate(columns.only(row), 1)[0])
            except Misconfigured as error:
                end = UtcNs(fact[END])
                self.stopped[rule.key][int(fact[INSTRUMENT])] = end
                self.on_fault(RuleFault(rule, instrument_of(key), end, str(error)))
        return directions

    def _is_stopped(self, rule: Rule, fact: IntArray) -> bool:
        at = self.stopped[rule.key].get(int(fact[INSTRUMENT]))
        return at is not None and _indian_day(at) == _indian_day(int(fact[END]))


def _looking_back(bound: Sequence[BoundRule]) -> dict[int, list[BoundRule]]:
    """The rules with a lookback by the place of their timeframe."""
    found: dict[int, list[BoundRule]] = {}
    for each in bound:
        if each.rule.lookback:
            found.setdefault(each.timeframe, []).append(each)
    return found


def _past_of(bound: Sequence[BoundRule]) -> PastColumns:
    """What rules of one timeframe look back at, each column once, as far as one of them looks."""
    places = {
        need: place
        for each in bound
        for need, place in zip(each.rule.needs, each.places, strict=True)
    }
    names = sorted(places)
    depth = max(each.rule.lookback for each in bound)
    return PastColumns(
        bound[0].rule.timeframe, tuple(names), tuple(places[name] for name in names), depth
    )


def _values_at(closed: ClosedBars, places: Sequence[int], rows: IntArray) -> FloatArray:
    """Shape (rows, places): values, and facts counted down from -1."""
    values, facts = closed.values, closed.facts
    found = [
        values[rows, at] if at >= 0 else facts[rows, -1 - at].astype(np.float64) for at in places
    ]
    return np.stack(found, axis=1) if found else np.empty((len(rows), 0))


def _cooled_down(rule: Rule, facts: IntArray, last: IntArray) -> bool:
    number, now = int(facts[INSTRUMENT]), int(facts[END])
    if last[number] and now - last[number] < rule.cooldown:
        return False
    last[number] = now
    return True


def _indian_day(moment: int) -> int:
    return (moment + _IST_NS) // _DAY_NS
