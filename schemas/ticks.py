"""The tick micro-batch: the value of every `ats.ticks` record.

A record is a 32-byte header and `rows` rows of 56 bytes, packed little-endian, so numpy reads it
without a loop. It holds what arrived for one partition in a few milliseconds. A record without rows
is a heartbeat: it moves market time on when nothing trades.

Each row carries the gateway's market clock (`clock`): the largest exchange time seen on any
instrument when the tick arrived. Whether a tick is late is decided by its own row, so no
partitioning and no batching can change the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.binary import Layout, Rows, check_values
from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.units import UtcNs

SCHEMA_VERSION: Final = 1
MAGIC: Final = 0x5441  # "AT" on the wire

HEADER: Final = np.dtype(
    [
        ("magic", "<u2"),
        ("schema_version", "<u2"),
        ("rows", "<u4"),
        ("clock", "<i8"),  # market clock after the last row, UTC ns
        ("sent_at", "<i8"),  # gateway wall clock when the record was closed, UTC ns
        ("gateway", "<u4"),  # connection number, for `ats.feed`
        ("reserved", "<u4"),
    ]
)
TICK: Final = np.dtype(
    [
        ("exchange_time", "<i8"),  # last trade, UTC ns, one-second resolution
        ("received_at", "<i8"),  # gateway wall clock, UTC ns
        ("clock", "<i8"),  # market clock at arrival, UTC ns, never falls
        ("price", "<i8"),  # paise
        ("volume", "<i8"),  # cumulative of the day in units, NO_VOLUME where the packet has none
        ("security_id", "<u4"),
        ("segment", "u1"),
        ("mode", "u1"),  # feed response code: 2 ticker, 4 quote, 8 full
        # minute of this Indian day in which its gateway began to watch it, from 1; 0: before
        ("joined", "<u2"),
        ("last_quantity", "<u4"),
        ("open_interest", "<u4"),
    ]
)
NO_VOLUME: Final = -1
MAX_ROWS: Final = 16_384  # 0.9 MB, below Kafka's default message limit of 1 MiB

LAYOUT: Final = Layout("tick micro-batch", MAGIC, SCHEMA_VERSION, HEADER, TICK)


@dataclass(frozen=True, slots=True)
class Batch:
    """One decoded record.

    Attributes:
        clock: Market clock after the last row; what a heartbeat carries.
        sent_at: Gateway wall clock.
        gateway: Connection number.
        rows: Structured array of `TICK`, shape (n,), in order of arrival; read-only when decoded.
    """

    clock: UtcNs
    sent_at: UtcNs
    gateway: int
    rows: Rows


def encode(batch: Batch) -> bytes:
    """The bytes of one record. `decode` gives the same batch back."""
    header = LAYOUT.begun(batch.rows)
    header["clock"], header["sent_at"], header["gateway"] = (
        batch.clock,
        batch.sent_at,
        batch.gateway,
    )
    return header.tobytes() + batch.rows.tobytes()


def decode(value: bytes) -> Batch:
    """Read one record without copying the rows.

    Raises:
        Unreadable: too short, not a micro-batch, a newer schema, a wrong length, or a row no
            gateway of ours can write.
    """
    header, rows = LAYOUT.read(value)
    if len(rows):
        _check_rows(rows)
    return Batch(UtcNs(header["clock"]), UtcNs(header["sent_at"]), int(header["gateway"]), rows)


def _check_rows(rows: Rows) -> None:
    check_values(
        rows,
        (
            ("price", rows["price"] <= 0),
            ("volume", rows["volume"] < NO_VOLUME),
            (
                "exchange_time",
                (rows["exchange_time"] <= 0) | (rows["exchange_time"] > rows["clock"]),
            ),
            ("segment", _UNKNOWN_SEGMENT[rows["segment"]]),
        ),
    )


# by code; isin() on each batch costs 80 µs
_UNKNOWN_SEGMENT: Final = ~np.isin(np.arange(256), sorted(SEGMENT_CODES.values()))


def instrument_of(row: np.void) -> InstrumentId:
    """The instrument of a decoded row."""
    segment = Segment.from_code(int(row["segment"]))
    assert segment is not None, "decode() lets no other through"
    return InstrumentId(segment, int(row["security_id"]))


def partition_of(instrument: InstrumentId, partitions: int) -> int:
    """Which partition an instrument's messages go to: the same for ever, in every process.

    Fibonacci hashing of (segment, security id) spreads neighbouring ids evenly.
    Source: Knuth (1998), The Art of Computer Programming, vol. 3, section 6.4.
    """
    mixed = (
        (instrument.segment.code << 32 | instrument.security_id) * 0x9E3779B97F4A7C15
    ) & 0xFFFFFFFFFFFFFFFF
    return (mixed >> 32) % partitions
