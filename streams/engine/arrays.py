"""The arrays that kernels work on, handed over as addresses.

As arrays each would cost a call half a microsecond.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import carray

from schemas.calendar import MOST_SESSIONS
from streams.columns.names import FACTS, VALUES
from streams.engine.compiled import Numbers, Reals, inner, pointer
from streams.engine.hours import DAYS
from streams.engine.layout import (
    BAR_WIDTH,
    BINS,
    DAY_WIDTH,
    INDICATOR_WIDTH,
    LIVE_WIDTH,
    MARKET_WIDTH,
    PRICES_WIDTH,
    RING,
)
from streams.engine.tables import Tables

COUNT, BATCH, LIST = range(3)
"""Places in `Ahead.touched`."""

_VALUES: Final = len(VALUES)
_FACTS: Final = len(FACTS)


class Out(NamedTuple):
    """Where closed bars are written.

    Attributes:
        facts: Shape (rows, 6): instrument, timeframe's place, start, end, ticks, complete.
        values: Shape (rows, values + captures).
        captures: Shape (captures, 2): timeframe's place or `OWN_PREVIOUS`, and which value of its
            last closed bar.
    """

    facts: Numbers
    values: Reals
    captures: Numbers


class Ahead(NamedTuple):
    """Who got a tick in the last batch, and where readings of forming bars are written.

    Attributes:
        touched: Shape (2 + 2 x capacity,): how many instruments, the batch's number, the
            instruments' numbers, then for each instrument the number of the last batch that it had
            a tick in.
        slots: Shape (rows, 2): instrument and timeframe's place.
        values: Shape (rows, values).
    """

    touched: Numbers
    slots: Numbers
    values: Reals


def addresses(tables: Tables, out: Out, ahead: Ahead) -> Numbers:
    """What kernels open the arrays by. Valid while the caller holds these very arrays."""
    capacity, frames = tables.due.shape
    sizes = [
        capacity,
        frames,
        len(tables.order),
        len(tables.lookup),
        len(tables.hours),
        *out.values.shape,
    ]
    held = [array.ctypes.data for array in (*tables, *out, *ahead)]
    return np.array([*held, *sizes, len(ahead.slots)], np.int64)


@inner
def open_tables(at: Numbers) -> Tables:
    n, frames, count, lookup, kinds = at[-8], at[-7], at[-6], at[-5], at[-4]
    return Tables(
        carray(pointer(at[0]), (MARKET_WIDTH,), np.int64),
        carray(pointer(at[1]), (n, LIVE_WIDTH), np.int64),
        carray(pointer(at[2]), (n, frames), np.int64),
        carray(pointer(at[3]), (n, frames, BAR_WIDTH), np.int64),
        carray(pointer(at[4]), (n, DAY_WIDTH), np.float64),
        carray(pointer(at[5]), (n, frames, INDICATOR_WIDTH), np.float64),
        carray(pointer(at[6]), (n, frames, PRICES_WIDTH), np.int32),
        carray(pointer(at[7]), (n, frames, RING), np.float64),
        carray(pointer(at[8]), (n, frames, _VALUES), np.float64),
        carray(pointer(at[9]), (count,), np.int64),
        carray(pointer(at[10]), (lookup, 2), np.int64),
        carray(pointer(at[11]), (kinds, DAYS, MOST_SESSIONS, 2), np.int64),
        carray(pointer(at[12]), (frames,), np.int64),
        carray(pointer(at[13]), (1,), np.int64),
        carray(pointer(at[14]), (BINS,), np.float64),
    )


@inner
def open_out(at: Numbers) -> Out:
    rows, width = at[-3], at[-2]
    return Out(
        carray(pointer(at[15]), (rows, _FACTS), np.int64),
        carray(pointer(at[16]), (rows, width), np.float64),
        carray(pointer(at[17]), (width - _VALUES, 2), np.int64),
    )


@inner
def open_ahead(at: Numbers) -> Ahead:
    n, rows = at[-8], at[-1]
    return Ahead(
        carray(pointer(at[18]), (LIST + 2 * n,), np.int64),
        carray(pointer(at[19]), (rows, 2), np.int64),
        carray(pointer(at[20]), (rows, _VALUES), np.float64),
    )
