"""A message's CloudEvents attributes as record headers (1.0, Kafka binding, binary mode).

All follow from topic, key and value, so that a replay writes the same bytes; no clock is read. The
value is the message as ever, and a reader who wants no CloudEvents looks past the headers.
Binary topics (ticks, snapshots) carry none: their records hold many rows, or a state, no event.
Source: CloudEvents 1.0.2; its Kafka Protocol Binding, section 3.2.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from schemas.codec import written_head
from schemas.messages import Message
from schemas.topics import Topic
from schemas.units import NS_PER_SECOND

Headers: TypeAlias = tuple[tuple[str, bytes], ...]

PREFIX: Final = "ce_"
CONTENT_TYPE: Final = "content-type"
JSON: Final = "application/json"

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def type_of(message: type[Message]) -> str:
    """The attribute `type`: `in.ats.order-intent.v1` for version 1 of `OrderIntent`."""
    return f"in.ats.{_WORD.sub('-', message.__name__).lower()}.v{message.SCHEMA_VERSION}"


def source_of(topic: str) -> str:
    """The attribute `source`: `/ats/order-events` for `ats.order-events`."""
    return "/" + topic.replace(".", "/", 1)


def headers_of(topic: Topic, key: bytes, value: bytes) -> Headers:
    """The headers of a record of `topic`; none on a binary topic, and of what is no message.

    `id`, `time` and `subject` are the message's `id`, its `event_time` and the record's key.
    """
    if topic.message is None or (found := written_head(value)) is None:
        return ()
    time, id_ = found
    return (
        *_constant(topic.name, topic.message),
        ("ce_id", id_),
        ("ce_time", _timestamp(time)),
        ("ce_subject", key),
    )


@lru_cache(maxsize=256)  # topics of the catalogue, some of them under a prefix
def _constant(name: str, message: type[Message]) -> Headers:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", type_of(message).encode()),
        ("ce_source", source_of(name).encode()),
        (CONTENT_TYPE, JSON.encode()),
    )


@lru_cache(maxsize=1024)  # thousands of messages have one market time
def _timestamp(event_time: bytes) -> bytes:
    """RFC 3339 in UTC, to the nanosecond; whole seconds have no fraction."""
    seconds, ns = divmod(int(event_time), NS_PER_SECOND)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns:09}Z".encode() if ns else f"{whole}Z".encode()
