"""The life of a shell: check, join the group, work until told to stop, finish, leave. Anything else ends the process."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from bus.connection import KafkaConnection
from bus.ending import Exit, end, end_after
from bus.faust_app import GroupMember, Shell
from bus.liveness import Progress, Pulse, watch
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.routing import Router
from bus.topics import check_topics
from schemas.topics import DEAD_LETTER, PartitionPlan, Topic

log = structlog.get_logger(__name__)

# Faust fetches in a second thread; at Python's 5 ms the two wait for each other: a third to a half of p99 (docs/facts/faust.md)
SWITCH_INTERVAL: Final = 0.0002


class LivingShell(Shell, Progress, Protocol):
    """A shell with something to do beside taking records."""

    async def work(self) -> None:
        """Whatever has to happen now and then, for ever."""

    async def finish(self) -> None:
        """Make everything durable and take nothing more."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every shell is made of."""

    connection: KafkaConnection
    member: GroupMember
    router: Router
    pulse: Pulse
    options: ShellOptions
    metrics: ShellMetrics
    stack: AsyncExitStack

    async def publisher(self, what: str, *, linger: float = 0.0) -> Publisher:
        """A producer for as long as the shell lives; `what` it writes is for the last log line."""
        return await self.stack.enter_async_context(
            Publisher(self.connection, lambda error: end_after(error, f"{what} was not accepted"), linger=linger)
        )


async def run_shell(
    build: Callable[[Parts], Awaitable[LivingShell]],
    *,
    group: str,
    sources: Sequence[Topic],
    outputs: Sequence[Topic],
    others: Sequence[Topic] = (),
    connection: KafkaConnection,
    plan: PartitionPlan,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None,
    metrics: ShellMetrics | None,
) -> None:
    """Run the shell that `build` makes until `stop` is set and everything is handed over.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """
    options, metrics = options or ShellOptions(), metrics or ShellMetrics()
    await check_topics(connection, plan, (*sources, *outputs, *others, DEAD_LETTER))
    by_name = {topic.name: topic for topic in sources}
    member = GroupMember(connection, group, by_name, instance, options=options, metrics=metrics)
    async with AsyncExitStack() as stack:
        router, pulse = Router(by_name, outputs, plan), Pulse(options.session_timeout)
        shell = await build(Parts(connection, member, router, pulse, options, metrics, stack))
        await _live(shell, member, pulse=pulse, stop=stop, options=options, metrics=metrics)


async def _live(
    shell: LivingShell,
    member: GroupMember,
    *,
    pulse: Pulse,
    stop: asyncio.Event,
    options: ShellOptions,
    metrics: ShellMetrics,
) -> None:
    """Return when `stop` is set and everything is handed over."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    pulse.start()
    stopped = asyncio.ensure_future(stop.wait())
    try:
        if not await _join(shell, member, stopped, options):
            return
        gc.collect()
        gc.freeze()  # what lives on need not be searched for garbage again: with its libraries that takes 0.15 s each time
        metrics.joined = True
        log.info("joined", shards=[str(shard) for shard in shell.positions()])
        watching = asyncio.ensure_future(watch(member, shell, metrics, options))
        working = asyncio.ensure_future(shell.work())
        await _first_of(stopped, watching, working)
        watching.cancel()  # it would take our leaving for a failure
        await _finish(shell.finish())
        working.cancel()
        await member.leave()
        log.info("left")
    finally:
        stopped.cancel()
        pulse.stop()


async def _join(shell: Shell, member: GroupMember, stopped: asyncio.Future[Any], options: ShellOptions) -> bool:
    """False when told to stop before any partition came."""
    joining = asyncio.ensure_future(member.join(shell))
    await asyncio.wait({joining, stopped}, timeout=options.start_within, return_when=asyncio.FIRST_COMPLETED)
    if joining.done():
        if error := joining.exception():
            end_after(error, "joining the group")
        return True
    if not stopped.done():  # a refused join never returns
        end(Exit.STALLED, f"no partitions within {options.start_within:.0f} s")
    joining.cancel()
    await member.leave()
    return False


async def _first_of(stopped: asyncio.Future[Any], *tasks: asyncio.Future[Any]) -> None:
    """Wait for the stop; a task that ends before it has failed."""
    done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopped}:
        end_after(task.exception() or RuntimeError("ended by itself"), "in the background")


async def _finish(finishing: Coroutine[Any, Any, None]) -> None:
    try:
        await finishing
    except Exception as error:  # noqa: BLE001  # the process ends with it
        end_after(error, "finishing")
