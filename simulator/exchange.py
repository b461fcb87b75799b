"""Runs one session: prints go to the order book, then to the feed, at the market's pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from schemas.ids import Segment
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.market.board import LastPrices
from simulator.market.clock import Pacer
from simulator.market.tape import Cuts, Market, Prints
from simulator.matching.order_manager import OrderManager
from simulator.streaming import packets
from simulator.streaming.hub import Streams

log = structlog.get_logger(__name__)

_SEGMENTS: Final = (Segment.IDX_I, Segment.NSE_EQ)


class Venue(Protocol):
    """Where orders trade, as the endpoints of orders see it: a book and the market's time.

    Attributes:
        book: The day's orders.
    """

    book: OrderManager

    @property
    def second(self) -> int:
        """Market time, UTC epoch seconds."""

    @property
    def now(self) -> UtcNs:
        """The same in nanoseconds."""


class Exchange:
    """The session in progress.

    Market time stands still before `open_market` and after the last print. The market moves in
    steps of whole seconds with at least `at_least` prints each: 1 when it is paced, more at full
    speed, where a step per second would spend its time on system calls.

    Attributes:
        on_step: Told the market's second after the book has seen a step's prints and before the
            feed has.
    """

    def __init__(
        self, market: Market, book: OrderManager, feed: Streams, pacer: Pacer, *, at_least: int = 1
    ) -> None:
        self.market = market
        self.book = book
        self._feed = feed
        self._pacer = pacer
        self._at_least = at_least
        self._ids = [listing.id for listing in market.listings]
        self._running: asyncio.Task[None] | None = None
        self.board = LastPrices(market.listings)
        self.second = market.open_second
        self.prints = 0
        self.finished = False
        self.on_step: Callable[[int], None] = _nothing

    @property
    def started(self) -> bool:
        """Whether the market was opened, be it held or over since."""
        return self._running is not None

    @property
    def broken(self) -> bool:
        """The session ended by an error, which is in the log."""
        return (
            self.started
            and not self.finished
            and self._running is not None
            and self._running.done()
        )

    @property
    def now(self) -> UtcNs:
        """Market time."""
        return UtcNs.seconds(self.second)

    @property
    def progress(self) -> float:
        """Share of the session that is over, 0 to 1."""
        session = self.market.session
        return min(
            1.0, (self.second * NS_PER_SECOND - session.open) / (session.close - session.open)
        )

    def open_market(self) -> None:
        """Start the session; a second call changes nothing."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="simulated market")
            self._running.add_done_callback(_report)

    def pause(self) -> None:
        """Hold the market where it stands.

        A market that has not started is held before its first print.
        """
        if self._pacer.held_at is None:
            self._pacer.hold(self.second if self.started else self.second - 1)

    def pause_from(self, second: int) -> None:
        """Hold the market once it has played something of `second` or later, at its speed."""
        self._pacer.hold_from = second
        if self.started:
            self._pacer.played(self.second)

    async def step(self, seconds: int) -> None:
        """Let the market go `seconds` on and hold it there, whatever its speed.

        Starts it when it has not started. Returns when all prints up to the new market time have
        reached the book and the feed's sockets.
        """
        self.pause()
        held = self._pacer.held_at
        assert held is not None, "pause() holds the market"
        target = min(held + seconds, self.market.close_second)
        self._pacer.hold(target)
        self.open_market()
        await self._pacer.arrival()
        self.second = max(self.second, target)

    def resume(self) -> None:
        """Let a held market go on at its speed.

        A market that has not started waits for `open_market` as before.
        """
        self._pacer.release(self.second)

    @property
    def paused(self) -> bool:
        """Whether the market is held where it stands."""
        return self._pacer.held_at is not None

    @property
    def speed(self) -> float | None:
        """Market seconds per second; None is as fast as consumers read."""
        return self._pacer.speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._pacer.speed = speed
        if not self.paused:
            self._pacer.release(self.second)

    async def stop(self) -> None:
        """End the session where it stands."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            self._pacer.start(self.second)
            self.book.open(self.second)
            await self._announce()
            chunks = self.market.source.chunks()
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                await self._play(chunk)
            self.book.close(self.second)
            await self._announce()
            self.finished = True
        finally:
            self._pacer.finish()

    async def _play(self, chunk: Prints) -> None:
        self._feed.load(chunk)
        cuts, start = Cuts(chunk), 0
        while start < len(chunk):
            stop = self._cut(chunk, cuts, start)
            second = int(chunk["second"][stop - 1])
            if not await self._pacer.until(second):
                continue
            self.second = second
            prints = chunk[start:stop]
            self.board.show(prints)
            self._show_to_book(prints)
            self.on_step(second)
            self.prints += stop - start
            await self._feed.publish(slice(start, stop))
            self._pacer.played(second)
            start = stop

    def _cut(self, chunk: Prints, cuts: Cuts, start: int) -> int:
        """Where the next piece ends. What is held stops at a second, so it moves by seconds."""
        stop = cuts.after(start, self._at_least)
        hold_from = self._pacer.hold_from
        held = self.paused or (hold_from is not None and chunk["second"][stop - 1] > hold_from)
        return cuts.after(start, 1) if held or self.speed is not None else stop

    def _show_to_book(self, prints: Prints) -> None:
        columns = (prints[name].tolist() for name in ("instrument", "price", "second"))
        for instrument, price, second in zip(*columns, strict=True):
            self.book.on_price(self._ids[instrument], price, second)

    async def _announce(self) -> None:
        for segment in _SEGMENTS:
            await self._feed.announce(packets.market_status(segment))


def _nothing(_: int) -> None:
    """Nobody acts on the market's steps."""


def _report(session: asyncio.Task[None]) -> None:
    if not session.cancelled() and (error := session.exception()):
        log.error("simulator.market_broke", exc_info=error)
