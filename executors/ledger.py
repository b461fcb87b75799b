"""Which intents the ledger has signed: nothing is entered that leaves no evidence."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import OrderId
from schemas.ledger import LedgerCheckpoint
from schemas.messages import OrderIntent
from schemas.topics import CHECKPOINTS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# seconds for the ledger to sign an intent; usually it takes some 10 ms
LEDGER_TIMEOUT: Final = 2.0
# heads from before the start: no decision is valid for longer
HEADS_BACK: Final = UtcNs.minutes(60)
REMEMBERED: Final = 20_000  # orders on their way, as `executors.crowds`

IsSigned = Callable[[LedgerCheckpoint], bool]


class LedgerBoard:
    """Fed from the intents that are worked on and from the heads on `ats.checkpoints`."""

    def __init__(self, is_signed: IsSigned, patience: float = LEDGER_TIMEOUT) -> None:
        """`is_signed` says whether a head carries the ledger's signature; `patience` is seconds."""
        self._is_signed = is_signed
        self._patience = patience
        self._places: OrderedDict[OrderId, tuple[str, int]] = OrderedDict()
        self._next: dict[str, int] = {}
        self._told = asyncio.Event()

    def note(self, intent: OrderIntent, record: Record) -> None:
        """One is worked on."""
        self._places[intent.id] = str(record.topic_partition), record.offset
        while len(self._places) > REMEMBERED:
            self._places.popitem(last=False)

    def observe(self, head: LedgerCheckpoint) -> None:
        """Take in a head; one without the ledger's signature counts for nothing."""
        if not self._is_signed(head):
            log.error("head_not_signed", id=str(head.id))
            return
        for place in head.places:
            partition, _, offset = place.rpartition("@")
            if offset.isdigit():
                self._next[partition] = max(self._next.get(partition, 0), int(offset) + 1)
        self._told.set()
        self._told = asyncio.Event()

    def holds(self, order: OrderId) -> bool:
        """Whether the intent of `order` has a leaf that is signed."""
        place = self._places.get(order)
        return place is not None and place[1] < self._next.get(place[0], 0)

    async def reached(self, order: OrderId) -> None:
        """Return when the intent of `order` has one, or when the patience is at its end."""
        try:
            async with asyncio.timeout(self._patience):
                while not self.holds(order):
                    await self._told.wait()
        except TimeoutError:
            log.warning("intent_not_in_ledger", order=str(order))

    async def follow(self, connection: KafkaConnection, now: int) -> None:
        """Keep up with `ats.checkpoints` for ever, from an hour before `now` (UTC ns) on.

        Raises:
            Misconfigured: the topic is missing.
            TryLater: no broker answers.
        """
        since = UtcNs(now - HEADS_BACK)
        async with aclosing(read_topics(connection, [CHECKPOINTS], since=since)) as records:
            async for record in records:
                try:
                    self.observe(decode(LedgerCheckpoint, record.value))
                except Unreadable as error:
                    log.error("head_unreadable", record=str(record), reason=error.reason)
