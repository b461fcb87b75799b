"""What happens to a connection, published on `ats.feed` and logged."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from bus.publisher import Publisher
from bus.records import message_output
from schemas.ids import derive
from schemas.messages import FeedEvent, FeedState
from schemas.topics import FEED
from schemas.units import UtcNs

log = structlog.get_logger(__name__)


class FeedLog:
    """Numbers and publishes the events of one run of a gateway.

    Ids are made of gateway, start and number: an event is seen, not derived, so nothing else could
    name it.
    """

    def __init__(self, publisher: Publisher, gateway: int, started_at: UtcNs) -> None:
        self._publisher = publisher
        self._gateway = gateway
        self._started_at = started_at
        self._count = 0

    async def emit(
        self,
        state: FeedState,
        clock: UtcNs,
        reason: str = "",
        *,
        instruments: int = 0,
        packets: int = 0,
        gap: tuple[UtcNs, UtcNs] | None = None,
    ) -> asyncio.Future[Any]:
        """Publish one event; what it returns resolves when Kafka has it.

        Its time is the market clock, or the gateway's start before the first tick.
        """
        event = FeedEvent(
            id=derive("feed", self._gateway, int(self._started_at), self._count),
            event_time=clock or self._started_at,
            gateway=self._gateway,
            state=state,
            reason=reason,
            instruments=instruments,
            packets=packets,
            gap_from=gap[0] if gap else None,
            gap_to=gap[1] if gap else None,
        )
        self._count += 1
        quiet = state in (FeedState.CONNECTED, FeedState.SUBSCRIBED, FeedState.STOPPED)
        (log.info if quiet else log.warning)(
            f"feed_{state}",
            gateway=self._gateway,
            reason=reason,
            instruments=instruments,
            packets=packets,
        )
        return await self._publisher.send(message_output(FEED, event, str(self._gateway)))
