"""The market feed's WebSocket: who is connected, who hears what, and how a connection ends.

Lossless: `publish` returns when every connection's socket has taken its packets, so at full speed the market waits for its
slowest reader. A reader that answers no ping for `drop_after` seconds is dropped. The access token travels in the query,
so nothing here logs a URL.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import aiohttp
import numpy as np
import numpy.typing as npt
import structlog
from aiohttp import web

from schemas.ids import Segment
from simulator import packets
from simulator.accounts import Accounts
from simulator.market.tape import PRINT, Market, Prints
from simulator.packets import Encoded, Mode, Reason
from simulator.subscriptions import PER_CONNECTION, Change, Goodbye, Invalid, read_request

CUT: Final = 5  # bytes missing from a truncated packet
GOODBYE: Final = 2.0  # seconds a client has to answer our close; then TCP is closed
MAX_REQUEST: Final = 1 << 16  # bytes; a hundred instruments fit ten times
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST instead of FIN

Modes = npt.NDArray[np.uint8]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """See `SimulatorConfig`."""

    packets_per_frame: int
    previous_close_for_all: bool
    connections: int
    ping_every: float
    drop_after: float


class Connection:
    """One client's socket and its subscriptions: a mode for each instrument of the market, 0 where it has none."""

    def __init__(self, client_id: str, socket_: web.WebSocketResponse, request: web.Request, instruments: int) -> None:
        self.client_id = client_id
        self.modes = np.zeros(instruments, np.uint8)
        self.last_heard = 0.0
        self.unknown: set[object] = set()
        self._socket = socket_
        self._request = request

    @property
    def subscriptions(self) -> int:
        return int(np.count_nonzero(self.modes)) + len(self.unknown)

    async def send(self, frame: bytes) -> None:
        """Send one frame; waits while the client does not read. A connection that is gone swallows it."""
        try:
            await self._socket.send_bytes(frame)
        except ConnectionError:
            self.reset()

    async def ping(self) -> None:
        try:
            await self._socket.ping()
        except ConnectionError:
            self.reset()

    async def close(self, reason: Reason | None = None) -> None:
        """Say why, when there is a reason, and close in order."""
        if reason is not None:
            await self.send(packets.disconnect(reason))
        await self._socket.close()

    def reset(self) -> None:
        """Cut the TCP connection without a word, as Dhan does."""
        transport = self._request.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


