"""Process lifecycle: verify topics, join the group, run until stopped, drain, leave.

Anything else ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from bus.connection import KafkaConnection
from bus.delivery import Shell
from bus.exit import Exit, terminate, terminate_on
from bus.faust_app import GroupMember
from bus.liveness import FreezeWatchdog, Progress, watch
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.routing import Router
from bus.topics import check_topics
from schemas.topics import DEAD_LETTER, PartitionPlan, Topic

log = structlog.get_logger(__name__)

# Faust fetches in a second thread; at Python's 5 ms the two wait for each other: a third to a half
# of p99 (docs/facts/faust.md)
SWITCH_INTERVAL: Final = 0.0002


class Runnable(Shell, Progress, Protocol):
    """A shell with something to do beside taking records."""

    async def run_background(self) -> None:
        """Whatever has to happen now and then, for ever."""

    async def drain(self) -> None:
        """Make everything durable and take nothing more."""


@dataclass(frozen=True, slots=True)
class ShellTopics:
    """What a shell reads and writes, and in which consumer group.

    Attributes:
        others: Topics of its own beside the outputs; checked at the start like them.
    """

    group: str
    sources: tuple[Topic, ...]
    outputs: tuple[Topic, ...]
    others: tuple[Topic, ...] = ()


@dataclass(frozen=True, slots=True)
class ShellSetup:
    """Where a shell runs, as its caller says.

    Attributes:
        instance: Name of this process: the same after a restart, and unique among the living of its
            group.
        stop: Set to end the shell after everything is handed over.
    """

    connection: KafkaConnection
    plan: PartitionPlan
    instance: str
    stop: asyncio.Event
    options: ShellOptions
    metrics: ShellMetrics


@dataclass(frozen=True, slots=True)
class ShellContext:
    """What every shell is built from."""

    setup: ShellSetup
    member: GroupMember
    router: Router
    watchdog: FreezeWatchdog
    stack: AsyncExitStack

    @property
    def connection(self) -> KafkaConnection:
        """The way to Kafka."""
        return self.setup.connection

    @property
    def options(self) -> ShellOptions:
        """Limits and times of this shell."""
        return self.setup.options

    @property
    def metrics(self) -> ShellMetrics:
        """The counters of this shell."""
        return self.setup.metrics

    async def publisher(self, what: str, *, linger: float = 0.0) -> Publisher:
        """Run a producer for as long as the shell lives.

        The log message of a fatal error calls its outputs `what`.
        """
        return await self.stack.enter_async_context(
            Publisher(
                self.connection,
                lambda error: terminate_on(error, f"{what} was not accepted"),
                linger=linger,
            )
        )


async def run_processor(
    build: Callable[[ShellContext], Awaitable[Runnable]], topics: ShellTopics, setup: ShellSetup
) -> None:
    """Run the shell that `build` makes until `setup.stop` is set and everything is handed over.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """
    await check_topics(
        setup.connection,
        setup.plan,
        (*topics.sources, *topics.outputs, *topics.others, DEAD_LETTER),
    )
    by_name = {topic.name: topic for topic in topics.sources}
    member = GroupMember(
        setup.connection,
        topics.group,
        by_name,
        setup.instance,
        options=setup.options,
        metrics=setup.metrics,
    )
    async with AsyncExitStack() as stack:
        router, watchdog = (
            Router(by_name, topics.outputs, setup.plan),
            FreezeWatchdog(setup.options.session_timeout),
        )
        context = ShellContext(setup, member, router, watchdog, stack)
        await _run_until_stopped(await build(context), context)


async def _run_until_stopped(shell: Runnable, context: ShellContext) -> None:
    """Return when `stop` is set and everything is handed over."""
    member, metrics = context.member, context.metrics
    sys.setswitchinterval(SWITCH_INTERVAL)
    context.watchdog.start()
    stopped = asyncio.ensure_future(context.setup.stop.wait())
    try:
        if not await _join(shell, member, stopped, context.options):
            return
        gc.collect()
        # what lives on need not be searched for garbage again: with its libraries that takes 0.15 s
        # each time
        gc.freeze()
        metrics.joined = True
        log.info(
            "joined", partitions=[str(topic_partition) for topic_partition in shell.positions()]
        )
        watching = asyncio.ensure_future(watch(member, shell, metrics, context.options))
        working = asyncio.ensure_future(shell.run_background())
        await _first_of(stopped, watching, working)
        watching.cancel()  # it would take our leaving for a failure
        await _drain(shell.drain())
        working.cancel()
        await member.leave()
        log.info("left")
    finally:
        stopped.cancel()
        context.watchdog.stop()


async def _join(
    shell: Shell, member: GroupMember, stopped: asyncio.Future[Any], options: ShellOptions
) -> bool:
    """False when told to stop before any partition came."""
    joining = asyncio.ensure_future(member.join(shell))
    await asyncio.wait(
        {joining, stopped}, timeout=options.join_timeout, return_when=asyncio.FIRST_COMPLETED
    )
    if joining.done():
        if error := joining.exception():
            terminate_on(error, "joining the group")
        return True
    if not stopped.done():  # a refused join never returns
        terminate(Exit.STALLED, f"no partitions within {options.join_timeout:.0f} s")
    joining.cancel()
    await member.leave()
    return False


async def _first_of(stopped: asyncio.Future[Any], *tasks: asyncio.Future[Any]) -> None:
    """Wait for the stop; a task that ends before it has failed."""
    done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopped}:
        terminate_on(task.exception() or RuntimeError("ended by itself"), "in the background")


async def _drain(draining: Coroutine[Any, Any, None]) -> None:
    try:
        await draining
    except Exception as error:  # noqa: BLE001  # the process ends with it
        terminate_on(error, "draining")
