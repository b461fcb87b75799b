"""What an archive of a day says of itself: `manifest.json` beside its files.

Whoever can write the folder can write a manifest that fits. What was decided, ordered and traded is
held against signatures by `ats ledger verify --archive`; the rest is as good as the digest that
`ats archive` printed and somebody kept.
"""

from __future__ import annotations

from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Final, Literal

import orjson
from pydantic import Field, ValidationError, model_validator

from schemas.errors import Misconfigured
from schemas.frozen import FrozenModel
from schemas.topics import BY_NAME, MIB, Topic

FILE: Final = "manifest.json"
FORMAT: Final = "ats-archive/v1"
LARGEST: Final = 256 * MIB  # a row group takes 300 bytes of it

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Begin = tuple[int, int]  # partition and offset at which a row group begins


class RowGroup(FrozenModel):
    """Records of one partition that stand together in a file.

    Attributes:
        first: Offset of the first record.
        last: Offset of the last one.
        latest_ms: The latest stamp of them, POSIX milliseconds.
        ends_at: The byte of the file behind them.
        chain: That of the last one (`audit.archive.records.chained`).
        sha256: Of the records' canonical bytes, in their order.
    """

    partition: Count
    first: Count
    last: Count
    rows: Annotated[int, Field(ge=1)]
    latest_ms: int
    ends_at: Count
    chain: Count
    sha256: Digest

    @property
    def begin(self) -> Begin:
        """Where its first record stood."""
        return self.partition, self.first

    def place(self, topic: str) -> str:
        """Where its records stood, as they are named everywhere."""
        return f"{topic}-{self.partition}@{self.first} to @{self.last}"


class ArchivedTopic(FrozenModel):
    """One file.

    Attributes:
        file: Its name, `TOPIC.parquet`.
        partitions: How many the topic has, empty ones included.
        bytes: Of the file.
        raw_bytes: Of keys, values and headers in Kafka.
        sha256: Of the file.
        content_sha256: Of all records' canonical bytes, in the order of the file.
    """

    file: str
    partitions: Annotated[int, Field(ge=1)]
    rows: Count
    bytes: Count
    raw_bytes: Count
    sha256: Digest
    content_sha256: Digest
    groups: tuple[RowGroup, ...]


class ArchiveManifest(FrozenModel):
    """An archived day.

    Attributes:
        made_at: When, UTC.
        partial: The day was not over, or services still wrote it.
        of_demo: It was recorded by `ats demo`, and is read under a demo's settings.
        schema_version: Of the messages.
        code: Versions by name: `ats` and `pyarrow`.
        topics: By name.
        sha256: Of this manifest without this field.
    """

    format: Literal["ats-archive/v1"]
    day: date
    made_at: datetime
    partial: bool
    of_demo: bool
    schema_version: int
    code: dict[str, str]
    topics: dict[str, ArchivedTopic]
    sha256: Digest

    @model_validator(mode="after")
    def _names_are_topics(self) -> ArchiveManifest:
        """A file's name follows from its topic, so that none leads out of the folder."""
        for name, topic in self.topics.items():
            if name not in BY_NAME:
                raise ValueError(f"{name!r} is no topic of ours")
            if topic.file != file_of(BY_NAME[name]):
                raise ValueError(f"{topic.file!r} is not the file of {name}")
        return self

    @property
    def rows(self) -> int:
        """Records of all topics."""
        return sum(each.rows for each in self.topics.values())


def file_of(topic: Topic) -> str:
    """The name of the file of `topic`."""
    return f"{topic.name}.parquet"


def sealed(manifest: ArchiveManifest) -> ArchiveManifest:
    """The same with its own digest."""
    return manifest.model_copy(update={"sha256": _digest(manifest)})


def encoded(manifest: ArchiveManifest) -> bytes:
    """The bytes of `manifest.json`, indented for people who look into it."""
    return orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2)


def is_intact(manifest: ArchiveManifest) -> bool:
    """Whether its digest is of it."""
    return _digest(manifest) == manifest.sha256


def read_manifest(folder: Path) -> ArchiveManifest:
    """The manifest in `folder`.

    Raises:
        Misconfigured: there is none, it cannot be read, or it was changed.
    """
    manifest = parsed_manifest(folder)
    if not is_intact(manifest):
        raise Misconfigured(f"{folder / FILE} was changed: its own digest is of other contents")
    return manifest


def parsed_manifest(folder: Path) -> ArchiveManifest:
    """The manifest in `folder` as it stands, changed or not.

    Raises:
        Misconfigured: there is none, or it cannot be read.
    """
    path = folder / FILE
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            raise Misconfigured(f"{path} is no file")
        if found.st_size > LARGEST:
            raise Misconfigured(f"{path} is larger than {LARGEST // MIB} MiB: it is no manifest")
        manifest = ArchiveManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        at = ".".join(map(str, first["loc"])) or "the whole"
        raise Misconfigured(f"{path} is no manifest of an archive: {at}: {first['msg']}") from None
    return manifest


def _digest(manifest: ArchiveManifest) -> str:
    whole = manifest.model_dump(mode="json", exclude={"sha256"})
    return sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()
