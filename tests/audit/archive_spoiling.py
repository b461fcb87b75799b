"""An archived day without Kafka, and somebody who changes it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from audit.archive.files import TopicFile
from audit.archive.manifest import (
    FILE,
    FORMAT,
    ArchivedTopic,
    ArchiveManifest,
    encoded,
    read_manifest,
    sealed,
)
from audit.archive.stored import open_archive
from audit.archive.survey import ARCHIVED
from audit.archive.verification import Finding, verify_day
from audit.ledger.reading import day_records, leaves, read_ledger
from audit.ledger.verification import DayLog, Verdict, verify
from bus.exact import ExactRecord
from bus.records import NS_PER_MS, Record, TopicPartition
from schemas.codec import encode
from schemas.ledger import LedgerBatch, LedgerCheckpoint
from schemas.topics import BY_NAME, CHECKPOINTS, LEDGER
from tests.audit.ledger.tampering import DAY, TRUST, Day, Tampering, a_day, computed_again, logged

PARTITIONS = 2
BEGIN = 4  # bytes that say that a file is Parquet


def exactly(record: Record) -> ExactRecord:
    place = record.topic, record.partition, record.offset
    stamp = record.published_at // NS_PER_MS
    return ExactRecord(*place, stamp, record.key, record.value, tuple(record.headers.items()))


def a_manifest(topics: Mapping[str, ArchivedTopic]) -> ArchiveManifest:
    made = ArchiveManifest.model_construct(
        format=FORMAT, day=DAY, made_at=datetime(2026, 11, 21, tzinfo=UTC), partial=False,
        of_demo=False, schema_version=1, code={"ats": "1"}, topics=dict(topics), sha256="0" * 64,
    )  # fmt: skip
    return sealed(made)


def kept(root: Path, records: Iterable[ExactRecord]) -> Path:
    """An archive of `records`, in its folder."""
    folder, by_topic = root / DAY.isoformat(), dict[str, list[ExactRecord]]()
    folder.mkdir()
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    topics = {}
    for topic in ARCHIVED:
        file = TopicFile(folder, topic, PARTITIONS)
        for each in sorted(by_topic.get(topic.name, ()), key=lambda each: each.partition):
            file.add(each)
        topics[topic.name] = file.close()
    (folder / FILE).write_bytes(encoded(a_manifest(topics)))
    return folder


def of_ledger(
    batches: Sequence[LedgerBatch], heads: Sequence[LedgerCheckpoint]
) -> list[ExactRecord]:
    topics = [(LEDGER, each) for each in batches], [(CHECKPOINTS, each) for each in heads]
    return [
        ExactRecord(topic.name, 0, offset, 0, b"day", encode(message))
        for those in topics
        for offset, (topic, message) in enumerate(those)
    ]


class Spoilt:
    """A signed day in an archive, of which copies are changed."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.day, order = a_day(chance, 60)
        self.batches, self.heads = logged(order)
        records = [exactly(each) for those in self.day.values() for each in those]
        self.folder = kept(root, [*records, *of_ledger(self.batches, self.heads)])
        self.copy = root / "copy" / DAY.isoformat()

    def anew(self) -> Path:
        """A copy as it was archived."""
        shutil.rmtree(self.copy.parent, ignore_errors=True)
        shutil.copytree(self.folder, self.copy)
        return self.copy

    def with_records(
        self, place: TopicPartition, records: list[Record], *, manifest: bool, ledger: bool
    ) -> Path:
        """A copy in which `place` holds `records`.

        With `manifest` the manifest's hashes are computed again, with `ledger` the ledger's too.
        """
        folder, changed = self.anew(), {**self.day, place: records}
        files = {place.topic: [r for at, those in sorted(changed.items()) if at.topic == place.topic
                               for r in map(exactly, those)]}  # fmt: skip
        if ledger:
            again = computed_again(Day(changed), self.batches, place)
            files[LEDGER.name] = of_ledger(again, ())
        topics = dict(read_manifest(folder).topics)
        for name, those in files.items():
            file = TopicFile(folder, BY_NAME[name], PARTITIONS)
            for each in those:
                file.add(each)
            topics[name] = file.close()
        if manifest:
            (folder / FILE).write_bytes(encoded(a_manifest(topics)))
        return folder


def verified(folder: Path) -> list[Finding]:
    """What `ats archive verify` finds."""
    return verify_day(folder, lambda *_: None)[1]


async def ledger_verified(folder: Path) -> Verdict:
    """What `ats ledger verify --archive` finds."""
    stored = open_archive(folder)
    ledgers = await read_ledger(stored)
    log = DayLog.of(DAY, ledgers.batches, ledgers.heads)
    return verify(log, leaves(await day_records(stored, DAY, log)), TRUST)


async def missed_records(
    spoilt: Spoilt, chance: random.Random, tamper: Tampering, *, manifest: bool, ledger: bool
) -> list[str]:
    """Change one place of a record; what is said of it, where that is not the place."""
    places = [each for each in spoilt.day if len(spoilt.day[each]) > 2]
    place = chance.choice(places)
    those = spoilt.day[place]
    records, offsets = tamper(chance, those, chance.randrange(len(those)))
    folder = spoilt.with_records(place, records, manifest=manifest, ledger=ledger)
    if manifest:
        told = {each.place for each in (await ledger_verified(folder)).findings}
        expected = {f"{place}@{offset}" for offset in offsets}
        good = expected <= told and all(each.startswith(f"{place}@") for each in told)
    else:
        told = {each.place for each in verified(folder)}
        expected = {f"{place}@"}
        of_file = f"{place.topic}.parquet"
        good = any(each.startswith(f"{place}@") for each in told) and all(
            each.startswith((f"{place}@", of_file)) for each in told
        )
    return [] if good else [f"{tamper.__name__} {sorted(expected)}: {sorted(told)}"]


def missed_byte(spoilt: Spoilt, chance: random.Random, *, cut: bool) -> list[str]:
    """Flip one bit of a file, or cut it off; what is said of it, where that is not the place."""
    folder = spoilt.anew()
    name, topic = chance.choice([(n, t) for n, t in read_manifest(folder).topics.items() if t.rows])
    path = folder / topic.file
    whole = path.read_bytes()
    at = chance.randrange(len(whole))
    bad = whole[:at] if cut else flipped(whole, at, chance.randrange(8))
    path.write_bytes(bad)
    told = verified(folder)
    group = next((each for each in topic.groups if at < each.ends_at), None)
    harmless = [each for each in told if "each record is right" in each.what]
    if group is None and not cut:
        expected = ""  # the footer: it says where all else is
    elif group is None or at < BEGIN or harmless:
        expected = topic.file  # the begin, or what no reader looks at
    else:
        expected = f"{name}-{group.partition}@{group.first}"
    good = [each for each in told if each.place.startswith(expected) or expected in each.what]
    return [] if good else [f"byte {at} of {path.name}, cut {cut}, not {expected}: {told}"]


def flipped(whole: bytes, at: int, bit: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
