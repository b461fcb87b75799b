"""When a partition's snapshot is due: by time, and by the work a restart would repeat."""

from __future__ import annotations

from typing import Any

import pytest

from bus.partition_state import PartitionState
from bus.snapshot_schedule import SnapshotSchedule

SCHEDULE = SnapshotSchedule(interval=20.0, max_replay=2.0)
NOW = 1_000.0
NOTHING: Any = None


def partition(*, age: float = 0.0, work: float = 0.0, unsaved: int = 1) -> PartitionState:
    return PartitionState(NOTHING, 100 + unsaved, 100, saved_at=NOW - age, work=work)


@pytest.mark.parametrize(("age", "due"), [(19.9, None), (20.0, 0)])
def test_a_snapshot_is_due_after_the_interval(age: float, due: int | None) -> None:
    assert SCHEDULE.due({0: partition(age=age)}, NOW, idle=False) == due


@pytest.mark.parametrize(("work", "due"), [(0.9, None), (1.0, 0)])
def test_all_partitions_share_the_work_that_a_restart_may_repeat(
    work: float, due: int | None
) -> None:
    assert SCHEDULE.due({0: partition(work=work), 1: partition()}, NOW, idle=False) == due


def test_half_the_work_is_enough_while_nothing_waits() -> None:
    half = {0: partition(work=1.0)}

    assert (SCHEDULE.due(half, NOW, idle=True), SCHEDULE.due(half, NOW, idle=False)) == (0, None)


def test_the_partition_that_needs_it_most_comes_first() -> None:
    assert SCHEDULE.due({0: partition(age=25.0), 1: partition(age=40.0)}, NOW, idle=False) == 1


def test_a_partition_that_stands_where_its_snapshot_is_needs_none() -> None:
    assert SCHEDULE.due({0: partition(age=99.0, work=99.0, unsaved=0)}, NOW, idle=False) is None
