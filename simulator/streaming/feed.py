"""Dhan's market feed v2: who hears what.

The bytes are in `packets`, the ways a connection ends in `sockets`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import structlog
from aiohttp import web

from schemas.ids import InstrumentId, Segment
from simulator.accounts import Accounts
from simulator.faults import Fault, FaultKind
from simulator.market.tape import Market, Prints
from simulator.streaming import packets
from simulator.streaming.connection import Connection, Endpoint, Frame, Surroundings, Tap
from simulator.streaming.delivery import (
    Batch,
    FaultySender,
    MixedPackets,
    StreamFormat,
    UniformPackets,
)
from simulator.streaming.packets import Encoded, Mode, Reason
from simulator.streaming.subscriptions import PER_CONNECTION, Change, Goodbye, Invalid, read_request

ENDPOINT: Final = "/feed"
# Segments of contracts, which have an open interest.
_CONTRACTS: Final = np.array([2, 3, 5, 7, 8], np.uint8)

Modes = npt.NDArray[np.uint8]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """See `SimulatorConfig`."""

    packets_per_frame: int
    previous_close_for_all: bool
    true_utc: bool = False
    numeric_ids: bool = False


class FeedConnection(Connection):
    """A client of the feed.

    Attributes:
        modes: Of each instrument of the market, 0 where there is no subscription.
        unknown: Instruments asked for that the market does not have.
    """

    modes: Modes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modes = np.zeros(0, np.uint8)
        self.unknown: set[InstrumentId] = set()

    @property
    def subscriptions(self) -> int:
        """How many instruments this client has subscribed, unknown ones included."""
        return int(np.count_nonzero(self.modes)) + len(self.unknown)


class Feed:
    """All market feed connections of one simulator."""

    def __init__(
        self,
        market: Market,
        accounts: Accounts,
        options: FeedOptions,
        around: Surroundings,
    ) -> None:
        self._market = market
        self._accounts = accounts
        self._faults = around.faults
        self._options = options
        too_many = packets.disconnect(Reason.TOO_MANY_CONNECTIONS)
        self._endpoint = Endpoint(ENDPOINT, around, make=FeedConnection, too_many=too_many)
        self._delivery = FaultySender(ENDPOINT, around.faults, _WORDING)
        self._prints: Prints | None = None
        self._encoded: Encoded | None = None
        self.packets_sent = 0

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._endpoint.inside)

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all connections together."""
        return sum(connection.subscriptions for connection in self._endpoint.inside)

    def listen_in(self, tap: Tap | None) -> None:
        """Let `tap` be told every frame put on the wire, with its connection's number."""
        self._endpoint.tap = tap

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle `GET /feed`.

        With a bad token the upgrade succeeds and the socket is reset, as Dhan does.
        """
        client_id = request.query.get("clientId", "")
        connection = await self._endpoint.upgrade(request, client_id)
        if not isinstance(connection, FeedConnection):
            return connection
        known = self._accounts.holder(request.query.get("token", ""), client_id)
        if (
            known is None
            or request.query.get("version") != "2"
            or request.query.get("authType") != "2"
        ):
            log.info("feed.refused", client_id=client_id)
            connection.reset()
            return connection.response
        connection.modes = np.zeros(len(self._market.listings), np.uint8)
        await self._endpoint.stay(connection, self._on_text)
        return connection.response

    def load(self, chunk: Prints) -> None:
        """The prints that `publish` is about to speak of."""
        self._prints, self._encoded = chunk, Encoded(chunk, true_utc=self._options.true_utc)

    async def publish(self, place: slice) -> None:
        """Send each connection the packets of what it subscribed to among the loaded prints at
        `place`, in their order.
        """
        assert self._prints is not None, "load() comes before publish()"
        instruments = self._prints["instrument"][place]
        for connection in self._endpoint.inside:
            modes = connection.modes[instruments]
            if muted := connection.muted:
                silent = [place for place in map(self._place_of, muted) if place is not None]
                modes = np.where(np.isin(instruments, silent), 0, modes)
            if modes.any() and connection.listening:
                batch = self._parcel(place, modes)
                await self._delivery.deliver(connection, batch)
                self.packets_sent += len(batch)

    async def announce(self, packet: bytes) -> None:
        """Send one packet to every connection."""
        for connection in self._endpoint.inside:
            await connection.send(packet)

    def drop_all(self) -> int:
        """Reset every connection; returns how many there were."""
        dropped = self._endpoint.inside
        for connection in dropped:
            connection.reset()
        return len(dropped)

    def truncate_next(self) -> None:
        """Cut the next packet of a print short by a few bytes."""
        self._faults.add(Fault(FaultKind.TRUNCATE))

    async def close(self) -> None:
        """Close every connection in order."""
        await self._endpoint.close()

    async def _on_text(self, connection: FeedConnection, text: str) -> None:
        asked = read_request(text, numeric_ids=self._options.numeric_ids)
        if isinstance(asked, Goodbye):
            await connection.close()
        elif isinstance(asked, Invalid):
            log.warning("feed.bad_request", client_id=connection.client_id, detail=asked.detail)
            await connection.close(packets.disconnect(asked.reason))
        else:
            await self._apply(connection, asked)

    async def _apply(self, connection: FeedConnection, change: Change) -> None:
        for instrument in change.instruments:
            place = self._market.by_id.get(instrument)
            if place is None:
                _note_unknown(connection, change, instrument)
            elif change.subscribe:
                connection.modes[place] = change.mode
            elif connection.modes[place] == change.mode:
                connection.modes[place] = 0
        if connection.subscriptions > PER_CONNECTION:
            await connection.close(packets.disconnect(Reason.TOO_MANY_INSTRUMENTS))
        elif change.subscribe:
            for packet in self._previous_closes(change):
                await connection.send(packet)

    def _place_of(self, name: str) -> int | None:
        return self._market.by_id.get(InstrumentId.parse(name))

    def _previous_closes(self, change: Change) -> Iterator[Frame]:
        for instrument in change.instruments:
            place = self._market.by_id.get(instrument)
            if place is None:
                continue
            if self._options.previous_close_for_all or instrument.segment is Segment.IDX_I:
                self.packets_sent += 1
                yield packets.previous_close(
                    instrument, self._market.listings[place].previous_close
                )

    def _parcel(self, place: slice, modes: Modes) -> Batch:
        """The packets that `modes` ask for, one mode for each print at `place`."""
        assert self._prints is not None
        assert self._encoded is not None
        wanted = np.flatnonzero(modes)
        kinds = [mode for mode in Mode if (modes == mode).any()]
        prints = self._prints[place]
        contracts = (modes == Mode.QUOTE) & np.isin(prints["segment"], _CONTRACTS)
        per_frame = self._options.packets_per_frame
        if len(kinds) == 1 and not contracts.any():
            only = self._encoded.packets(kinds[0], place)
            return UniformPackets(only if len(wanted) == len(only) else only[wanted], per_frame)
        encoded = {mode: self._encoded.packets(mode, place) for mode in kinds}
        interests = packets.open_interest(prints) if contracts.any() else None
        found: list[bytes] = []
        for at in wanted.tolist():
            found.append(encoded[Mode(modes[at])][at].tobytes())
            if interests is not None and contracts[at]:
                found.append(interests[at].tobytes())
        return MixedPackets(found, per_frame)


def _note_unknown(connection: FeedConnection, change: Change, instrument: InstrumentId) -> None:
    """Dhan answers an id it does not know with silence, but it counts."""
    if change.subscribe:
        connection.unknown.add(instrument)
    else:
        connection.unknown.discard(instrument)


def _name(frame: Frame) -> str:
    assert isinstance(frame, bytes)
    return packets.name(frame)


def _earlier(frame: Frame, seconds: int) -> Frame:
    assert isinstance(frame, bytes)
    return packets.earlier(frame, seconds)


_WORDING: Final = StreamFormat(_name, packets.disconnect, packets.strange, _earlier)
