"""Deferred outputs, when sending them is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.partition_state import NobodyListens
from bus.records import Output, Record, TopicPartition
from bus.routing import Router
from bus.runtime import ShellContext, ShellSetup
from bus.snapshots import Snapshot
from bus.stateful import StatefulService, _StatefulShell
from schemas.topics import CANDLES, SIGNALS, SNAPSHOTS, TICKS, PartitionPlan
from schemas.units import UtcNs

PARTITION = TopicPartition(TICKS.name, 0)


class Three:
    """Three candles of each record."""

    def apply(self, record: Record) -> Iterable[Output]:
        return [Output(CANDLES, b"NSE_EQ:1", b"%d.%d" % (record.offset, nth)) for nth in range(3)]

    def dump(self) -> bytes:
        return b""


class FullBatch:
    """A publisher whose batch is full until `room` is set, as in a broker's restart."""

    def __init__(self) -> None:
        self.room, self.sent = asyncio.Event(), list[bytes]()

    async def send(self, output: Output) -> asyncio.Future[Any]:
        await self.room.wait()
        self.sent.append(output.value or b"")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class NoSnapshots:
    async def load(self, partitions: set[int]) -> dict[int, Snapshot]:
        return {partition: Snapshot(0, None) for partition in partitions}

    async def save(self, *_: object) -> None:
        pass


async def test_an_output_that_waits_for_room_when_a_revocation_is_cut_short_is_not_lost() -> None:
    publisher: Any = FullBatch()
    service = StatefulService(
        "g", TICKS, SNAPSHOTS, (SIGNALS, CANDLES), lambda _: Three(), lambda *_: Three()
    )
    router = Router({TICKS.name: TICKS}, service.outputs, PartitionPlan())
    watchdog: Any = SimpleNamespace(check=lambda: None)
    nothing: Any = None
    setup = ShellSetup(nothing, PartitionPlan(), "1", nothing, ShellOptions(), ShellMetrics())
    context = ShellContext(setup, nothing, router, watchdog, nothing)
    publishers = dict.fromkeys((topic.name for topic in service.outputs), publisher)
    shell = _StatefulShell(service, context, publishers, publisher, NobodyListens())
    shell._snapshots = NoSnapshots()  # type: ignore[assignment]
    await shell.on_assigned({PARTITION})
    for offset in range(2):
        await shell.process(Record(TICKS.name, 0, offset, None, b"", UtcNs(0)))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(shell.on_revoked(), 0.05)
    publisher.room.set()
    await shell.on_revoked()

    assert publisher.sent == [b"%d.%d" % (offset, nth) for offset in range(2) for nth in range(3)]
