"""What one order says: what the user's limits decide of an execution, and what goes with it.

The first intent of a (user, decision) has them written into its claim. Every execution is made from
there, so a second intent of the same id, made under changed limits, changes nothing that was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.messages import OrderIntent
from schemas.units import Price, Quantity, UtcNs


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What was ordered.

    Attributes:
        correlation_id: Of the intent's message, for messages that are made without the intent.
    """

    event_time: UtcNs
    instrument: InstrumentId
    symbol: str
    side: Side
    quantity: Quantity
    price: Price
    correlation_id: UUID | None = None

    @classmethod
    def of(cls, intent: OrderIntent) -> Self:
        return cls(
            intent.event_time,
            intent.instrument,
            intent.symbol,
            intent.side,
            intent.quantity,
            intent.price,
            intent.correlation_id,
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
            UUID(chain) if (chain := written.get("correlation_id")) else None,
        )

    def written(self) -> dict[str, str | int]:
        """As JSON, for the claim's row."""
        terms: dict[str, str | int] = {
            "event_time": int(self.event_time),
            "instrument": str(self.instrument),
            "symbol": self.symbol,
            "side": self.side.value,
            "quantity": int(self.quantity),
            "price": int(self.price),
        }
        if self.correlation_id:
            terms["correlation_id"] = str(self.correlation_id)
        return terms
