"""Parquet files of topics: written row group by row group, and read so, never as a whole.

A row group holds records of one partition. A file gets its name when it is whole and on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from audit.archive.columns import RAW_NAMES, schema_of, table_of
from audit.archive.manifest import ArchivedTopic, Begin, RowGroup, file_of
from audit.archive.records import encoded, size_of
from bus.exact import ExactRecord
from schemas.errors import Misconfigured
from schemas.topics import MIB, Topic

MOST_ROWS: Final = 20_000  # of a row group: 20 ms to read where one record is wanted
MOST_BYTES: Final = 8 * MIB  # of a row group, so that reading one takes some tens of MB of memory
AT_ONCE: Final = 2_000  # records that are held while a file is read
LEVEL: Final = 9  # of zstd: a third smaller than 1 and no slower to read; writing is not the bound
_HASHED_AT_ONCE: Final = 4 * MIB
# what pyarrow raises of files that are none
BAD_FILE: Final = (OSError, pa.ArrowException)


class TopicFile:
    """Writes one topic's records, partition after partition, into a file of `folder`."""

    def __init__(self, folder: Path, topic: Topic, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._path = folder / file_of(topic)
        self._half = self._path.with_suffix(".half")
        self._schema = schema_of(topic)
        self._writer = pq.ParquetWriter(
            self._half,
            self._schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[
                each.name
                for each in self._schema
                if each.type in (pa.string(), pa.date32()) or each.name == "key"
            ],
            column_encoding={"offset": "DELTA_BINARY_PACKED", "stamp": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        )
        self._held: list[ExactRecord] = []
        self._held_bytes = 0
        self._raw_bytes = 0
        self._content = sha256()
        self._groups: list[RowGroup] = []

    def add(self, record: ExactRecord) -> None:
        """Take one record, behind those of its partition.

        Raises:
            OSError: the file cannot be written.
        """
        if self._held and (
            record.partition != self._held[0].partition
            or len(self._held) >= MOST_ROWS
            or self._held_bytes >= MOST_BYTES
        ):
            self._write_group()
        self._held.append(record)
        self._held_bytes += size_of(record)

    def close(self) -> ArchivedTopic:
        """Finish the file and give it its name. Raises as `add`."""
        if self._held:
            self._write_group()
        self._writer.close()
        sync(self._half)
        ends = _ends(self._half)
        digest, size = file_digest(self._half), self._half.stat().st_size
        self._half.rename(self._path)
        sync(self._path.parent)
        return ArchivedTopic(
            file=self._path.name,
            partitions=self._partitions,
            rows=sum(each.rows for each in self._groups),
            bytes=size,
            raw_bytes=self._raw_bytes,
            sha256=digest,
            content_sha256=self._content.hexdigest(),
            groups=tuple(
                each.model_copy(update={"ends_at": end})
                for each, end in zip(self._groups, ends, strict=True)
            ),
        )

    def give_up(self) -> None:
        """Leave nothing behind, after an error."""
        with suppress(*BAD_FILE):  # the error before says what is wrong
            self._writer.close()
        self._half.unlink(missing_ok=True)

    def _write_group(self) -> None:
        records, before = self._held, 0
        if self._groups and self._groups[-1].partition == records[0].partition:
            before = self._groups[-1].chain
        table = table_of(self._topic, records, before, self._schema)
        self._writer.write_table(table, row_group_size=len(records))
        contents = [encoded(each) for each in records]
        digest = sha256()
        for each in contents:
            digest.update(each)
            self._content.update(each)
        group = RowGroup(
            partition=records[0].partition,
            first=records[0].offset,
            last=records[-1].offset,
            rows=len(records),
            latest_ms=max(each.stamp_ms for each in records),
            ends_at=0,  # known when the file is whole
            chain=table["chain"][-1].as_py(),
            sha256=digest.hexdigest(),
        )
        self._groups.append(group)
        self._raw_bytes += self._held_bytes
        self._held, self._held_bytes = [], 0


def _ends(path: Path) -> list[int]:
    """Of each row group the byte of the file behind it."""
    footer = pq.read_metadata(path)
    return [
        max(
            (column.dictionary_page_offset or column.data_page_offset)
            + column.total_compressed_size
            for column in map(group.column, range(group.num_columns))
        )
        for group in map(footer.row_group, range(footer.num_row_groups))
    ]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits. Raises OSError."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(_HASHED_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def opened(path: Path) -> pq.ParquetFile:
    """A file to read; each page is held against its checksum.

    Raises:
        Misconfigured: there is none, or it cannot be read.
    """
    try:
        return pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
    except BAD_FILE as error:
        raise damaged(path, error) from None


def records_of(file: pq.ParquetFile, path: Path, topic: Topic, group: int) -> Iterator[ExactRecord]:
    """The records of one row group.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        batches = file.iter_batches(
            AT_ONCE, row_groups=[group], columns=list(RAW_NAMES[:-1]), use_threads=False
        )
        for batch in batches:
            yield from _rows(topic, batch)
    except BAD_FILE as error:
        raise damaged(path, error) from None


def begins_of(file: pq.ParquetFile) -> list[Begin | None]:
    """Where each row group begins, as the footer says; None where it does not say."""
    footer = file.metadata
    at = {footer.schema.column(each).path: each for each in range(footer.num_columns)}
    if not {"partition", "offset"} <= at.keys():
        return [None] * footer.num_row_groups
    found = []
    for group in map(footer.row_group, range(footer.num_row_groups)):
        partition, offset = (group.column(at[each]).statistics for each in ("partition", "offset"))
        found.append((partition.min, offset.min) if partition and offset else None)
    return found


def table_at(file: pq.ParquetFile, group: int) -> pa.Table:
    """All columns of one row group. Raises BAD_FILE."""
    return file.read_row_group(group, use_threads=False)


def rows_of(topic: Topic, table: pa.Table) -> list[ExactRecord]:
    """The records of a table as `table_at` reads it."""
    return [each for batch in table.to_batches() for each in _rows(topic, batch)]


def _rows(topic: Topic, batch: pa.RecordBatch) -> Iterator[ExactRecord]:
    stamps = batch["stamp"].cast(pa.int64()).to_pylist()
    columns = (batch[name].to_pylist() for name in ("partition", "offset"))
    rest = (batch[name].to_pylist() for name in ("key", "value", "headers"))
    for partition, offset, stamp, key, value, headers in zip(*columns, stamps, *rest, strict=True):
        named = tuple((each["name"], each["value"]) for each in headers)
        yield ExactRecord(topic.name, partition, offset, stamp, key, value, named)


def damaged(path: Path, error: Exception) -> Misconfigured:
    """The error for a file that pyarrow cannot read."""
    why = " ".join(str(error).split())[:200]
    return Misconfigured(f"{path} cannot be read ({why}): `ats archive verify` tells what is wrong")
