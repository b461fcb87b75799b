"""What an archive says of a record's bytes: hashes that differ where anything does. Pure.

A record is hashed as partition, offset, stamp, key, value and each header, each behind its length,
so that no two records are the same bytes. `chained` takes the number of the record before it along,
so it breaks at the very place where a record was changed, dropped, put in or moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from zlib import crc32

from audit.ledger.entries import framed
from bus.exact import ExactRecord


def encoded(record: ExactRecord) -> bytes:
    """The canonical bytes of `record`, without its topic."""
    place = record.partition.to_bytes(4) + record.offset.to_bytes(8)
    stamp = record.stamp_ms.to_bytes(8, signed=True)
    headers = b"".join(framed(name.encode()) + framed(value) for name, value in record.headers)
    counted = len(record.headers).to_bytes(4)
    return place + stamp + framed(record.key) + framed(record.value) + counted + headers


def chained(records: Iterable[bytes], before: int) -> Iterator[int]:
    """CRC-32 of each record and of all before it, from that of the last one before."""
    for record in records:
        before = crc32(record, before)
        yield before


def digest_of(records: Iterable[bytes]) -> str:
    """SHA-256 of records in their order, in hexadecimal digits."""
    digest = sha256()
    for record in records:
        digest.update(record)
    return digest.hexdigest()


def size_of(record: ExactRecord) -> int:
    """Bytes of key, value and headers: what Kafka keeps but for a few bytes around them."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
