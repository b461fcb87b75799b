"""What the tape says of one print, as paper orders meet it.

A row of `ats.ticks` tells the last trade: its price, its quantity, and the day's volume. It has no
depth. So a paper order can rely on one thing only: this much traded at this price. That is what it
may have.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.ids import InstrumentId, Segment
from schemas.ticks import NO_VOLUME
from schemas.units import NS_PER_SECOND, Paise, Price, UtcNs


class Print(NamedTuple):
    """One row of the tape.

    Attributes:
        price: Of the last trade.
        volume: Of the day so far; `NO_VOLUME` where the packet has none.
        last_quantity: Of the last trade.
        traded_at: When the last trade was, to the second.
        received_at: When the gateway had it.
        clock: The market's clock then: the latest trade of any instrument.
    """

    instrument: InstrumentId
    price: Price
    volume: int
    last_quantity: int
    traded_at: UtcNs
    received_at: UtcNs
    clock: UtcNs

    @property
    def second(self) -> int:
        """Of the trade, UTC epoch."""
        return self.traded_at // NS_PER_SECOND

    def traded_since(self, volume: int | None) -> int:
        """Units known to have traded at this price since the day's volume was `volume`.

        The last trade's at most: what traded between two packets has no price. None at all when
        either volume is unknown, or the volume has not grown: a packet that repeats a trade.
        """
        if volume is None or NO_VOLUME in (volume, self.volume):
            return 0
        return max(0, min(self.volume - volume, self.last_quantity))


def to_json(shown: Print) -> list[Any]:
    """`shown` as the journal keeps it; `from_json` reads it."""
    segment, security_id = shown.instrument
    return [segment.value, security_id, *(int(value) for value in shown[1:])]


def from_json(row: list[Any]) -> Print:
    """The print that `to_json` wrote."""
    segment, security_id, price, volume, last_quantity, traded_at, received_at, clock = row
    return Print(
        InstrumentId(Segment(segment), security_id),
        Price(Paise(price)),
        volume,
        last_quantity,
        UtcNs(traded_at),
        UtcNs(received_at),
        UtcNs(clock),
    )
