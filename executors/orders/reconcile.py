"""Finds out what became of an order whose reply was lost, by its correlation id.

Never by sending it again. Found is final at once. Not found is final only when the claim is older
than `CLAIM_LEASE`: before, whoever claimed it might still be sending. Where Dhan refuses to show
the account (a dead token, no permission, a wrong address), nobody can ask, and after the lease the
outcome says so: `unverifiable`. While Dhan gives no clear answer the asking goes on,
`UNCLEAR_LIMIT` at most. So a sick account stops itself, and for a while.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from bus.records import Output, Record, message_output
from dhan.orders import Found, NotFound
from dhan.outcomes import NoAccess, TokenRefused, Unknown
from executors.clock import MonotonicClock
from executors.modes import BrokerFactory
from executors.orders.outcomes import NOT_FOUND, UNVERIFIABLE, execution, not_found, of_order
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
from schemas.codec import decode
from schemas.errors import TryLater, Unreadable
from schemas.ids import OrderId, UserId
from schemas.lineage import HEADER, Cause
from schemas.messages import OrderIntent
from schemas.topics import EXECUTIONS

log = structlog.get_logger(__name__)

CLAIM_LEASE: Final = 10.0  # 2 s to send and 3 s for the reply, twice over
# Dhan's book is of the day: not found in a later one proves nothing
BOOK_REACHES_BACK: Final = 6 * 3600.0
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0  # while Dhan is down a lookup every five seconds is far below any limit
# Of a claim's age, by the database's clock, so restarts do not begin it anew. Sixty lookups without
# a clear answer; a person should look. Half of what the shell allows a handler
# (`bus.options.ShellOptions.handler_timeout`).
UNCLEAR_LIMIT: Final = 300.0
# of the claims found open at the start; nobody holds a place while pausing
LOOKUPS_AT_ONCE: Final = 16

Tell: TypeAlias = Callable[[OrderKey, OrderOutcome], Awaitable[None]]


class Reconciler:
    """Turns open claims into recorded ones."""

    def __init__(
        self,
        store: Store,
        broker: BrokerFactory,
        tokens: RefusedTokens,
        machine: MonotonicClock,
        lease: float = CLAIM_LEASE,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._broker = broker
        self._machine = machine
        self.lease = lease

    async def resolve(self, key: OrderKey) -> OrderOutcome:
        """The recorded outcome of `key`, after as many lookups as it takes."""
        return await self._resolve(key, nullcontext())

    async def _resolve(
        self, key: OrderKey, turn: AbstractAsyncContextManager[None]
    ) -> OrderOutcome:
        began, pause = self._machine.monotonic(), FIRST_PAUSE
        while True:
            state = await retry_until_available(lambda: self._store.reconcile(key), self._machine)
            if isinstance(state, RecordedOutcome):
                return state.outcome
            waited = self._machine.monotonic() - began
            if isinstance(state, Unverifiable):
                verdict, wait = self._given_up(waited), self.lease - waited
            else:
                verdict, wait = (
                    await self._look_up(key, state, waited, turn),
                    self.lease - state.age,
                )
            if verdict:
                return await record_with_retry(self._store, key, verdict, self._machine)
            await self._machine.sleep(min(pause, wait) if wait > 0 else pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _given_up(self, waited: float) -> OrderOutcome | None:
        """The outcome of an order nobody can ask about, once its owner can no longer be sending."""
        return not_found(UNVERIFIABLE) if waited >= self.lease else None

    async def _look_up(
        self,
        key: OrderKey,
        claim: OpenClaim,
        waited: float,
        turn: AbstractAsyncContextManager[None],
    ) -> OrderOutcome | None:
        async with turn:
            lookup = await self._broker(claim.credentials).find(claim.correlation_id)
        if isinstance(lookup, TokenRefused) and lookup.in_words:
            await self._tokens.add(key.user, claim.token_version, lookup.reason)
        match lookup:
            case Found(order):
                return of_order(order)
            case NotFound() if claim.age >= self.lease:
                return not_found(NOT_FOUND if claim.age < BOOK_REACHES_BACK else UNVERIFIABLE)
            case NotFound():
                return None
            case TokenRefused(reason=reason) | NoAccess(reason=reason):
                log.warning(
                    "lookup_refused", order=str(key.order), reason=reason, claim_age=claim.age
                )
                return self._given_up(waited)
            case Unknown(reason):
                log.warning(
                    "order_still_unknown", order=str(key.order), reason=reason, claim_age=claim.age
                )
                return not_found(UNVERIFIABLE) if claim.age >= UNCLEAR_LIMIT else None

    async def open_claims(self) -> list[OrderKey]:
        """Claims without an outcome whose owner can no longer be sending, oldest first."""
        claims = await retry_until_available(
            lambda: self._store.open_claims(self.lease), self._machine
        )
        if claims:
            log.warning("open_claims", count=len(claims), oldest=claims[0][1])
        return [key for key, _ in claims]

    async def resolve_all(self, claims: Collection[OrderKey], tell: Tell) -> None:
        """Bring each of `claims` to its outcome and `tell` it at once.

        Users go side by side, the claims of one in turn.
        """
        of_user: defaultdict[UserId, list[OrderKey]] = defaultdict(list)
        for key in claims:
            of_user[key.user].append(key)
        turns = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def one_by_one(keys: list[OrderKey]) -> None:
            for key in keys:
                try:
                    await tell(key, await self._resolve(key, turns))
                except (
                    TryLater,
                    Unreadable,
                ) as error:  # of this claim alone; the next start tries again
                    log.error(
                        "claim_not_reconciled",
                        order=str(key.order),
                        user=str(key.user),
                        reason=str(error),
                    )

        async with asyncio.TaskGroup() as users:
            for keys in of_user.values():
                users.create_task(one_by_one(keys))


@dataclass(frozen=True, slots=True)
class FoundIntent:
    """An intent, and where in `ats.orders` it stands."""

    intent: OrderIntent
    partition: int
    offset: int

    def output(self, outcome: OrderOutcome) -> Output:
        """The message of its outcome: the same record the worker would have written."""
        message = execution(self.intent, outcome)
        output = message_output(EXECUTIONS, message, str(self.intent.user_id), self.partition)
        return output._replace(headers=((HEADER, Cause(self.offset, 0).encode()),))


async def intents_of(
    orders: AsyncIterator[Record], wanted: Collection[OrderId]
) -> dict[OrderId, FoundIntent]:
    """Those of `orders` that are `wanted`.

    What cannot be read is left to the worker, which buries it.
    """
    found = {}
    async for record in orders:
        try:
            intent = decode(OrderIntent, record.value)
        except Unreadable:
            continue
        if intent.id in wanted:
            found[intent.id] = FoundIntent(intent, record.partition, record.offset)
    return found
