"""Ticks into records: partitions, the clock, the window, heartbeats."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.binary import Rows
from schemas.ids import InstrumentId, Segment
from schemas.ticks import partition_of
from schemas.units import UtcNs
from streams.feed.batcher import MAX_ROWS, Batcher, FinishedBatch, partitions_of
from tests.streams.factories import RELIANCE, TCS, at, random_market, rows_of, tick

NOW = UtcNs(9)


@given(
    st.lists(st.tuples(st.sampled_from(Segment), st.integers(0, 2**32 - 1)), min_size=1),
    st.integers(1, 64),
)
def test_rows_go_where_every_other_process_looks_for_them(
    keys: list[tuple[Segment, int]], partitions: int
) -> None:
    instruments = [InstrumentId(*key) for key in keys]
    rows = rows_of(*(tick(1, 1, of=of) for of in instruments))

    assert list(partitions_of(rows, partitions)) == [
        partition_of(of, partitions) for of in instruments
    ]


def drained(batcher: Batcher) -> list[FinishedBatch]:
    """Every record, each acknowledged at once."""
    found = []
    while not batcher.idle:
        found += list(batcher.due(NOW))
        for partition in range(batcher.partitions):
            batcher.acknowledged(partition)
    return found


def started(partitions: int = 1) -> Batcher:
    """A batcher in the middle of a day."""
    batcher = Batcher(partitions, 1)
    batcher.add(tick(at("09:59:59"), 1))
    drained(batcher)
    return batcher


def test_every_partition_hears_the_start_of_each_day_in_its_place_among_the_rows() -> None:
    batcher = Batcher(3, 1)
    days = [date(2024, 1, 2), date(2024, 1, 3)]
    batcher.add(
        rows_of(*(tick(at(clock, day), 1) for day in days for clock in ("09:15:00", "11:00:00")))
    )

    found = drained(batcher)

    owner = partition_of(RELIANCE, 3)
    for partition in range(3):
        mine = [closed.batch for closed in found if closed.partition == partition]
        starts = [batch.clock for batch in mine if not len(batch.rows)]
        assert starts == [at("09:15:00", day) for day in days]
        assert [len(batch.rows) for batch in mine] == (
            [0, 2, 0, 2] if partition == owner else [0, 0]
        )


def test_the_clock_of_a_row_is_the_latest_trade_seen_so_far_on_any_instrument() -> None:
    batcher = started()
    batcher.add(rows_of(tick(at("10:00:05"), 1), tick(at("10:00:03"), 1, of=TCS)))
    batcher.add(rows_of(tick(at("10:00:04"), 1), tick(at("10:00:06"), 1)))

    (closed,) = batcher.due(NOW)

    assert list(closed.batch.rows["clock"]) == [at(f"10:00:0{second}") for second in (5, 5, 5, 6)]
    assert closed.batch.clock == at("10:00:06")


def test_while_a_record_is_on_its_way_the_next_rows_gather() -> None:
    batcher = started()
    batcher.add(tick(at("10:00:00"), 1))
    assert len(list(batcher.due(NOW))) == 1

    for second in range(1, 4):
        batcher.add(tick(at(f"10:00:0{second}"), 1))
    assert not list(batcher.due(NOW))

    batcher.acknowledged(0)
    (closed,) = batcher.due(NOW)
    assert len(closed.batch.rows) == 3


def test_a_record_that_leaves_rows_behind_does_not_tell_their_clock() -> None:
    batcher = started()
    rows = random_market(1, MAX_ROWS + 10, start="10:00:00")
    batcher.add(rows)

    (closed,) = batcher.due(NOW)

    assert len(closed.batch.rows) == MAX_ROWS
    assert closed.batch.clock == closed.batch.rows["clock"][-1] <= batcher.clock


def test_every_partition_hears_a_clock_that_moved_once() -> None:
    batcher = started(4)
    batcher.add(tick(at("10:00:00"), 1))
    owner = partition_of(RELIANCE, 4)
    list(batcher.due(NOW))

    told = {closed.partition: closed.batch for closed in batcher.heartbeats(NOW)}

    assert set(told) == {0, 1, 2, 3} - {owner}
    assert all(batch.clock == at("10:00:00") and not len(batch.rows) for batch in told.values())
    for partition in range(4):
        batcher.acknowledged(partition)
    assert not list(batcher.heartbeats(NOW))


def test_time_may_pass_without_ticks_but_never_backwards() -> None:
    batcher = Batcher(2, 1)
    batcher.move_clock(at("10:00:00"))
    batcher.move_clock(at("09:00:00"))

    assert [closed.batch.clock for closed in batcher.heartbeats(NOW)] == [at("10:00:00")] * 2


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 4), st.data())
def test_every_row_leaves_once_in_order_of_its_instrument(
    sizes: list[int], partitions: int, data: st.DataObject
) -> None:
    batcher, market = Batcher(partitions, 1), random_market(7, max(1, sum(sizes)))
    left: list[Rows] = []
    start = 0
    for size in [*sizes, 0]:
        batcher.add(market[start : start + size].copy())
        start += size
        left += [closed.batch.rows for closed in batcher.due(NOW)]
        for partition in data.draw(st.sets(st.integers(0, partitions - 1))):
            batcher.acknowledged(partition)
    while not batcher.idle:
        left += [closed.batch.rows for closed in batcher.due(NOW)]
        for partition in range(partitions):
            batcher.acknowledged(partition)

    gone = rows_of(*left)
    for key in np.unique(market["security_id"][:start]):
        fields = ["exchange_time", "price", "volume"]
        assert (
            gone[gone["security_id"] == key][fields]
            == market[:start][market[:start]["security_id"] == key][fields]
        ).all()
    assert len(gone) == start
