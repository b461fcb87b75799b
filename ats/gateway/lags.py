"""How far each consumer group is behind: asked of Kafka, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from ats.runtime.groups import GROUPS
from bus.connection import KafkaConnection
from bus.group_offsets import lag
from schemas.errors import Misconfigured, TryLater
from schemas.topics import PartitionPlan

FRESH: Final = 5.0  # seconds; each look opens a connection for each group
WITHIN: Final = 3.0  # seconds; who asks waits for it

log = structlog.get_logger(__name__)


async def lags_of(connection: KafkaConnection, plan: PartitionPlan) -> dict[str, int]:
    """Records that wait, by group.

    Raises:
        TryLater: no broker answers.
        Misconfigured: a group stands where its topic has no record.
    """
    found = await asyncio.gather(
        *(lag(connection, group, topics, plan) for group, topics in GROUPS.items())
    )
    return dict(zip(GROUPS, found, strict=True))


class LagReader:
    """One look for all who ask within `FRESH`."""

    def __init__(
        self, look: Callable[[], Awaitable[Mapping[str, int]]], monotonic: Callable[[], float]
    ) -> None:
        """`monotonic` tells machine time in seconds."""
        self._look = look
        self._monotonic = monotonic
        self._at = -FRESH
        self._known: Mapping[str, int] | None = None
        self._one_look = asyncio.Lock()

    async def read(self) -> Mapping[str, int] | None:
        """What waits; None where Kafka does not say."""
        async with self._one_look:
            if self._monotonic() - self._at >= FRESH:
                self._known = await self._try()
                self._at = self._monotonic()
        return self._known

    async def _try(self) -> Mapping[str, int] | None:
        try:
            async with asyncio.timeout(WITHIN):
                return await self._look()
        except (TryLater, Misconfigured, TimeoutError) as error:
            log.warning("lags_not_read", error=str(error) or type(error).__name__)
            return None
