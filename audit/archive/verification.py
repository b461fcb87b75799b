"""Holds the files of an archived day against its manifest, and says where they part.

The hash of a file tells that a byte differs. Where it differs is told by the checksum of the page,
by the hash of the row group, and by the chain: it breaks at the record that was changed, dropped,
put in or moved. Whoever computes all of that again is found by `ats ledger verify --archive`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from audit.archive.columns import table_of
from audit.archive.files import BAD_FILE, begins_of, file_digest, opened, rows_of, table_at
from audit.archive.manifest import (
    FILE,
    ArchivedTopic,
    ArchiveManifest,
    Begin,
    RowGroup,
    is_intact,
    parsed_manifest,
)
from audit.archive.records import digest_of, encoded
from audit.replay.reading import Progress
from bus.exact import ExactRecord
from schemas.errors import Misconfigured
from schemas.topics import BY_NAME, Topic

MOST: Final = 20  # places that are named of one row group


class Finding(NamedTuple):
    """One thing that is not as it was archived: where, and what."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def verify_day(folder: Path, tell: Progress) -> tuple[ArchiveManifest | None, list[Finding]]:
    """Look at every byte of an archived day; without a manifest that can be read, at nothing."""
    try:
        manifest = parsed_manifest(folder)
    except Misconfigured as error:
        return None, [Finding(FILE, str(error))]
    findings = list[Finding]()
    if not is_intact(manifest):
        findings.append(Finding(FILE, "was changed: its own digest is of other contents"))
    if folder.name != manifest.day.isoformat() and not folder.name.startswith("."):
        findings.append(Finding(FILE, f"is of {manifest.day}, and the folder is {folder.name}"))
    done = 0
    for name, archived in manifest.topics.items():
        tell(f"verifying {name}", done, manifest.rows)
        findings += _of_file(folder / archived.file, BY_NAME[name], archived)
        done += archived.rows
    ours = {each.file for each in manifest.topics.values()}
    for path in sorted(folder.glob("*.parquet")):
        if path.name not in ours:
            findings.append(Finding(path.name, "was put in: the manifest does not name it"))
    tell("verified", done, manifest.rows)
    return manifest, findings


def _of_file(path: Path, topic: Topic, archived: ArchivedTopic) -> Iterator[Finding]:
    if path.exists() and not path.is_file():
        yield Finding(path.name, "is no file")
        return
    try:
        size, digest = path.stat().st_size, file_digest(path)
    except OSError as error:
        yield Finding(path.name, f"cannot be read: {error.strerror}")
        return
    try:
        with opened(path) as file:
            found = list(_of_groups(file, path, topic, archived))
    except Misconfigured as error:
        cut = size < archived.bytes
        yield _cut_off(path, size, topic, archived) if cut else Finding(path.name, str(error))
        return
    yield from found
    if digest != archived.sha256 and not found:
        yield Finding(path.name, "has other bytes than were written, though each record is right")


def _cut_off(path: Path, size: int, topic: Topic, archived: ArchivedTopic) -> Finding:
    gone = next((each for each in archived.groups if each.ends_at > size), None)
    what = f"is cut off at {size:,} of {archived.bytes:,} bytes"
    if gone is None:
        return Finding(path.name, f"{what}, behind its last record")
    place = f"{topic.name}-{gone.partition}@{gone.first}"
    return Finding(place, f"{path.name} {what}, in the row group that begins here")


def _of_groups(
    file: pq.ParquetFile, path: Path, topic: Topic, archived: ArchivedTopic
) -> Iterator[Finding]:
    there, wanted = begins_of(file), [each.begin for each in archived.groups]
    if len(there) != len(wanted):
        yield Finding(path.name, f"has {len(there)} row groups, the manifest says {len(wanted)}")
    numbers = _aligned(wanted, there)
    before: RowGroup | None = None
    for group, number in zip(archived.groups, numbers, strict=True):
        if number is None:
            yield Finding(group.place(topic.name), "is gone")
        else:
            chain = before.chain if before and before.partition == group.partition else 0
            yield from _of_group(file, number, topic, group, chain)
        before = group
    for number in sorted({*range(len(there))} - {*numbers}):
        yield Finding(path.name, f"row group {number} was put in")


def _aligned(wanted: Sequence[Begin], there: Sequence[Begin | None]) -> list[int | None]:
    """Of each archived row group the number of the one that stands for it now; None: it is gone.

    So a group that is gone, or was put in, makes nobody doubt those behind it.
    """
    numbers: list[int | None] = [None] * len(wanted)
    for _, begin, end, first, last in SequenceMatcher(
        None, wanted, there, autojunk=False
    ).get_opcodes():
        for number, found in zip(range(begin, end), range(first, last), strict=False):
            numbers[number] = found
    return numbers


def _of_group(
    file: pq.ParquetFile, number: int, topic: Topic, group: RowGroup, chain: int
) -> Iterator[Finding]:
    try:
        table = table_at(file, number)
        records, links = rows_of(topic, table), table["chain"].to_pylist()
    except (*BAD_FILE, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:120]
        yield Finding(group.place(topic.name), f"cannot be read ({why})")
        return
    broken = list(_broken(records, links, chain))
    yield from broken
    right = digest_of(map(encoded, records)) == group.sha256
    if not right and not broken:
        if records and len(records) < group.rows:
            last = records[-1]
            yield Finding(str(last), f"behind it {group.rows - len(records)} records are gone")
        else:
            yield Finding(group.place(topic.name), "other records than were archived")
    elif right and not _is_decoded(topic, table, records, chain):
        yield Finding(group.place(topic.name), "a decoded column differs from its value")


def _broken(records: Sequence[ExactRecord], links: Sequence[int], chain: int) -> Iterator[Finding]:
    """Each record at which the chain breaks."""
    told = 0
    for record, link in zip(records, links, strict=True):
        if crc32(encoded(record), chain) != link:
            told += 1
            if told > MOST:
                return
            yield Finding(
                str(record), "the chain breaks: changed, moved, put in, or one before it is gone"
            )
        chain = link


def _is_decoded(topic: Topic, table: pa.Table, records: Sequence[ExactRecord], chain: int) -> bool:
    try:
        return bool(table.equals(table_of(topic, records, chain, table.schema)))
    except (*BAD_FILE, KeyError):  # columns that no archive of ours has
        return False
