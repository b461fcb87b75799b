"""WebSocket connections of the simulator.

Says how a client gets in, how it is watched, and every way a connection ends. A send returns when
the client's socket has taken the frame, so at full speed the market waits for its slowest reader.
The access token travels in the query, so nothing here logs a URL.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

import aiohttp
import structlog
from aiohttp import web

from simulator.faults import FaultKind, Faults, Place, Target

CLOSE_TIMEOUT: Final = 2.0  # seconds a client has to answer our close; then TCP is closed
SETTLE: Final = 2.0  # seconds the client's machine has to take what was sent before a reset
MAX_REQUEST: Final = 1 << 16  # bytes; a hundred instruments fit ten times
MOST_LATE: Final = 10_000  # frames held back by a lag; then the market waits
NO_CLOSE_FRAME: Final = 1006
# SO_LINGER on, zero seconds: closing sends RST instead of FIN
_RESET: Final = struct.pack("ii", 1, 0)

Frame: TypeAlias = bytes | str
Tap: TypeAlias = Callable[[int, Frame], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """See `SimulatorConfig`."""

    connections: int
    ping_every: float
    drop_after: float
    life: float | None = None


class Surroundings(NamedTuple):
    """What all endpoints of one simulator share.

    `numbers` counts the connections of the whole run.
    """

    faults: Faults
    options: SocketOptions
    monotonic: Callable[[], float]
    numbers: Iterator[int]


class Connection:
    """One client's socket.

    Attributes:
        number: Counts the connections of the whole run, from 1.
        response: What the handler returns to aiohttp.
        last_heard: Machine time of the last message or pong.
        held: A frame that is to come after the next one.
    """

    def __init__(
        self,
        number: int,
        client_id: str,
        response: web.WebSocketResponse,
        request: web.Request,
        *,
        monotonic: Callable[[], float],
        tap: Tap | None = None,
    ) -> None:
        self.number = number
        self.client_id = client_id
        self.response = response
        self.last_heard = monotonic()
        self.held: Frame | None = None
        self._request = request
        self._monotonic = monotonic
        self._tap = tap
        self._quiet_until = float("-inf")
        self._muted: dict[str, float] = {}
        self._lag: _Lag | None = None
        self._over = False

    @property
    def listening(self) -> bool:
        """Whether what is sent now would reach the client."""
        return (
            not self._over and not self.response.closed and self._monotonic() >= self._quiet_until
        )

    @property
    def muted(self) -> list[str]:
        """Instruments of which it is to hear nothing for now."""
        return [name for name, until in self._muted.items() if self._monotonic() < until]

    async def send(self, frame: Frame) -> None:
        """Send one frame, late while there is a lag.

        A connection that is gone, or silent for now, swallows it.
        """
        if not self.listening:
            return
        if self._lag is not None and self._lag.running:
            await self._lag.put(frame)
        else:
            await self.write(frame)

    async def write(self, frame: Frame) -> None:
        """Put a frame on the wire now."""
        try:
            if isinstance(frame, bytes):
                await self.response.send_bytes(frame)
            else:
                await self.response.send_str(frame)
        except ConnectionError:
            self.reset()
        else:
            if self._tap is not None:
                self._tap(self.number, frame)

    async def ping(self) -> None:
        """Send a ping; a client that is gone is reset."""
        try:
            await self.response.ping()
        except ConnectionError:
            self.reset()

    def stall(self, seconds: float) -> None:
        """Send nothing for a while; the connection stays open and answers pings."""
        self._quiet_until = self._monotonic() + seconds

    def mute(self, instrument: str, seconds: float) -> None:
        """Keep one instrument silent for a while, as stale symbols are."""
        self._muted[instrument] = self._monotonic() + seconds

    def lag(self, delay: float, lasting: float) -> None:
        """From now on every frame comes `delay` seconds late, in order, for `lasting` seconds."""
        if self._lag is None or not self._lag.running:
            self._lag = _Lag(self, self._monotonic)
        self._lag.extend(delay, lasting)

    async def close(
        self, last_word: Frame | None = None, code: int = aiohttp.WSCloseCode.OK
    ) -> None:
        """Say a last word, when there is one, and close in order.

        Code 1006 ends TCP without a close frame.
        """
        if last_word is not None:
            await self.send(last_word)
        self._end()
        if code == NO_CLOSE_FRAME:
            if self._request.transport is not None:
                self._request.transport.close()
            return
        await self.response.close(code=code)

    async def settle(self) -> None:
        """Wait until the client's machine has acknowledged all that was sent, so that a reset takes
        nothing back.
        """
        transport, deadline = self._request.transport, self._monotonic() + SETTLE
        raw = transport and transport.get_extra_info("socket")
        while transport and raw and not transport.is_closing() and self._monotonic() < deadline:
            if not transport.get_write_buffer_size() and not _unacknowledged(raw):
                return
            await asyncio.sleep(0.001)

    def reset(self) -> None:
        """Cut the TCP connection without a word, as Dhan does."""
        self._end()
        transport = self._request.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def _end(self) -> None:
        self._over = True
        if self._lag is not None:
            self._lag.cancel()


class _Lag:
    """Frames on their way, each due at its own time."""

    def __init__(self, connection: Connection, monotonic: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._frames: deque[tuple[float, Frame]] = deque()
        self._until = self._delay = 0.0
        self._last_due = 0.0
        self._something, self._room = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="lag")

    @property
    def running(self) -> bool:
        return not self._task.done()

    def extend(self, delay: float, lasting: float) -> None:
        self._delay, self._until = delay, self._monotonic() + lasting

    async def put(self, frame: Frame) -> None:
        now = self._monotonic()
        self._last_due = max(self._last_due, now + self._delay if now < self._until else now)
        self._frames.append((self._last_due, frame))
        self._something.set()
        while len(self._frames) > MOST_LATE and self.running:
            self._room.clear()
            await self._room.wait()

    def cancel(self) -> None:
        self._room.set()
        if self._task is not asyncio.current_task():
            self._task.cancel()

    async def _run(self) -> None:
        """Until the lag is over and nothing is on its way."""
        while self._frames or self._monotonic() < self._until:
            if not self._frames:
                await self._wait_for_frames()
                continue
            due, frame = self._frames[0]
            await asyncio.sleep(max(0.0, due - self._monotonic()))
            await self._connection.write(frame)
            self._frames.popleft()
            self._room.set()

    async def _wait_for_frames(self) -> None:
        self._something.clear()
        try:
            async with asyncio.timeout(max(0.0, self._until - self._monotonic())):
                await self._something.wait()
        except TimeoutError:
            return


C = TypeVar("C", bound=Connection)


class Endpoint(Generic[C]):
    """The way in to one endpoint.

    `make` builds its kind of connection; `too_many` is the last word to one pushed out.

    Attributes:
        tap: Told every frame that was put on the wire, with the connection's number.
    """

    def __init__(
        self,
        endpoint: str,
        around: Surroundings,
        *,
        make: type[C],
        too_many: Frame | None,
    ) -> None:
        self.endpoint = endpoint
        self.tap: Tap | None = None
        self._faults, self._options, self._monotonic, self._numbers = around
        self._make = make
        self._too_many = too_many
        self._inside: list[C] = []
        self._refused_until: dict[str, float] = {}

    @property
    def inside(self) -> tuple[C, ...]:
        """Those who stay, oldest first."""
        return tuple(self._inside)

    async def upgrade(self, request: web.Request, client_id: str) -> C | web.StreamResponse:
        """Let a client knock: a connection, or the answer that ends it here."""
        if self._monotonic() < self._refused_until.get(client_id, float("-inf")):
            return web.Response(status=429)
        number = next(self._numbers)
        strike = self._faults.next_hit(
            Place.HANDSHAKE, Target(client_id, self.endpoint, number, thing="handshake")
        )
        if strike and strike.fault.kind is FaultKind.HANDSHAKE_429:
            self._refused_until[client_id] = self._monotonic() + strike.fault.delay
            return web.Response(status=429)
        response = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT, compress=False, autoping=False, max_msg_size=MAX_REQUEST
        )
        await response.prepare(request)
        connection = self._make(
            number, client_id, response, request, monotonic=self._monotonic, tap=self._tapped
        )
        if strike:
            connection.reset()
            return response
        return connection

    async def stay(self, connection: C, on_text: Callable[[C, str], Awaitable[None]]) -> None:
        """Watch over a connection and hand on its messages until it ends."""
        self._inside.append(connection)
        log.info(
            "socket.connected",
            endpoint=self.endpoint,
            client_id=connection.client_id,
            number=connection.number,
        )
        watch = asyncio.create_task(self._watch(connection), name="socket watch")
        try:
            await self._evict_oldest(connection)
            await self._listen(connection, on_text)
        finally:
            watch.cancel()
            self._inside.remove(connection)
            log.info("socket.disconnected", endpoint=self.endpoint, number=connection.number)

    async def close(self) -> None:
        """Close every connection in order."""
        for connection in self.inside:
            await connection.close()

    def _tapped(self, number: int, frame: Frame) -> None:
        if self.tap is not None:
            self.tap(number, frame)

    async def _evict_oldest(self, newest: C) -> None:
        """The oldest of a user's connections goes when there is one too many."""
        same = [other for other in self._inside if other.client_id == newest.client_id]
        if self._too_many is not None and len(same) > self._options.connections:
            await same[0].close(self._too_many)

    async def _listen(self, connection: C, on_text: Callable[[C, str], Awaitable[None]]) -> None:
        async for message in connection.response:
            connection.last_heard = self._monotonic()
            if message.type is aiohttp.WSMsgType.PING:
                await connection.response.pong(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await on_text(connection, message.data)
            # else pongs; and `dhanhq` sends a binary v1 packet after its goodbye

    async def _watch(self, connection: C) -> None:
        """Ping; reset who is silent for too long, or has lived long enough."""
        options, born = self._options, self._monotonic()
        while True:
            await asyncio.sleep(options.ping_every)
            now = self._monotonic()
            if now - connection.last_heard > options.drop_after:
                log.warning(
                    "socket.silent_client", endpoint=self.endpoint, client_id=connection.client_id
                )
                connection.reset()
                return
            if options.life is not None and now - born >= options.life:
                connection.reset()
                return
            await connection.ping()


def connection_numbers() -> Iterator[int]:
    """One for each connection of a run."""
    return count(1)


def _unacknowledged(raw: socket.socket) -> int:
    """Bytes that the other machine has not acknowledged yet; 0 where the system cannot say."""
    try:
        (waiting,) = struct.unpack("i", fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except OSError:
        return 0
    return int(waiting)
