"""Writes down what decides a service's output, and has each record of it name what it wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import message_output
from schemas.errors import Misconfigured, TryLater
from schemas.manifest import Inputs, Manifest, contents_of, manifest_of
from schemas.market import trading_day
from schemas.topics import MANIFEST, MANIFEST_CONTENTS
from schemas.units import IST, UtcNs

log = structlog.get_logger(__name__)

A_DAY: Final = UtcNs.minutes(24 * 60)  # a content is written once in so long
AGAIN_AFTER: Final = 5.0  # seconds, when a change could not be written


def opening_of(moment: UtcNs) -> UtcNs:
    """The begin of the day of `moment` on Indian clocks."""
    return UtcNs.from_datetime(
        datetime.combine(trading_day(moment), datetime.min.time(), tzinfo=IST)
    )


class ManifestLog:
    """The manifests of one process.

    Where the guarantee stops: what is sent between a change and its manifest's arrival names a
    manifest that is not there yet; if the process dies in these milliseconds, it never comes.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        service: str,
        opens: UtcNs | None = None,
        *,
        wall: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`opens` is the begin of the trading date on Indian clocks; None: of today."""
        self._connection = connection
        self._service = service
        self._opens = opens
        self._wall = wall
        self._sleep = sleep
        self._inputs: Inputs = {}
        self._named: UUID | None = None
        self._writing: asyncio.Task[None] | None = None

    async def record(self, inputs: Inputs) -> UUID:
        """Write the manifest of `inputs`, then stamp whatever this connection sends with its id.

        Raises:
            TryLater: Kafka did not take it.
            Misconfigured: a topic is missing.
        """
        manifest = self._manifest(inputs)
        await self._write(manifest, inputs)
        self._inputs, self._named = inputs, manifest.id
        self._connection.stamp.name(manifest.id)
        return manifest.id

    def change(self, inputs: Inputs) -> UUID:
        """Some inputs are others from now on: stamp at once, and write as soon as Kafka takes it.

        Nobody waits: who tightens a limit does not wait for a broker.
        """
        self._inputs = {**self._inputs, **inputs}
        manifest = self._manifest(self._inputs)
        if manifest.id == self._named:
            return manifest.id
        self._named = manifest.id
        self._connection.stamp.name(manifest.id)
        after, whole = self._writing, self._inputs
        self._writing = asyncio.create_task(self._keep_writing(after, manifest, whole))
        return manifest.id

    async def written(self) -> None:
        """Wait until all changes are written."""
        if self._writing is not None:
            await self._writing

    def _manifest(self, inputs: Inputs) -> Manifest:
        opens = opening_of(UtcNs(self._wall())) if self._opens is None else self._opens
        return manifest_of(self._service, inputs, opens)

    async def _keep_writing(
        self, after: asyncio.Task[None] | None, manifest: Manifest, inputs: Inputs
    ) -> None:
        if after is not None:
            await after
        while True:
            try:
                await self._write(manifest, inputs)
            except TryLater as error:
                log.warning("manifest_not_written", again_after_s=AGAIN_AFTER, error=str(error))
                await self._sleep(AGAIN_AFTER)
            except Misconfigured as error:
                log.error("manifest_not_written", error=str(error))
                return
            else:
                return

    async def _write(self, manifest: Manifest, inputs: Inputs) -> None:
        contents = contents_of(manifest, inputs)
        there = await self._contents_of_the_day() if contents else set()
        async with Publisher(self._connection) as publisher:
            for content in contents:
                if content.digest not in there:
                    output = message_output(MANIFEST_CONTENTS, content, content.digest)
                    await publisher.send_and_wait(output)
            await publisher.send_and_wait(message_output(MANIFEST, manifest, self._service))
        left_out = sorted(
            {each.digest for each in manifest.inputs.values() if each.apart}
            - {content.digest for content in contents}
        )
        log.info("manifest", service=self._service, manifest=str(manifest.id), too_large=left_out)

    async def _contents_of_the_day(self) -> set[str]:
        since = UtcNs(self._wall() - A_DAY)
        records = read_topics(self._connection, [MANIFEST_CONTENTS], since=since, until_end=True)
        async with aclosing(records):
            return {(record.key or b"").decode("ascii", "replace") async for record in records}
