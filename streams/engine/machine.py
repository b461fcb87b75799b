"""One partition's engine as `bus.stateful` drives it.

A record in, records out, its state as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import numpy as np

from bus.records import Output, Record
from schemas import history, ticks
from schemas.market import Timeframe
from schemas.units import IST, UtcNs
from streams.engine import named_values, snapshot
from streams.engine.compiled import StructArray
from streams.engine.compiling import Compiled, watched
from streams.engine.engine import HISTORICAL_BAR, Engine
from streams.engine.messages import Writer


class EngineMachine:
    """State of one partition (`bus.stateful.Machine`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = Writer(engine)

    def apply(self, record: Record) -> Iterable[Output]:
        """Apply one record of `ats.ticks`: ticks, or bars of the past to warm up on.

        Raises:
            Unreadable: before anything changed.
        """
        value = record.value or b""
        if history.is_history(value):
            self.engine.seed(historical_bars(history.decode(value)))
            return ()
        return self._writer.outputs(*self.engine.apply(value))

    def dump(self) -> bytes:
        """Its state (`snapshot`)."""
        return snapshot.dump(self.engine)


def historical_bars(record: history.History) -> StructArray:
    """The bars of a history record as the engine takes them (`HISTORICAL_BAR`)."""
    rows = record.rows
    bars = np.zeros(len(rows), HISTORICAL_BAR)
    bars["key"] = rows["segment"].astype(np.int64) << 32 | rows["security_id"]
    bars["timeframe"] = np.searchsorted(_MINUTES, rows["timeframe"])
    for name in ("start", "open", "high", "low", "close", "volume"):
        bars[name] = rows[name]
    return bars


# ascends, as `Timeframe` does
_MINUTES: Final = np.array([history.MINUTES[timeframe] for timeframe in Timeframe])


def warm_up(tell: Callable[[Compiled], None] = lambda _: None) -> None:
    """Compile the kernels or load them from the disk cache.

    A minute or more the first time, never in the middle of a stream. `tell` hears of each kernel
    that had to be compiled.
    """
    # any tick that makes a bar
    moment = UtcNs.from_datetime(datetime(2024, 1, 2, 9, 15, tzinfo=IST))
    rows = np.zeros(1, ticks.TICK)
    rows["exchange_time"] = rows["clock"] = moment
    rows["price"] = rows["segment"] = 1
    engine = Engine(rules=())
    with watched(tell):
        engine.seed(np.zeros(0, HISTORICAL_BAR))
        engine.process(ticks.Batch(moment, moment, 0, rows))
        named_values.warm_up()
