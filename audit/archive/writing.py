"""Archives a day: each topic into its file, all files into a folder that appears when it is whole.

What is under way stands in a hidden folder beside, with what was looked up and which files are
done. Whoever starts again goes on from there. A file under way has another name than a whole one,
and a whole one is held against its digest before it is believed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import orjson
import pyarrow as pa
from pydantic import ValidationError

from audit.archive.files import TopicFile, file_digest, sync
from audit.archive.manifest import (
    FILE,
    FORMAT,
    ArchivedTopic,
    ArchiveManifest,
    encoded,
    read_manifest,
    sealed,
)
from audit.archive.survey import ARCHIVED, PartitionSpans, Survey, survey
from audit.replay.reading import TELL_EVERY, Progress
from bus.connection import KafkaConnection
from bus.exact import ExactRecord, read_exactly
from bus.records import NS_PER_MS
from bus.tail import Span
from schemas.errors import Misconfigured, TryLater
from schemas.frozen import FrozenModel
from schemas.messages import Message
from schemas.topics import Topic
from schemas.units import UtcNs

_PROGRESS: Final = ".progress"

M = TypeVar("M", bound=FrozenModel)


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What to archive, and where.

    Attributes:
        root: The folder of all days; the day's own is made in it.
        source: Names the cluster, so that two are not mixed in one archive.
        version: Of ATS.
        replays: The cluster replays an old market: all that stands there is looked through.
        of_demo: It is a demo's.
        partial: Archive a day that is still written; else `still_written` is asked.
        still_written: Why the day is not over, given when the last record about it was written;
            empty when it is.
        now: UTC.
    """

    day: date
    root: Path
    source: str
    version: str
    replays: bool
    of_demo: bool
    partial: bool
    still_written: Callable[[UtcNs], str]
    now: Callable[[], datetime]


class _Plan(FrozenModel):
    """What was looked up, and for whom: others look it up anew."""

    source: str
    version: str
    found: Survey


async def archive_day(
    connection: KafkaConnection, request: ArchiveRequest, tell: Progress
) -> tuple[Path, ArchiveManifest]:
    """Archive a day; returns its folder. One that is archived already is left as it is.

    Raises:
        Misconfigured: nothing is recorded of the day, it is still written, another process archives
            it, the folder cannot be written, or a topic does not exist.
        TryLater: no broker answers, or records went away meanwhile.
    """
    whole = request.root / request.day.isoformat()
    if (whole / FILE).exists():
        before = read_manifest(whole)
        if not before.partial:
            return whole, before
    half = request.root / f".{request.day.isoformat()}.half"
    with _written(request.root), _held(half):
        plan = await _planned(connection, request, half, tell)
        topics = await _archived(connection, plan.found, half, tell)
        manifest = _manifest(request, plan.found, topics)
        (half / FILE).write_bytes(encoded(manifest))
        sync(half / FILE)
        sync(half)
        _put_into_place(half, whole)
    return whole, manifest


async def _planned(
    connection: KafkaConnection, request: ArchiveRequest, half: Path, tell: Progress
) -> _Plan:
    """The plan of the run before, where it is the same archive; else a new one."""
    path = half / _PROGRESS / "plan.json"
    before = _kept(_Plan, path)
    asked = request.source, request.version
    if before and not request.partial and (before.source, before.version) == asked:
        return before
    _clear(half)
    found = await survey(connection, request.day, tell, from_start=request.replays)
    if not found.records:
        raise Misconfigured(
            f"nothing is recorded of {request.day}: is it another day? "
            "`ats tail ats.candles --last 1` shows one that is there"
        )
    why = request.still_written(UtcNs(found.latest_ms * NS_PER_MS))
    if why and not request.partial:
        raise Misconfigured(f"{request.day} is not over: {why}; --partial archives what there is")
    plan = _Plan(source=request.source, version=request.version, found=found)
    _keep(path, plan)
    return plan


def _clear(half: Path) -> None:
    for each in (*half.iterdir(), *(half / _PROGRESS).glob("*.json")):
        if each.is_file():
            each.unlink()


