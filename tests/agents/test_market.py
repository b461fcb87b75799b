"""The market around a signal: waited for, written down first, and used from there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agents.candles import NIFTY
from agents.market import LiveMarket, NoMarket
from agents.news import NotRecorded
from agents.recorded_market import ContextCache, RecordedMarket, note_books, note_record
from agents.sectors import Sectors
from bus.records import Record
from schemas import topics
from schemas.codec import decode, encode
from schemas.depth import Book, BookFault, Depth, InstrumentBook
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, SignalId
from schemas.market import Timeframe
from schemas.market_context import MarketContext
from schemas.messages import Message, Signal
from schemas.topics import Topic
from schemas.units import Price, Quantity, UtcNs
from tests.agents.bars import a_bar, daily_bars, values_of
from tests.agents.factories import AS_OF, RELIANCE, a_signal, an_entry

NOW = 30


def a_market(bar_within: float = 30) -> LiveMarket:
    return LiveMarket(lambda _day, _segment: None, bar_within)


class Written:
    """Stands where the topic stands; each message goes through its bytes."""

    def __init__(self) -> None:
        self.contexts: list[MarketContext] = []

    async def publish(self, context: MarketContext) -> None:
        self.contexts.append(decode(MarketContext, encode(context)))

    async def fail(self, context: MarketContext) -> None:
        raise TryLater(f"the broker is away, {context.id} was not written")


class OtherMarket:
    """Knows another market than the first time."""

    async def context(self, signal: Signal, since: Sequence[UtcNs]) -> MarketContext:
        market = a_market()
        market.note_candle(a_bar(NOW, 1_000_000))
        market.note_indicators(values_of(a_bar(NOW)))
        return await market.context(signal, since)


async def test_a_signal_waits_for_its_own_bar_which_is_written_after_it() -> None:
    market = a_market()
    market.note_candle(a_bar(NOW - 1))
    asked = asyncio.create_task(market.context(a_signal(), ()))
    await asyncio.sleep(0)
    market.note_candle(a_bar(NOW))
    market.note_indicators(values_of(a_bar(NOW)))

    told = await asked

    assert [frame.end for frame in told.frames] == [AS_OF]


async def test_a_bar_that_does_not_come_delays_nobody_for_long() -> None:
    market = a_market(bar_within=0.01)
    market.note_candle(a_bar(NOW - 1))

    told = await market.context(a_signal(), ())

    assert [frame.end for frame in told.frames] == [AS_OF - UtcNs.minutes(1)]


async def test_where_no_bars_come_at_all_nobody_waits() -> None:
    async with asyncio.timeout(5):
        told = await a_market(bar_within=600).context(a_signal(), ())

    assert (told.frames, told.day) == ((), None)


async def test_a_market_is_written_down_before_it_is_used_and_the_first_one_stands() -> None:
    log, cache = Written(), ContextCache()
    market = a_market()
    market.note_candle(a_bar(NOW))
    market.note_indicators(values_of(a_bar(NOW)))
    first = await RecordedMarket(market, cache, log.publish).context(a_signal(), ())

    again = await RecordedMarket(OtherMarket(), cache, log.publish).context(a_signal(), ())

    assert first == again
    assert log.contexts == [first]


async def test_a_market_that_cannot_be_written_down_is_not_used() -> None:
    with pytest.raises(NotRecorded):
        await RecordedMarket(a_market(), ContextCache(), Written().fail).context(a_signal(), ())


async def test_where_nobody_knows_the_market_nothing_is_written() -> None:
    log = Written()

    assert (
        await RecordedMarket(NoMarket(), ContextCache(), log.publish).context(a_signal(), ())
        is None
    )
    assert log.contexts == []


def test_a_full_cache_forgets_the_oldest_context() -> None:
    cache = ContextCache(limit=1)
    ids = [SignalId(a_signal(rule=rule).id) for rule in ("one", "two")]
    for id_ in ids:
        cache.add(MarketContext(id=id_, event_time=AS_OF, signal_id=id_, instrument=RELIANCE))

    assert [cache.of(id_) is None for id_ in ids] == [True, False]


def a_record(topic: Topic, message: Message, instrument: InstrumentId = RELIANCE) -> Record:
    return Record(topic.name, 0, 0, str(instrument).encode(), encode(message), UtcNs(0), {})


async def test_records_of_bars_are_known_of_who_is_wanted_and_of_others_their_volume_only() -> None:
    other = InstrumentId(RELIANCE.segment, 1)
    market = a_market()
    for instrument in (RELIANCE, other, NIFTY):
        for bar in (
            a_bar(15, instrument=instrument),
            a_bar(15, timeframe=Timeframe.M15, instrument=instrument),
        ):
            for topic, message in ((topics.CANDLES, bar), (topics.INDICATORS, values_of(bar))):
                note_record(market, a_record(topic, message, instrument), lambda it: it == RELIANCE)
    note_record(market, a_record(topics.DAILY_BARS, daily_bars()), lambda _: False)

    at = UtcNs(AS_OF - UtcNs.minutes(15))
    ours, theirs = [
        await market.context(a_signal(instrument, at=at), ()) for instrument in (RELIANCE, other)
    ]

    assert [frame.timeframe for frame in ours.frames] == [Timeframe.M1, Timeframe.M15]
    assert (theirs.frames, theirs.day) == ((), None)
    assert None not in (ours.index, theirs.index, ours.volume, theirs.volume, ours.before)


async def test_the_minutes_of_shares_of_the_same_industry_are_known_and_no_others() -> None:
    peer, stranger = InstrumentId(RELIANCE.segment, 1), InstrumentId(RELIANCE.segment, 2)
    sectors = Sectors({"RELIANCE": "Oil", "ONGC": "Oil", "TCS": "Information Technology"})
    sectors.learn(
        [
            an_entry(),
            an_entry(peer, "ONGC").model_copy(update={"rank": None}),
            an_entry(stranger, "TCS").model_copy(update={"rank": None}),
        ]
    )
    market = LiveMarket(lambda _day, _segment: None, sectors=sectors)
    for instrument in (peer, stranger):
        bar = a_bar(15, instrument=instrument)
        note_record(market, a_record(topics.CANDLES, bar, instrument), lambda it: it == RELIANCE)

    at = UtcNs(AS_OF - UtcNs.minutes(15))
    days = [(await market.context(a_signal(it, at=at), ())).day for it in (peer, stranger)]

    assert [day is None for day in days] == [False, True]


def test_a_record_that_is_no_bar_says_so() -> None:
    broken = Record(topics.CANDLES.name, 0, 0, b"NSE_EQ:1", b"{}", UtcNs(0), {})

    with pytest.raises(Unreadable):
        note_record(a_market(), broken, lambda _: True)


def books(*found: Book, instrument: InstrumentId = RELIANCE) -> Depth:
    told = tuple(InstrumentBook(instrument=instrument, book=book) for book in found)
    return Depth(id=a_signal().id, event_time=AS_OF, books=told)


async def test_of_the_books_of_a_symbol_the_newest_before_the_signal_is_recorded() -> None:
    market, moment = a_market(), UtcNs(AS_OF - UtcNs.seconds(2))
    crossed = Book(at=UtcNs(AS_OF - 1), fault=BookFault.CROSSED)
    other = InstrumentId(RELIANCE.segment, 1)
    first = books(Book(at=moment, bid=Price(284_990), bid_quantity=Quantity(1)))
    for second in (first, books(crossed), books(Book(at=AS_OF)), books(crossed, instrument=other)):
        note_books(market, second, lambda it: it == RELIANCE)

    told = await market.context(a_signal(), ())

    assert decode(MarketContext, encode(told)).depth == crossed
    assert (await market.context(a_signal(instrument=other), ())).depth is None


async def test_a_book_of_the_day_before_is_none() -> None:
    market = a_market()
    note_books(market, books(Book(at=UtcNs(AS_OF - UtcNs.minutes(24 * 60)))), lambda _: True)

    assert (await market.context(a_signal(), ())).depth is None
