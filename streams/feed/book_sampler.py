"""Order books every five seconds: of each instrument the last one, once they are over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from bus.records import Output, message_output
from schemas.binary import Rows
from schemas.depth import MAX_BOOKS, Book, Depth, InstrumentBook
from schemas.ids import InstrumentId, Segment, derive
from schemas.ticks import partition_of
from schemas.topics import DEPTH
from schemas.units import Price, Quantity, UtcNs
from streams.feed.books import FAULTS
from streams.feed.decode import keys_of
from streams.feed.packets import Code

# of market time. Bars, and so signals, end with a span: shorter ones would tell of no newer book,
# and a day of 200 instruments by the second would be 600 MB
SPAN: Final = UtcNs.seconds(5)


class _Waiting(NamedTuple):
    """A book, in the fields of `streams.feed.books.BOOK`, and when it came."""

    at: int
    bid: int
    ask: int
    bid_quantity: int
    ask_quantity: int
    fault: int


class BookSampler:
    """Books in, at most one of an instrument and `SPAN` out.

    Args:
        live: Market time is the wall's, so a book is of the moment at which it came; else of the
            market clock then.
        started_at: Wall time at which this run began; makes its ids its own.
    """

    def __init__(self, partitions: int, gateway: int, started_at: UtcNs, *, live: bool) -> None:
        self._partitions = partitions
        self._run = gateway, int(started_at)
        self._time = "received_at" if live else "clock"
        self._count = 0
        # by span, then by segment and security id
        self._waiting: defaultdict[int, dict[int, _Waiting]] = defaultdict(dict)

    def add(self, rows: Rows, books: Rows) -> None:
        """Take in the books of `rows`, in order of arrival; only Full packets have any."""
        full = rows["mode"] == Code.FULL
        rows, books = rows[full], books[full]
        moments = rows[self._time].tolist()
        spans = (each // SPAN for each in moments)
        places = zip(spans, keys_of(rows).tolist(), strict=True)
        for (span, key), at in {place: at for at, place in enumerate(places)}.items():
            self._waiting[span][key] = _Waiting(moments[at], *books[at].item())

    def due(self, now: int) -> Iterator[Output]:
        """The books of each span that is over at `now`, market time, by partition."""
        for span in sorted(each for each in self._waiting if each < now // SPAN):
            shares: defaultdict[int, list[InstrumentBook]] = defaultdict(list)
            for key, waiting in self._waiting.pop(span).items():
                told = _told(key, waiting)
                shares[partition_of(told.instrument, self._partitions)].append(told)
            for partition, share in sorted(shares.items()):
                rest = iter(share)
                while part := tuple(islice(rest, MAX_BOOKS)):
                    yield message_output(DEPTH, self._depth(part), str(partition), partition)

    def _depth(self, books: tuple[InstrumentBook, ...]) -> Depth:
        self._count += 1
        return Depth(
            id=derive("depth", *self._run, self._count),
            event_time=max(each.book.at for each in books),
            books=books,
        )


def _told(key: int, waiting: _Waiting) -> InstrumentBook:
    segment = Segment.from_code(key >> 32)
    assert segment is not None, "the decoder knows its instruments"
    book = Book(
        at=UtcNs(waiting.at),
        bid=Price(waiting.bid) if waiting.bid else None,
        ask=Price(waiting.ask) if waiting.ask else None,
        bid_quantity=Quantity(waiting.bid_quantity),
        ask_quantity=Quantity(waiting.ask_quantity),
        fault=FAULTS[waiting.fault - 1] if waiting.fault else None,
    )
    return InstrumentBook(instrument=InstrumentId(segment, key & _ID), book=book)


_ID: Final = 0xFFFFFFFF
