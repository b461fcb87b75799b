"""Compares today's orders with Dhan's book, and appends what it shows otherwise.

An order recorded as not found may be found after all (Dhan took it later than the lease, or its
account could not be asked); one that was accepted may be rejected by the exchange a moment later.
One call to Dhan covers all orders of a user. Only what stands in the book counts: what is missing
there changes nothing.

First the row in the database, then the message on `ats.executions`, then the note that Kafka has
it. Whatever dies in between, the next round writes the same bytes again.

Where the guarantee stops: Dhan's book is of the day, so what nobody could ask about until the day's
end stays as it was recorded, or is corrected by hand (`ats claims correct`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

import structlog

from bus.database import RowRefused, StoreAway
from bus.records import Output
from dhan.orders import BrokerOrder, DayOrders
from dhan.outcomes import TokenRefused
from executors.clock import MonotonicClock
from executors.metrics import OrderMetrics
from executors.modes import BrokerFactory
from executors.orders.correction_store import ChangingOrder, CorrectionStore, NoCheck
from executors.orders.outcomes import correction, execution_output, seen_late
from executors.store import OrderKey, OrderOutcome
from executors.tokens import RefusedTokens
from schemas.errors import Unreadable
from schemas.ids import UserId
from schemas.messages import Outcome

log = structlog.get_logger(__name__)

ROUND_EVERY: Final = 60.0  # seconds; a user's own checks are further apart while nothing is new
USERS_A_BATCH: Final = 100
CHECKS_AT_ONCE: Final = 16  # each is one call to Dhan, of at most two seconds

Publish = Callable[[Output], Awaitable[None]]


class Findings(NamedTuple):
    """What Dhan's book says of orders as they are known.

    Attributes:
        corrections: Orders that are something else now.
        final: Accepted ones to which nothing can happen any more.
    """

    corrections: list[tuple[OrderKey, OrderOutcome]]
    final: list[OrderKey]


def compare(orders: Iterable[ChangingOrder], day: DayOrders) -> Findings:
    """Find each of `orders` in Dhan's book: by Dhan's id where it is known, else by our name."""
    findings = Findings([], [])
    for order in orders:
        if (row := _row(order, day)) is None:
            continue
        if order.outcome is Outcome.NOT_FOUND or row.rejected:
            findings.corrections.append((order.key, seen_late(row)))
        elif row.ended:
            findings.final.append(order.key)
    return findings


def _row(order: ChangingOrder, day: DayOrders) -> BrokerOrder | None:
    if order.dhan_order_id is not None:
        return day.numbered(order.dhan_order_id)
    return day.named(order.correlation_id)


class CorrectionSweep:
    """Rounds over the users whose orders may have changed."""

    def __init__(
        self,
        store: CorrectionStore,
        broker: BrokerFactory,
        tokens: RefusedTokens,
        *,
        publish: Publish,
        machine: MonotonicClock,
        metrics: OrderMetrics,
    ) -> None:
        self._store = store
        self._broker = broker
        self._tokens = tokens
        self._publish = publish
        self._machine = machine
        self._metrics = metrics
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin the next round now: somebody may have connected anew."""
        self._woken.set()

    async def run(self) -> None:
        """Round after round, for ever."""
        while True:
            self._woken.clear()
            try:
                await self.round()
            except StoreAway as error:
                log.warning("corrections_wait", error=str(error))
            await self._machine.sleep_or(ROUND_EVERY, self._woken)

    async def round(self) -> None:
        """Check everybody who is due, and publish what is not published yet.

        Raises:
            StoreAway: the database does not answer.
        """
        await self._publish_all()  # what an earlier life left behind waits for no broker
        while users := await self._store.users_to_check(ROUND_EVERY, USERS_A_BATCH):
            turns = asyncio.Semaphore(CHECKS_AT_ONCE)
            checked = await asyncio.gather(*(self._one_of(user, turns) for user in users))
            await self._publish_all()
            if len(users) < USERS_A_BATCH or not any(checked):
                return

    async def _one_of(self, user: UserId, turns: asyncio.Semaphore) -> bool:
        async with turns:
            try:
                return await self._check(user)
            except (StoreAway, RowRefused, Unreadable) as error:
                # this user's alone: the next round tries again
                log.warning("orders_not_checked", user=str(user), reason=str(error))
                return False

    async def _check(self, user: UserId) -> bool:
        """Compare the orders of `user` with Dhan's book; returns whether it was our turn."""
        begun = await self._store.begin(user, ROUND_EVERY)
        if isinstance(begun, NoCheck):
            return False
        day = await self._broker(begun.credentials).orders_of_the_day()
        if isinstance(day, DayOrders):
            await self._record(user, compare(begun.orders, day))
            return True
        log.warning("orders_not_checked", user=str(user), reason=day.reason)
        if isinstance(day, TokenRefused) and day.in_words:
            await self._tokens.add(user, begun.token_version, day.reason)
        return True

    async def _record(self, user: UserId, findings: Findings) -> None:
        for key, seen in findings.corrections:
            if await self._store.correct(key, seen):
                log.warning(
                    "outcome_corrected",
                    order=str(key.order),
                    user=str(user),
                    outcome=seen.outcome,
                    code=seen.code,
                )
        if findings.final:
            await self._store.mark_final(user, [key.decision for key in findings.final])

    async def _publish_all(self) -> None:
        while waiting := await self._store.unpublished():
            for row in waiting:
                message = correction(row)
                await self._publish(execution_output(message, row.terms))
                self._metrics.corrected(message)
                await self._store.published(row)
