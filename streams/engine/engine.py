"""Ticks in, closed bars and signals out. Pure: no I/O, no clock, no chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from schemas.binary import Rows
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.ticks import Batch, decode, encode
from schemas.units import UtcNs
from streams.columns.names import FACTS, PRICES, VALUES
from streams.columns.parse import talib_columns
from streams.engine import arrays, kernels, layout, tables
from streams.engine.closed_bars import END, INSTRUMENT, NOTHING, TICKS, ClosedBars, joined
from streams.engine.compiled import FloatArray, IntArray, StructArray
from streams.engine.config import EngineConfig
from streams.engine.lanes import LANES
from streams.engine.rule_runner import OnFault, RuleHit, RuleRunner, bind
from streams.engine.session_times import session_times
from streams.engine.tables import Tables
from streams.engine.talib_windows import TalibWindows
from streams.rules import RULES, Rule

_FORMING: Final = 256  # ticks whose values are told at once: as many as a fast cache holds
_SPARE: Final = 1_024  # bars gathered before they are handed over, on top of one per open bar

HISTORICAL_BAR: Final = np.dtype(
    [
        ("key", "i8"),  # segment << 32 | security id
        ("timeframe", "i8"),  # place in `Timeframe`
        ("start", "i8"),
        ("open", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),
        ("volume", "i8"),
    ]
)
"""A closed bar of the past, as `Engine.seed` takes it."""


@dataclass(slots=True)
class ProvisionalValues:
    """Values of the forming bars after each tick that counts, as if every bar closed there.

    They follow from the ticks alone: how those were cut into records changes none. Late ticks and
    ticks outside the session have none. What it gives are views that the next ticks overwrite.
    """

    _buffers: arrays.ProvisionalBuffers
    count: int = 0

    @property
    def ticks(self) -> IntArray:
        """Shape (count, 2): which tick of the record, and its instrument's number."""
        return self._buffers.ticks[: self.count]

    def of(self, timeframe: int) -> FloatArray:
        """The values of one timeframe by its place: shape (count, `VALUES`)."""
        block, lane = divmod(timeframe, LANES)
        values: FloatArray = self._buffers.values[: self.count, block, :, lane]
        return values


EachTick: TypeAlias = Callable[[ProvisionalValues], None]
"""Hears of the ticks of a record in order, some at a time, before the bars it closes are told."""


