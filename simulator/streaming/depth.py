"""Dhan's 20- and 200-level depth feeds.

An instrument sends a bid and an ask packet whenever it prints.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import structlog
from aiohttp import web

from schemas.ids import InstrumentId
from simulator.accounts import Accounts
from simulator.market.tape import Market, Prints
from simulator.streaming import depth_packets
from simulator.streaming.connection import Connection, Endpoint, Frame, Surroundings, Tap
from simulator.streaming.delivery import FaultySender, MixedPackets, StreamFormat
from simulator.streaming.packets import Reason
from simulator.streaming.subscriptions import (
    PER_DEPTH_CONNECTION,
    Goodbye,
    Invalid,
    read_depth_request,
)

ENDPOINTS: Final = {20: "/twentydepth", 200: "/twohundreddepth"}
SIDES: Final = 2  # packets of one instrument, back to back in one frame

log = structlog.get_logger(__name__)


class DepthConnection(Connection):
    """A client of a depth feed.

    Attributes:
        wanted: The instruments it hears, known to the market or not.
        places: Those the market has, by their place in it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wanted: set[InstrumentId] = set()
        self.places: set[int] = set()


class DepthFeed:
    """All connections of one depth endpoint; `levels` is 20 or 200."""

    def __init__(
        self,
        levels: int,
        market: Market,
        accounts: Accounts,
        around: Surroundings,
        *,
        numeric_ids: bool = False,
    ) -> None:
        self._levels = levels
        self._market = market
        self._accounts = accounts
        self._numeric_ids = numeric_ids
        self.endpoint = ENDPOINTS[levels]
        too_many = depth_packets.disconnect(Reason.TOO_MANY_CONNECTIONS)
        self._endpoint = Endpoint(self.endpoint, around, make=DepthConnection, too_many=too_many)
        self._delivery = FaultySender(self.endpoint, around.faults, _WORDING)
        self._sequence = 0

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all connections together."""
        return sum(len(connection.wanted) for connection in self._endpoint.inside)

    def listen_in(self, tap: Tap | None) -> None:
        """Let `tap` be told every frame put on the wire, with its connection's number."""
        self._endpoint.tap = tap

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle an upgrade. With a bad token it succeeds and the socket is reset."""
        client_id = request.query.get("clientId", "")
        connection = await self._endpoint.upgrade(request, client_id)
        if not isinstance(connection, DepthConnection):
            return connection
        known = self._accounts.holder(request.query.get("token", ""), client_id)
        if known is None or request.query.get("authType") != "2":
            connection.reset()
            return connection.response
        await self._endpoint.stay(connection, self._on_text)
        return connection.response

    async def publish(self, prints: Prints) -> None:
        """Send each connection both sides of what it subscribed to among `prints`, in order."""
        for connection in self._endpoint.inside:
            if not connection.places or not connection.listening:
                continue
            chosen = prints[np.isin(prints["instrument"], list(connection.places))]
            if len(chosen):
                packets = depth_packets.both_sides(chosen, self._levels, self._sequence)
                self._sequence += len(packets)
                await self._delivery.deliver(connection, MixedPackets(packets, SIDES))

    async def close(self) -> None:
        """Close every connection in order."""
        await self._endpoint.close()

    async def _on_text(self, connection: DepthConnection, text: str) -> None:
        asked = read_depth_request(text, self._levels, numeric_ids=self._numeric_ids)
        if isinstance(asked, Goodbye):
            await connection.close()
            return
        if isinstance(asked, Invalid):
            log.warning("depth.bad_request", client_id=connection.client_id, detail=asked.detail)
            await connection.close(depth_packets.disconnect(asked.reason))
            return
        change = (
            connection.wanted.update if asked.subscribe else connection.wanted.difference_update
        )
        change(asked.instruments)
        known = (self._market.by_id.get(instrument) for instrument in connection.wanted)
        connection.places = {place for place in known if place is not None}
        if len(connection.wanted) > PER_DEPTH_CONNECTION[self._levels]:
            await connection.close(depth_packets.disconnect(Reason.TOO_MANY_INSTRUMENTS))


def _name(frame: Frame) -> str:
    assert isinstance(frame, bytes)
    return depth_packets.name(frame)


_WORDING: Final = StreamFormat(_name, depth_packets.disconnect, depth_packets.strange)