class Feed:
    """All feed connections of one simulator."""

    def __init__(
        self, market: Market, accounts: Accounts, options: FeedOptions, monotonic: Callable[[], float]
    ) -> None:
        self._market = market
        self._accounts = accounts
        self._options = options
        self._monotonic = monotonic
        self._connections: list[Connection] = []
        self.load(np.zeros(0, PRINT))
        self._truncations = 0
        self.packets_sent = 0

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def subscriptions(self) -> int:
        return sum(connection.subscriptions for connection in self._connections)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Handle `GET /feed`. With a bad token the upgrade succeeds and the socket is reset, as Dhan does."""
        response = web.WebSocketResponse(timeout=GOODBYE, compress=False, autoping=False, max_msg_size=MAX_REQUEST)
        await response.prepare(request)
        client_id = request.query.get("clientId", "")
        connection = Connection(client_id, response, request, len(self._market.listings))
        known = self._accounts.holder(request.query.get("token", ""), client_id)
        if known is None or request.query.get("version") != "2" or request.query.get("authType") != "2":
            log.info("feed.refused", client_id=client_id)
            connection.reset()
            return response
        await self._admit(connection)
        pinger = asyncio.create_task(self._ping(connection))
        try:
            await self._listen(connection, response)
        finally:
            pinger.cancel()
            self._connections.remove(connection)
            log.info("feed.disconnected", client_id=client_id)
        return response

    def load(self, chunk: Prints) -> None:
        """The next prints of the market, which `publish` will name by their place."""
        self._chunk, self._encoded = chunk, Encoded(chunk)

    async def publish(self, place: slice) -> None:
        """Send each connection the packets of what it subscribed to among the loaded prints at `place`, in their order."""
        instruments = self._chunk["instrument"][place]
        for connection in tuple(self._connections):
            modes = connection.modes[instruments]
            if modes.any():
                await self._send_all(connection, self._frames(place, modes))

    async def announce(self, packet: bytes) -> None:
        """Send one packet to every connection."""
        for connection in tuple(self._connections):
            await self._send_all(connection, iter([(packet, 1)]))

    def drop_all(self) -> int:
        """Reset every connection; returns how many there were."""
        for connection in self._connections:
            connection.reset()
        return len(self._connections)

    def truncate_next(self) -> None:
        """Cut the next frame of prints short by a few bytes."""
        self._truncations += 1

    async def close(self) -> None:
        for connection in tuple(self._connections):
            await connection.close()

    async def _admit(self, connection: Connection) -> None:
        connection.last_heard = self._monotonic()
        self._connections.append(connection)
        log.info("feed.connected", client_id=connection.client_id)
        same = [other for other in self._connections if other.client_id == connection.client_id]
        if len(same) > self._options.connections:
            await same[0].close(Reason.TOO_MANY_CONNECTIONS)

    async def _listen(self, connection: Connection, response: web.WebSocketResponse) -> None:
        async for message in response:
            connection.last_heard = self._monotonic()
            if message.type is aiohttp.WSMsgType.PING:
                await response.pong(message.data)
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue  # pongs; and `dhanhq` sends a binary v1 packet after its goodbye
            asked = read_request(message.data)
            if isinstance(asked, Goodbye):
                await connection.close()
            elif isinstance(asked, Invalid):
                log.warning("feed.bad_request", client_id=connection.client_id, detail=asked.detail)
                await connection.close(asked.reason)
            else:
                await self._apply(connection, asked)

    async def _apply(self, connection: Connection, change: Change) -> None:
        for instrument in change.instruments:
            place = self._market.by_id.get(instrument)
            if place is None:
                self._note_unknown(connection, change, instrument)
            elif change.subscribe:
                connection.modes[place] = change.mode
            elif connection.modes[place] == change.mode:
                connection.modes[place] = 0
        if connection.subscriptions > PER_CONNECTION:
            await connection.close(Reason.TOO_MANY_INSTRUMENTS)
        elif change.subscribe:
            await self._send_all(connection, self._previous_closes(change))

    @staticmethod
    def _note_unknown(connection: Connection, change: Change, instrument: object) -> None:
        """Dhan answers an id it does not know with silence, but it counts."""
        if change.subscribe:
            connection.unknown.add(instrument)
        else:
            connection.unknown.discard(instrument)

    def _previous_closes(self, change: Change) -> Iterator[tuple[bytes, int]]:
        for instrument in change.instruments:
            place = self._market.by_id.get(instrument)
            if place is None:
                continue
            if self._options.previous_close_for_all or instrument.segment is Segment.IDX_I:
                yield packets.previous_close(instrument, self._market.listings[place].previous_close), 1

    def _frames(self, place: slice, modes: Modes) -> Iterator[tuple[bytes, int]]:
        """Whole packets, packed into frames, with how many each holds."""
        wanted = np.flatnonzero(modes)
        encoded = {mode: self._encoded.packets(mode, place) for mode in Mode if (modes == mode).any()}
        size = 1 if self._truncations else self._options.packets_per_frame
        for start in range(0, len(wanted), size):
            chosen = wanted[start : start + size]
            if len(encoded) == 1:
                (only,) = encoded.values()
                frame = only[chosen].tobytes()
            else:
                frame = b"".join(encoded[Mode(modes[at])][at].tobytes() for at in chosen)
            if self._truncations:
                self._truncations -= 1
                frame = frame[:-CUT]
            yield frame, len(chosen)

    async def _send_all(self, connection: Connection, frames: Iterator[tuple[bytes, int]]) -> None:
        for frame, count in frames:
            await connection.send(frame)
            self.packets_sent += count

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(self._options.ping_every)
            if self._monotonic() - connection.last_heard > self._options.drop_after:
                log.warning("feed.silent_client", client_id=connection.client_id)
                connection.reset()
                return
            await connection.ping()
