"""What decides a service's output, written down: the message, and how its content is named.

Two starts with equal inputs give the same manifest, byte for byte on one trading date: ids and
digests are made of content alone. What is large stands apart, under its digest, once.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, JsonValue

from schemas.errors import Unreadable
from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId, derive
from schemas.messages import Label, Message
from schemas.units import UtcNs

HEADER: Final = "ats-manifest"
"""Record header of whatever a service writes: the id of the manifest in force."""

INLINE_BYTES: Final = 512  # more than most inputs have; twenty of them are a record of 10 KB
# of JSON before it is packed: eight times the instrument master of the shares and indices
MAX_CONTENT_BYTES: Final = 16 << 20
MAX_PACKED: Final = 3 << 20  # characters; a record may have 4 MiB

Digest = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the canonical JSON")
]
Inputs: TypeAlias = Mapping[str, JsonValue]


class ManifestInput(FrozenModel):
    """One input: its digest, and what it was where that is short."""

    digest: Digest
    size: int = Field(ge=1, description="bytes of the canonical JSON")
    apart: bool = Field(description="the value stands in ats.manifest-contents, under its digest")
    value: JsonValue = Field(default=None, description="null where it stands apart")


class Manifest(Message):
    """`ats.manifest`: what decides the output of one service, at each start and each change.

    Its id follows from the service and the digests, so equal configuration has one id for ever.
    `event_time` is the begin of the trading date, on Indian clocks, for which it was written. The
    records that a service writes name it in the header `ats-manifest`.
    """

    service: Label
    inputs: dict[Label, ManifestInput] = Field(description="by name, such as rules or calendar")


class ManifestContent(Message):
    """`ats.manifest-contents`, compacted by digest: one input that is too long for a manifest."""

    digest: Digest
    packed: str = Field(description="the canonical JSON, zlib-compressed, in base64")


def canonical(value: JsonValue) -> bytes:
    """JSON with sorted keys and without spaces: equal values are equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest_of(value: JsonValue) -> str:
    """The name of a content."""
    return hashlib.sha256(canonical(value)).hexdigest()


def manifest_of(service: str, inputs: Inputs, opens: UtcNs) -> Manifest:
    """The manifest of `inputs`; `opens` is the begin of the trading date on Indian clocks."""
    described = {name: _described(inputs[name]) for name in sorted(inputs)}
    digests = canonical({name: each.digest for name, each in described.items()})
    return Manifest(
        id=derive("manifest", service, hashlib.sha256(digests).hexdigest()),
        event_time=opens,
        service=service,
        inputs=described,
    )


def _described(value: JsonValue) -> ManifestInput:
    whole = canonical(value)
    apart = len(whole) > INLINE_BYTES
    return ManifestInput(
        digest=hashlib.sha256(whole).hexdigest(),
        size=len(whole),
        apart=apart,
        value=None if apart else value,
    )


def contents_of(manifest: Manifest, inputs: Inputs) -> list[ManifestContent]:
    """What stands apart of `manifest`, which `manifest_of` made of `inputs`.

    What is too large to be written is left out: its digest still tells that it differs.
    """
    apart = {
        each.digest: inputs[name]
        for name, each in manifest.inputs.items()
        if each.apart and each.size <= MAX_CONTENT_BYTES
    }
    packed = {digest: _packed(value) for digest, value in apart.items()}
    return [
        ManifestContent(
            id=derive("manifest-content", digest),
            event_time=manifest.event_time,
            digest=digest,
            packed=text,
        )
        for digest, text in packed.items()
        if len(text) <= MAX_PACKED
    ]


def _packed(value: JsonValue) -> str:
    return base64.b64encode(zlib.compress(canonical(value), 9)).decode()


def unpacked(content: ManifestContent) -> JsonValue:
    """What was packed.

    Raises:
        Unreadable: it cannot be unpacked, is too large, or is not what its digest names.
    """
    try:
        packed = base64.b64decode(content.packed, validate=True)
        whole = zlib.decompressobj().decompress(packed, MAX_CONTENT_BYTES + 1)
    except (ValueError, zlib.error) as error:
        raise Unreadable(f"not base64 of zlib: {error}", "packed") from None
    if len(whole) > MAX_CONTENT_BYTES or hashlib.sha256(whole).hexdigest() != content.digest:
        raise Unreadable("not what its digest names", "packed")
    value: JsonValue = orjson.loads(whole)
    return value


def plain(value: Any) -> JsonValue:
    """`value` as JSON that is the same in every process: sets are sorted, records are objects.

    Takes our frozen records, models, enums, units, dates and what they are made of.

    Raises:
        TypeError: something that has no content of its own, such as a function.
    """
    if isinstance(value, BaseModel):
        return plain({name: getattr(value, name) for name in type(value).model_fields})
    if is_dataclass(value) and not isinstance(value, type):
        return plain({each.name: getattr(value, each.name) for each in fields(value)})
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(each) for name, each in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain(each) for each in value), key=canonical)
    if isinstance(value, list | tuple) and not isinstance(value, InstrumentId):
        return [plain(each) for each in value]
    return _scalar(value)


def _scalar(value: Any) -> JsonValue:
    if isinstance(value, Enum):
        return _scalar(value.value)
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):  # of a unit too
        return int(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, InstrumentId | Decimal | PurePath | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written into a manifest")
