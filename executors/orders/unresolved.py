"""Looks up the orders whose fate is not known, beside everything else, and tells what came of them.

An order worker that loses a reply leaves the order in the database and goes on: nobody waits for
it, and Kafka delivers nothing again on its account. Any process takes over what another left. First
the outcome is recorded, then its messages are published, then the row goes. Whatever dies in
between, somebody writes the same bytes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from bus.database import RowRefused, StoreAway
from bus.records import Output, Record
from executors.clock import MonotonicClock
from executors.metrics import OrderMetrics
from executors.orders.reconcile import Reconciler
from executors.orders.unresolved_store import Unresolved, UnresolvedStore
from executors.store import OrderOutcome, retry_until_available
from schemas.errors import TryLater, Unreadable
from schemas.lineage import HEADER, Cause
from schemas.messages import OrderIntent

log = structlog.get_logger(__name__)

TAKE_EVERY: Final = 1.0  # seconds; what this process leaves itself is taken at once
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0  # while Dhan is down a lookup every five seconds is far below any limit
# Seconds. A process looks an order up for so long, then whoever comes first goes on; one that died
# meanwhile had it for itself until HELD_FOR was over. A lookup, its record and message take seven.
LOOK_FOR: Final = 5.0
HELD_FOR: Final = 12.0
# One a user: so many sick accounts leave room for everybody else; each costs a coroutine.
AT_ONCE: Final = 256
# Two calls of two seconds at most, every five seconds: room for fifty silent accounts.
LOOKUPS_AT_ONCE: Final = 48

OutputsOf = Callable[[OrderIntent, OrderOutcome], Sequence[Output]]
Publish = Callable[[Output], Awaitable[None]]


class UnresolvedOrders:
    """The orders that were left, by whomever, and the sweep over them."""

    def __init__(
        self,
        store: UnresolvedStore,
        reconciler: Reconciler,
        outputs_of: OutputsOf,
        machine: MonotonicClock,
        metrics: OrderMetrics,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._outputs_of = outputs_of
        self._machine = machine
        self._metrics = metrics
        self._woken = asyncio.Event()
        self._lookups = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._looking: set[asyncio.Task[None]] = set()

    async def leave(self, intent: OrderIntent, record: Record) -> OrderOutcome | None:
        """Leave the claimed order of `record`; returns its outcome if it has one by now.

        Returns when the database has it, however long that is away: only then may the record be
        committed.
        """
        outcome = await retry_until_available(
            lambda: self._store.leave(intent, record), self._machine
        )
        self._woken.set()
        return outcome

    async def run(self, publish: Publish) -> None:
        """Take, look up and tell for ever.

        Raises:
            Misconfigured: the database does not fit.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._sweep(tasks, publish)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _sweep(self, tasks: asyncio.TaskGroup, publish: Publish) -> None:
        while True:
            self._woken.clear()
            try:
                taken = await self._take(tasks, publish)
            except StoreAway as error:
                log.warning("unresolved_orders_wait", reason=str(error))
                taken = 0
            if not taken:
                await self._machine.sleep_or(TAKE_EVERY, self._woken)

    async def _take(self, tasks: asyncio.TaskGroup, publish: Publish) -> int:
        """Begin to look up what nobody does; how many orders that are."""
        room = AT_ONCE - len(self._looking)
        taken = await self._store.take(room, HELD_FOR)
        self._metrics.unresolved, self._metrics.unresolved_age = taken.waiting, taken.oldest
        for order in taken.orders:
            task = tasks.create_task(self._resolve(order, publish))
            self._looking.add(task)
            task.add_done_callback(self._ended)
        return len(taken.orders)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        self._woken.set()  # the user's next one may be waiting

    async def _resolve(self, order: Unresolved, publish: Publish) -> None:
        try:
            outcome = await self._look(order)
            if outcome is None:
                await self._store.release(order.key)
                return
            log.info(
                "order_resolved",
                order=str(order.intent.id),
                outcome=outcome.outcome,
                code=outcome.code,
            )
            for output in self._outputs_of(order.intent, outcome):
                await publish(_from(order, output))
            await self._store.told(order.key)
        except (StoreAway, RowRefused, TryLater, Unreadable) as error:
            # of this order alone: somebody takes it again
            log.error("order_not_resolved", order=str(order.intent.id), reason=str(error))

    async def _look(self, order: Unresolved) -> OrderOutcome | None:
        """The recorded outcome, None when nobody knows it after `LOOK_FOR` seconds."""
        began = self._machine.monotonic()
        while True:
            left_for = order.left_for + self._machine.monotonic() - began
            await self._machine.sleep(min(max(FIRST_PAUSE, left_for / 2), LONGEST_PAUSE))
            left_for = order.left_for + self._machine.monotonic() - began
            outcome = await self._reconciler.look(order.key, left_for, self._lookups)
            if outcome or self._machine.monotonic() - began >= LOOK_FOR:
                return outcome


def _from(order: Unresolved, output: Output) -> Output:
    """The record that the order worker would have written."""
    header = (HEADER, Cause(order.offset, 0).encode())
    return output._replace(partition=order.partition, headers=(*output.headers, header))