class Engine:
    """Candles, indicators and rules of one partition.

    Attributes:
        tables: All state but that of the rules.
        runner: The rules: their cooldowns, what they look back at, and where they stopped.
        talib: Columns of TA-Lib: the last bars and values of each instrument.
    """

    def __init__(
        self,
        config: EngineConfig | None = None,
        rules: tuple[Rule, ...] = RULES,
        state: Tables | None = None,
        on_fault: OnFault | None = None,
    ) -> None:
        """Start empty, or from `state`.

        A rule that fails on a bar is silent on that instrument for the rest of the day, and
        `on_fault` hears of it; without `on_fault` the failure is raised.

        Raises:
            Misconfigured: a rule needs what `config` does not compute.
        """
        self.config = config or EngineConfig()
        self.rules = rules
        self.talib = TalibWindows(
            _talib_wanted(self.config, rules), self.config.talib_window, self.config.timeframes
        )
        bound, self._captures = bind(rules, self.config, self.talib)
        self.runner = RuleRunner(bound, on_fault)
        self.tables = state if state is not None else tables.empty(self.config)
        self._progress = np.zeros(arrays.PROGRESS_WIDTH, np.int64)
        self._rows = 1  # of provisional values: none before somebody wants them
        self._allocate()

    def apply(
        self, record: bytes, each_tick: EachTick | None = None
    ) -> tuple[ClosedBars, list[RuleHit]]:
        """Apply one record of `ats.ticks`; a heartbeat only moves the clock.

        Returns what closed, and the signals, each in order. `each_tick` is told what forms.

        Raises:
            Unreadable: as `schemas.ticks.decode` has it, before anything changed.
        """
        forming = each_tick is not None
        if forming and self._rows < _FORMING:
            self._rows = _FORMING
            self._allocate()
        found = kernels.apply_record(record, 0, forming, self._addresses)
        if found in {kernels.UNREADABLE, kernels.UNKNOWN}:
            self._register_strangers(record)
            found = kernels.apply_record(record, 0, forming, self._addresses)
        if found >= 0:
            if each_tick and found:
                self._tell(each_tick, found)
            return NOTHING, []
        return self._closed_by(record, each_tick)

    def process(
        self, batch: Batch, each_tick: EachTick | None = None
    ) -> tuple[ClosedBars, list[RuleHit]]:
        """Apply a batch that was made here, as the record it would be."""
        return self.apply(encode(batch), each_tick)

    def seed(self, bars: StructArray) -> None:
        """Take closed bars of the past (`HISTORICAL_BAR`) into the indicators, without any output.

        Of each instrument and timeframe they must come in order of start. Bars not newer than what
        the engine has are passed over, so the same bars may come again.
        """
        places = np.array([self._place(timeframe) for timeframe in Timeframe], np.int64)[
            bars["timeframe"]
        ]
        found = self._found(bars["key"])
        self._seed(np.ascontiguousarray(bars), found, places)
        new = places >= 0
        if self.talib.captures and new.any():
            prices = np.stack([bars[new][name].astype(np.float64) for name in PRICES], axis=1)
            self.talib.push_bars(np.stack([found[new], places[new]], axis=1), prices)

    def _seed(self, bars: StructArray, numbers: IntArray, places: IntArray) -> None:
        """Take bars into the indicators; stop at each one that a rule will look back at."""
        past, finals, first = self.runner.past, self.tables.finals, 0
        for at in np.flatnonzero(np.isin(places, list(past))).tolist():
            number, place = int(numbers[at]), int(places[at])
            kernels.seed(bars[first:at], numbers[first:at], places[first:at], self._addresses)
            before = finals[number, place].copy()
            first, alone = at + 1, slice(at, at + 1)
            kernels.seed(bars[alone], numbers[alone], places[alone], self._addresses)
            if places[at] >= 0:
                past[place].push_historical(number, finals[number, place], before)
        kernels.seed(bars[first:], numbers[first:], places[first:], self._addresses)

    @property
    def kept(self) -> int:
        """How many values the kernels write of a closed bar; those of `talib` follow."""
        return len(VALUES) + len(self._captures)

    @property
    def clock(self) -> UtcNs:
        """Largest market clock seen."""
        return UtcNs(self.tables.market[layout.CLOCK])

    def instrument(self, number: int) -> InstrumentId:
        """The instrument of a row number."""
        return tables.instrument_of(int(self.tables.live[number, layout.KEY]))

    def _place(self, timeframe: Timeframe) -> int:
        return (
            self.config.timeframes.index(timeframe) if timeframe in self.config.timeframes else -1
        )

    def _closed(self, count: int) -> tuple[ClosedBars, list[RuleHit]]:
        """What the kernel wrote, without the bars that only history filled, and the signals."""
        facts, values = self._out.facts[:count], self._out.values[:count]
        if self.talib.captures:
            values = np.concatenate([values, self.talib.push_bars(facts, values)], axis=1)
        hits = self.runner.evaluate(
            ClosedBars(self._with_times(facts), values),
            self.tables.live[facts[:, INSTRUMENT], layout.KEY],
        )
        published = facts[:, TICKS] > 0
        if not published.all():
            places = np.cumsum(published) - 1
            hits = [replace(hit, at=int(places[hit.at])) for hit in hits]
        return ClosedBars(facts[published], values[published]), hits

    def _with_times(self, facts: IntArray) -> IntArray:
        if not self.runner.looks_at_time:
            return facts
        kinds = self.tables.live[facts[:, INSTRUMENT], layout.HOURS]
        times = session_times(facts[:, END], kinds, self.config.calendar)
        return np.concatenate([facts, times], axis=1)

    def _closed_by(
        self, record: bytes, each_tick: EachTick | None
    ) -> tuple[ClosedBars, list[RuleHit]]:
        """The bars a record closes, of which the kernel may have had room for some only."""
        parts: list[ClosedBars] = []
        hits: list[RuleHit] = []
        before = 0
        while True:
            at, count, forming = self._progress.tolist()
            if each_tick and forming:
                self._tell(each_tick, forming)
            if count:
                closed, fired = self._closed(count)
                parts.append(closed)
                hits += (replace(hit, at=hit.at + before) for hit in fired) if before else fired
                before += len(closed)
            if at > _rows_in(record):
                return joined(parts), hits
            found = kernels.apply_record(record, at, each_tick is not None, self._addresses)
            if found >= 0:
                if each_tick and found:
                    self._tell(each_tick, found)
                return joined(parts), hits

    def _tell(self, each_tick: EachTick, count: int) -> None:
        self._forming.count = count
        each_tick(self._forming)

    def _register_strangers(self, record: bytes) -> None:
        """Give each instrument of the record a row."""
        keys = _keys_of(decode(record).rows)
        self._register(keys[~np.isin(keys, self.tables.live[: len(self.tables.order), layout.KEY])])

    def _found(self, keys: IntArray) -> IntArray:
        """Numbers of instruments by key; unknown ones get a row."""
        known = self.tables.live[: len(self.tables.order), layout.KEY]
        unknown = keys[~np.isin(keys, known)]
        if len(unknown):
            self._register(unknown)
        order = self.tables.order
        known = self.tables.live[order, layout.KEY]
        numbers: IntArray = order[np.searchsorted(known, keys)]
        return numbers

    def _register(self, keys: IntArray) -> None:
        _, first = np.unique(keys, return_index=True)
        self.tables = tables.grown(self.tables, keys[np.sort(first)], self.config)
        self._allocate()

    def _allocate(self) -> None:
        capacity, frames = self.tables.due.shape
        bars = (capacity + 1) * frames
        self._out = arrays.Out(
            facts=np.zeros((bars + _SPARE, len(FACTS)), np.int64),
            values=np.zeros((bars + _SPARE, len(VALUES) + len(self._captures))),
            captures=self._captures,
        )
        self.talib.grow(capacity)
        provisional = arrays.ProvisionalBuffers(
            ticks=np.zeros((self._rows, 2), np.int64),
            values=tables.blank((self._rows, tables.blocks_of(frames), len(VALUES), LANES)),
        )
        self._forming = ProvisionalValues(provisional)
        self._addresses = arrays.addresses_of(self.tables, self._out, provisional, self._progress)
        self.runner.grow(capacity)


def _keys_of(rows: Rows) -> IntArray:
    keys: IntArray = rows["segment"].astype(np.int64) << 32 | rows["security_id"]
    return keys


def _rows_in(record: bytes) -> int:
    return (len(record) - kernels.HEADER_BYTES) // kernels.ROW_BYTES


def _talib_wanted(
    config: EngineConfig, rules: tuple[Rule, ...]
) -> dict[Timeframe, tuple[str, ...]]:
    """Columns of TA-Lib that the configuration wants and that rules need."""
    wanted = [(timeframe, name) for timeframe, names in config.talib.items() for name in names]
    return talib_columns(
        [*wanted, *((rule.timeframe, need) for rule in rules for need in rule.needs)]
    )
