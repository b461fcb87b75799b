from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.ticks import HEADER, MAX_ROWS, TICK, Batch, decode, encode, instrument_of, partition_of
from schemas.topics import MIB
from schemas.units import UtcNs
from tests.schemas.factories import batches, instruments


@given(batches())
def test_a_batch_survives_the_wire_unchanged(batch: Batch) -> None:
    again = decode(encode(batch))

    assert (again.clock, again.sent_at, again.gateway) == (
        batch.clock,
        batch.sent_at,
        batch.gateway,
    )
    assert again.rows.tobytes() == batch.rows.tobytes()


@given(batches(), st.data())
def test_a_record_cut_short_is_unreadable_never_a_shorter_batch(
    batch: Batch, data: st.DataObject
) -> None:
    value = encode(batch)
    cut = data.draw(st.integers(0, len(value) - 1))

    with pytest.raises(Unreadable):
        decode(value[:cut])


@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_or_a_batch_but_never_a_crash(value: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert encode(decode(value))[: len(value)] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", 0),
        ("price", -5),
        ("volume", -2),
        ("exchange_time", 0),
        ("segment", 6),
        ("exchange_time", 2**62),
    ],
)
def test_an_impossible_row_is_named(field: str, value: int) -> None:
    rows = np.zeros(2, TICK)
    rows["clock"], rows["exchange_time"], rows["price"] = 10, 10, 100
    rows[1][field] = value

    with pytest.raises(Unreadable) as caught:
        decode(encode(Batch(UtcNs(10), UtcNs(0), 1, rows)))

    assert caught.value.field == f"rows[1].{field}"


def test_the_layout_is_packed_and_the_largest_record_fits_a_kafka_message() -> None:
    assert (HEADER.itemsize, TICK.itemsize) == (32, 56)
    assert HEADER.itemsize + MAX_ROWS * TICK.itemsize < MIB - 1024


@given(instruments(), st.integers(1, 64))
def test_an_instrument_has_one_partition_within_range(
    instrument: InstrumentId, partitions: int
) -> None:
    assert 0 <= partition_of(instrument, partitions) < partitions
    assert partition_of(instrument, partitions) == partition_of(instrument, partitions)


def test_the_partition_of_an_instrument_never_changes() -> None:
    # golden: a change would move every instrument and break the order of its messages
    golden = {"NSE_EQ:2885": 4, "NSE_EQ:1333": 0, "IDX_I:13": 3}

    assert {name: partition_of(InstrumentId.parse(name), 8) for name in golden} == golden


def test_neighbouring_ids_spread_evenly() -> None:
    counts = np.bincount(
        [partition_of(InstrumentId(Segment.NSE_EQ, n), 4) for n in range(1_000, 2_000)], minlength=4
    )

    assert counts.min() > 200


def test_a_row_knows_its_instrument() -> None:
    rows = np.zeros(1, TICK)
    rows["segment"], rows["security_id"] = Segment.NSE_FNO.code, 49_081

    assert instrument_of(rows[0]) == InstrumentId(Segment.NSE_FNO, 49_081)
