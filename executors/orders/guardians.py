"""All guardians of one process, and what keeps them informed.

Nothing here ends them: without Kafka what they did is told later, without the database the halts
known last hold.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import structlog

from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import message_output
from executors.clock import MonotonicClock
from executors.halts import HaltPoller
from executors.limits import LimitsPoller
from executors.orders.account import BookAccess
from executors.orders.exit_sender import ExitSender
from executors.orders.guardian import ExitGuardian, GuardianDeps
from executors.orders.plans import Plans
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.ids import UserId
from schemas.messages import ExitOrder, OrderIntent
from schemas.topics import EXITS, ORDERS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

PENDING: Final = 10_000  # messages kept while Kafka is away: more than guardians make in a day
AGAIN_AFTER: Final = 2.0  # seconds
DAY_BACK: Final = UtcNs.minutes(24 * 60)


class ExitRecorder:
    """Publishes to `ats.exits` in the background; who records never waits."""

    def __init__(self, connection: KafkaConnection, machine: MonotonicClock) -> None:
        self._connection, self._machine = connection, machine
        self._pending: deque[ExitOrder] = deque(maxlen=PENDING)
        self._news = asyncio.Event()

    def __call__(self, message: ExitOrder) -> None:
        """Keep `message` until Kafka has it."""
        self._pending.append(message)
        self._news.set()

    async def run(self) -> None:
        """Publish for ever, through outages. What was sent twice has the same id."""
        while True:
            try:
                async with Publisher(self._connection) as publisher:
                    await self._keep_publishing(publisher)
            except (TryLater, Misconfigured) as error:
                log.warning("exits_untold", waiting=len(self._pending), error=str(error))
                await self._machine.sleep(AGAIN_AFTER)

    async def _keep_publishing(self, publisher: Publisher) -> None:
        while True:
            while self._pending:
                message = self._pending[0]
                await publisher.send_and_wait(message_output(EXITS, message, str(message.user_id)))
                if self._pending and self._pending[0] is message:
                    self._pending.popleft()
            self._news.clear()
            await self._news.wait()


@dataclass(frozen=True, slots=True)
class Guardians:
    """Opens them, and runs what they share.

    Attributes:
        senders: By account: a guardian with a new token knows what the one before has on its way.
    """

    deps: GuardianDeps
    connection: KafkaConnection
    recorder: ExitRecorder
    halts: HaltPoller
    limits: LimitsPoller
    wall: Callable[[], int]
    senders: dict[UserId, ExitSender] = field(default_factory=dict)

    def open(self, user: UserId, access: BookAccess) -> ExitGuardian:
        """The guardian of one account, as `executors.orders.account.OpenGuardian`."""
        if (sender := self.senders.get(user)) is None:
            sender = self.senders[user] = self.deps.open_sender(user)
        return ExitGuardian(user, access, self.deps, sender)

    async def run(self) -> None:
        """Keep plans, halts and limits up to date, and tell what was done, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.recorder.run())
            tasks.create_task(self.halts.run())
            tasks.create_task(self.limits.run())
            tasks.create_task(self._follow_intents(self.deps.plans))

    async def _follow_intents(self, plans: Plans) -> None:
        """Learn each entry's stop and deadline from `ats.orders`."""
        while True:
            since = UtcNs(self.wall() - DAY_BACK)
            try:
                async with aclosing(read_topics(self.connection, [ORDERS], since=since)) as records:
                    async for record in records:
                        _learn(plans, record.value)
            except TryLater as error:
                log.warning("intents_unknown", error=str(error))
                await self.deps.machine.sleep(AGAIN_AFTER)


def _learn(plans: Plans, value: bytes | None) -> None:
    try:
        plans.observe(decode(OrderIntent, value))
    except Unreadable as error:
        log.warning("intent_unreadable", reason=error.reason)
