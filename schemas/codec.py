"""Messages to bytes and back, and their JSON Schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from pydantic import ValidationError

from schemas.errors import Unreadable
from schemas.messages import Message
from schemas.units import UtcNs

M = TypeVar("M", bound=Message)

# The time and the id of a message. Canonical bytes have their keys in order, no field before these
# two holds one of their names, and a quote within a text is escaped. Two patterns, because one of
# both takes quadratic time over bytes that repeat the first and lack the second.
_TIME: Final = re.compile(rb'"event_time":(-?[0-9]{1,19}),')
_ID: Final = re.compile(rb'"id":"([0-9a-f-]{36})"')


class Head(NamedTuple):
    """What a message is known by, without reading it whole."""

    id: bytes
    event_time: UtcNs


def head_of(value: bytes) -> Head | None:
    """Id and market time of a message of ours; None of anything else."""
    if (found := written_head(value)) is None:
        return None
    time, id_ = found
    return Head(id_, UtcNs(int(time)))


def written_head(value: bytes) -> tuple[bytes, bytes] | None:
    """Market time and id as a message of ours writes them; None of anything else."""
    time = _TIME.search(value)
    id_ = _ID.search(value, time.end()) if time else None
    return (time[1], id_[1]) if time and id_ else None


def encode(message: Message, written: Mapping[str, Any] | None = None) -> bytes:
    """Canonical bytes: sorted keys, no spaces, so that equal messages are equal bytes.

    `written` are fields of the message that are JSON already, whatever it says of them itself.
    """
    fields = message.model_dump(mode="json")
    if written:
        fields.update(written)
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def decode(model: type[M], value: bytes | None, *, without: str = "") -> M:
    """Read one message; the field `without` is left unread, as if it were absent.

    Fields that we do not know are ignored at any depth: while processes are upgraded one by one, a
    reader meets messages of a newer producer. Producers cannot invent fields, for the models refuse
    them.

    Raises:
        Unreadable: naming the first field at fault.
    """
    if value is None:
        raise Unreadable("a tombstone where a message was expected")
    try:
        payload = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise Unreadable(f"expected an object, got {type(payload).__name__}")
    payload.pop(without, None)
    try:
        return model.model_validate_json(
            orjson.dumps(_as_we_know_it(model, payload)), extra="ignore"
        )
    except (
        orjson.JSONEncodeError
    ) as error:  # what may be read may be nested deeper than what may be written
        raise Unreadable(f"not JSON that we could write: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Unreadable(first["msg"], ".".join(map(str, first["loc"]))) from None


def _as_we_know_it(model: type[Message], payload: dict[str, Any]) -> dict[str, Any]:
    version = payload.get("schema_version")
    if not isinstance(version, int) or version <= model.SCHEMA_VERSION:
        return payload
    return payload | {"schema_version": model.SCHEMA_VERSION}


def json_schema(model: type[Message]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) for readers of what `encode` writes.

    It is open where the models are closed: a reader that checks its records against it goes on when
    a field or a version is added.
    """
    schema: dict[str, Any] = opened(model.model_json_schema(mode="serialization"))
    schema["properties"]["schema_version"].pop("const")
    schema["properties"]["schema_version"]["minimum"] = 1
    return schema


def opened(schema: Any) -> Any:
    """A JSON Schema of ours without what closes its objects, at any depth."""
    if isinstance(schema, list):
        return [opened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: opened(part)
        for name, part in schema.items()
        if (name, part) != ("additionalProperties", False)
    }
    # what pydantic writes for a bound on a type of ours
    if isinstance(least := kept.pop("ge", None), int):
        kept["minimum"] = least
    return kept
