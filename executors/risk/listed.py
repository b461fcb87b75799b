"""What the day's instrument master and list of bans say of orders in one instrument. Pure.

Bands are those of the morning. A share without derivatives keeps its own all day; that of another
share or of a contract moves with the market, and an entry beyond where it began is refused all the
same: it may be refused too early, and never too late.

Source: `docs/facts/market-rules.md` (price bands, freeze quantity). Whether an order of exactly the
freeze quantity passes is not settled, so none is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Instrument, PriceBand
from schemas.units import Price, Quantity

ONE_UNIT: Final = Quantity(1)


class Ban(Enum):
    """Whether positions in an underlying's contracts may only be made smaller today."""

    NONE = "none"
    IN_FORCE = "in_force"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known today of an order's instrument.

    Attributes:
        band: Its price band; None where nobody told one of today.
        band_needed: Nothing is entered without one.
        freeze_quantity: Units of one order at which the exchange may reject it; None likewise.
        lot: Units that orders come in.
        ban: On the share that a contract is on; none on a share, an index or their contracts.
    """

    band: PriceBand | None = None
    band_needed: bool = False
    freeze_quantity: Quantity | None = None
    ban: Ban = Ban.NONE
    lot: Quantity = ONE_UNIT

    def locked(self, last: Price) -> bool:
        """Whether the last trade was at an end of the band: who enters there may not get out."""
        return self.band is not None and not self.band.lower < last < self.band.upper

    def forbids(self, price: Price) -> bool:
        """Whether the exchange takes no order at `price`."""
        return self.band is not None and price not in self.band

    def freezes(self, quantity: Quantity) -> bool:
        """Whether the exchange may reject an order of so many units."""
        return self.freeze_quantity is not None and quantity >= self.freeze_quantity


UNLISTED: Final = Listed(band_needed=True)


def nothing_known(symbol: str, day: date) -> Ban:  # noqa: ARG001
    """Where nobody reads a list of bans."""
    return Ban.UNKNOWN


@dataclass(frozen=True, slots=True)
class DayMaster:
    """The instrument master as the gate asks it.

    Attributes:
        read_on: The Indian day whose master it is; None: of whatever day is asked for, as in a
            replay.
        banned: Whether a share is on the list of a day.
    """

    instruments: Mapping[InstrumentId, Instrument]
    read_on: date | None = None
    banned: Callable[[str, date], Ban] = nothing_known

    def of(self, instrument: InstrumentId, day: date) -> Listed:
        """What holds on `day`. Yesterday's limits say nothing of today."""
        found = self.instruments.get(instrument)
        if found is None:
            return UNLISTED
        ban = self.banned(found.underlying, day) if found.on_share else Ban.NONE
        if self.read_on not in {None, day}:
            return Listed(band_needed=found.fixed_band, ban=ban, lot=found.lot_size)
        return Listed(found.band, found.fixed_band, found.freeze_quantity, ban, found.lot_size)
