"""A recorded day of the ledger, and somebody who changes it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from audit.ledger.entries import Entry
from audit.ledger.log import Logs, batches_of, entry_of, message_of, signed
from audit.ledger.notes import KeyType, Note, Signer, signed_note
from audit.ledger.verification import DayLog, Trust, Verdict, verify
from bus.records import NS_PER_MS, Record, TopicPartition
from schemas.ledger import LedgerBatch, LedgerCheckpoint
from schemas.units import UtcNs

DAY: Final = date(2026, 11, 20)
NOON: Final = UtcNs(1_795_156_200_000_000_000)  # 2026-11-20 12:00 IST
LOG: Final = Signer.of("ats.example/ledger", KeyType.LOG, bytes(range(32)))
WITNESS: Final = Signer.of("ats.example/witness", KeyType.WITNESS, bytes(range(32, 64)))
TRUST: Final = Trust(LOG.public, (WITNESS.public,))
PLACES: Final = [
    TopicPartition(topic, partition)
    for topic in ("ats.decisions", "ats.orders", "ats.positions")
    for partition in range(2)
]

Day = dict[TopicPartition, list[Record]]


def a_record(place: TopicPartition, offset: int, text: str, moment: UtcNs = NOON) -> Record:
    value = (
        f'{{"event_time":{moment},"id":"{offset:08x}-0000-0000-0000-000000000000","text":"{text}"}}'
    )
    stamp = UtcNs(moment + offset * NS_PER_MS)
    headers = {"ats-cause": b"%d:0" % offset, "ats-manifest": b"m"}
    return Record(place.topic, place.partition, offset, b"key", value.encode(), stamp, headers)


def a_day(chance: random.Random, count: int) -> tuple[Day, list[Record]]:
    """Records by partition, and all of them as the ledger read them."""
    day: Day = {place: [] for place in PLACES}
    order = []
    for number in range(count):
        place = chance.choice(PLACES)
        record = a_record(place, len(day[place]), f"{number}")
        day[place].append(record)
        order.append(record)
    return day, order


def logged(
    order: Sequence[Record], step: int = 7, signer: Signer = LOG
) -> tuple[list[LedgerBatch], list[LedgerCheckpoint]]:
    """What ledger and witness write of records that come `step` at a time."""
    logs, batches, heads = Logs(), list[LedgerBatch](), list[LedgerCheckpoint]()
    for begin in range(0, len(order), step):
        for batch in batches_of(order[begin : begin + step], logs):
            entries = logs.accept(batch)
            batches.append(batch)
            head = signed(logs, batch.day, batch.first, entries, signer)
            heads += [head, cosigned(head)]
    return batches, heads


def cosigned(head: LedgerCheckpoint) -> LedgerCheckpoint:
    text, lines = Note.parse(head.note).text, head.note.rpartition("\n\n")[2]
    note = signed_note(text, lines, WITNESS.line(text, 1_795_156_260))
    return head.model_copy(update={"note": note, "since": head.size, "seals": (), "places": ()})


def judged(
    day: Mapping[TopicPartition, Iterable[Record]],
    batches: Iterable[LedgerBatch],
    heads: Iterable[LedgerCheckpoint],
    kept: Sequence[str] = (),
    trust: Trust = TRUST,
) -> Verdict:
    found = {place: [Entry.of(each) for each in those] for place, those in day.items()}
    return verify(DayLog.of(DAY, batches, heads), found, trust, kept)


# Each returns the partition's records after it, and the offsets that are not as they were.
Tampering = Callable[[random.Random, list[Record], int], tuple[list[Record], set[int]]]


def flip(chance: random.Random, those: list[Record], at: int) -> tuple[list[Record], set[int]]:
    record = those[at]
    what = chance.choice(["value", "key", "stamp", "header"])
    if what == "stamp":
        changed = replace(record, published_at=UtcNs(record.published_at + NS_PER_MS))
    elif what == "header":
        changed = replace(record, headers={**record.headers, "ats-cause": b"99:9"})
    elif what == "key":
        changed = replace(record, key=flipped(chance, record.key or b""))
    else:
        changed = replace(record, value=flipped(chance, record.value or b""))
    return [*those[:at], changed, *those[at + 1 :]], {at}


def flipped(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


def drop(chance: random.Random, those: list[Record], at: int) -> tuple[list[Record], set[int]]:
    left = [*those[:at], *those[at + 1 :]]
    return (renumbered(left) if chance.random() < 0.5 else left), {at}


def insert(chance: random.Random, those: list[Record], at: int) -> tuple[list[Record], set[int]]:
    forged = a_record(those[at].topic_partition, at, f"forged {chance.random()}")
    return renumbered([*those[:at], forged, *those[at:]]), {at}


def swap(chance: random.Random, those: list[Record], at: int) -> tuple[list[Record], set[int]]:
    other = chance.choice([each for each in range(len(those)) if each != at])
    changed = list(those)
    changed[at] = replace(those[other], offset=at)
    changed[other] = replace(those[at], offset=other)
    return changed, {at, other}


def truncate(chance: random.Random, those: list[Record], at: int) -> tuple[list[Record], set[int]]:
    return those[:at], {at}


TAMPERINGS: Final[tuple[Tampering, ...]] = (flip, drop, insert, swap, truncate)


def renumbered(those: Iterable[Record]) -> list[Record]:
    return [replace(record, offset=offset) for offset, record in enumerate(those)]


def computed_again(
    day: Day, batches: Sequence[LedgerBatch], place: TopicPartition
) -> list[LedgerBatch]:
    """The batches with every hash as the changed records ask for, in the old order of leaves."""
    left = [Entry.of(each) for each in day[place]]
    order: list[Entry] = []
    for batch in batches:
        for each in map(entry_of, batch.entries):
            if each.topic_partition != place:
                order.append(each)
            elif left:
                order.append(left.pop(0))
    order += left
    again, step = [], len(batches[0].entries)
    for begin in range(0, len(order), step):
        entries = tuple(message_of(each) for each in order[begin : begin + step])
        again.append(batches[0].model_copy(update={"first": begin, "entries": entries}))
    return again


def missed(chance: random.Random, tamper: Tampering, places: int, *, again: bool) -> list[str]:
    """Of so many changed places those that a verification does not name, or that it names wrongly.

    With `again` the ledger's every hash is computed again from the changed records; the heads stay,
    for nobody else can sign them.
    """
    day, order = a_day(chance, 60)
    batches, heads = logged(order)
    wrong: list[str] = []
    for _ in range(places):
        place = chance.choice([each for each in PLACES if len(day[each]) > 2])
        records, offsets = tamper(chance, day[place], chance.randrange(len(day[place])))
        changed = {**day, place: records}
        ledger = computed_again(changed, batches, place) if again else batches

        told = {each.place for each in judged(changed, ledger, heads).findings}

        expected = {f"{place}@{offset}" for offset in offsets}
        if not expected <= told or any(not each.startswith(f"{place}@") for each in told):
            wrong.append(f"{tamper.__name__} {sorted(expected)} {again}: {sorted(told)}")
    return wrong
