"""Ends a process that is frozen, out of its group, or alive and idle.

A restart is the only cure.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from bus.exit import Exit, terminate
from bus.faust_app import GroupMember
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.records import TopicPartition

BEAT_INTERVAL: Final = 0.5  # seconds
# of the session: the last heartbeat may be a fifth of it old (docs/facts/faust.md)
FROZEN_SHARE: Final = 0.8
STALL_SESSIONS: Final = 2  # how many sessions a lagging process may stand still
ASK_WITHIN: Final = 5.0  # seconds for the broker to say where a topic ends


class FreezeWatchdog:
    """Tells a frozen process that it was frozen, before it writes as if nothing had happened.

    The beat has its own thread, as the group's heartbeats do: a long computation in the event loop
    does not freeze it, a stopped process does. Exactness does not need this; it spares repeats, and
    a fight between two of the same name.
    """

    def __init__(self, session_timeout: float) -> None:
        self._limit = FROZEN_SHARE * session_timeout
        self._beat = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on, in a thread of its own."""
        self._beat = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns at once."""
        self._stopped.set()

    def check(self) -> None:
        """End the process when it was frozen for longer than the limit."""
        if (frozen := time.monotonic() - self._beat) > self._limit:
            terminate(
                Exit.STALLED,
                f"frozen for {frozen:.1f} s; the group may have given our partitions away",
            )

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_INTERVAL):
            self.check()
            self._beat = time.monotonic()


class Progress(Protocol):
    """What the watch looks at."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """Per owned partition the offset below which everything is done."""

    def stall_reason(self) -> str:
        """Why work in hand will never end, `""` while it may."""

    def busy(self) -> bool:
        """Whether work in hand explains that positions stand still."""


async def watch(
    member: GroupMember, progress: Progress, metrics: ShellMetrics, options: ShellOptions
) -> None:
    """Look once a second, for ever; also keeps `metrics.lag` true."""
    before: Mapping[TopicPartition, int] = {}
    while True:
        await asyncio.sleep(1)
        if reason := member.fatal_reason() or progress.stall_reason():
            terminate(Exit.STALLED, reason)
        now = dict(progress.positions())
        ends = await _ends(member, now)
        metrics.lag = {
            topic_partition: max(0, end_ - now[topic_partition])
            for topic_partition, end_ in ends.items()
        }
        # no answer about the ends: the broker is away, which is no reason to restart
        if now != before or progress.busy() or not any(metrics.lag.values()):
            before, metrics.last_progress = now, time.monotonic()
        elif time.monotonic() - metrics.last_progress > STALL_SESSIONS * options.session_timeout:
            waiting = {
                str(topic_partition): lag for topic_partition, lag in metrics.lag.items() if lag
            }
            terminate(Exit.STALLED, f"standing still while records wait: {waiting}")


async def _ends(
    member: GroupMember, topic_partitions: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    if not topic_partitions:
        return {}
    try:
        # Cancelled as the answer comes, `wait_for` of Python 3.11 forgets that it was cancelled.
        async with asyncio.timeout(ASK_WITHIN):
            return await member.ends(topic_partitions)
    except (KafkaError, TimeoutError):
        return {}
