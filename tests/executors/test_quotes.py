from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bus.records import Record
from executors.quotes import QuoteCache
from executors.risk.situation import Quote
from schemas import ticks
from schemas.ids import InstrumentId, Segment
from schemas.units import NS_PER_SECOND, Price, UtcNs
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, some_ticks

TCS = replace(RELIANCE, id=InstrumentId(Segment.NSE_EQ, 11536), symbol="TCS")


def second(number: int) -> UtcNs:
    return UtcNs(TEN_O_CLOCK + UtcNs.seconds(number))


def test_the_quote_is_the_last_trade_not_after_the_moment_asked_for() -> None:
    book = QuoteCache(partitions=1)
    book.apply(
        0, some_ticks((RELIANCE, second(0), 100), (TCS, second(1), 900), (RELIANCE, second(2), 102))
    )
    book.apply(0, some_ticks((RELIANCE, second(5), 105), (RELIANCE, second(5), 106)))

    assert book.quote_at(RELIANCE.id, UtcNs(second(0) - 1)) is None
    assert book.quote_at(RELIANCE.id, second(1)) == Quote(Price(100), second(0))
    assert book.quote_at(RELIANCE.id, second(4)) == Quote(Price(102), second(2))
    assert book.quote_at(RELIANCE.id, second(9)) == Quote(Price(106), second(5))
    assert book.quote_at(TCS.id, second(9)) == Quote(Price(900), second(1))


trades = st.lists(
    st.tuples(st.sampled_from([RELIANCE, TCS]), st.integers(0, 20), st.integers(1, 10**6)),
    max_size=40,
)


@given(trades, st.data())
def test_batching_changes_no_quote(
    prints: list[tuple[object, int, int]], data: st.DataObject
) -> None:
    stamped = [(instrument, second(at), price) for instrument, at, price in prints]
    cut = data.draw(st.integers(0, len(stamped)))
    whole, halves, singly = QuoteCache(1), QuoteCache(1), QuoteCache(1)
    whole.apply(0, some_ticks(*stamped))  # type: ignore[arg-type]
    for part in (stamped[:cut], stamped[cut:]):
        halves.apply(0, some_ticks(*part))  # type: ignore[arg-type]
    for each in stamped:
        singly.apply(0, some_ticks(each))  # type: ignore[arg-type]

    for instrument in (RELIANCE, TCS):
        for at in range(21):
            quotes = {book.quote_at(instrument.id, second(at)) for book in (whole, halves, singly)}
            assert len(quotes) == 1


def test_memory_is_bounded_and_the_newest_prices_are_the_ones_kept() -> None:
    book = QuoteCache(partitions=1, depth=10)

    for number in range(1_000):
        book.apply(0, some_ticks((RELIANCE, second(number), number + 1)))

    assert book.quote_at(RELIANCE.id, second(10)) is None
    assert book.quote_at(RELIANCE.id, second(991)) == Quote(Price(992), second(991))


async def test_a_judge_can_wait_until_the_feed_has_reached_the_decision() -> None:
    book = QuoteCache(partitions=1)
    book.apply(0, some_ticks((RELIANCE, second(0), 100)))
    waiting = asyncio.create_task(book.reached(RELIANCE.id, second(5), patience=30))
    await asyncio.sleep(0)

    book.apply(0, some_ticks(clock=second(4)))
    await asyncio.sleep(0)
    assert not waiting.done()
    book.apply(0, some_ticks(clock=second(5)))

    assert await waiting


async def test_a_judge_does_not_wait_for_ever() -> None:
    assert not await QuoteCache(partitions=1).reached(RELIANCE.id, TEN_O_CLOCK, patience=0.01)


async def test_a_record_that_is_no_micro_batch_is_passed_over() -> None:
    async def records() -> AsyncIterator[Record]:
        for value in (b"junk", None, ticks.encode(some_ticks((RELIANCE, second(0), 100)))):
            yield Record("ats.ticks", 0, 0, None, value, UtcNs(0))

    book = QuoteCache(partitions=1)
    await book.follow(records())

    assert book.quote_at(RELIANCE.id, second(0)) == Quote(Price(100), second(0))
    assert second(0) % NS_PER_SECOND == 0
