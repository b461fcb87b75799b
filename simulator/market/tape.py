"""The tape of one session: every print of every instrument, in order, with the day's running figures beside it.

A market is a value made before the session starts; feed, order book and charts only read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId
from schemas.market import Instrument, Session
from schemas.units import NS_PER_SECOND, Price

PRINT: Final = np.dtype(
    [
        ("second", "<i8"),  # UTC epoch seconds
        ("instrument", "<u4"),  # place in `Market.listings`
        ("security_id", "<u4"),
        ("segment", "u1"),
        ("price", "<i8"),  # paise, as all prices here
        ("quantity", "<i8"),  # of this print
        ("volume", "<i8"),  # of the day so far, this print included
        ("turnover", "<i8"),  # paise, of the day so far
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("previous_close", "<i8"),
        ("tick_size", "<i8"),
    ]
)
MAX_VOLUME: Final = 2**32 - 1  # the feed's volume field has 32 bits

Prints = npt.NDArray[np.void]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument of this session and where it closed the day before."""

    instrument: Instrument
    previous_close: Price

    @property
    def id(self) -> InstrumentId:
        return self.instrument.id


@dataclass(frozen=True, eq=False)
class Market:
    """One session.

    Attributes:
        prints: Structured array of `PRINT`, ordered by second; prints of one instrument in the order they happened. The
            last print of each instrument is its closing snapshot, stamped with the session's end: same price and volume.
    """

    session: Session
    listings: tuple[Listing, ...]
    prints: Prints = field(repr=False)

    @cached_property
    def by_id(self) -> Mapping[InstrumentId, int]:
        """Place of an instrument in `listings`."""
        return {listing.id: place for place, listing in enumerate(self.listings)}

    @property
    def open_second(self) -> int:
        return self.session.open // NS_PER_SECOND

    @property
    def close_second(self) -> int:
        return self.session.close // NS_PER_SECOND

    def steps(self, at_least: int) -> Iterator[tuple[int, slice]]:
        """The tape in pieces of whole seconds: each piece's last second, and where its prints stand.

        A piece ends at the first second that completes `at_least` prints; with 1 each piece is one second.
        """
        ends = np.flatnonzero(np.diff(self.prints["second"], append=-1)) + 1
        start = 0
        while start < len(self.prints):
            enough = int(np.searchsorted(ends, start + at_least))
            end = int(ends[min(enough, len(ends) - 1)])
            yield int(self.prints["second"][end - 1]), slice(start, end)
            start = end


class Tape(NamedTuple):
    """One instrument's own prints: seconds (UTC epoch, rising), prices and quantities, of equal length, at least one."""

    listing: Listing
    seconds: Numbers
    prices: Numbers
    quantities: Numbers


def assemble(session: Session, tapes: Iterable[Tape]) -> Market:
    """Put the instruments' tapes together and close each with a snapshot at the session's end."""
    listings, parts = [], []
    for place, tape in enumerate(tapes):
        listings.append(tape.listing)
        parts.append(_with_running_figures(session, place, tape))
    prints = np.concatenate(parts) if parts else np.zeros(0, PRINT)
    prints = prints[np.argsort(prints["second"], kind="stable")]
    prints.flags.writeable = False
    return Market(session, tuple(listings), prints)


def _with_running_figures(session: Session, place: int, tape: Tape) -> Prints:
    listing = tape.listing
    prints = np.zeros(len(tape.seconds) + 1, PRINT)
    prints["instrument"], prints["security_id"] = place, listing.id.security_id
    prints["segment"], prints["tick_size"] = listing.id.segment.code, listing.instrument.tick_size
    prints["previous_close"] = listing.previous_close
    prints["second"] = np.append(tape.seconds, session.close // NS_PER_SECOND)
    prints["price"] = np.append(tape.prices, tape.prices[-1])
    prints["quantity"] = np.append(tape.quantities, 0)
    prints["volume"] = np.cumsum(prints["quantity"])
    prints["turnover"] = np.cumsum(prints["quantity"] * prints["price"])
    prints["open"] = tape.prices[0]
    prints["high"], prints["low"] = np.maximum.accumulate(prints["price"]), np.minimum.accumulate(prints["price"])
    return prints
