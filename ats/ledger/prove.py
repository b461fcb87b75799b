"""`ats ledger prove`: files by which others see that an order's records stand in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from ats.demo.steps import Step
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.services.ledger_keys import trusted
from audit.ledger.checkpoints import Checkpoint
from audit.ledger.entries import Entry
from audit.ledger.log import day_of, origin_of
from audit.ledger.merkle import MerkleTree
from audit.ledger.notes import Note
from audit.ledger.proofs import TlogProof
from audit.ledger.reading import Ledgers, read_ledger
from audit.ledger.verification import DayLog, Trust
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import OrderId
from schemas.messages import Execution, OrderIntent
from schemas.topics import EXECUTIONS, ORDERS


class Head(NamedTuple):
    """A signed head and its note as it stands."""

    checkpoint: Checkpoint
    note: str


async def run(order: OrderId, into: Path, demo: Path | None) -> int:
    """Write the proofs, and say which.

    Raises:
        Misconfigured: no such order, no leaf or no signed head of it yet, or a folder that cannot
            be written.
        TryLater: no broker answers.
    """
    tell, out = Console(stderr=True), Console()
    async with recorded_by(demo, tell) as source:
        trust = trusted(source.settings)
        with Step(tell, "looking for the order"):
            records = await records_of(source.kafka, order)
        if not records:
            raise Misconfigured(f"no order {order} stands on {ORDERS.name}")
        with Step(tell, "reading the ledger"):
            ledgers = await read_ledger(source.kafka)
    for record in records:
        proof = proof_of(record, ledgers, trust)
        stem = into / f"{order}.{record}"
        _write(stem, record, proof)
        out.print(f"{stem}.tlog-proof", highlight=False, soft_wrap=True)
    return exit_codes.DONE


async def records_of(connection: KafkaConnection, order: OrderId) -> list[Record]:
    """The intent of `order` and its outcomes, each once.

    Raises:
        Misconfigured: a topic is missing.
        TryLater: no broker answers.
    """
    found = dict[bytes, Record]()
    needle = str(order).encode()
    records = read_topics(connection, [ORDERS, EXECUTIONS], since="start", until_end=True)
    async with aclosing(records):
        async for record in records:
            if needle in (record.value or b"") and _is_of(record, order):
                found.setdefault(record.topic.encode() + (record.value or b""), record)
    return list(found.values())


def _is_of(record: Record, order: OrderId) -> bool:
    try:
        if record.topic == ORDERS.name:
            return decode(OrderIntent, record.value).id == order
        return decode(Execution, record.value).order_id == order
    except Unreadable:
        return False


def proof_of(record: Record, ledgers: Ledgers, trust: Trust) -> TlogProof:
    """That `record` is a leaf below the newest head with the most of the trusted signatures.

    Raises:
        Misconfigured: it is no leaf, or no signed head covers it.
    """
    entry, day = Entry.of(record), day_of(record)
    log = DayLog.of(day, ledgers.batches, ledgers.heads)
    if entry not in log.entries:
        raise Misconfigured(
            f"{record} is no leaf of the log of {day}: it has none yet, or it was changed; see "
            f"`ats ledger verify {day}`"
        )
    index = log.entries.index(entry)
    tree = MerkleTree(each.leaf for each in log.entries)
    for keys in ((trust.log, *trust.witnesses), (trust.log,)):
        heads = signed_heads(log, trust, keys)
        fitting = [
            head
            for head in heads
            if index < head.checkpoint.size <= tree.size
            and tree.root(head.checkpoint.size) == head.checkpoint.root
        ]
        if fitting:
            head = max(fitting, key=lambda each: each.checkpoint.size)
            hashes = tuple(tree.inclusion_proof(index, head.checkpoint.size))
            return TlogProof(index, hashes, head.note, entry.encoded)
    raise Misconfigured(f"no signed head covers {record}: see `ats ledger verify {day}`")


def signed_heads(log: DayLog, trust: Trust, keys: Collection[object]) -> Sequence[Head]:
    """Heads of `log` that all of `keys` signed."""
    found: list[Head] = []
    for each in log.heads:
        try:
            note = Note.parse(each.note)
            head = Head(Checkpoint.of_note(note), each.note)
            signers = note.verified_by((trust.log, *trust.witnesses))
        except Unreadable:
            continue
        if head.checkpoint.origin == origin_of(trust.log.name, log.day) and set(keys) <= signers:
            found.append(head)
    return found


def _write(stem: Path, record: Record, proof: TlogProof) -> None:
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{stem}.tlog-proof").write_text(str(proof), encoding="utf-8")
        Path(f"{stem}.entry").write_bytes(proof.extra)
        Path(f"{stem}.value").write_bytes(record.value or b"")
    except OSError as error:
        raise Misconfigured(f"--into {stem.parent}: {error}") from None
