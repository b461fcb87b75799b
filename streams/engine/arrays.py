"""The arrays that kernels work on, handed over as addresses.

As arrays each would cost a call half a microsecond.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import carray

from schemas.calendar import MOST_SESSIONS
from streams.columns.names import FACTS, VALUES
from streams.engine.compiled import FloatArray, IntArray, opener, pointer
from streams.engine.hours import DAYS
from streams.engine.lanes import LANES
from streams.engine.layout import (
    BAR_WIDTH,
    BINS,
    DAY_WIDTH,
    LIVE_WIDTH,
    MARKET_WIDTH,
    PRICES_WIDTH,
    RING,
    STATE_WIDTH,
)
from streams.engine.tables import Tables

NEXT_ROW, CLOSED, PROVISIONAL = range(3)
"""Places in `progress`: the row to go on with, closed bars, rows of provisional values."""
PROGRESS_WIDTH: Final = 3

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

    facts: IntArray
    values: FloatArray
    captures: IntArray


class ProvisionalBuffers(NamedTuple):
    """Where values of forming bars are written.

    Attributes:
        ticks: Shape (rows, 2): which tick of the record, and its instrument's number.
        values: Shape (rows, blocks, values, `LANES`).
    """

    ticks: IntArray
    values: FloatArray


def addresses_of(
    tables: Tables, out: Out, provisional: ProvisionalBuffers, progress: IntArray
) -> IntArray:
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
    held = [array.ctypes.data for array in (*tables, *out, *provisional, progress)]
    return np.array([*held, *sizes, len(provisional.ticks)], np.int64)


@opener
def open_tables(addresses: IntArray) -> Tables:
    """In a kernel: the engine's tables."""
    n, frames, count, lookup, kinds = (
        addresses[-8],
        addresses[-7],
        addresses[-6],
        addresses[-5],
        addresses[-4],
    )
    blocks = (frames + LANES - 1) // LANES
    return Tables(
        carray(pointer(addresses[0]), (MARKET_WIDTH,), np.int64),
        carray(pointer(addresses[1]), (n, LIVE_WIDTH), np.int64),
        carray(pointer(addresses[2]), (n, frames), np.int64),
        carray(pointer(addresses[3]), (n, frames, BAR_WIDTH), np.int64),
        carray(pointer(addresses[4]), (n, DAY_WIDTH), np.float64),
        carray(pointer(addresses[5]), (n, blocks, STATE_WIDTH, LANES), np.float64),
        carray(pointer(addresses[6]), (n, frames, PRICES_WIDTH), np.int32),
        carray(pointer(addresses[7]), (n, frames, RING), np.float64),
        carray(pointer(addresses[8]), (n, frames, _VALUES), np.float64),
        carray(pointer(addresses[9]), (count,), np.int64),
        carray(pointer(addresses[10]), (lookup, 2), np.int64),
        carray(pointer(addresses[11]), (kinds, DAYS, MOST_SESSIONS, 2), np.int64),
        carray(pointer(addresses[12]), (frames,), np.int64),
        carray(pointer(addresses[13]), (1,), np.int64),
        carray(pointer(addresses[14]), (BINS,), np.float64),
        carray(pointer(addresses[15]), (_VALUES, LANES), np.float64),
        carray(pointer(addresses[16]), (n,), np.int64),
    )


@opener
def open_out(addresses: IntArray) -> Out:
    """In a kernel: where closed bars go."""
    rows, width = addresses[-3], addresses[-2]
    return Out(
        carray(pointer(addresses[17]), (rows, _FACTS), np.int64),
        carray(pointer(addresses[18]), (rows, width), np.float64),
        carray(pointer(addresses[19]), (width - _VALUES, 2), np.int64),
    )


@opener
def open_provisional(addresses: IntArray) -> ProvisionalBuffers:
    """In a kernel: where values of forming bars go."""
    rows, blocks = addresses[-1], (addresses[-7] + LANES - 1) // LANES
    return ProvisionalBuffers(
        carray(pointer(addresses[20]), (rows, 2), np.int64),
        carray(pointer(addresses[21]), (rows, blocks, _VALUES, LANES), np.float64),
    )


@opener
def open_progress(addresses: IntArray) -> IntArray:
    """In a kernel: how far it came with a record."""
    progress: IntArray = carray(pointer(addresses[22]), (PROGRESS_WIDTH,), np.int64)
    return progress
