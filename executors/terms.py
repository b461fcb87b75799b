"""What one order says: the fields of an execution that the user's limits decide, and those that go with them.

The first intent of a (user, decision) has them written into its claim. Every execution is made from
there, so a second intent of the same id, made under changed limits, changes nothing that was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.messages import OrderIntent
from schemas.units import Price, Quantity, UtcNs


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What was ordered."""

    event_time: UtcNs
    instrument: InstrumentId
    symbol: str
    side: Side
    quantity: Quantity
    price: Price

    @classmethod
    def of(cls, intent: OrderIntent) -> Self:
        return cls(
            intent.event_time,
            intent.instrument,
            intent.symbol,
            intent.side,
            intent.quantity,
            intent.price,
        )

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """What `written` made.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(
            UtcNs(written["event_time"]),
            InstrumentId.parse(written["instrument"]),
            str(written["symbol"]),
            Side(written["side"]),
            Quantity(written["quantity"]),
            Price(written["price"]),
        )

    def written(self) -> dict[str, str | int]:
        """As JSON, for the claim's row."""
        return {
            "event_time": int(self.event_time),
            "instrument": str(self.instrument),
            "symbol": self.symbol,
            "side": self.side.value,
            "quantity": int(self.quantity),
            "price": int(self.price),
        }