async def _archived(
    connection: KafkaConnection, found: Survey, half: Path, tell: Progress
) -> dict[str, ArchivedTopic]:
    total, before = found.records, 0
    topics = dict[str, ArchivedTopic]()
    for topic in ARCHIVED:
        kept = half / _PROGRESS / f"{topic.name}.json"
        done = _kept(ArchivedTopic, kept)
        if done is None or not _is_whole(half / done.file, done):
            told = partial(_told, tell, topic, before, total)
            wanted = found.topics[topic.name]
            done = await _archived_topic(connection, topic, wanted, half, told)
            _keep(kept, done)
        topics[topic.name] = done
        before += done.rows
    return topics


def _told(tell: Progress, topic: Topic, before: int, total: int, count: int) -> None:
    tell(f"archiving {topic.name}", before + count, total)


async def _archived_topic(
    connection: KafkaConnection,
    topic: Topic,
    wanted: tuple[PartitionSpans, ...],
    half: Path,
    tell: Callable[[int], None],
) -> ArchivedTopic:
    file, count = TopicFile(half, topic, len(wanted)), 0
    try:
        async with aclosing(_records(connection, topic, wanted)) as records:
            async for record in records:
                file.add(record)
                count += 1
                if count % TELL_EVERY == 0:
                    tell(count)
        if count != (expected := sum(each.count for each in wanted)):
            shutil.rmtree(half / _PROGRESS)
            raise TryLater(
                f"{topic.name} had {expected:,} records of the day and has {count:,} now: "
                "retention removed some, or the topic was made anew; start again"
            )
        done = file.close()
    except BaseException:
        file.give_up()
        raise
    tell(count)
    return done


async def _records(
    connection: KafkaConnection, topic: Topic, wanted: tuple[PartitionSpans, ...]
) -> AsyncGenerator[ExactRecord, None]:
    around = {
        number: Span(each.spans[0][0], each.spans[-1][1])
        for number, each in enumerate(wanted)
        if each.spans
    }
    if not around:
        return
    left = {number: list(reversed(each.spans)) for number, each in enumerate(wanted)}
    async with aclosing(read_exactly(connection, topic, around)) as records:
        async for record in records:
            spans = left[record.partition]
            while spans and spans[-1][1] <= record.offset:
                spans.pop()
            if spans and spans[-1][0] <= record.offset:
                yield record


def _manifest(
    request: ArchiveRequest, found: Survey, topics: dict[str, ArchivedTopic]
) -> ArchiveManifest:
    return sealed(
        ArchiveManifest(
            format=FORMAT,
            day=request.day,
            made_at=request.now(),
            partial=bool(request.still_written(UtcNs(found.latest_ms * NS_PER_MS))),
            of_demo=request.of_demo,
            schema_version=Message.SCHEMA_VERSION,
            code={"ats": request.version, "pyarrow": pa.__version__},
            topics=topics,
            sha256="0" * 64,
        )
    )


def _put_into_place(half: Path, whole: Path) -> None:
    old = half.with_suffix(".old")
    if whole.exists():  # a part of the day, archived before it was over
        shutil.rmtree(old, ignore_errors=True)  # of a run that was killed right before its end
        whole.rename(old)
    half.rename(whole)
    sync(whole.parent)
    shutil.rmtree(whole / _PROGRESS)
    shutil.rmtree(old, ignore_errors=True)


def _is_whole(path: Path, done: ArchivedTopic) -> bool:
    try:
        return path.stat().st_size == done.bytes and file_digest(path) == done.sha256
    except FileNotFoundError:
        return False


def _keep(path: Path, what: FrozenModel) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(orjson.dumps(what.model_dump(mode="json")))
    sync(new)
    new.rename(path)


def _kept(kind: type[M], path: Path) -> M | None:
    """None of what is not there, or was written by another version."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


@contextmanager
def _held(half: Path) -> Iterator[None]:
    """The folder under way, for this process alone."""
    (half / _PROGRESS).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(half / _PROGRESS / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(f"another process archives into {half}: wait for it") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _written(root: Path) -> Iterator[None]:
    """Says what a disk answers in one line."""
    try:
        yield
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise Misconfigured(
            f"{root} cannot be written: {why}; what is done stays, start again to go on"
        ) from None
