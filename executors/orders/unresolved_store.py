"""The database as the place of orders whose fate nobody knows yet.

Every call may be repeated. What cannot be read is told to nobody: it stays where it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from supabase import AsyncClient

from bus.database import Answers, StoreAway
from bus.records import Record
from executors.store import OrderKey, OrderOutcome
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.messages import OrderIntent

log = structlog.get_logger(__name__)

_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An order to look up, and where its intent stands in `ats.orders`.

    Attributes:
        left_for: Seconds since it was left here, by the database's clock.
    """

    intent: OrderIntent
    partition: int
    offset: int
    left_for: float

    @property
    def key(self) -> OrderKey:
        return OrderKey.of(self.intent)


@dataclass(frozen=True, slots=True)
class Taken:
    """Orders for the caller alone to look up, for a while.

    Attributes:
        waiting: How many are unresolved in all.
        oldest: Seconds for which the oldest of those has been; 0 when there is none.
    """

    orders: tuple[Unresolved, ...]
    waiting: int
    oldest: float


class UnresolvedStore:
    """Calls of the database, each answered within `bus.database.ANSWER_WITHIN` or `StoreAway`."""

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)

    async def leave(self, intent: OrderIntent, record: Record) -> OrderOutcome | None:
        """Leave the claimed order of `record` to be looked up; its outcome if it has one by now.

        Raises:
            TryLater: there is no such claim, so the database is not the one that the order was
                claimed in.
        """
        answer = await self._rpc(
            "leave_order",
            _key(OrderKey.of(intent))
            | {
                "p_intent": (record.value or b"").decode(),
                "p_partition": record.partition,
                "p_place": record.offset,
            },
        )
        match answer:
            case {"status": "left"}:
                return None
            case {"status": "settled", "outcome": str()}:
                return OrderOutcome.read(answer)
            case {"status": "absent"}:
                raise TryLater(
                    f"the claim of order {intent.id} has vanished: was the database restored from "
                    "a backup?"
                )
        raise self._unexpected("leave_order")

    async def take(self, limit: int, hold: float) -> Taken:
        """Up to `limit` orders that nobody is looking up, one a user, for `hold` seconds ours."""
        arguments = {"p_limit": limit, "p_hold_ms": round(hold * 1_000)}
        answer = await self._rpc("take_unresolved_orders", arguments)
        try:
            return Taken(
                tuple(order for row in answer["orders"] if (order := _unresolved(row))),
                int(answer["waiting"]),
                (answer["oldest_ms"] or 0) / 1_000,
            )
        except (KeyError, TypeError, ValueError):
            raise self._unexpected("take_unresolved_orders") from None

    async def release(self, key: OrderKey) -> None:
        """Anybody may go on with this one."""
        await self._rpc("release_unresolved_order", _key(key))

    async def told(self, key: OrderKey) -> None:
        """Kafka has the message of this one."""
        await self._rpc("unresolved_order_told", _key(key))

    async def _rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        return await self._answers.of(function, self._client.rpc(function, arguments).execute)

    def _unexpected(self, call: str) -> StoreAway | Misconfigured:
        return self._answers.misfit(call, "answered in a form this version does not know")


def _key(key: OrderKey) -> dict[str, Any]:
    return {"p_user": str(key.user), "p_decision": str(key.decision)}


def _unresolved(row: dict[str, Any]) -> Unresolved | None:
    """None: of a version that writes intents otherwise, which looks it up itself."""
    try:
        intent = decode(OrderIntent, row["intent"].encode())
    except Unreadable as error:
        log.error("unresolved_order_unreadable", reason=error.reason)
        return None
    return Unresolved(intent, int(row["partition"]), int(row["place"]), row["left_ms"] / 1_000)
