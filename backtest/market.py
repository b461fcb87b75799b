"""One recorded day as a backtest plays it: its prints in order, and what its instruments are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from executors.risk.situation import Quote
from schemas.binary import Rows
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Instrument, PriceBand, Session
from schemas.ticks import NO_VOLUME, TICK
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from simulator.market import tape, ticks
from simulator.market.actions import Actions
from simulator.market.files import read_file
from simulator.market.replay import no_usable_row, replay, replays_of_ticks
from simulator.market.tape import Listing
from simulator.matching.rules import Circuits, Rules

SEED: Final = 7  # of where in its minute a bar's prints stand
QUOTE: Final = 4  # the feed's response code
PRINT: Final = np.dtype(
    [("second", "i8"), ("place", "i8"), ("price", "i8"), ("quantity", "i8"), ("volume", "i8")]
)
"""`second` is UTC, `place` that in `DayMarket.listings`, `volume` of the day so far."""
_AS_RULES: Final = Rules()

Numbers = npt.NDArray[np.int64]


class InstrumentTape(NamedTuple):
    """The prints of one instrument, in order; arrays of one length."""

    seconds: Numbers
    prices: Numbers
    quantities: Numbers


@dataclass(frozen=True, eq=False)
class DayMarket:
    """One session.

    Attributes:
        prints: `PRINT`, ordered by second.
        source: The file that it was read from.
        digest: SHA-256 of that file, in hex.
    """

    session: Session
    listings: tuple[Listing, ...]
    prints: Rows
    source: str = ""
    digest: str = ""

    @classmethod
    def of(cls, market: tape.Market, source: str = "", digest: str = "") -> Self:
        """A market of the simulator."""
        prints = np.zeros(len(market.prints), PRINT)
        for name in ("second", "price", "quantity", "volume"):
            prints[name] = market.prints[name]
        prints["place"] = market.prints["instrument"]
        return cls(market.session, market.listings, prints, source, digest)

    @cached_property
    def instruments(self) -> Mapping[InstrumentId, Instrument]:
        """As the day's instrument master tells of them, band and freeze quantity included."""
        return {
            each.id: replace(
                each.instrument,
                band=PriceBand(each.lower_circuit, each.upper_circuit),
                freeze_quantity=Quantity(_AS_RULES.freeze(each.instrument)),
            )
            if each.instrument.tradable
            else each.instrument
            for each in self.listings
        }

    @cached_property
    def circuits(self) -> Mapping[InstrumentId, Circuits]:
        """The day's price limits of what trades."""
        return {
            each.id: Circuits(each.lower_circuit, each.upper_circuit)
            for each in self.listings
            if each.instrument.tradable
        }

    @cached_property
    def tapes(self) -> Mapping[InstrumentId, InstrumentTape]:
        """Of each instrument its own prints."""
        order = np.argsort(self.prints["place"], kind="stable")
        sorted_prints = self.prints[order]
        cuts = np.searchsorted(sorted_prints["place"], np.arange(len(self.listings) + 1))
        return {
            each.id: InstrumentTape(
                *(
                    np.ascontiguousarray(sorted_prints[name][cuts[at] : cuts[at + 1]])
                    for name in ("second", "price", "quantity")
                )
            )
            for at, each in enumerate(self.listings)
        }

    @cached_property
    def seconds(self) -> Numbers:
        """The seconds of all prints, rising."""
        return np.ascontiguousarray(self.prints["second"])

    def known_at(self, moment: UtcNs) -> int | None:
        """The second of the first print at `moment` or later; None after the last.

        A bar closes when the market's clock has reached its end, and prints move that clock.
        """
        at = int(np.searchsorted(self.seconds, moment // NS_PER_SECOND))
        return int(self.seconds[at]) if at < len(self.seconds) else None

    def quote_at(self, instrument: InstrumentId, second: int) -> Quote | None:
        """The last trade until `second`, itself included."""
        own = self.tapes[instrument]
        at = int(np.searchsorted(own.seconds, second, side="right")) - 1
        if at < 0:
            return None
        return Quote(Price(int(own.prices[at])), UtcNs.seconds(int(own.seconds[at])))

    def prices_between(self, instrument: InstrumentId, first: UtcNs, last: UtcNs) -> Numbers:
        """The prices of its prints in these two seconds and between."""
        own = self.tapes[instrument]
        start = np.searchsorted(own.seconds, first // NS_PER_SECOND)
        return own.prices[start : np.searchsorted(own.seconds, last // NS_PER_SECOND, "right")]

    def rows(self) -> Rows:
        """The prints as a gateway would stamp them (`schemas.ticks.TICK`)."""
        ids = [each.id for each in self.listings]
        rows = np.zeros(len(self.prints), TICK)
        rows["exchange_time"] = rows["clock"] = self.prints["second"] * NS_PER_SECOND
        rows["price"], places = self.prints["price"], self.prints["place"]
        rows["security_id"] = np.array([each.security_id for each in ids], "u4")[places]
        rows["segment"] = np.array([each.segment.code for each in ids], "u1")[places]
        rows["volume"] = np.where(rows["segment"] == 0, NO_VOLUME, self.prints["volume"])
        rows["mode"] = QUOTE
        return rows


def markets_of(
    path: Path,
    seed: int = SEED,
    symbols: frozenset[str] | None = None,
    actions: Actions | None = None,
) -> Iterator[DayMarket]:
    """The days of a market file, oldest first; rows that cannot be used are left out.

    With `symbols` only these are in it, also as far as the market's clock goes. With
    `actions` bars are adjusted by them; ticks are not.

    Raises:
        Misconfigured: it cannot be read, or holds no usable row.
    """
    digest = digest_of(path)
    if ticks.is_tick_file(path):
        for each in replays_of_ticks(path, seed, symbols):
            if each.market.listings:
                yield DayMarket.of(each.market, path.name, digest)
        return
    bars, played = read_file(path, actions), False
    chosen = bars.good if symbols is None else bars.good.of_symbols(symbols)
    for day, of_day in chosen.by_day():
        made = replay(of_day, day, seed).market
        if made.listings:
            played = True
            yield DayMarket.of(made, path.name, digest)
    if not played and symbols is None:
        raise Misconfigured(no_usable_row(path.name, bars.bad))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from None
