"""One connection to Dhan's feed.

Keeps it up, keeps its subscriptions, and holds what has arrived until the gateway ingests it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from schemas.binary import Rows
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Instrument
from schemas.messages import FeedState
from schemas.units import UtcNs
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.decode import Decoded, Decoder, ReceivedFrame
from streams.feed.events import FeedLog
from streams.feed.gaps import GapDetector
from streams.feed.handshake import Backoff, Disconnect, Request, open_feed, pause, requests
from streams.feed.tasks import cancel

MAX_BUFFERED_FRAMES: Final = 512  # frames read ahead of the gateway's pump
MALFORMED_INTERVAL: Final = 1.0  # seconds: a flood of garbage is one event a second with a count
WATCH_INTERVAL: Final = 0.5  # seconds
CLOSE_TIMEOUT: Final = 2.0  # seconds to take in what came before our close

Token = Callable[[], Awaitable[str]]


class FeedSink(Protocol):
    """What a link needs of the gateway that it feeds."""

    @property
    def clock(self) -> UtcNs:
        """The market clock, UTC ns; 0 before the first tick."""
        ...

    def wall(self) -> int:
        """The wall clock, UTC ns."""
        ...

    def wake(self) -> None:
        """There is something to ingest."""
        ...

    def is_full(self) -> bool:
        """Whether Kafka is so far behind that links must stop reading."""
        ...

    async def wait_for_progress(self) -> None:
        """Wait until the pump has taken something in or sent something."""


class Link:
    """One connection and the instruments it carries."""

    def __init__(
        self,
        config: GatewayConfig,
        sink: FeedSink,
        token: Token,
        *,
        events: FeedLog,
        metrics: GatewayMetrics,
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._sink = sink
        self._token = token
        self._events = events
        self._metrics = metrics
        self._backoff = backoff
        self._gaps = GapDetector(config.calendar, live=config.live, stale_after=config.stale_after)
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._joined: dict[InstrumentId, UtcNs] = {}
        self._wanted = asyncio.Event()  # there is something to subscribe to
        self._decoder = Decoder(())
        self._frames: list[ReceivedFrame] = []
        self._socket: ClientConnection | None = None
        # many instruments do not leave at once: what is asked next must come after them
        self._send_lock = asyncio.Lock()
        self._disconnect_code: int | None = None
        # a packet came on this connection; before that the token may be a bad one
        self._receiving = False
        self._malformed: list[str] = []
        self._malformed_emitted_at = float("-inf")

    @property
    def instruments(self) -> dict[InstrumentId, Instrument]:
        """What it is subscribed to, or will be once it is connected."""
        return self._instruments

    @property
    def listens(self) -> bool:
        """Whether market time may pass without its ticks: it receives, or has nothing to watch."""
        return not self._instruments or (self._socket is not None and self._receiving)

    @property
    def idle(self) -> bool:
        """Whether everything it read has been ingested."""
        return not self._frames

    def resume(self, clock: UtcNs | None) -> None:
        """Ticks since `clock`, the previous run's last, may be missing.

        0: since some moment of the day. None: none are.
        """
        self._gaps.resume(clock)

    # Subscriptions

    async def set_subscriptions(self, instruments: Iterable[Instrument]) -> None:
        """Watch exactly these from now on.

        On an open connection only what changed is sent to Dhan.
        """
        wanted = {instrument.id: instrument for instrument in instruments}
        gone = [each for key, each in self._instruments.items() if key not in wanted]
        new = [each for key, each in wanted.items() if key not in self._instruments]
        self._instruments = wanted
        self._gaps.watch(key.segment for key in wanted)
        now = self._now()
        self._joined = {key: self._joined.get(key, now) for key in wanted}
        self._decoder = Decoder(wanted.values(), self._joined, depth=self._config.depth)
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()
        if self._socket is not None and (gone or new):
            await self._send_requests(
                self._socket, (Request.UNSUBSCRIBE, gone), (Request.SUBSCRIBE, new)
            )
            await self.emit(
                FeedState.SUBSCRIBED,
                f"{len(new)} added, {len(gone)} removed",
                instruments=len(wanted),
            )

    async def _send_requests(
        self, socket: ClientConnection, *asked: tuple[Request, list[Instrument]]
    ) -> None:
        async with self._send_lock:
            for request, instruments in asked:
                for message in requests(request, instruments, self._config.mode):
                    try:
                        await socket.send(message)
                    except ConnectionClosed:
                        # the reader notices too, and the next connection subscribes to everything
                        return

    # The connection

    async def keep_connected(self, stop: asyncio.Event) -> None:
        """Connect again and again until `stop`.

        Raises:
            Misconfigured: only a person can help.
        """
        while not stop.is_set():
            await self._wanted.wait()
            disconnect = await self._one_connection()
            await self.emit(FeedState.DISCONNECTED, disconnect.reason)
            if disconnect.fatal:
                raise Misconfigured(disconnect.reason)
            await pause(self._backoff.wait(disconnect), stop)

    async def _one_connection(self) -> Disconnect:
        """Connect, subscribe and read until the connection ends; returns why it did."""
        self._disconnect_code = None
        self._receiving = False
        try:
            disconnect = await self._run_session()
        except Exception as error:  # noqa: BLE001 (from_error raises what is not the network's)
            disconnect = Disconnect.from_error(error)
        # a disconnect packet, or ticks before the gap, may still wait for the pump
        await self._wait_until_ingested()
        self._gaps.disconnected(self._sink.clock)
        return self._disconnect_reason() or disconnect

    async def _run_session(self) -> Disconnect:
        socket = await open_feed(self._config, await self._token())
        try:
            self._metrics.connected += 1
            self._metrics.connections += 1
            # on Kafka before the first tick can come: a run that is killed at once must have been
            # seen
            await asyncio.shield(await self.emit(FeedState.CONNECTED))
            carried = list(self._instruments.values())
            # from here on a change goes out by itself, after what is sent now
            self._socket = socket
            self._gaps.subscribing(self._sink.wall())
            await self._send_requests(socket, (Request.SUBSCRIBE, carried))
            await self.emit(FeedState.SUBSCRIBED, instruments=len(carried))
            return await self._read(socket)
        finally:
            self._socket = None
            self._metrics.connected -= 1
            await socket.close()

    def _disconnect_reason(self) -> Disconnect | None:
        """What Dhan's disconnect packet says, if one came."""
        code = self._disconnect_code
        return None if code is None else Disconnect.from_code(code)

    async def _read(self, socket: ClientConnection) -> Disconnect:
        """Read until Dhan ends the connection or we do.

        What was sent before our close is read to the last frame.
        """
        self._gaps.reading(time.monotonic())
        watch = asyncio.create_task(self._watch(), name="feed watch")
        frames = asyncio.create_task(self._read_frames(socket), name="feed frames")
        try:
            await asyncio.wait({watch, frames}, return_when=asyncio.FIRST_COMPLETED)
            if not watch.done():
                frames.result()  # raises how Dhan ended it
            await socket.close()
            await asyncio.wait({frames}, timeout=CLOSE_TIMEOUT)
            return watch.result()
        finally:
            await cancel(frames)
            await cancel(watch)

    async def _read_frames(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv()
            if isinstance(frame, str):
                # Dhan sends no text; the decoder will say what it makes of it
                frame = frame.encode()
            self._metrics.frames += 1
            self._frames.append(ReceivedFrame(frame, self._sink.wall()))
            self._sink.wake()
            if self._full():
                await self._wait_until_ingested()
                self._gaps.read_again(self._sink.wall())

    def _full(self) -> bool:
        return len(self._frames) >= MAX_BUFFERED_FRAMES or self._sink.is_full()

    async def _wait_until_ingested(self) -> None:
        while self._frames or self._full():
            await self._sink.wait_for_progress()

    async def _watch(self) -> Disconnect:
        """Return when the connection has to end.

        Dhan sent a disconnect packet, nothing is wanted, or nothing came for too long.
        """
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if disconnect := self._disconnect_reason():
                return disconnect
            if not self._instruments:
                return Disconnect("nothing to watch any more")
            if self._frames or self._full():  # the silence is ours
                continue
            silence = self._gaps.silence(time.monotonic(), self._now())
            if silence is None:
                continue
            words = f"no tick for {silence.seconds:.0f} s"
            if silence.new:
                await self.emit(FeedState.STALE, words)
            if silence.seconds > self._config.give_up_after:
                return Disconnect(f"{words}, connecting anew")

    def _now(self) -> UtcNs:
        return UtcNs(self._sink.wall()) if self._config.live else self._sink.clock

    # For the gateway's pump

    def take(self, latest: int | None) -> Decoded | None:
        """Decode what has arrived; None when nothing has.

        A trade after `latest` (UTC ns) is refused.
        """
        frames, self._frames = self._frames, []
        if not frames:
            return None
        found = self._decoder.decode(frames, latest=latest)
        self._receiving = self._receiving or found.packets > 0
        self._malformed += found.problems
        if found.disconnect_code is not None:
            self._disconnect_code = found.disconnect_code
        return found

    async def on_accepted(self, rows: Rows) -> None:
        """Rows of this link are with the batcher, stamped with the market's clock."""
        self._backoff.succeeded()
        for gap in self._gaps.accept(rows, time.monotonic()):
            await self.emit(FeedState.GAP, gap.reason, gap=(gap.start, gap.end))

    async def emit_malformed(self, *, at_once: bool = False) -> None:
        """Publish what could not be read, at most once a second unless `at_once`."""
        if not self._malformed:
            return
        if not at_once and time.monotonic() - self._malformed_emitted_at < MALFORMED_INTERVAL:
            return
        problems, self._malformed = self._malformed, []
        self._malformed_emitted_at = time.monotonic()
        await self.emit(FeedState.MALFORMED, problems[0], packets=len(problems))

    async def emit(self, state: FeedState, reason: str = "", **more: Any) -> asyncio.Future[Any]:
        """Publish an event of this connection; what it returns resolves when Kafka has it."""
        return await self._events.emit(state, self._sink.clock, reason, **more)
