"""Messages to bytes and back, and their JSON Schemas."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from schemas.errors import Unreadable
from schemas.messages import Message

M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Canonical bytes: sorted keys, no spaces, so that equal messages are equal bytes."""
    return orjson.dumps(message.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def decode(model: type[M], value: bytes | None) -> M:
    """Read one message.

    Fields that a newer schema version added are ignored at the top level; at our own version an unknown field is an error.

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
    try:
        return model.model_validate_json(orjson.dumps(_as_we_know_it(model, payload)))
    except orjson.JSONEncodeError as error:  # what may be read may be nested deeper than what may be written
        raise Unreadable(f"not JSON that we could write: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Unreadable(first["msg"], ".".join(map(str, first["loc"]))) from None


def _as_we_know_it(model: type[Message], payload: dict[str, Any]) -> dict[str, Any]:
    version = payload.get("schema_version")
    if not isinstance(version, int) or version <= model.SCHEMA_VERSION:
        return payload
    known = {name: payload[name] for name in model.model_fields.keys() & payload.keys()}
    return known | {"schema_version": model.SCHEMA_VERSION}


def json_schema(model: type[Message]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `encode` writes."""
    return model.model_json_schema(mode="serialization")
