"""Order books of Full packets: read as Dhan's own decoder does, hostile, and every five seconds."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import pytest
from dhanhq.marketfeed import MarketFeed
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.binary import Rows
from schemas.codec import decode
from schemas.depth import Book, BookFault, Depth, InstrumentBook
from schemas.ids import InstrumentId
from schemas.market import Instrument
from schemas.ticks import partition_of
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from simulator.config import SimulatorConfig
from simulator.server import make_market
from simulator.streaming import packets
from streams.feed.batcher import Batcher
from streams.feed.book_sampler import SPAN, BookSampler
from streams.feed.books import bad
from streams.feed.config import Mode
from streams.feed.decode import Decoder, ReceivedFrame
from streams.feed.handshake import Request, requests
from tests.streams.factories import INFY, NIFTY, RELIANCE, TCS
from tests.streams.test_decode import INDEX, NOON, SHARES, full, quote

PARTITIONS = 4
LAST = 1_234.55  # rupees


class Level(NamedTuple):
    """A level of both sides, in the order of the wire."""

    bid_quantity: int
    ask_quantity: int
    bid: float
    ask: float


SOUND = [Level(10 + n, 20 + n, LAST - 0.05 * (n + 1), LAST + 0.05 * n) for n in range(5)]
NOTHING = Level(0, 0, 0.0, 0.0)


def with_levels(levels: list[Level], of: InstrumentId = RELIANCE) -> bytes:
    """A Full packet with these levels; missing ones are empty."""
    rows = [*levels, *[NOTHING] * (5 - len(levels))]
    packed = (struct.pack("<IIHHff", *row[:2], 1, 1, *row[2:]) for row in rows)
    return full(of)[:62] + b"".join(packed)


def sampled(*frames: bytes, instruments: list[Instrument] = SHARES) -> list[InstrumentBook]:
    """What the gateway publishes of frames that came a second after another."""
    rows, books = read(*frames, instruments=instruments)
    sampler = BookSampler(PARTITIONS, 1, UtcNs(0), live=True)
    sampler.add(rows, books)
    return [book for depth in told(sampler) for book in depth.books]


def read(*frames: bytes, instruments: list[Instrument] = SHARES) -> tuple[Rows, Rows]:
    received = [ReceivedFrame(each, NOON + n * NS_PER_SECOND) for n, each in enumerate(frames)]
    found = Decoder(instruments, depth=True).decode(received)
    assert found.books is not None
    return found.rows, found.books


def told(sampler: BookSampler, now: int = NOON + 3_600 * NS_PER_SECOND) -> list[Depth]:
    return [decode(Depth, output.value) for output in sampler.due(now)]


def test_a_book_is_its_best_prices_and_the_units_of_each_side() -> None:
    (told,) = sampled(with_levels(SOUND))

    assert told == InstrumentBook(
        instrument=RELIANCE,
        book=Book(
            at=UtcNs(NOON),
            bid=Price(123_450),
            ask=Price(123_455),
            bid_quantity=Quantity(60),
            ask_quantity=Quantity(110),
        ),
    )


def test_at_a_circuit_one_side_is_empty_and_the_other_is_told() -> None:
    buyers = [level._replace(ask=0.0, ask_quantity=0) for level in SOUND]

    (told,) = sampled(with_levels(buyers))

    assert (told.book.ask, told.book.ask_quantity, told.book.fault) == (None, 0, None)
    assert told.book.bid == 123_450


def changed(at: int, **fields: Any) -> list[Level]:
    return [level._replace(**fields) if n == at else level for n, level in enumerate(SOUND)]


@pytest.mark.parametrize(
    ("levels", "fault"),
    [
        ([], BookFault.EMPTY),
        (changed(0, bid=float("nan")), BookFault.PRICE),
        (changed(4, ask=float("inf")), BookFault.PRICE),
        (changed(2, ask=-1_234.6), BookFault.PRICE),
        (changed(0, bid=0.0), BookFault.PRICE),
        (changed(4, ask=3e8), BookFault.PRICE),
        (changed(4, bid=1e-30), BookFault.PRICE),
        (changed(0, bid_quantity=0), BookFault.QUANTITY),
        (changed(3, ask_quantity=2**32 - 7), BookFault.QUANTITY),
        (changed(1, bid=LAST), BookFault.ORDER),
        (changed(2, ask=LAST), BookFault.ORDER),
        (changed(2, bid=0.0, bid_quantity=0), BookFault.ORDER),
        (changed(2, ask=0.0, ask_quantity=0), BookFault.ORDER),
        (changed(0, bid=LAST + 0.05, ask=LAST - 0.05), BookFault.CROSSED),
        (changed(0, bid=LAST), BookFault.CROSSED),
    ],
)
def test_levels_that_are_no_book_are_told_as_none_and_named_and_their_tick_stands(
    levels: list[Level], fault: BookFault
) -> None:
    rows, _ = read(with_levels(levels))

    (told,) = sampled(with_levels(levels))

    assert told.book == Book(at=UtcNs(NOON), fault=fault)
    assert rows["price"].tolist() == [123_455]


def test_a_book_stays_with_its_tick_where_packets_before_it_make_none() -> None:
    crossed = with_levels(changed(0, bid=LAST))
    untraded = crossed[:8] + struct.pack("<f", 0.0) + crossed[12:]

    (told,) = sampled(with_levels([], NIFTY), untraded, with_levels(SOUND))

    assert (told.book.bid, told.book.fault) == (123_450, None)


@given(st.binary(min_size=100, max_size=100), st.sampled_from([0.05, LAST, 90_000.0]))
@settings(deadline=None, max_examples=300)
def test_whatever_stands_in_the_levels_a_book_is_sound_or_named(raw: bytes, last: float) -> None:
    frame = full(price=last)[:62] + raw

    (told,) = sampled(frame)

    book = told.book
    if book.fault is not None:
        assert book == Book(at=book.at, fault=book.fault)
    else:
        assert book.bid_quantity or book.ask_quantity
        assert book.bid is None or book.ask is None or book.bid < book.ask


def test_books_of_the_simulator_are_those_that_dhanhq_reads_from_the_same_packets() -> None:
    market = make_market(SimulatorConfig(shares=3)).market
    prints = market.prints[:: max(1, len(market.prints) // 400)]
    frames = [each.tobytes() for each in packets.full(prints)]
    theirs = MarketFeed.__new__(MarketFeed)

    listed = [listing.instrument for listing in market.listings]
    rows, books = read(*frames, instruments=listed)

    assert len(rows) == len(frames)
    assert not bad(books).any()
    for book, frame in zip(books, frames, strict=True):
        depth = theirs.process_data(frame)["depth"]
        best = [depth[0][f"{side}_price"] for side in ("bid", "ask")]
        assert [f"{paise / 100:.2f}" for paise in (book["bid"], book["ask"])] == best
        units = [sum(level[f"{side}_quantity"] for level in depth) for side in ("bid", "ask")]
        assert [book["bid_quantity"], book["ask_quantity"]] == units


def test_without_depth_the_rows_are_the_same_bytes_and_no_book_is_read() -> None:
    frames = [
        ReceivedFrame(each, 5)
        for each in (with_levels(SOUND), quote(TCS), with_levels(changed(0, bid=0.0)))
    ]

    plain, deep = (Decoder(SHARES, depth=depth).decode(frames) for depth in (False, True))

    assert plain.books is None
    assert plain.rows.tobytes() == deep.rows.tobytes()


def test_of_an_instrument_and_five_seconds_the_last_book_is_told_once_they_are_over() -> None:
    early, late = with_levels(SOUND), with_levels(SOUND[:1])
    sampler = BookSampler(PARTITIONS, 1, UtcNs(0), live=True)
    found = Decoder(SHARES, depth=True).decode(
        [
            ReceivedFrame(early, NOON),
            ReceivedFrame(late, NOON + 999),
            ReceivedFrame(with_levels(SOUND, TCS), NOON),
        ]
    )
    assert found.books is not None
    sampler.add(found.rows, found.books)

    during, after = told(sampler, NOON + SPAN - 1), told(sampler, NOON + SPAN)

    assert during == told(sampler) == []
    assert {each.instrument: each.book.at for depth in after for each in depth.books} == {
        RELIANCE: NOON + 999, TCS: NOON,
    }  # fmt: skip


def test_a_replayed_book_is_of_the_market_clock_and_goes_to_its_instruments_partition() -> None:
    rows, books = read(with_levels(SOUND), with_levels(SOUND, INFY))
    Batcher(PARTITIONS, 1).add(rows)
    sampler = BookSampler(PARTITIONS, 1, UtcNs(0), live=False)
    sampler.add(rows, books)

    outputs = list(sampler.due(NOON + SPAN))

    assert {output.partition for output in outputs} == {
        partition_of(each, PARTITIONS) for each in (RELIANCE, INFY)
    }
    assert {decode(Depth, output.value).event_time for output in outputs} == {NOON}
    assert len({decode(Depth, output.value).id for output in outputs}) == len(outputs)


def test_packets_without_levels_have_no_book() -> None:
    assert sampled(quote(NIFTY), quote(), instruments=[*SHARES, INDEX]) == []


def test_an_index_is_asked_for_quotes_where_others_are_asked_for_books() -> None:
    messages = list(requests(Request.SUBSCRIBE, [SHARES[0], INDEX], Mode.FULL))

    assert [('"RequestCode":17' in each, '"IDX_I"' in each) for each in messages] == [
        (True, True),
        (False, False),
    ]
    assert '"RequestCode":21' in messages[1]
