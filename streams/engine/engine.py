"""Ticks in, closed bars and signals out. Pure: no I/O, no clock, no chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.ids import InstrumentId
from schemas.market import Direction
from schemas.ticks import Batch
from streams.engine import kernels, tables
from streams.engine.tables import CLOSED, Numbers, Table, Tables
from streams.rules import RULES, Rule

_SPARE: Final = 1_024  # bars gathered before they are handed over, on top of one per open bar


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that spoke on one closed bar (a row of `CLOSED`)."""

    rule: Rule
    direction: Direction
    bar: np.void


class Engine:
    """Candles, indicators and rules of one partition.

    Attributes:
        tables: All state but the cooldowns.
        fired_at: Per rule, market time of its last signal for each instrument, 0 for none.
    """

    def __init__(
        self, state: Tables | None = None, rules: tuple[Rule, ...] = RULES, fired_at: dict[str, Numbers] | None = None
    ) -> None:
        self.tables = state if state is not None else tables.empty()
        self.rules = rules
        self.fired_at = {rule.key: np.zeros(len(self.tables.instruments), np.int64) for rule in rules}
        for key, moments in (fired_at or {}).items():
            if key in self.fired_at:
                self.fired_at[key][: len(moments)] = moments
        self._make_room()

    def process(self, batch: Batch) -> tuple[Table, list[Fired]]:
        """Apply one batch; a heartbeat only moves the clock. Returns what closed, and the signals, each in order."""
        rows = batch.rows.view()
        rows.flags.writeable = False  # one compiled version of the kernels serves decoded and made batches alike
        found = self._locate(rows)
        parts = []
        at = 0
        while at < len(rows):
            at, count = kernels.apply_rows(rows, found, at, self.tables, self._closed)
            parts.append(self._taken(count))
        parts.append(self._taken(kernels.advance(int(batch.clock), self.tables, self._closed, 0)))
        closed = _joined([part for part in parts if part is not None])
        return closed, self._judge(closed) if len(closed) else []

    def _taken(self, count: int) -> Table | None:
        return self._closed[:count].copy() if count else None

    def instrument(self, number: int) -> InstrumentId:
        return tables.instrument_of(int(self.tables.instruments["key"][number]))

    def _locate(self, rows: Table) -> Numbers:
        found = np.empty(len(rows), np.int64)
        if kernels.locate(rows, self.tables.lookup, found):
            strangers = rows[found < 0]
            keys = strangers["segment"].astype(np.int64) << 32 | strangers["security_id"]
            _, first = np.unique(keys, return_index=True)
            self.tables = tables.grown(self.tables, keys[np.sort(first)])
            self._make_room()
            kernels.locate(rows, self.tables.lookup, found)
        return found

    def _make_room(self) -> None:
        capacity = len(self.tables.instruments)
        self._closed = np.zeros(self.tables.bars.size + self.tables.bars.shape[1] + _SPARE, CLOSED)
        for key, moments in self.fired_at.items():
            self.fired_at[key] = np.concatenate([moments, np.zeros(capacity - len(moments), np.int64)])

    def _judge(self, closed: Table) -> list[Fired]:
        """Ask every rule about the bars of its timeframe; keep what its cooldown lets through, in order of the bars."""
        tradable = self.tables.instruments["key"][closed["instrument"]] >> 32 != 0  # an index has no orders
        hits: list[tuple[int, int, Fired]] = []
        for nth, rule in enumerate(self.rules):
            asked = np.flatnonzero(tradable & (closed["timeframe"] == tables.TIMEFRAMES.index(rule.timeframe)))
            verdicts = rule.look(closed[asked])
            for at in np.flatnonzero(verdicts):
                bar = closed[asked[at]]
                if self._cooled_down(rule, bar):
                    direction = Direction.BULLISH if verdicts[at] > 0 else Direction.BEARISH
                    hits.append((int(asked[at]), nth, Fired(rule, direction, bar)))
        return [fired for _, _, fired in sorted(hits, key=lambda hit: hit[:2])]

    def _cooled_down(self, rule: Rule, bar: np.void) -> bool:
        last = self.fired_at[rule.key]
        number, now = int(bar["instrument"]), int(bar["end"])
        if last[number] and now - last[number] < rule.cooldown:
            return False
        last[number] = now
        return True


def _joined(parts: list[Table]) -> Table:
    """The parts in a row; numpy takes 50 µs to join structured arrays, too much for every batch."""
    if not parts:
        return _NOTHING
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


_NOTHING: Final = np.empty(0, CLOSED)
