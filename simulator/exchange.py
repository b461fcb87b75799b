"""Runs one session: prints go to the order book, then to the feed, at the market's pace."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from schemas.ids import Segment
from schemas.units import NS_PER_SECOND, UtcNs
from simulator import packets
from simulator.feed import Feed
from simulator.market.clock import Pacer
from simulator.market.tape import Market, Prints
from simulator.orders import Book

log = structlog.get_logger(__name__)

_SEGMENTS: Final = (Segment.IDX_I, Segment.NSE_EQ)


class Exchange:
    """The session in progress. Market time stands still before `open_market` and after the last print.

    The market moves in steps of whole seconds with at least `at_least` prints each: 1 when it is paced, more at full speed,
    where a step per second would spend its time on system calls.
    """

    def __init__(self, market: Market, book: Book, feed: Feed, pacer: Pacer, *, at_least: int = 1) -> None:
        self.market = market
        self.book = book
        self._feed = feed
        self._pacer = pacer
        self._at_least = at_least
        self._ids = [listing.id for listing in market.listings]
        self._running: asyncio.Task[None] | None = None
        self.second = market.open_second
        self.prints = 0
        self.finished = False

    @property
    def started(self) -> bool:
        return self._running is not None

    @property
    def broken(self) -> bool:
        """The session ended by an error, which is in the log."""
        return self.started and not self.finished and self._running is not None and self._running.done()

    @property
    def now(self) -> UtcNs:
        return UtcNs.seconds(self.second)

    @property
    def progress(self) -> float:
        """Share of the session that is over, 0 to 1."""
        session = self.market.session
        return min(1.0, (self.second * NS_PER_SECOND - session.open) / (session.close - session.open))

    def open_market(self) -> None:
        """Start the session; a second call changes nothing."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="simulated market")
            self._running.add_done_callback(_report)

    async def stop(self) -> None:
        """End the session where it stands."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        self._pacer.start(self.second)
        await self._announce()
        for second, place in self.market.steps(self._at_least):
            await self._pacer.until(second)
            self.second = second
            self._show_to_book(self.market.prints[place])
            self.prints = place.stop
            await self._feed.publish(place)
        await self._announce()
        self.finished = True

    def _show_to_book(self, prints: Prints) -> None:
        columns = (prints[name].tolist() for name in ("instrument", "price", "second"))
        for instrument, price, second in zip(*columns, strict=True):
            self.book.on_price(self._ids[instrument], price, second)

    async def _announce(self) -> None:
        for segment in _SEGMENTS:
            await self._feed.announce(packets.market_status(segment))


def _report(session: asyncio.Task[None]) -> None:
    if not session.cancelled() and (error := session.exception()):
        log.error("simulator.market_broke", exc_info=error)
