"""Finds out what became of an order whose reply was lost, by its correlation id; never by sending it again.

Found is final at once. Not found is final only when the claim is older than `CLAIM_LEASE`: before, whoever claimed it might
still be sending. While Dhan does not answer there is no outcome, and the asking goes on; but where the account's token is
dead nobody can ask, and after the lease the outcome says so, so that one account does not hold up all others for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

import structlog

from bus.records import Output, Record, message_output
from dhan.orders import Found, NoAccess, NotFound, TokenRefused, Unknown
from executors.clock import MachineTime
from executors.modes import Broker
from executors.outcomes import NOT_FOUND, UNVERIFIABLE, execution, not_found, of_order
from executors.store import Blind, Open, OrderKey, Settled, Settlement, Store, settled, until_back
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import OrderId
from schemas.lineage import HEADER, Cause
from schemas.messages import OrderIntent
from schemas.topics import EXECUTIONS

log = structlog.get_logger(__name__)

CLAIM_LEASE: Final = 10.0  # 2 s to send and 3 s for the reply, twice over
BOOK_REACHES_BACK: Final = 6 * 3600.0  # Dhan's book is of the day: not found in a later one proves nothing
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0  # while Dhan is down a lookup every five seconds is far below any limit
AT_ONCE: Final = 8  # open claims looked up together at the start


class Resolver:
    """Turns open claims into settled ones."""

    def __init__(self, store: Store, broker: Broker, machine: MachineTime, lease: float = CLAIM_LEASE) -> None:
        self._store = store
        self._broker = broker
        self._machine = machine
        self.lease = lease

    async def resolve(self, key: OrderKey) -> Settlement:
        """The recorded outcome of `key`, after as many lookups as it takes."""
        began, pause = self._machine.monotonic(), FIRST_PAUSE
        while True:
            state = await until_back(lambda: self._store.reconcile(key), self._machine)
            if isinstance(state, Settled):
                return state.settlement
            waited = self._machine.monotonic() - began
            if isinstance(state, Blind):
                verdict, wait = self._given_up(waited), self.lease - waited
            else:
                verdict, wait = await self._look_up(key, state, waited), self.lease - state.age
            if verdict:
                return await settled(self._store, key, verdict, self._machine)
            await self._machine.sleep(min(pause, wait) if wait > 0 else pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _given_up(self, waited: float) -> Settlement | None:
        """The outcome of an order that nobody can ask about, once its owner can no longer be sending."""
        return not_found(UNVERIFIABLE) if waited >= self.lease else None

    async def _look_up(self, key: OrderKey, claim: Open, waited: float) -> Settlement | None:
        match await self._broker(claim.credentials).find(claim.correlation_id):
            case Found(order):
                return of_order(order)
            case NotFound() if claim.age >= self.lease:
                return not_found(NOT_FOUND if claim.age < BOOK_REACHES_BACK else UNVERIFIABLE)
            case NotFound():
                return None
            case TokenRefused(reason) | NoAccess(reason):
                log.warning("lookup_refused", order=str(key.order), reason=reason, claim_age=claim.age)
                return self._given_up(waited)
            case Unknown(reason):
                log.warning("order_still_unknown", order=str(key.order), reason=reason, claim_age=claim.age)
                return None

    async def resolve_open(self) -> dict[OrderId, Settlement]:
        """Settle every claim whose owner can no longer be sending."""
        claims = await until_back(lambda: self._store.open_claims(self.lease), self._machine)
        if claims:
            log.warning("open_claims", count=len(claims), oldest=claims[0][1])
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(key: OrderKey) -> tuple[OrderId, Settlement]:
            async with gate:
                return key.order, await self.resolve(key)

        return dict(await asyncio.gather(*(one(key) for key, _ in claims)))


async def executions_of(orders: AsyncIterator[Record], outcomes: Mapping[OrderId, Settlement]) -> list[Output]:
    """The messages for `outcomes`, made from their intents: the same records the worker would have written."""
    outputs = {}
    async for record in orders:
        try:
            intent = decode(OrderIntent, record.value)
        except Unreadable:
            continue  # the worker buries it
        if settlement := outcomes.get(intent.id):
            message = execution(intent, settlement)
            output = message_output(EXECUTIONS, message, str(intent.user_id), record.partition)
            outputs[intent.id] = output._replace(headers=((HEADER, Cause(record.offset, 0).encode()),))
    return list(outputs.values())
