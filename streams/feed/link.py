"""One connection to Dhan's feed.

Keeps it up, keeps its subscriptions, and holds what has arrived for the gateway's pump.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import date, datetime
from datetime import time as clock_time
from typing import Any, Final, Protocol

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Instrument, trading_day
from schemas.messages import FeedState
from schemas.packed import Rows
from schemas.units import IST, NS_PER_SECOND, UtcNs
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.connection import (
    Backoff,
    Ending,
    Request,
    ending_by,
    ending_of,
    open_feed,
    pause,
    requests,
)
from streams.feed.decode import Arrival, Decoded, Decoder
from streams.feed.events import FeedLog
from streams.feed.tasks import cancel

MOST_FRAMES: Final = 512  # frames read ahead of the pump
TELL_MALFORMED_EVERY: Final = 1.0  # seconds: a flood of garbage is one event a second with a count
WATCH_EVERY: Final = 0.5
RECONNECTED: Final = "ticks between two connections may be missing"
RESTARTED: Final = "ticks since the gateway's earlier life may be missing"
# without a session: no exchange rests for two weeks
LONGEST_PAUSE: Final = UtcNs.minutes(14 * 1_440)
LAST_FRAMES: Final = 2.0  # seconds to take in what came before our close

_SECOND: Final = NS_PER_SECOND  # what trade times are rounded down to
_IST: Final = 19_800 * NS_PER_SECOND
_DAY: Final = 86_400 * NS_PER_SECOND

Token = Callable[[], Awaitable[str]]


class Pump(Protocol):
    """What a link asks of the gateway it feeds."""

    @property
    def clock(self) -> UtcNs: ...
    def wall(self) -> int: ...
    def wake(self) -> None: ...
    def is_full(self) -> bool: ...
    async def moved_on(self) -> None:
        """Wait until the pump has taken something in or sent something."""


class Link:
    """One connection and the instruments it carries."""

    def __init__(
        self,
        config: GatewayConfig,
        pump: Pump,
        token: Token,
        *,
        events: FeedLog,
        metrics: GatewayMetrics,
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._pump = pump
        self._token = token
        self._events = events
        self._metrics = metrics
        self._backoff = backoff
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._joined: dict[InstrumentId, UtcNs] = {}
        self._wanted = asyncio.Event()  # there is something to subscribe to
        self._decoder = Decoder(())
        self._arrivals: list[Arrival] = []
        self._socket: ClientConnection | None = None
        # many instruments do not leave at once: what is asked next must come after them
        self._asking = asyncio.Lock()
        self._goodbye: int | None = None
        self._heard = False  # anything on this connection; before that the token may be a bad one
        self._lost_at: UtcNs | None = None  # market clock since which ticks may be missing
        self._lost_by = RECONNECTED
        # the clock an earlier life told last, until the gap since then is told
        self._earlier: UtcNs | None = None
        self._listening = UtcNs(0)  # live: when this connection subscribed
        self._last_tick = 0.0  # monotonic
        # wall clock when the last tick came, or when we began to listen again, UTC ns
        self._last_came = 0
        # market clock at that tick; None when there was none on this connection
        self._last_clock: UtcNs | None = None
        self._stale = False
        self._malformed: list[str] = []
        self._told_malformed = float("-inf")

    @property
    def instruments(self) -> dict[InstrumentId, Instrument]:
        return self._instruments

    @property
    def listens(self) -> bool:
        """Whether market time may pass without its ticks: it is heard, or has nothing to hear."""
        return not self._instruments or (self._socket is not None and self._heard)

    @property
    def idle(self) -> bool:
        return not self._arrivals

    def resume(self, earlier: UtcNs | None) -> None:
        """Ticks since the clock `earlier` may be missing; 0.

        Since some moment of the day, None: none are.
        """
        self._earlier = earlier

    # Subscriptions

    async def carry(self, instruments: Iterable[Instrument]) -> None:
        """Watch exactly these from now on.

        On an open connection only what changed is told to Dhan.
        """
        wanted = {instrument.id: instrument for instrument in instruments}
        gone = [each for key, each in self._instruments.items() if key not in wanted]
        new = [each for key, each in wanted.items() if key not in self._instruments]
        self._instruments = wanted
        now = self._now()
        self._joined = {key: self._joined.get(key, now) for key in wanted}
        self._decoder = Decoder(wanted.values(), self._joined)
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()
        if self._socket is not None and (gone or new):
            await self._ask(self._socket, (Request.UNSUBSCRIBE, gone), (Request.SUBSCRIBE, new))
            await self.tell(
                FeedState.SUBSCRIBED,
                f"{len(new)} added, {len(gone)} removed",
                instruments=len(wanted),
            )

    async def _ask(
        self, socket: ClientConnection, *asked: tuple[Request, list[Instrument]]
    ) -> None:
        async with self._asking:
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
            ending = await self._one_connection()
            await self.tell(FeedState.DISCONNECTED, ending.reason)
            if ending.fatal:
                raise Misconfigured(ending.reason)
            await pause(self._backoff.wait(ending), stop)

    async def _one_connection(self) -> Ending:
        """Connect, subscribe and read until the connection ends; returns why it did."""
        self._goodbye = None
        self._heard = False
        try:
            ending = await self._converse()
        except Exception as error:  # noqa: BLE001 (sorted by ending_of, which raises what is not the network's)
            ending = ending_of(error)
        # a disconnect packet, or ticks before the gap, may still wait for the pump
        await self._caught_up()
        self._lost_at = self._lost_at or self._pump.clock or None
        return self._last_word() or ending

    async def _converse(self) -> Ending:
        socket = await open_feed(self._config, await self._token())
        try:
            self._metrics.connected += 1
            self._metrics.connections += 1
            # known to Kafka before the first tick can come: a life that is killed at once must have
            # been seen
            await asyncio.shield(await self.tell(FeedState.CONNECTED))
            carried = list(self._instruments.values())
            # from here on a change goes out by itself, after what is sent now
            self._socket = socket
            self._listening = UtcNs(self._pump.wall() if self._config.live else 0)
            await self._ask(socket, (Request.SUBSCRIBE, carried))
            await self.tell(FeedState.SUBSCRIBED, instruments=len(carried))
            return await self._read(socket)
        finally:
            self._socket = None
            self._metrics.connected -= 1
            await socket.close()

    def _last_word(self) -> Ending | None:
        return None if self._goodbye is None else ending_by(self._goodbye)

    async def _read(self, socket: ClientConnection) -> Ending:
        """Read until Dhan ends the connection or we do.

        What was sent before our close is read to the last frame.
        """
        self._last_tick = time.monotonic()
        self._last_clock = None
        watch = asyncio.create_task(self._watch(), name="feed watch")
        frames = asyncio.create_task(self._take_frames(socket), name="feed frames")
        try:
            await asyncio.wait({watch, frames}, return_when=asyncio.FIRST_COMPLETED)
            if not watch.done():
                frames.result()  # raises how Dhan ended it
            await socket.close()
            await asyncio.wait({frames}, timeout=LAST_FRAMES)
            return watch.result()
        finally:
            await cancel(frames)
            await cancel(watch)

    async def _take_frames(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv()
            if isinstance(frame, str):
                # Dhan sends no text; the decoder will say what it makes of it
                frame = frame.encode()
            self._metrics.frames += 1
            self._arrivals.append(Arrival(frame, self._pump.wall()))
            self._pump.wake()
            if self._full():
                await self._caught_up()
                self._last_came = self._pump.wall()  # until now we were not listening

    def _full(self) -> bool:
        return len(self._arrivals) >= MOST_FRAMES or self._pump.is_full()

    async def _caught_up(self) -> None:
        while self._arrivals or self._full():
            await self._pump.moved_on()

    async def _watch(self) -> Ending:
        """Return when the connection has to end.

        Dhan said goodbye, nothing is wanted, or nothing came for too long.
        """
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if goodbye := self._last_word():
                return goodbye
            if not self._instruments:
                return Ending("nothing to watch any more")
            silence = time.monotonic() - self._last_tick
            behind = self._arrivals or self._full()  # then the silence is ours
            if behind or silence < self._config.stale_after or not self._hours_at(self._now()):
                continue
            if not self._stale:
                self._stale = True
                await self.tell(FeedState.STALE, f"no tick for {silence:.0f} s")
            if silence > self._config.give_up_after:
                return Ending(f"no tick for {silence:.0f} s, connecting anew")

    def _hours_at(self, moment: UtcNs) -> tuple[date, clock_time, clock_time] | None:
        """The longest session of ours that is open at `moment` (Indian day, open and close)."""
        day, now = trading_day(moment), moment.ist().time()
        spans = {span for span in self._hours_of(day) if span[0] <= now < span[1]}
        return (day, *max(spans, key=lambda span: span[1])) if spans else None

    def _hours_of(self, day: date) -> set[tuple[clock_time, clock_time]]:
        """The sessions of our segments on `day`, opens and closes on Indian clocks."""
        segments = {key.segment for key in self._instruments}
        return {span for segment in segments for span in self._config.calendar.hours(day, segment)}

    def _now(self) -> UtcNs:
        return UtcNs(self._pump.wall()) if self._config.live else self._pump.clock

    # For the pump

    def take(self, latest: int | None) -> Decoded | None:
        """Decode what has arrived; None when nothing has.

        A trade after `latest` (UTC ns) is refused.
        """
        arrivals, self._arrivals = self._arrivals, []
        if not arrivals:
            return None
        found = self._decoder.decode(arrivals, latest=latest)
        self._heard = self._heard or found.packets > 0
        self._malformed += found.problems
        if found.goodbye is not None:
            self._goodbye = found.goodbye
        return found

    async def heard(self, rows: Rows) -> None:
        """Rows of this link are with the batcher, stamped with the market's clock."""
        self._note_silence(rows)
        self._last_tick = time.monotonic()
        self._last_came, self._last_clock = int(rows["received_at"][-1]), UtcNs(rows["clock"][-1])
        self._stale = False
        self._backoff.succeeded()
        if self._earlier is not None:
            await self._end_absence(self._earlier, rows)
        if self._lost_at is not None:
            await self._end_gap(self._lost_at, rows)

    def _note_silence(self, rows: Rows) -> None:
        """A silence in an open session may hide ticks though the connection held."""
        silence = (int(rows["received_at"][0]) - self._last_came) / NS_PER_SECOND
        if (
            self._lost_at is not None
            or self._last_clock is None
            or silence < self._config.stale_after
        ):
            return
        hours = self._hours_at(self._last_clock)
        if hours and hours == self._hours_at(UtcNs(rows["clock"][0])):  # a night is no gap
            self._lost_at, self._lost_by = (
                self._last_clock,
                f"no tick for {silence:.1f} s on an open connection",
            )

    async def _end_gap(self, since: UtcNs, rows: Rows) -> None:
        """Tell the gap when a tick is past it.

        An old trade, sent again after subscribing, does not say where it ends.
        """
        if (until := self._first_after(since, rows)) is None:
            return
        why, self._lost_at, self._lost_by = self._lost_by, None, RECONNECTED
        await self.tell(FeedState.GAP, why, gap=(since, until))

    async def _end_absence(self, since: UtcNs, rows: Rows) -> None:
        """Tell what is missing since an earlier life, unless no session was open in between."""
        if not since:  # how far it came is not known: not further than the day's begin is certain
            since = UtcNs((int(rows["clock"][0]) + _IST) // _DAY * _DAY - _IST)
        if (until := self._first_after(since, rows)) is None:
            return
        self._earlier = None
        # live, what was not traded before we listened was not missed either
        if self._session_between(
            since, max(since, self._listening) if self._config.live else until
        ):
            await self.tell(FeedState.GAP, RESTARTED, gap=(since, until))

    def _first_after(self, since: UtcNs, rows: Rows) -> UtcNs | None:
        """The clock of the first row that is certainly new.

        Live, one traded before we listened may be an old one sent again.
        """
        new = np.flatnonzero(
            (rows["clock"] > since)
            & (rows["exchange_time"] >= self._listening // _SECOND * _SECOND)
        )
        return UtcNs(rows["clock"][new[0]]) if len(new) else None

    def _session_between(self, since: UtcNs, until: UtcNs) -> bool:
        """Whether a session of ours was open at some moment from `since` to `until`."""
        if until - since > LONGEST_PAUSE:
            return True
        first, last = trading_day(since).toordinal(), trading_day(until).toordinal()
        days = [date.fromordinal(day) for day in range(first, last + 1)]
        return any(
            max(UtcNs.from_datetime(datetime.combine(day, opens, IST)), since)
            < min(UtcNs.from_datetime(datetime.combine(day, closes, IST)), until)
            for day in days
            for opens, closes in self._hours_of(day)
        )

    async def tell_malformed(self, *, at_once: bool = False) -> None:
        if not self._malformed:
            return
        if not at_once and time.monotonic() - self._told_malformed < TELL_MALFORMED_EVERY:
            return
        problems, self._malformed = self._malformed, []
        self._told_malformed = time.monotonic()
        await self.tell(FeedState.MALFORMED, problems[0], packets=len(problems))

    async def tell(self, state: FeedState, reason: str = "", **more: Any) -> asyncio.Future[Any]:
        """Returns what resolves when Kafka has the event."""
        return await self._events.tell(state, self._pump.clock, reason, **more)
