"""Bars from before an engine's first tick, as a record of `ats.ticks`: what indicators warm up on.

They travel in the topic that the engine reads anyway, so its state stays a function of one topic: a
crash, a rebalance and a replay warm up on the same bars at the same place. Readers that want ticks
only pass such records over (`is_history`).

A record is a 32-byte header and rows of 40 bytes, packed little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from schemas.binary import Layout, Rows, check_values
from schemas.ids import SEGMENT_CODES, InstrumentId
from schemas.market import Timeframe
from schemas.units import Price, Quantity, UtcNs

SCHEMA_VERSION: Final = 1
MAGIC: Final = 0x4841  # "AH" on the wire

HEADER: Final = np.dtype(
    [
        ("magic", "<u2"),
        ("schema_version", "<u2"),
        ("rows", "<u4"),
        ("sent_at", "<i8"),  # wall clock of the writer, UTC ns
        ("reserved", "<u8", (2,)),
    ]
)
BAR: Final = np.dtype(
    [
        ("start", "<i8"),  # UTC ns
        ("volume", "<i8"),  # units
        ("open", "<u4"),  # paise, as the other prices
        ("high", "<u4"),
        ("low", "<u4"),
        ("close", "<u4"),
        ("security_id", "<u4"),
        ("timeframe", "<u2"),  # minutes, 1,440 for a day
        ("segment", "u1"),
        ("reserved", "u1"),
    ]
)
MAX_ROWS: Final = 20_000  # 0.8 MB, below Kafka's default message limit of 1 MiB
LAYOUT: Final = Layout("history record", MAGIC, SCHEMA_VERSION, HEADER, BAR)
MINUTES: Final = {each: each.ns // UtcNs.minutes(1) for each in Timeframe}


class Bar(NamedTuple):
    """One closed bar of the past."""

    start: UtcNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity


@dataclass(frozen=True, slots=True)
class History:
    """One decoded record.

    Attributes:
        rows: Structured array of `BAR`; of one instrument and timeframe in order of start.
            Read-only when decoded.
    """

    sent_at: UtcNs
    rows: Rows


def is_history(value: bytes | None) -> bool:
    """Whether a value of `ats.ticks` claims to be history; `decode` says whether it is."""
    return value is not None and value[:2] == _MAGIC_BYTES


_MAGIC_BYTES: Final = MAGIC.to_bytes(2, "little")


def rows_of(instrument: InstrumentId, timeframe: Timeframe, bars: Sequence[Bar]) -> Rows:
    """`bars` as rows of `BAR`."""
    rows = np.zeros(len(bars), BAR)
    if bars:
        for name, column in zip(Bar._fields, zip(*bars, strict=True), strict=True):
            rows[name] = column
    rows["segment"], rows["security_id"] = instrument.segment.code, instrument.security_id
    rows["timeframe"] = MINUTES[timeframe]
    return rows


def encode(history: History) -> bytes:
    """The bytes of one record. `decode` gives the same history back."""
    header = LAYOUT.begun(history.rows)
    header["sent_at"] = history.sent_at
    return header.tobytes() + history.rows.tobytes()


def records(rows: Rows, sent_at: UtcNs) -> Iterator[bytes]:
    """As many records as `rows` need, in their order."""
    for first in range(0, len(rows), MAX_ROWS):
        yield encode(History(sent_at, rows[first : first + MAX_ROWS]))


def decode(value: bytes) -> History:
    """Read one record without copying the rows.

    Raises:
        Unreadable: too short, no history, a newer schema, a wrong length, or a bar that cannot be.
    """
    header, rows = LAYOUT.read(value)
    if len(rows):
        _check_rows(rows)
    return History(UtcNs(header["sent_at"]), rows)


def _check_rows(rows: Rows) -> None:
    low, high = rows["low"], rows["high"]
    slot = rows[["segment", "security_id", "timeframe"]]
    falls = np.concatenate(
        [[False], (slot[1:] == slot[:-1]) & (rows["start"][1:] <= rows["start"][:-1])]
    )
    check_values(
        rows,
        (
            ("segment", ~np.isin(rows["segment"], _SEGMENTS)),
            ("timeframe", ~np.isin(rows["timeframe"], list(MINUTES.values()))),
            ("start", (rows["start"] <= 0) | falls),
            ("volume", rows["volume"] < 0),
            ("low", low == 0),
            ("high", high < low),
            ("open", (rows["open"] < low) | (rows["open"] > high)),
            ("close", (rows["close"] < low) | (rows["close"] > high)),
        ),
    )


_SEGMENTS: Final = np.array(sorted(SEGMENT_CODES.values()), np.uint8)
