"""The logs as `ats.ledger` defines them: one for each trading day. Pure.

The order of leaves is the order of the topic, and nothing else. Whoever reads it from its begin
gets the same logs, and a head is signed only of what was read back. So a process that dies between
two steps, or two that run at once, cannot sign two trees of one size: the batch that came second is
no continuation, and counts for nobody.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from audit.ledger.checkpoints import Checkpoint
from audit.ledger.entries import Entry
from audit.ledger.merkle import Frontier
from audit.ledger.notes import Note, PublicKey, Signer, signed_note
from bus.records import NS_PER_MS, Record, TopicPartition
from schemas.codec import head_of
from schemas.errors import Unreadable
from schemas.ids import derive
from schemas.ledger import MAX_ENTRIES, LedgerBatch, LedgerCheckpoint, LedgerEntry
from schemas.market import trading_day
from schemas.topics import (
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    LLM,
    MANIFEST,
    NEWS,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    PREFLIGHTS,
    REPORTS,
    SCANS,
    SESSIONS,
    SIGNALS,
    TRADES,
)
from schemas.units import UtcNs

# Decisions, orders and money, and what they were made under. Bars follow from ticks, and contents
# of manifests are named by their digest.
LOGGED: Final = (
    SIGNALS, SCANS, NEWS, REPORTS, LLM, DECISIONS, SESSIONS, FANOUTS, ORDERS, EXECUTIONS,
    ORDER_EVENTS, TRADES, POSITIONS, EXITS, PREFLIGHTS, MANIFEST,
)  # fmt: skip
_SEAL: Final = "ats-ledger-leaf/v1"


def day_of(record: Record) -> date:
    """The trading date of a record: of its market time, else of its own stamp.

    Who is active is told again at each start, under the time of its cause: there the stamp counts.
    """
    head = None if record.topic == SESSIONS.name else head_of(record.value or b"")
    try:
        return trading_day(head.event_time if head else record.published_at)
    except (OverflowError, ValueError):  # a market time that no calendar has
        return trading_day(record.published_at)


def origin_of(name: str, day: date) -> str:
    """The log of one day, of the ledger whose key is called `name`."""
    return f"{name}/{day.isoformat()}"


class Logs:
    """All logs, folded from the batches of `ats.ledger` in their order.

    Attributes:
        positions: Of each partition the first offset that has no leaf yet.
        heads: Of each day's log its size and root.
    """

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.heads: dict[date, Frontier] = {}

    def accept(self, batch: LedgerBatch) -> tuple[Entry, ...]:
        """Append what continues its log; nothing of a repeat, or of a batch that came second."""
        entries = tuple(entry_of(each) for each in batch.entries)
        if batch.first != self.size(batch.day) or not self._new(entries):
            return ()
        head = self.heads.setdefault(batch.day, Frontier())
        for each in entries:
            head.append(each.leaf)
            self.positions[each.topic_partition] = each.offset + 1
        return entries

    def size(self, day: date) -> int:
        """How many leaves the log of `day` has."""
        head = self.heads.get(day)
        return head.size if head else 0

    def checkpoint(self, name: str, day: date) -> Checkpoint:
        """The head of the log of `day`, which has a leaf."""
        head = self.heads[day]
        return Checkpoint(origin_of(name, day), head.size, head.root)

    def _new(self, entries: Iterable[Entry]) -> bool:
        """Whether each stands behind all of its partition that have a leaf."""
        next_ = dict[TopicPartition, int]()
        for each in entries:
            place = each.topic_partition
            if each.offset < next_.get(place, self.positions.get(place, 0)):
                return False
            next_[place] = each.offset + 1
        return True


def batches_of(records: Sequence[Record], logs: Logs) -> list[LedgerBatch]:
    """Leaves of `records`, which continue `logs`: one batch a day and thousand."""
    by_day = dict[date, list[Record]]()
    for record in records:
        by_day.setdefault(day_of(record), []).append(record)
    return [
        _batch(day, logs.size(day) + begin, those[begin : begin + MAX_ENTRIES])
        for day, those in by_day.items()
        for begin in range(0, len(those), MAX_ENTRIES)
    ]


def _batch(day: date, first: int, records: Sequence[Record]) -> LedgerBatch:
    entries = [Entry.of(record) for record in records]
    last = entries[-1]
    return LedgerBatch(
        id=derive("ledger", day.isoformat(), first, entries[0], last, len(entries)),
        event_time=UtcNs(last.published_ms * NS_PER_MS),
        day=day,
        first=first,
        entries=tuple(message_of(each) for each in entries),
    )


def signed(
    logs: Logs, day: date, since: int, entries: Sequence[Entry], signer: Signer
) -> LedgerCheckpoint:
    """The head of `day`, which `entries` from index `since` brought to what it is, signed."""
    checkpoint = logs.checkpoint(signer.public.name, day)
    text = checkpoint.text
    seals = (
        signer.sign(sealed(checkpoint.origin, since + nth, each))
        for nth, each in enumerate(entries)
    )
    return LedgerCheckpoint(
        id=derive("checkpoint", signer.public, checkpoint.origin, checkpoint.size),
        event_time=UtcNs(entries[-1].published_ms * NS_PER_MS),
        day=day,
        size=checkpoint.size,
        note=signed_note(text, signer.line(text)),
        since=since,
        seals=tuple(base64.b64encode(each).decode() for each in seals),
        places=tuple(map(str, entries)),
    )


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """What a process that writes no ledger can tell with the ledger's public key."""

    key: PublicKey

    def signed(self, head: LedgerCheckpoint) -> bool:
        """Whether `head` carries the key's signature, and is of the log and size that it names."""
        try:
            note = Note.parse(head.note)
            checkpoint = Checkpoint.of_note(note)
            signed_by = note.verified_by([self.key])
        except Unreadable:
            return False
        named = origin_of(self.key.name, head.day), head.size
        return self.key in signed_by and (checkpoint.origin, checkpoint.size) == named

    def sealed(self, record: Record, day: date, index: int, seal: str) -> bool:
        """Whether `seal` is of the leaf of `record` at `index` of the log of `day`."""
        origin = origin_of(self.key.name, day)
        return seal_holds(self.key, origin, index, Entry.of(record), seal)


def sealed(origin: str, index: int, entry: Entry) -> bytes:
    """What the ledger signs of one leaf, so that a leaf that was computed again is known by itself.

    A root alone tells that something differs, not where.
    """
    return f"{_SEAL}\n{origin}\n{index}\n".encode() + entry.leaf


def seal_holds(key: PublicKey, origin: str, index: int, entry: Entry, seal: str) -> bool:
    """Whether `seal` is of `entry` at `index`."""
    try:
        signature = base64.b64decode(seal)
    except binascii.Error:
        return False
    return key.signed(signature, sealed(origin, index, entry))


def entry_of(message: LedgerEntry) -> Entry:
    """The leaf that a message of the ledger tells of."""
    hashes = (base64.b64decode(each) for each in (message.message, message.headers))
    place = message.topic, message.partition, message.offset, message.published_ms
    return Entry(*place, *hashes)


def message_of(entry: Entry) -> LedgerEntry:
    """The leaf as a message."""
    return LedgerEntry(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        published_ms=entry.published_ms,
        message=base64.b64encode(entry.message).decode(),
        headers=base64.b64encode(entry.headers).decode(),
    )
