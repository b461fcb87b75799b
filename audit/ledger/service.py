"""`ats ledger run`: gives each record its leaf, and signs.

The topic `ats.ledger` is the log, so nothing is kept beside it. A batch is written, read back, and
only then signed. A process that dies anywhere in between starts again from the topic: what was
written and not signed is held against its records first, then signed with the same bytes as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import date
from typing import Any, Final

import structlog

from audit.ledger.entries import Entry
from audit.ledger.log import LOGGED, Logs, batches_of, signed
from audit.ledger.notes import Note, Signer
from audit.ledger.reading import read_ledger, records_at
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import ends_of, read_topics
from bus.records import Record, TopicPartition, message_output
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.ledger import MAX_ENTRIES, LedgerBatch, LedgerCheckpoint
from schemas.topics import CHECKPOINTS, LEDGER

log = structlog.get_logger(__name__)

# seconds until a batch that was acknowledged has been read back; it takes milliseconds
READ_BACK_WITHIN: Final = 30.0
HELD: Final = 2 * MAX_ENTRIES  # records that wait for their leaf; more stay in Kafka


class Ledger:
    """One ledger over one cluster.

    Attributes:
        appended: Leaves that this process gave.
    """

    def __init__(self, connection: KafkaConnection, signer: Signer) -> None:
        self._connection = connection
        self._signer = signer
        self._logs = Logs()
        self.appended = 0

    async def run(self, stop: asyncio.Event, *, until_end: bool = False) -> None:
        """Append and sign until `stop`, or with `until_end` until no record waits.

        Raises:
            Misconfigured: a topic is missing, or a batch on `ats.ledger` is not of the records.
            TryLater: Kafka is away or refused a record, or another ledger writes. Start again.
        """
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(Publisher(self._connection))
            begin = await ends_of(self._connection, LEDGER)
            await self._recover(publisher)
            own = await stack.enter_async_context(aclosing(self._own(begin)))
            records = read_topics(
                self._connection, LOGGED, since=self._logs.positions, until_end=until_end
            )
            source = await stack.enter_async_context(aclosing(records))
            waiting = asyncio.Queue[Record | None](HELD)
            pump = asyncio.ensure_future(_pump(source, waiting))
            stack.push_async_callback(_cancelled, pump)
            while taken := await _taken(waiting, pump, stop):
                await self._append(taken, publisher, own)
            log.info("ledger_ended", leaves=self.appended)

    async def _recover(self, publisher: Publisher) -> None:
        """Fold what stands on the topics, and sign what a death kept from being signed."""
        batches, heads = await read_ledger(self._connection)
        done = dict[date, int]()
        for head in heads:
            if self._is_ours(head):
                done[head.day] = max(head.size, done.get(head.day, 0))
        for batch in batches:
            entries = self._logs.accept(batch)
            if entries and self._logs.size(batch.day) > done.get(batch.day, 0):
                await self._confirm(entries)
                await self._sign(batch, entries, publisher)
        leaves = sum(head.size for head in self._logs.heads.values())
        log.info("ledger_recovered", days=len(self._logs.heads), leaves=leaves)

    def _is_ours(self, head: LedgerCheckpoint) -> bool:
        try:
            return bool(Note.parse(head.note).verified_by([self._signer.public]))
        except Unreadable:
            return False

    async def _confirm(self, entries: Sequence[Entry]) -> None:
        """Raises Misconfigured where a leaf that this process did not make is not of its record."""
        there = set(await records_at(self._connection, entries))
        if wrong := [each for each in entries if each not in there]:
            raise Misconfigured(
                f"the leaf of {wrong[0]} on ats.ledger is not of the record that stands there, so "
                "it is not signed: somebody wrote to ats.ledger, or changed the record"
            )

    async def _append(
        self,
        records: Sequence[Record],
        publisher: Publisher,
        own: AsyncGenerator[LedgerBatch, None],
    ) -> None:
        for batch in batches_of(records, self._logs):
            await publisher.send_and_wait(message_output(LEDGER, batch, batch.day.isoformat(), 0))
            entries = await self._read_back(batch, own)
            await self._sign(batch, entries, publisher)
            self.appended += len(entries)

    async def _read_back(
        self, batch: LedgerBatch, own: AsyncGenerator[LedgerBatch, None]
    ) -> tuple[Entry, ...]:
        """The leaves of `batch` as the topic has them."""
        try:
            async with asyncio.timeout(READ_BACK_WITHIN):
                async for each in own:
                    entries = self._logs.accept(each)
                    if each.id == batch.id and entries:
                        return entries
                    if entries or each.id == batch.id:
                        raise TryLater("another `ats ledger run` writes to ats.ledger: run one")
        except TimeoutError:
            raise TryLater("a batch of leaves was acknowledged and cannot be read back") from None
        raise TryLater("the reader of ats.ledger ended")

    async def _sign(
        self, batch: LedgerBatch, entries: Sequence[Entry], publisher: Publisher
    ) -> None:
        head = signed(self._logs, batch.day, batch.first, entries, self._signer)
        await publisher.send_and_wait(message_output(CHECKPOINTS, head, head.day.isoformat(), 0))

    async def _own(self, begin: dict[int, int]) -> AsyncGenerator[LedgerBatch, None]:
        """Batches from `begin` on."""
        since = {TopicPartition(LEDGER.name, number): at for number, at in begin.items()}
        records = read_topics(self._connection, [LEDGER], since=since)
        async with aclosing(records):
            async for record in records:
                try:
                    yield decode(LedgerBatch, record.value)
                except Unreadable:
                    log.error("unreadable_batch", place=str(record))


async def _pump(
    records: AsyncGenerator[Record, None], waiting: asyncio.Queue[Record | None]
) -> None:
    async for record in records:
        await waiting.put(record)
    await waiting.put(None)


async def _taken(
    waiting: asyncio.Queue[Record | None], pump: asyncio.Future[None], stop: asyncio.Event
) -> list[Record]:
    """What waits, at most one batch of it; nothing at the end or when told to stop.

    Raises what ended the reading.
    """
    first = asyncio.ensure_future(waiting.get())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        tasks: set[asyncio.Future[Any]] = {first, stopped, pump}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if pump.done() and not pump.cancelled() and (error := pump.exception()):
            raise error
        if stop.is_set():
            return []
        record = await first
    finally:
        first.cancel()
        stopped.cancel()
    taken = list[Record]()
    while record is not None and len(taken) < MAX_ENTRIES:
        taken.append(record)
        if waiting.empty() or len(taken) == MAX_ENTRIES:
            return taken
        record = waiting.get_nowait()
    if taken:  # the end stands behind them: it has to be met again
        waiting.put_nowait(None)
    return taken


async def _cancelled(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
