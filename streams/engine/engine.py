"""Ticks in, closed bars and signals out. Pure: no I/O, no clock, no chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.ticks import TICK, Batch
from schemas.units import UtcNs
from streams.columns.names import FACTS, PRICES, VALUES
from streams.columns.parse import talib_columns
from streams.engine import arrays, kernels, layout, tables
from streams.engine.closed import INSTRUMENT, TICKS, Closed, joined
from streams.engine.compiled import Numbers, Reals, Table
from streams.engine.config import EngineConfig
from streams.engine.extras import Extras
from streams.engine.questions import Fired, answers, prepared
from streams.engine.tables import Tables
from streams.rules import RULES, Rule

_WORDS: Final = TICK.itemsize // 8
_SPARE: Final = 1_024  # bars gathered before they are handed over, on top of one per open bar

PAST: Final = np.dtype(
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
"""A closed bar of the past, as `Engine.absorb` takes it."""


@dataclass(frozen=True, slots=True)
class Forming:
    """Readings of forming bars, as if each closed now.

    Attributes:
        slots: Shape (bars, 2): instrument and timeframe's place.
        values: Shape (bars, `VALUES`). Both are views that the next question overwrites.
    """

    slots: Numbers
    values: Reals


class Engine:
    """Candles, indicators and rules of one partition.

    Attributes:
        tables: All state but the cooldowns.
        fired_at: Per rule, market time of its last signal for each instrument, 0 for none.
        extras: Columns of TA-Lib; the last values of each closed bar.
    """

    def __init__(
        self,
        config: EngineConfig | None = None,
        rules: tuple[Rule, ...] = RULES,
        state: Tables | None = None,
    ) -> None:
        """Start empty, or from `state`.

        Raises:
            Misconfigured: a rule needs what `config` does not compute.
        """
        self.config = config or EngineConfig()
        self.rules = rules
        self.extras = Extras(
            _wanted(self.config, rules), self.config.talib_window, self.config.timeframes
        )
        self._questions, self._captures = prepared(rules, self.config, self.extras)
        self.tables = state if state is not None else tables.empty(self.config)
        self.fired_at = {rule.key: np.zeros(len(self.tables.live), np.int64) for rule in rules}
        self._make_room()

    def process(self, batch: Batch) -> tuple[Closed, list[Fired]]:
        """Apply one batch; a heartbeat only moves the clock.

        Returns what closed, and the signals, each in order.
        """
        rows = np.ascontiguousarray(batch.rows).view(np.int64).reshape(-1, _WORDS)
        # one compiled version of the kernels serves decoded and made batches alike
        rows.flags.writeable = False
        found = self._numbers(rows)
        parts: list[Closed] = []
        at = 0
        while at <= len(rows):
            at, count = kernels.apply_rows(rows, found, at, int(batch.clock), self._addresses)
            if count:
                parts.append(self._taken(count))
        closed = joined(parts)
        if not len(closed):
            return closed, []
        return closed, answers(self._questions, closed, self._keys(closed), self.fired_at)

    def forming(self) -> Forming:
        """The open bars of every instrument that had a tick in the last batch.

        Computed when asked for. Rules do not ask: what a batch ends with depends on how ticks were
        cut into batches.
        """
        count = kernels.look_ahead(self._addresses)
        return Forming(self._ahead.slots[:count], self._ahead.values[:count])

    def absorb(self, bars: Table) -> None:
        """Take closed bars of the past (`PAST`) into the indicators, without any output.

        Of each instrument and timeframe they must come in order of start. Bars not newer than what
        the engine has are passed over, so the same bars may come again.
        """
        places = np.array([self._place(timeframe) for timeframe in Timeframe], np.int64)[
            bars["timeframe"]
        ]
        found = self._found(bars["key"])
        kernels.absorb(np.ascontiguousarray(bars), found, places, self._addresses)
        new = places >= 0
        if self.extras.captures and new.any():
            prices = np.stack([bars[new][name].astype(np.float64) for name in PRICES], axis=1)
            self.extras.take(np.stack([found[new], places[new]], axis=1), prices)

    @property
    def kept(self) -> int:
        """How many values the kernels write of a closed bar; those of `extras` follow."""
        return len(VALUES) + len(self._captures)

    @property
    def clock(self) -> UtcNs:
        return UtcNs(self.tables.market[layout.CLOCK])

    def instrument(self, number: int) -> InstrumentId:
        return tables.instrument_of(int(self.tables.live[number, layout.KEY]))

    def _place(self, timeframe: Timeframe) -> int:
        return (
            self.config.timeframes.index(timeframe) if timeframe in self.config.timeframes else -1
        )

    def _keys(self, closed: Closed) -> Numbers:
        keys: Numbers = self.tables.live[closed.facts[:, INSTRUMENT], layout.KEY]
        return keys

    def _taken(self, count: int) -> Closed:
        facts, values = self._out.facts[:count], self._out.values[:count]
        if self.extras.captures:
            values = np.concatenate([values, self.extras.take(facts, values)], axis=1)
        told = facts[:, TICKS] > 0
        return Closed(facts[told], values[told])

    def _numbers(self, rows: Numbers) -> Numbers:
        found = np.empty(len(rows), np.int64)
        if len(rows) and kernels.locate(rows, self._addresses, found):
            self._welcome(rows[found < 0, layout.INSTRUMENT_WORD] & layout.KEY_BITS)
            kernels.locate(rows, self._addresses, found)
        return found

    def _found(self, keys: Numbers) -> Numbers:
        """Numbers of instruments by key; strangers get a place."""
        known = self.tables.live[: len(self.tables.order), layout.KEY]
        strangers = keys[~np.isin(keys, known)]
        if len(strangers):
            self._welcome(strangers)
        order = self.tables.order
        known = self.tables.live[order, layout.KEY]
        numbers: Numbers = order[np.searchsorted(known, keys)]
        return numbers

    def _welcome(self, keys: Numbers) -> None:
        _, first = np.unique(keys, return_index=True)
        self.tables = tables.grown(self.tables, keys[np.sort(first)], self.config)
        self._make_room()

    def _make_room(self) -> None:
        capacity, frames = self.tables.due.shape
        bars = (capacity + 1) * frames
        self._out = arrays.Out(
            facts=np.zeros((bars + _SPARE, len(FACTS)), np.int64),
            values=np.zeros((bars + _SPARE, len(VALUES) + len(self._captures))),
            captures=self._captures,
        )
        self.extras.grow(capacity)
        self._ahead = arrays.Ahead(  # zeros take no memory before they are written
            touched=np.zeros(2 + 2 * capacity, np.int64),
            slots=np.zeros((bars, 2), np.int64),
            values=np.zeros((bars, len(VALUES))),
        )
        self._addresses = arrays.addresses(self.tables, self._out, self._ahead)
        for key, moments in self.fired_at.items():
            self.fired_at[key] = np.concatenate(
                [moments, np.zeros(capacity - len(moments), np.int64)]
            )


def _wanted(config: EngineConfig, rules: tuple[Rule, ...]) -> dict[Timeframe, tuple[str, ...]]:
    """Columns of TA-Lib, asked for and needed."""
    asked = [(timeframe, name) for timeframe, names in config.talib.items() for name in names]
    return talib_columns(
        [*asked, *((rule.timeframe, need) for rule in rules for need in rule.needs)]
    )
