"""The database as the sweep sees it: whose orders to check, and what became known of them later.

Recorded outcomes stay as they are; each later finding is a row of its own
(`private.order_corrections`). Every call may be repeated: a correction told twice is one row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

from pydantic import SecretStr
from supabase import AsyncClient

from bus.database import Answers, StoreAway
from dhan.transport import Credentials
from executors.store import OrderKey, OrderOutcome, TokenVersion
from executors.terms import OrderTerms
from schemas.errors import Misconfigured
from schemas.ids import CorrelationId, DecisionId, DhanClientId, DhanOrderId, OrderId, UserId
from schemas.messages import Outcome

AT_ONCE: Final = 200  # corrections in one answer
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


@dataclass(frozen=True, slots=True)
class ChangingOrder:
    """An order that Dhan's book may still show otherwise than it is known.

    Attributes:
        outcome: As known now: accepted or not_found.
        dhan_order_id: None while it was not found.
    """

    key: OrderKey
    correlation_id: CorrelationId
    outcome: Outcome
    dhan_order_id: DhanOrderId | None


@dataclass(frozen=True, slots=True)
class Check:
    """The right to compare one user's orders with Dhan's book, now, and what it takes."""

    credentials: Credentials
    token_version: TokenVersion
    orders: tuple[ChangingOrder, ...]


@dataclass(frozen=True, slots=True)
class NoCheck:
    """Nothing to check: just done by another, nothing left, or the token cannot be used."""

    reason: str


@dataclass(frozen=True, slots=True)
class Correction:
    """The `nth` correction of an order, counted from 1."""

    key: OrderKey
    nth: int
    known: OrderOutcome
    terms: OrderTerms


Begun: TypeAlias = Check | NoCheck


class CorrectionStore:
    """Calls of the database, each answered within `bus.database.ANSWER_WITHIN` or `StoreAway`."""

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)

    async def users_to_check(self, interval: float, limit: int) -> list[UserId]:
        """Users with orders to check whose last check is `interval` seconds old.

        Older, when no order of theirs is new; no matter how old, when they have connected since.
        """
        arguments = {"p_interval_ms": round(interval * 1_000), "p_limit": limit}
        rows = await self._rpc("users_to_check", arguments)
        try:
            return [UserId(UUID(row["user_id"])) for row in rows]
        except (KeyError, TypeError, ValueError):
            raise self._unexpected("users_to_check") from None

    async def begin(self, user: UserId, interval: float) -> Begun:
        """Begin a check of `user`; nobody else can for `interval` seconds."""
        arguments = {"p_user": str(user), "p_interval_ms": round(interval * 1_000)}
        answer = await self._rpc("begin_order_check", arguments)
        try:
            match answer:
                case {
                    "status": "begun",
                    "dhan_client_id": str(client),
                    "access_token": str(token),
                    "token_version": int(version),
                }:
                    credentials = Credentials(DhanClientId(client), SecretStr(token))
                    orders = tuple(_changing(user, row) for row in answer["orders"])
                    return Check(credentials, TokenVersion(version), orders)
                case {"status": "refused", "reason": str(reason)}:
                    return NoCheck(reason)
                case {"status": "not_due"}:
                    return NoCheck("not_due")
        except (KeyError, TypeError, ValueError):
            pass
        raise self._unexpected("begin_order_check")

    async def correct(self, key: OrderKey, seen: OrderOutcome) -> bool:
        """Record that `seen` is known now; returns whether that was news."""
        answer = await self._rpc(
            "correct_order",
            {
                "p_user": str(key.user),
                "p_decision": str(key.decision),
                "p_order": str(key.order),
                "p_outcome": seen.outcome.value,
                "p_dhan_order_id": seen.dhan_order_id,
                "p_reason": seen.line,
            },
        )
        match answer:
            case {"status": "corrected"}:
                return True
            case {"status": "stands" | "absent" | "open" | "never_sent"}:
                return False
        raise self._unexpected("correct_order")

    async def mark_final(self, user: UserId, decisions: Sequence[DecisionId]) -> None:
        """Nothing can happen any more to these accepted orders of `user`."""
        arguments = {"p_user": str(user), "p_decisions": [str(each) for each in decisions]}
        await self._rpc("mark_orders_final", arguments)

    async def unpublished(self) -> list[Correction]:
        """The oldest corrections that Kafka has not acknowledged, `AT_ONCE` at most."""
        rows = await self._rpc("unpublished_corrections", {"p_limit": AT_ONCE})
        try:
            return [_correction(row) for row in rows]
        except (KeyError, TypeError, ValueError):
            raise self._unexpected("unpublished_corrections") from None

    async def published(self, correction: Correction) -> None:
        """Kafka has acknowledged the message of `correction`."""
        key = correction.key
        arguments = {"p_user": str(key.user), "p_decision": str(key.decision)}
        await self._rpc("correction_published", arguments | {"p_nth": correction.nth})

    async def _rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        return await self._answers.of(function, self._client.rpc(function, arguments).execute)

    def _unexpected(self, call: str) -> StoreAway | Misconfigured:
        return self._answers.misfit(call, "answered in a form this version does not know")


def _key(user: UserId, row: dict[str, Any]) -> OrderKey:
    return OrderKey(user, DecisionId(UUID(row["decision_id"])), OrderId(UUID(row["order_id"])))


def _changing(user: UserId, row: dict[str, Any]) -> ChangingOrder:
    known = OrderOutcome.read(row)
    return ChangingOrder(
        _key(user, row), CorrelationId(row["correlation_id"]), known.outcome, known.dhan_order_id
    )


def _correction(row: dict[str, Any]) -> Correction:
    key = _key(UserId(UUID(row["user_id"])), row)
    return Correction(key, int(row["nth"]), OrderOutcome.read(row), OrderTerms.read(row["terms"]))
