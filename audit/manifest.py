"""Which inputs decided a record, and in what others differ from them.

Every record of a service names a manifest in the header `ats-manifest`. Here manifests are gathered
with their contents, and compared. `differences` is what a replay asks before it compares anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from bus.reader import read_topics
from bus.records import Record
from bus.stored import Since, Topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.manifest import (
    HEADER,
    Inputs,
    Manifest,
    ManifestContent,
    canonical,
    digest_of,
    unpacked,
)
from schemas.market import trading_day
from schemas.topics import MANIFEST, MANIFEST_CONTENTS
from schemas.units import UtcNs

# a content is written at most a day before a manifest that names it; clocks differ by less
CONTENT_BEFORE: Final = UtcNs.minutes(25 * 60)
TOLD: Final = 3  # places of one input that a sentence names
MAX_SHOWN: Final = 60  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class RecordedManifest:
    """One manifest as it was read back.

    Attributes:
        published_at: When the service wrote it.
        inputs: Values by name, without those that are `missing`.
        missing: Digests, by name, of contents that no topic has: too large, or damaged.
    """

    id: UUID
    service: str
    trading_date: date
    published_at: UtcNs
    inputs: Mapping[str, JsonValue]
    missing: Mapping[str, str]


class Manifests:
    """Manifests and contents, read in any order. What cannot be read is left out."""

    def __init__(self) -> None:
        self._manifests: dict[UUID, tuple[UtcNs, Manifest]] = {}
        self._order: list[tuple[UtcNs, Manifest]] = []
        self._contents: dict[str, ManifestContent] = {}

    def take(self, record: Record) -> None:
        """Keep a record of `ats.manifest` or `ats.manifest-contents`."""
        try:
            if record.topic == MANIFEST.name:
                manifest = decode(Manifest, record.value)
                self._manifests.setdefault(manifest.id, (record.published_at, manifest))
                self._order.append((record.published_at, manifest))
            elif record.topic == MANIFEST_CONTENTS.name:
                content = decode(ManifestContent, record.value)
                self._contents[content.digest] = content
        except Unreadable:
            return

    @property
    def lacking(self) -> set[str]:
        """Digests of contents that manifests name and nobody has brought yet."""
        return {
            each.digest
            for _, manifest in self._manifests.values()
            for each in manifest.inputs.values()
            if each.apart and each.digest not in self._contents
        }

    def get(self, id_: UUID) -> RecordedManifest | None:
        """The manifest of that id; None where none is known."""
        found = self._manifests.get(id_)
        return self._recorded(*found) if found else None

    def of_day(self, day: date, service: str | None = None) -> list[RecordedManifest]:
        """Those written for trading date `day`, in the order written, each start for itself."""
        return [
            self._recorded(published_at, manifest)
            for published_at, manifest in sorted(self._order, key=lambda each: each[0])
            if trading_day(manifest.event_time) == day and service in (None, manifest.service)
        ]

    def _recorded(self, published_at: UtcNs, manifest: Manifest) -> RecordedManifest:
        values: dict[str, JsonValue] = {}
        missing: dict[str, str] = {}
        for name, each in manifest.inputs.items():
            try:
                values[name] = self._value(each.digest) if each.apart else each.value
            except (Unreadable, KeyError):
                missing[name] = each.digest
        return RecordedManifest(
            manifest.id,
            manifest.service,
            trading_day(manifest.event_time),
            published_at,
            values,
            missing,
        )

    def _value(self, digest: str) -> JsonValue:
        """Raises KeyError, Unreadable."""
        return unpacked(self._contents[digest])


async def read_manifests(connection: Topics, since: UtcNs | None = None) -> Manifests:
    """Manifests written since a moment of machine time, with their contents; None: all there are.

    Raises:
        Misconfigured: a topic is missing.
        TryLater: no broker answers.
    """
    found, first = Manifests(), None
    begin: Since = "start" if since is None else since
    async with aclosing(
        read_topics(connection, [MANIFEST], since=begin, until_end=True)
    ) as records:
        async for record in records:
            found.take(record)
            first = min(first or record.published_at, record.published_at)
    if first is None or not found.lacking:
        return found
    async with aclosing(
        read_topics(
            connection,
            [MANIFEST_CONTENTS],
            since=UtcNs(max(0, first - CONTENT_BEFORE)),
            until_end=True,
        )
    ) as contents:
        async for record in contents:
            found.take(record)
            if not found.lacking:
                break
    return found


def named_by(record: Record) -> UUID | None:
    """The manifest under which a record was made; None where it names none.

    Raises:
        Unreadable: the header is no id.
    """
    header = record.headers.get(HEADER)
    if header is None:
        return None
    try:
        return UUID(header.decode())
    except ValueError:
        raise Unreadable(f"not an id: {header[:40]!r}", HEADER) from None


# What differs


@dataclass(frozen=True, slots=True)
class InputDiffers:
    """One input that is another than the recorded one.

    Attributes:
        sentence: What differs and where, for people.
    """

    name: str
    sentence: str


def differences(
    recorded: RecordedManifest, given: Inputs, names: Iterable[str] | None = None
) -> tuple[InputDiffers, ...]:
    """The inputs that are others here than in the record, by name; none where all are equal.

    `names` are those to compare; None: all.
    """
    known = {*recorded.inputs, *recorded.missing, *given}
    wanted = known if names is None else known & {*names}
    found = ((name, _difference(name, recorded, given)) for name in sorted(wanted))
    return tuple(InputDiffers(name, f"{name}: {what}") for name, what in found if what)


def _difference(name: str, recorded: RecordedManifest, given: Inputs) -> str:
    if name not in given:
        return "recorded, but not given here"
    if (digest := recorded.missing.get(name)) is not None:
        same = digest_of(given[name]) == digest
        return "" if same else "not the recorded one, whose content was not kept"
    if name not in recorded.inputs:
        return "given here, but not recorded"
    places = list(islice(_places(recorded.inputs[name], given[name], ""), TOLD + 1))
    more = ", and more" if len(places) > TOLD else ""
    return "; ".join(places[:TOLD]) + more


def _places(recorded: JsonValue, given: JsonValue, path: str) -> Iterator[str]:
    """Where two values differ, in words."""
    if recorded == given and type(recorded) is type(given):
        return
    before, after = _table(recorded), _table(given)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            place = f"{path}.{key}" if path else key
            if key not in after:
                yield f"{place} is {_shown(before[key])} in the record and absent here"
            elif key not in before:
                yield f"{place} is absent from the record and {_shown(after[key])} here"
            else:
                yield from _places(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _rows(before, after, path)
    else:
        place = f"{path} is " if path else ""
        yield f"{place}{_shown(before)} in the record and {_shown(after)} here"


def _rows(before: list[JsonValue], after: list[JsonValue], path: str) -> Iterator[str]:
    """Rows that only one of two lists has; where there are none, their order differs."""
    place = f"{path} has " if path else ""
    known, wanted = {canonical(row) for row in before}, {canonical(row) for row in after}
    lost = [row for row in before if canonical(row) not in wanted]
    new = [row for row in after if canonical(row) not in known]
    if len(lost) == len(new) == 1:
        yield from _places(lost[0], new[0], f"{path}[{before.index(lost[0])}]")
        return
    yield from (f"{place}{_shown(row)} in the record and not here" for row in lost)
    yield from (f"{place}{_shown(row)} here and not in the record" for row in new)
    if not lost and not new:
        yield f"{path or 'it'} has another order, or a row another number of times"


def _table(value: JsonValue) -> JsonValue:
    """A table of columns and rows as rows of named values."""
    match value:
        case {"columns": list(columns), "rows": dict(rows), **rest} if not rest:
            return {
                key: dict(zip(map(str, columns), row, strict=False))
                if isinstance(row, list)
                else row
                for key, row in rows.items()
            }
    return value


def _shown(value: JsonValue) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
