"""Days through the engine: its signals, and when each was known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from backtest.honesty.lookahead import Tape
from backtest.market import DayMarket
from schemas.codec import decode
from schemas.messages import Signal
from schemas.ticks import Batch
from schemas.topics import SIGNALS
from schemas.units import UtcNs
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.messages import Writer
from streams.rules import Rule

BATCH: Final = 4_096  # prints handed over at once; results do not depend on it


class KnownSignal(NamedTuple):
    """A signal, and the second (UTC) of the print that closed its bar."""

    signal: Signal
    second: int


class SignalSource:
    """One engine that keeps its memory over night, as live."""

    def __init__(
        self, rules: tuple[Rule, ...], config: EngineConfig, tapes: Sequence[Tape] = ()
    ) -> None:
        """`tapes` hear what rules of theirs among `rules` are asked."""
        self._engine = Engine(config, rules)
        for tape in tapes:
            tape.listen(self._engine)
        self._writer = Writer(self._engine)

    def play(self, market: DayMarket) -> list[KnownSignal]:
        """The signals of one day, in their order; days come oldest first.

        What becomes known after the day's last print is left out: nothing could be ordered.
        """
        rows, found = market.rows(), list[Signal]()
        for start in range(0, len(rows), BATCH):
            piece = rows[start : start + BATCH]
            found += self._said(Batch(UtcNs(piece["clock"][-1]), UtcNs(0), 1, piece))
        after = UtcNs(market.session.close + UtcNs.minutes(1))
        found += self._said(Batch(after, UtcNs(0), 1, rows[:0]))
        timed = ((signal, market.known_at(signal.event_time)) for signal in found)
        return [KnownSignal(signal, second) for signal, second in timed if second is not None]

    def _said(self, batch: Batch) -> Iterator[Signal]:
        closed, hits = self._engine.process(batch)
        for output in self._writer.outputs(closed, hits):
            if output.topic is not SIGNALS:  # they come first, and the rest is made when asked for
                return
            yield decode(Signal, output.value)
