"""Which intents the ledger has signed: nothing is entered that leaves no evidence."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple, Protocol

import structlog

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import OrderId
from schemas.ledger import LedgerCheckpoint
from schemas.messages import OrderIntent
from schemas.topics import CHECKPOINTS, ORDERS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# seconds for the ledger to sign an intent; usually it takes some 10 ms
LEDGER_TIMEOUT: Final = 2.0
# heads from before the start: no decision is valid for longer
HEADS_BACK: Final = UtcNs.minutes(60)
REMEMBERED: Final = 20_000  # orders on their way, as `executors.crowds`
_INTENTS: Final = f"{ORDERS.name}-"


class LedgerKey(Protocol):
    """What the ledger's public key can tell."""

    def signed(self, head: LedgerCheckpoint) -> bool:
        """Whether `head` carries the key's signature."""
        ...

    def sealed(self, record: Record, day: date, index: int, seal: str) -> bool:
        """Whether `seal` is of the leaf of `record` at `index` of the log of `day`."""
        ...


class _Seal(NamedTuple):
    day: date
    leaf: int
    text: str


@dataclass(slots=True)
class _Noted:
    """The record of an intent; None once its seal has been verified."""

    place: str
    record: Record | None


class LedgerBoard:
    """Fed from the intents that are worked on and from the heads on `ats.checkpoints`.

    An intent counts as signed when the ledger's seal is of the very record that is worked on. What
    a head says beside it is believed in nothing.
    """

    def __init__(self, key: LedgerKey, patience: float = LEDGER_TIMEOUT) -> None:
        """`patience` is seconds."""
        self._key = key
        self._patience = patience
        self._noted: OrderedDict[OrderId, _Noted] = OrderedDict()
        self._seals: OrderedDict[str, _Seal] = OrderedDict()
        self._told = asyncio.Event()

    def note(self, intent: OrderIntent, record: Record) -> None:
        """One is worked on."""
        self._noted[intent.id] = _Noted(f"{record.topic_partition}@{record.offset}", record)
        while len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)

    def observe(self, head: LedgerCheckpoint) -> None:
        """Take in a head; one without the ledger's signature counts for nothing."""
        if not self._key.signed(head):
            log.error("head_not_signed", id=str(head.id))
            return
        for nth, (place, seal) in enumerate(zip(head.places, head.seals, strict=False)):
            if place.startswith(_INTENTS):
                self._seals[place] = _Seal(head.day, head.since + nth, seal)
        while len(self._seals) > REMEMBERED:
            self._seals.popitem(last=False)
        self._told.set()
        self._told = asyncio.Event()

    def holds(self, order: OrderId) -> bool:
        """Whether the intent of `order` has a leaf that is signed."""
        noted = self._noted.get(order)
        if noted is None:
            return False
        if noted.record is not None and (seal := self._seals.get(noted.place)):
            if self._key.sealed(noted.record, *seal):
                noted.record = None
            else:
                log.error("leaf_of_another_record", record=noted.place)
        return noted.record is None

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
