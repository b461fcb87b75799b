"""The columns of an archived topic: the record as it is, and beside it what a reader filters by.

The decoded columns are read from the value and say nothing of their own: a value that cannot be
read leaves them empty. Rupees stay paise, times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import orjson
import pyarrow as pa

from audit.archive.records import chained, encoded
from bus.exact import ExactRecord
from schemas import ticks
from schemas.history import is_history
from schemas.topics import TICKS, Topic

_LARGEST: Final = 2**63


class Column(NamedTuple):
    """One decoded column: its name, what it is in Parquet, and how a field of JSON becomes it."""

    name: str
    kind: pa.DataType
    parse: Callable[[Any], Any]


def _uuid(field: Any) -> bytes | None:
    return UUID(field).bytes if isinstance(field, str) else None


def _text(field: Any) -> str | None:
    return field if isinstance(field, str) else None


def _whole(field: Any) -> int | None:
    if isinstance(field, bool) or not isinstance(field, int):
        return None
    return field if -_LARGEST <= field < _LARGEST else None


def _flag(field: Any) -> bool | None:
    return field if isinstance(field, bool) else None


def _day(field: Any) -> date | None:
    return date.fromisoformat(field) if isinstance(field, str) else None


_MOMENT: Final = pa.timestamp("ns", tz="UTC")
_UUIDS: Final = "id causation_id correlation_id user_id signal_id scan_id decision_id order_id"
_MOMENTS: Final = "event_time start valid_until"
_DAYS: Final = "trading_date day"
_TEXTS: Final = """
    instrument symbol timeframe rule direction action side agent agent_type model origin outcome
    reason_code state observed_by service digest topic dhan_order_id dhan_correlation_id
"""
_NUMBERS: Final = """
    open high low close volume ticks price quantity stop target reference_price net realised bought
    sold cost input_tokens output_tokens orders score confidence size
"""
_FLAGS: Final = "active complete green"
_KINDS: Final[tuple[tuple[str, pa.DataType, Callable[[Any], Any]], ...]] = (
    (_UUIDS, pa.uuid(), _uuid),
    (_MOMENTS, _MOMENT, _whole),
    (_DAYS, pa.date32(), _day),
    (_TEXTS, pa.string(), _text),
    (_NUMBERS, pa.int64(), _whole),
    (_FLAGS, pa.bool_(), _flag),
)
DECODED: Final = {
    name: Column(name, kind, parse) for names, kind, parse in _KINDS for name in names.split()
}
# of `ats.ticks`, whose values are binary
_OF_TICKS: Final = (
    Column("event_time", _MOMENT, _whole),
    Column("rows", pa.int64(), _whole),
)
_HEADERS: Final = pa.list_(
    pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])
)
RAW: Final = (
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("stamp", pa.timestamp("ms", tz="UTC"), nullable=False),
    pa.field("key", pa.binary()),
    pa.field("value", pa.binary()),
    pa.field("headers", _HEADERS, nullable=False),
    pa.field("chain", pa.uint32(), nullable=False),
)
RAW_NAMES: Final = tuple(field.name for field in RAW)


def columns_of(topic: Topic) -> tuple[Column, ...]:
    """What is decoded of `topic`, in the order of the message's fields."""
    if topic == TICKS:
        return _OF_TICKS
    if topic.message is None:
        return ()
    return tuple(DECODED[name] for name in topic.message.model_fields if name in DECODED)


def schema_of(topic: Topic) -> pa.Schema:
    """The columns of a file of `topic`."""
    decoded = [pa.field(each.name, each.kind) for each in columns_of(topic)]
    return pa.schema([*decoded, *RAW])


def table_of(
    topic: Topic, records: Sequence[ExactRecord], before: int, schema: pa.Schema
) -> pa.Table:
    """`records` of one partition as columns of `schema`; `before` is the chain of the last one."""
    fields = [_fields(topic, each.value) for each in records]
    raw: dict[str, list[Any]] = {
        "partition": [each.partition for each in records],
        "offset": [each.offset for each in records],
        "stamp": [each.stamp_ms for each in records],
        "key": [each.key for each in records],
        "value": [each.value for each in records],
        "headers": [[{"name": n, "value": v} for n, v in each.headers] for each in records],
        "chain": list(chained(map(encoded, records), before)),
    }
    known = {each.name: each for each in columns_of(topic)}
    arrays = []
    for column in schema:
        if column.name in raw:
            arrays.append(pa.array(raw[column.name], column.type))
        else:
            arrays.append(_array(known[column.name], fields))
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(column: Column, fields: Sequence[Mapping[str, Any]]) -> pa.Array:
    parsed = [_parsed(column, each.get(column.name)) for each in fields]
    if column.kind == pa.uuid():
        storage = pa.array(parsed, pa.binary(16))
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)
    return pa.array(parsed, column.kind)


def _parsed(column: Column, field: Any) -> Any:
    try:
        return column.parse(field)
    except ValueError:  # what a writer of ours never sends: it stands in the value
        return None


def _fields(topic: Topic, value: bytes | None) -> Mapping[str, Any]:
    if topic == TICKS:
        return _of_ticks(value)
    try:
        fields = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _of_ticks(value: bytes | None) -> Mapping[str, Any]:
    """History has rows and no moment of the market."""
    if value is None or len(value) < ticks.HEADER.itemsize:
        return {}
    header = np.frombuffer(value, ticks.HEADER, 1)[0]
    rows = int(header["rows"])
    return (
        {"rows": rows} if is_history(value) else {"rows": rows, "event_time": int(header["clock"])}
    )
