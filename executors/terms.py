"""What one order says: what the user's limits decide of an execution, and what goes with it.

The first intent of a (user, decision) has them written into its claim. Every execution is made from
there, so a second intent of the same id, made under changed limits, changes nothing that was told.
What the gate saw is written beside it, and told from there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import orjson
import structlog
from pydantic import ValidationError

from schemas.evidence import Evidence, Written
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.messages import OrderIntent
from schemas.units import Price, Quantity, UtcNs

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What was ordered.

    Attributes:
        correlation_id: Of the intent's message, for messages that are made without the intent.
        evidence: Why, as it is written; None where nobody wrote it down.
        strategy: Name of the strategy; None where the decision has none.
    """

    event_time: UtcNs
    instrument: InstrumentId
    symbol: str
    side: Side
    quantity: Quantity
    price: Price
    correlation_id: UUID | None = None
    evidence: Written | None = None
    strategy: str | None = None

    @classmethod
    def of(cls, intent: OrderIntent, evidence: Written | None = None) -> Self:
        return cls(
            intent.event_time,
            intent.instrument,
            intent.symbol,
            intent.side,
            intent.quantity,
            intent.price,
            intent.correlation_id,
            evidence,
            intent.strategy.name if intent.strategy else None,
        )

    @classmethod
    def read(cls, written: Mapping[str, Any], ours: Written | None = None) -> Self:
        """What `written` made; `ours` is the evidence that it should hold, where that is known.

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
            _evidence(written.get("evidence"), ours),
            written.get("strategy"),
        )

    def written(self) -> dict[str, Any]:
        """As JSON, for the claim's row."""
        terms: dict[str, Any] = {
            "event_time": int(self.event_time),
            "instrument": str(self.instrument),
            "symbol": self.symbol,
            "side": self.side.value,
            "quantity": int(self.quantity),
            "price": int(self.price),
        }
        if self.correlation_id:
            terms["correlation_id"] = str(self.correlation_id)
        if self.strategy:
            terms["strategy"] = self.strategy
        if self.evidence:
            terms["evidence"] = self.evidence
        return terms


def _evidence(written: Any, ours: Written | None) -> Written | None:
    """None also for what cannot be read: an order must not wait for its reasons.

    What comes back as we wrote it needs no reading. Anything else is told as this version knows it.
    """
    if written is None:
        return None
    if written == ours:
        return ours
    try:
        known = Evidence.model_validate_json(orjson.dumps(written), extra="ignore")
    except (orjson.JSONEncodeError, ValidationError) as error:
        log.error("evidence_unreadable", reason=str(error)[:500])
        return None
    return known.model_dump(mode="json")
