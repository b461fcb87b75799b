"""Finds out what became of an order whose reply was lost, by its correlation id.

Never by sending it again. Found is final at once. Not found is final only when the claim is older
than `CLAIM_LEASE`: before, whoever claimed it might still be sending. Where Dhan refuses to show
the account (a dead token, no permission, a wrong address), nobody can ask, and after the lease the
outcome says so: `unverifiable`. While Dhan gives no clear answer the asking goes on,
`UNCLEAR_LIMIT` at most. So a sick account stops itself, and for a while.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import structlog

from dhan.orders import Found, NotFound
from dhan.outcomes import NoAccess, TokenRefused, Unknown
from executors.clock import MonotonicClock
from executors.modes import BrokerFactory
from executors.orders.breaker import Breakers
from executors.orders.outcomes import not_found, of_order
from executors.reasons import Reason
from executors.store import (
    OpenClaim,
    OrderKey,
    OrderOutcome,
    RecordedOutcome,
    Store,
    Unverifiable,
    record_with_retry,
    retry_until_available,
)
from executors.tokens import RefusedTokens

log = structlog.get_logger(__name__)

CLAIM_LEASE: Final = 10.0  # 2 s to send and 3 s for the reply, twice over
# Dhan's book is of the day: not found in a later one proves nothing
BOOK_REACHES_BACK: Final = 6 * 3600.0
# Of a claim's age, by the database's clock, so restarts do not begin it anew. Sixty lookups without
# a clear answer; a person should look. Corrections go on looking.
UNCLEAR_LIMIT: Final = 300.0


class Reconciler:
    """Turns open claims into recorded ones."""

    def __init__(
        self,
        store: Store,
        broker: BrokerFactory,
        tokens: RefusedTokens,
        machine: MonotonicClock,
        breakers: Breakers,
        *,
        lease: float = CLAIM_LEASE,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._broker = broker
        self._machine = machine
        self._breakers = breakers
        self.lease = lease

    async def look(
        self,
        key: OrderKey,
        left_for: float,
        turn: AbstractAsyncContextManager[object] | None = None,
    ) -> OrderOutcome | None:
        """Look the order of `key` up once; its recorded outcome, None while nobody knows.

        `left_for` is for how many seconds it has been looked up. The lookup waits for `turn`.
        """
        state = await retry_until_available(lambda: self._store.reconcile(key), self._machine)
        match state:
            case RecordedOutcome(outcome):
                return outcome
            case Unverifiable():
                verdict = self._given_up(left_for)
            case OpenClaim():
                async with turn or nullcontext():
                    verdict = await self._look_up(key, state, left_for)
        if verdict is None:
            return None
        return await record_with_retry(self._store, key, verdict, self._machine)

    def _given_up(self, left_for: float) -> OrderOutcome | None:
        """The outcome of an order nobody can ask about, once its owner can no longer be sending."""
        return not_found(Reason.UNVERIFIABLE) if left_for >= self.lease else None

    async def _look_up(
        self, key: OrderKey, claim: OpenClaim, left_for: float
    ) -> OrderOutcome | None:
        lookup = await self._broker(claim.credentials).find(claim.correlation_id)
        self._breakers.heard(key.user, lookup)
        if isinstance(lookup, TokenRefused) and lookup.in_words:
            await self._tokens.add(key.user, claim.token_version, lookup.reason)
        match lookup:
            case Found(order):
                return of_order(order)
            case NotFound() if claim.age >= self.lease:
                return not_found(
                    Reason.NOT_FOUND if claim.age < BOOK_REACHES_BACK else Reason.UNVERIFIABLE
                )
            case NotFound():
                return None
            case TokenRefused(reason=reason) | NoAccess(reason=reason):
                log.warning(
                    "lookup_refused", order=str(key.order), reason=reason, claim_age=claim.age
                )
                return self._given_up(left_for)
            case Unknown(reason):
                log.warning(
                    "order_still_unknown", order=str(key.order), reason=reason, claim_age=claim.age
                )
                return not_found(Reason.UNVERIFIABLE) if claim.age >= UNCLEAR_LIMIT else None
