"""What a session's market is: its listings and its prints.

The prints stand in order, with the day's running figures beside each. They come in chunks, a minute
or a few thousand, so that five thousand instruments never stand in memory for a whole day. Every
call gives the same prints again: feed, order book, quotes and charts only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId
from schemas.market import Instrument, Session
from schemas.units import NS_PER_SECOND, BasisPoints, Price
from simulator.market.contracts import Contract

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
        ("open_interest", "<i8"),  # contracts only
        ("lower_circuit", "<i8"),  # the day's band; 0 where there is none
        ("upper_circuit", "<i8"),
    ]
)
MAX_VOLUME: Final = 2**32 - 1  # the feed's volume field has 32 bits
MINUTE: Final = 60
CHUNK: Final = 4_096  # prints: as many as numpy handles at the price of one, half a megabyte
USUAL_BAND: Final = BasisPoints(2_000)  # NSE's widest fixed band of a share
BAND_STEP: Final = 500  # of a band wider than usual
ROOM_ABOVE: Final = 10  # a contract's upper circuit: its close and a tenth of the underlying's

Prints = npt.NDArray[np.void]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument of this session and where it closed the day before.

    Attributes:
        band: How far from the previous close the exchange lets it trade today.
        contract: What kind of option it is; None for shares and indices.
    """

    instrument: Instrument
    previous_close: Price
    band: BasisPoints = USUAL_BAND
    contract: Contract | None = None

    @property
    def id(self) -> InstrumentId:
        """The instrument's id."""
        return self.instrument.id

    @property
    def lower_circuit(self) -> Price:
        """Lowest price of the day; 0 for an index."""
        step = self.instrument.tick_size
        if not self.instrument.tradable:
            return Price(0)
        if self.contract:
            return Price(step)
        return Price(
            max(1, -(-self.previous_close * (10_000 - self.band) // (10_000 * step))) * step
        )

    @property
    def upper_circuit(self) -> Price:
        """Highest price of the day; 0 for an index."""
        step = self.instrument.tick_size
        if not self.instrument.tradable:
            return Price(0)
        if self.contract:
            return Price((self.previous_close + self.contract.strike // ROOM_ABOVE) // step * step)
        return Price(max(1, self.previous_close * (10_000 + self.band) // (10_000 * step)) * step)


class Tape(NamedTuple):
    """One instrument's own prints, at least one.

    Seconds (UTC epoch, rising), prices and quantities have equal length.

    Attributes:
        before: Units that had traded before the first print; nobody knows at what price, so they
            count at the first.
    """

    listing: Listing
    seconds: Numbers
    prices: Numbers
    quantities: Numbers
    open_interest: Numbers | None = None
    before: int = 0


class Source(Protocol):
    """Where a market's prints come from."""

    @property
    def total(self) -> int:
        """How many prints the session has."""

    def chunks(self) -> Iterator[Prints]:
        """The session from its start, in pieces of whole seconds, none empty."""

    def tape(self, place: int) -> Prints:
        """All prints of one instrument."""


@dataclass(frozen=True, eq=False)
class Market:
    """One session."""

    session: Session
    listings: tuple[Listing, ...]
    source: Source

    @cached_property
    def by_id(self) -> Mapping[InstrumentId, int]:
        """The place of each listing by its instrument."""
        return {listing.id: place for place, listing in enumerate(self.listings)}

    @cached_property
    def prints(self) -> Prints:
        """The whole session at once, read-only, ordered by second; for small markets."""
        parts = list(self.source.chunks())
        prints = np.concatenate(parts) if parts else np.zeros(0, PRINT)
        prints.flags.writeable = False
        return prints

    @property
    def open_second(self) -> int:
        """When the session opens, in seconds UTC."""
        return self.session.open // NS_PER_SECOND

    @property
    def close_second(self) -> int:
        """When the session closes, in seconds UTC."""
        return self.session.close // NS_PER_SECOND

    def steps(self, at_least: int) -> Iterator[tuple[int, slice]]:
        """Cut `prints` into pieces of whole seconds.

        Yields each piece's last second, and where its prints stand. A piece ends at the first
        second that completes `at_least` prints; with 1 each piece is one second.
        """
        cuts, start = Cuts(self.prints), 0
        while start < len(self.prints):
            end = cuts.after(start, at_least)
            yield int(self.prints["second"][end - 1]), slice(start, end)
            start = end


class Cuts:
    """Where prints may be cut so that every second stays whole."""

    def __init__(self, prints: Prints) -> None:
        self._ends = np.flatnonzero(np.diff(prints["second"], append=-1)) + 1

    def after(self, start: int, at_least: int) -> int:
        """The first cut that leaves `at_least` prints behind `start`, or the last."""
        enough = int(np.searchsorted(self._ends, start + at_least))
        return int(self._ends[min(enough, len(self._ends) - 1)])


class Recorded:
    """A session that stands in memory as a whole."""

    def __init__(self, prints: Prints) -> None:
        self._prints = prints

    @property
    def total(self) -> int:
        """How many prints there are."""
        return len(self._prints)

    def chunks(self) -> Iterator[Prints]:
        """All prints in order, a few thousand at once, whole seconds together."""
        cuts, start = Cuts(self._prints), 0
        while start < len(self._prints):
            end = cuts.after(start, CHUNK)
            yield self._prints[start:end]
            start = end

    def tape(self, place: int) -> Prints:
        """The prints of the instrument at `place`."""
        own: Prints = self._prints[self._prints["instrument"] == place]
        return own


def assemble(session: Session, tapes: Iterable[Tape]) -> Market:
    """Put the instruments' tapes together and close each with a snapshot at the session's end."""
    listings, parts = [], []
    for place, tape in enumerate(tapes):
        listings.append(tape.listing)
        parts.append(_with_running_figures(session, place, tape))
    prints = np.concatenate(parts) if parts else np.zeros(0, PRINT)
    prints = prints[np.argsort(prints["second"], kind="stable")]
    prints.flags.writeable = False
    return Market(session, tuple(listings), Recorded(prints))


def band_around(previous_close: Price, prices: Numbers) -> BasisPoints:
    """The usual band, or a wider one when the day left it."""
    furthest = max(abs(int(prices.max()) - previous_close), abs(int(prices.min()) - previous_close))
    needed = -(-furthest * 10_000 // previous_close) // BAND_STEP * BAND_STEP + BAND_STEP
    return BasisPoints(min(max(USUAL_BAND, needed), 10_000))


def fill_fixed(prints: Prints, listings: Prints) -> None:
    """Write what does not change during the day.

    `listings` is a row of `fixed_figures` for each print.
    """
    for name in FIXED:
        prints[name] = listings[name]


def fixed_figures(listings: Iterable[Listing]) -> Prints:
    """One row for each listing with the columns of `FIXED`."""
    listed = list(listings)
    rows = np.zeros(len(listed), PRINT)
    rows["instrument"] = np.arange(len(listed))
    rows["security_id"] = [listing.id.security_id for listing in listed]
    rows["segment"] = [listing.id.segment.code for listing in listed]
    rows["tick_size"] = [listing.instrument.tick_size for listing in listed]
    rows["previous_close"] = [listing.previous_close for listing in listed]
    rows["lower_circuit"] = [listing.lower_circuit for listing in listed]
    rows["upper_circuit"] = [listing.upper_circuit for listing in listed]
    return rows


FIXED: Final = (
    "instrument", "security_id", "segment", "tick_size", "previous_close", "lower_circuit",
    "upper_circuit",
)  # fmt: skip


def _with_running_figures(session: Session, place: int, tape: Tape) -> Prints:
    prints = np.zeros(len(tape.seconds) + 1, PRINT)
    fill_fixed(prints, fixed_figures([tape.listing]).repeat(len(prints)))
    prints["instrument"] = place
    prints["second"] = np.append(tape.seconds, session.close // NS_PER_SECOND)
    prints["price"] = np.append(tape.prices, tape.prices[-1])
    prints["quantity"] = np.append(tape.quantities, 0)
    prints["volume"] = tape.before + np.cumsum(prints["quantity"])
    prints["turnover"] = tape.before * tape.prices[0] + np.cumsum(
        prints["quantity"] * prints["price"]
    )
    prints["open"] = tape.prices[0]
    prints["high"], prints["low"] = (
        np.maximum.accumulate(prints["price"]),
        np.minimum.accumulate(prints["price"]),
    )
    if tape.open_interest is not None:
        prints["open_interest"] = np.append(tape.open_interest, tape.open_interest[-1])
    return prints
