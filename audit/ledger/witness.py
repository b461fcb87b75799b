"""`ats ledger witness`: cosigns heads that continue what it cosigned before.

It folds `ats.ledger` by itself, so it sees the tree and needs no proof. What it signed last stands
in a file of its own, written before the signature leaves: a log that was written again since then
is refused, also after a restart.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import date
from pathlib import Path
from typing import Final

import structlog

from audit.ledger.checkpoints import Checkpoint
from audit.ledger.log import Logs, origin_of
from audit.ledger.merkle import EMPTY_ROOT
from audit.ledger.notes import Note, PublicKey, Signer, signed_note
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Record, message_output
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import derive
from schemas.ledger import LedgerBatch, LedgerCheckpoint
from schemas.topics import CHECKPOINTS, LEDGER
from schemas.units import NS_PER_SECOND

log = structlog.get_logger(__name__)

MAX_STATE: Final = 1_000  # bytes of a file of its own that are read


class SignedHeads:
    """What the witness signed last of each log, as files in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, origin: str) -> Checkpoint:
        """The newest head that was signed; the empty tree where none was.

        Raises:
            Misconfigured: the file cannot be read.
        """
        path = self._path(origin)
        try:
            with path.open("rb") as file:
                found = Checkpoint.parse(file.read(MAX_STATE).decode())
        except FileNotFoundError:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        except (OSError, Unreadable, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path}: {error}; nothing is cosigned without it") from None
        if found.origin != origin:
            raise Misconfigured(f"{path} is of {found.origin}, not of {origin}")
        return found

    def keep(self, head: Checkpoint) -> None:
        """Make `head` the newest one, durably. Raises Misconfigured where that fails."""
        path = self._path(head.origin)
        new = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with new.open("w", encoding="utf-8") as file:
                file.write(head.text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Misconfigured(f"{path}: {error}; nothing is cosigned without it") from None

    def _path(self, origin: str) -> Path:
        return self._folder / f"{origin.replace('/', '_')}.head"


class Witness:
    """One witness of one ledger.

    Attributes:
        cosigned: Heads that this process signed.
    """

    def __init__(
        self, trusted: PublicKey, signer: Signer, heads: SignedHeads, clock: Callable[[], int]
    ) -> None:
        """`clock` gives POSIX nanoseconds."""
        self._trusted = trusted
        self._signer = signer
        self._heads = heads
        self._clock = clock
        self._logs = Logs()
        self._roots = dict[tuple[date, int], bytes]()
        self._early = list[LedgerCheckpoint]()
        self._done = dict[str, int]()  # a death may have come between the file and the topic
        self.cosigned = 0

    def take(self, record: Record) -> list[LedgerCheckpoint]:
        """Cosigned heads that `record` of one of the ledger's topics makes possible.

        Raises:
            Misconfigured: the log is not what the ledger or this witness signed before.
        """
        try:
            if record.topic == LEDGER.name:
                batch = decode(LedgerBatch, record.value)
                if self._logs.accept(batch):
                    head = self._logs.heads[batch.day]
                    self._roots[batch.day, head.size] = head.root
            else:
                self._early.append(decode(LedgerCheckpoint, record.value))
        except Unreadable as error:
            log.error("unreadable", place=str(record), reason=error.reason)
            return []
        ready = [head for head in self._early if head.size <= self._logs.size(head.day)]
        self._early = [head for head in self._early if head not in ready]
        return [signed for head in ready if (signed := self._judged(head))]

    def _judged(self, head: LedgerCheckpoint) -> LedgerCheckpoint | None:
        """`head` with our line; None of what is ours already, older, or signed by nobody known."""
        try:
            note = Note.parse(head.note)
            signers = note.verified_by([self._trusted, self._signer.public])
            checkpoint = Checkpoint.of_note(note)
        except Unreadable as error:
            log.error("not_a_head", reason=error.reason)
            return None
        origin = origin_of(self._trusted.name, head.day)
        if self._trusted not in signers or checkpoint.origin != origin:
            log.error("not_a_head", reason=f"not signed by {self._trusted.name} for {origin}")
            return None
        self._require(head.day, checkpoint, "the ledger")
        last = self._heads.last(origin)
        done = self._signer.public in signers or checkpoint.size < last.size
        if done or checkpoint.size == self._done.get(origin):
            return None
        self._require(head.day, last, "this witness")
        self._heads.keep(checkpoint)
        self._done[origin] = checkpoint.size
        self.cosigned += 1
        line = self._signer.line(note.text, self._clock() // NS_PER_SECOND)
        lines = head.note.rpartition("\n\n")[2]
        return LedgerCheckpoint(
            id=derive("checkpoint", self._signer.public, origin, checkpoint.size),
            event_time=head.event_time,
            day=head.day,
            size=checkpoint.size,
            note=signed_note(note.text, lines, line),
            since=checkpoint.size,
        )

    def _require(self, day: date, head: Checkpoint, who: str) -> None:
        """Raises Misconfigured where the log does not contain a head that `who` signed."""
        if head.size == 0:
            return
        root = self._roots.get((day, head.size))
        if head.size > self._logs.size(day) or root != head.root:
            log.error("log_rewritten", day=day.isoformat(), size=head.size, signed_by=who)
            raise Misconfigured(
                f"the log of {day} on ats.ledger is not the one that {who} signed at {head.size} "
                "leaves, so nothing is cosigned: see `ats ledger verify`"
            )


async def watch(
    connection: KafkaConnection, witness: Witness, stop: asyncio.Event, *, until_end: bool = False
) -> None:
    """Cosign until `stop`, or with `until_end` what stands there now.

    Raises:
        Misconfigured: a topic is missing, or the log was rewritten.
        TryLater: Kafka is away or refused a cosignature.
    """
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher(connection))
        records = read_topics(connection, [LEDGER, CHECKPOINTS], since="start", until_end=until_end)
        source = await stack.enter_async_context(aclosing(records))
        working = asyncio.ensure_future(_work(source, witness, publisher))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        else:
            working.result()


async def _work(
    records: AsyncGenerator[Record, None], witness: Witness, publisher: Publisher
) -> None:
    async for record in records:
        for head in witness.take(record):
            output = message_output(CHECKPOINTS, head, head.day.isoformat(), 0)
            await publisher.send_and_wait(output)
