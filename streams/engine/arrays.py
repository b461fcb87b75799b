"""The arrays that kernels work on, handed over as addresses.

As arrays each would cost a call half a microsecond.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import carray

from schemas.calendar import MOST_SESSIONS
from streams.columns.names import FACTS, VALUES
from streams.engine.compiled import FloatArray, IntArray, inner, pointer
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
"""Places in `ProvisionalBuffers.dirty`."""

NEXT_ROW, CLOSED = range(2)
"""Places in `progress`: the row to go on with, and how many closed bars were written."""
PROGRESS_WIDTH: Final = 2

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
    """Who got a tick in the last batch, and where values of forming bars are written.

    Attributes:
        dirty: Shape (2 + 2 x capacity,): how many instruments, the batch's number, the
            instruments' numbers, then for each instrument the number of the last batch that it had
            a tick in.
        slots: Shape (rows, 2): instrument and timeframe's place.
        values: Shape (rows, values).
    """

    dirty: IntArray
    slots: IntArray
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
    return np.array([*held, *sizes, len(provisional.slots)], np.int64)


@inner
def open_tables(addresses: IntArray) -> Tables:
    """In a kernel: the engine's tables."""
    n, frames, count, lookup, kinds = (
        addresses[-8],
        addresses[-7],
        addresses[-6],
        addresses[-5],
        addresses[-4],
    )
    return Tables(
        carray(pointer(addresses[0]), (MARKET_WIDTH,), np.int64),
        carray(pointer(addresses[1]), (n, LIVE_WIDTH), np.int64),
        carray(pointer(addresses[2]), (n, frames), np.int64),
        carray(pointer(addresses[3]), (n, frames, BAR_WIDTH), np.int64),
        carray(pointer(addresses[4]), (n, DAY_WIDTH), np.float64),
        carray(pointer(addresses[5]), (n, frames, INDICATOR_WIDTH), np.float64),
        carray(pointer(addresses[6]), (n, frames, PRICES_WIDTH), np.int32),
        carray(pointer(addresses[7]), (n, frames, RING), np.float64),
        carray(pointer(addresses[8]), (n, frames, _VALUES), np.float64),
        carray(pointer(addresses[9]), (count,), np.int64),
        carray(pointer(addresses[10]), (lookup, 2), np.int64),
        carray(pointer(addresses[11]), (kinds, DAYS, MOST_SESSIONS, 2), np.int64),
        carray(pointer(addresses[12]), (frames,), np.int64),
        carray(pointer(addresses[13]), (1,), np.int64),
        carray(pointer(addresses[14]), (BINS,), np.float64),
    )


@inner
def open_out(addresses: IntArray) -> Out:
    """In a kernel: where closed bars go."""
    rows, width = addresses[-3], addresses[-2]
    return Out(
        carray(pointer(addresses[15]), (rows, _FACTS), np.int64),
        carray(pointer(addresses[16]), (rows, width), np.float64),
        carray(pointer(addresses[17]), (width - _VALUES, 2), np.int64),
    )


@inner
def open_provisional(addresses: IntArray) -> ProvisionalBuffers:
    """In a kernel: where values of forming bars go."""
    n, rows = addresses[-8], addresses[-1]
    return ProvisionalBuffers(
        carray(pointer(addresses[18]), (LIST + 2 * n,), np.int64),
        carray(pointer(addresses[19]), (rows, 2), np.int64),
        carray(pointer(addresses[20]), (rows, _VALUES), np.float64),
    )


@inner
def open_progress(addresses: IntArray) -> IntArray:
    """In a kernel: how far it came with a record."""
    progress: IntArray = carray(pointer(addresses[21]), (PROGRESS_WIDTH,), np.int64)
    return progress
