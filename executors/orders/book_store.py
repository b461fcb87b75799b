"""The book in the database: what the account page shows of a user's orders, fills and positions.

A projection of the fold over `ats.order-events`, which stays the truth. Every row carries the
offset up to which the fold had read (`version`): a row told twice, or later than a newer one,
changes nothing, so every call may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from supabase import AsyncClient

from bus.database import Answers
from schemas.ids import UserId
from schemas.messages import ObservedOrder, Position, Trade
from schemas.units import NS_PER_SECOND, Paise, UtcNs

AT_ONCE: Final = 1_000  # rows that the database takes in one call
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order, or one leg, as last known.

    Attributes:
        version: Offset in the user's partition of `ats.order-events` up to which this is known.
    """

    user: UserId
    trading_date: date
    order: ObservedOrder
    symbol: str
    version: int

    def written(self) -> dict[str, Any]:
        """As `public.record_order_states` takes it."""
        order = self.order
        return {
            "user_id": str(self.user),
            "dhan_order_id": order.dhan_order_id,
            "leg": order.leg.value,
            "trading_date": self.trading_date.isoformat(),
            "dhan_correlation_id": order.dhan_correlation_id,
            "instrument": str(order.instrument),
            "symbol": self.symbol,
            "side": order.side.value,
            "product": order.product,
            "order_type": order.order_type,
            "status": order.status.value,
            "status_word": order.status_word,
            "quantity": int(order.quantity),
            "filled": int(order.filled),
            "filled_value_paise": int(order.filled_value),
            "price_paise": int(order.price),
            "trigger_paise": int(order.trigger),
            "updated_at": _iso(order.updated_at),
            "reason": order.reason,
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One fill, and what it is estimated to cost; None before that is known."""

    trade: Trade
    symbol: str
    charges: Paise | None
    version: int

    def written(self) -> dict[str, Any]:
        """As `public.record_trades` takes it."""
        fill = self.trade.fill
        return {
            "user_id": str(self.trade.user_id),
            "dhan_order_id": fill.dhan_order_id,
            "trade_id": fill.trade_id,
            "trading_date": self.trade.trading_date.isoformat(),
            "instrument": str(fill.instrument),
            "symbol": self.symbol,
            "side": fill.side.value,
            "product": fill.product,
            "quantity": int(fill.quantity),
            "price_paise": int(fill.price),
            "traded_at": _iso(fill.traded_at),
            "charges_paise": None if self.charges is None else int(self.charges),
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class PositionRow:
    """What one user did and holds in one instrument on one day.

    Attributes:
        charges: Of the day's trades, estimated; None before that is known.
        unprotected: Seconds in which no stop rested for all of the position.
        closed_by: What closed it, such as `target` or `square_off`; None while it is open.
    """

    position: Position
    symbol: str
    charges: Paise | None
    unprotected: float
    closed_by: str | None
    version: int

    def written(self) -> dict[str, Any]:
        """As `public.record_positions` takes it."""
        held = self.position
        return {
            "user_id": str(held.user_id),
            "trading_date": held.trading_date.isoformat(),
            "instrument": str(held.instrument),
            "symbol": self.symbol,
            "bought": int(held.bought),
            "bought_value_paise": int(held.bought_value),
            "sold": int(held.sold),
            "sold_value_paise": int(held.sold_value),
            "net": held.net,
            "realised_paise": int(held.realised),
            "charges_paise": None if self.charges is None else int(self.charges),
            "resting_stop": int(held.resting_stop),
            "unprotected_ms": round(self.unprotected * 1_000),
            "closed_by": self.closed_by,
            "by_trades": held.by_trades,
            "agrees": held.agrees,
            "version": self.version,
        }


class BookStore:
    """Calls of the database, each answered within `bus.database.ANSWER_WITHIN` or `StoreAway`.

    Each call returns how many rows it changed, and raises `RowRefused` when a row is out of bounds
    or its user is unknown: then nothing of its thousand rows was recorded.
    """

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)

    async def record_order_states(self, rows: Sequence[OrderRow]) -> int:
        return await self._record("record_order_states", [row.written() for row in rows])

    async def record_trades(self, rows: Sequence[TradeRow]) -> int:
        return await self._record("record_trades", [row.written() for row in rows])

    async def record_positions(self, rows: Sequence[PositionRow]) -> int:
        return await self._record("record_positions", [row.written() for row in rows])

    async def _record(self, function: str, rows: list[dict[str, Any]]) -> int:
        changed = 0
        for some in _thousands(rows):
            call = self._client.rpc(function, {"p_rows": some})
            answer = await self._answers.of(function, call.execute)
            if not isinstance(answer, int):
                raise self._answers.misfit(
                    function, "answered in a form this version does not know"
                )
            changed += answer
        return changed


def _thousands(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def _iso(moment: UtcNs) -> str | None:
    """None for 0, which is a time that nobody told."""
    return datetime.fromtimestamp(moment / NS_PER_SECOND, tz=UTC).isoformat() if moment else None
