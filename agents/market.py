"""Where the market around a signal comes from (`schemas.market_context`)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, Protocol

from agents.candles import NIFTY, CandleStore
from agents.sectors import Sectors
from schemas.ids import InstrumentId, Segment
from schemas.market import Session, trading_day
from schemas.market_context import MarketContext
from schemas.messages import Candle, Indicators, Signal
from schemas.units import UtcNs

# Seconds. The engine writes a signal before its own bar, which follows within milliseconds; at the
# turn of an hour thousands of bars stand in between.
BAR_WITHIN: Final = 1.0

SessionOf = Callable[[date, Segment], Session | None]


class MarketSource(Protocol):
    """Tells what is known of the market around a signal."""

    async def context(self, signal: Signal, since: Sequence[UtcNs]) -> MarketContext | None:
        """The market until the signal, and since moments of own decisions; None: nobody knows."""
        ...


class NoMarket:
    """Knows nothing."""

    async def context(self, signal: Signal, since: Sequence[UtcNs]) -> None:
        """None, always."""


class LiveMarket:
    """The market as the engine's bars tell it; somebody hands them in as they come."""

    def __init__(
        self, session: SessionOf, bar_within: float = BAR_WITHIN, sectors: Sectors | None = None
    ) -> None:
        """`bar_within` are seconds of machine time."""
        self.sectors: Final = sectors or Sectors({})
        self._store = CandleStore()
        self._session = session
        self._bar_within = bar_within
        self._waiting: defaultdict[InstrumentId, list[asyncio.Event]] = defaultdict(list)
        self.note_volume: Final = self._store.note_volume
        self.note_daily: Final = self._store.note_daily
        self.note_book: Final = self._store.note_book

    def note_candle(self, bar: Candle) -> None:
        """Know a final bar, and wake whoever waits for it."""
        self._store.note_candle(bar)
        self._wake(bar.instrument)

    def note_indicators(self, told: Indicators) -> None:
        """Know the values of a final bar, and wake whoever waits for them."""
        self._store.note_indicators(told)
        self._wake(told.instrument)

    async def context(self, signal: Signal, since: Sequence[UtcNs]) -> MarketContext:
        """Waits a moment for the bars until the signal, where any of the instrument come at all."""
        if self._store.knows(signal.instrument):
            await self._bars_until(signal)
        session = self._session(trading_day(signal.event_time), signal.instrument.segment)
        sector = self.sectors.of(signal.instrument)
        return self._store.context(signal, session, since, sector)

    async def _bars_until(self, signal: Signal) -> None:
        try:
            async with asyncio.timeout(self._bar_within):
                while not self._store.has(signal):
                    event = asyncio.Event()
                    for each in {signal.instrument, NIFTY}:
                        self._waiting[each].append(event)
                    await event.wait()
        except TimeoutError:
            return  # what is there counts; the context says until when

    def _wake(self, instrument: InstrumentId) -> None:
        for event in self._waiting.pop(instrument, ()):
            event.set()
