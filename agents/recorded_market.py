"""The market around a signal, written down as it was known, and seen from there.

A signal that is judged again, after a crash or by another process, meets the market of the first
time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from agents.candles import NIFTY
from agents.market import LiveMarket, MarketSource
from agents.news import NotRecorded
from agents.recorded import SignalCache, messages_on
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from bus.stored import Since
from schemas import topics
from schemas.codec import decode
from schemas.depth import Depth
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, SignalId
from schemas.inputs import Answered, DailyBars
from schemas.market import Timeframe
from schemas.market_context import MarketContext
from schemas.messages import Candle, Indicators, Signal
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# as every candle of a quarter of an hour has it, and every one of a minute
_QUARTER: Final = f'"timeframe":"{Timeframe.M15.value}"'.encode()
_MINUTE: Final = f'"timeframe":"{Timeframe.M1.value}"'.encode()

ContextCache: TypeAlias = SignalCache[MarketContext]
PublishContext: TypeAlias = Callable[[MarketContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """The market of signals (`agents.market.MarketSource`), recorded before it is used."""

    source: MarketSource
    cache: ContextCache
    publish: PublishContext

    async def context(self, signal: Signal, since: Sequence[UtcNs]) -> MarketContext | None:
        """The recorded context; asks the source where none is recorded.

        Raises:
            NotRecorded: it could not be written down.
        """
        if known := self.cache.of(SignalId(signal.id)):
            return known
        context = await self.source.context(signal, since)
        if context is None:
            return None
        try:
            await self.publish(context)
        except TryLater as error:
            raise NotRecorded(str(error)) from error
        return self.cache.add(context)


async def sync_contexts(
    connection: KafkaConnection, cache: ContextCache, since: Since, *, until_end: bool = False
) -> None:
    """Keep `cache` up to date with what is recorded; endless unless `until_end`."""
    told = messages_on(connection, topics.MARKET_CONTEXT, MarketContext, since, until_end=until_end)
    async with aclosing(told) as contexts:
        async for context in contexts:
            cache.add(context)


async def sync_bars(
    connection: KafkaConnection,
    market: LiveMarket,
    since: Since,
    wanted: Callable[[InstrumentId], bool],
) -> None:
    """Keep `market` up to date with bars until cancelled.

    Of others than `wanted` the volume only, and of shares of their industries the minutes too.

    What cannot be read is logged and left out.
    """
    sources = [topics.CANDLES, topics.INDICATORS, topics.DAILY_BARS]
    reading = read_topics(connection, sources, since=since)
    async with aclosing(reading):
        async for record in reading:
            try:
                note_record(market, record, wanted)
            except (Unreadable, ValueError) as error:
                log.error("bar_unreadable", at=str(record), reason=str(error))


async def sync_books(
    connection: KafkaConnection, market: LiveMarket, wanted: Callable[[InstrumentId], bool]
) -> None:
    """Keep `market` up to date with order books of `wanted` instruments until cancelled.

    From now on: books of before are too old to be told.
    """
    async with aclosing(messages_on(connection, topics.DEPTH, Depth, "end")) as told:
        async for depth in told:
            note_books(market, depth, wanted)


def note_books(market: LiveMarket, depth: Depth, wanted: Callable[[InstrumentId], bool]) -> None:
    """Let `market` know the order books of `wanted` instruments."""
    for each in depth.books:
        if wanted(each.instrument):
            market.note_book(each.instrument, each.book)


async def read_volumes(connection: KafkaConnection, market: LiveMarket, since: Since) -> None:
    """Let `market` know what was traded by the quarter of an hour from `since` until now."""
    reading = read_topics(connection, [topics.CANDLES], since=since, until_end=True)
    async with aclosing(reading):
        async for record in reading:
            try:
                if _QUARTER in (record.value or b""):
                    market.note_volume(decode(Candle, record.value))
            except Unreadable as error:
                log.error("bar_unreadable", at=str(record), reason=str(error))


def note_record(market: LiveMarket, record: Record, wanted: Callable[[InstrumentId], bool]) -> None:
    """Let `market` know what a record of bars says.

    Raises:
        Unreadable, ValueError: it is none, or its key names no instrument.
    """
    if record.topic == topics.DAILY_BARS.name:
        bars = decode(DailyBars, record.value)
        if bars.outcome is Answered.OK:
            market.note_daily(bars)
        return
    instrument = InstrumentId.parse((record.key or b"").decode())
    known = wanted(instrument) or instrument == NIFTY
    if record.topic == topics.INDICATORS.name:
        if known:
            market.note_indicators(decode(Indicators, record.value))
    elif known or (_MINUTE in (record.value or b"") and market.sectors.watches(instrument)):
        market.note_candle(decode(Candle, record.value))
    elif _QUARTER in (record.value or b""):
        market.note_volume(decode(Candle, record.value))
