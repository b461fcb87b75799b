"""Takes one order intent to its one recorded outcome: claim, judge, place, settle.

Promise: at most one order reaches Dhan per (decision, user), and each intent ends in exactly one
outcome, whatever crashes. The claim gives the first half, the recorded settlement and the
uncommitted record the second (docs/executors.md lists each failure). Everything after a claim is
written from what the database recorded, so a repeat is byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from bus.database import StoreAway
from bus.records import Output, Record, message_output
from dhan.orders import NewOrder, NotSent, Placed, Rejected, Unknown, Validity
from executors.accounts import Accounts
from executors.budget import OrderBudget
from executors.clock import Decided, MachineTime, MarketClock
from executors.fanout import LimitsOf, decided
from executors.gate import Denial, Situation, cut_to_close, judge
from executors.metrics import OrderMetrics
from executors.modes import BrokerFactory, ModeRules
from executors.outcomes import CLAIM_STALE, denied, execution, of_placement
from executors.quotes import QuoteCache
from executors.reconcile import Resolver
from executors.sessions import ActiveUsers
from executors.store import Claimed, OrderKey, Refused, Settlement, Store, Taken, settled
from executors.terms import OrderTerms
from executors.tokens import RefusedTokens
from schemas.calendar import Calendar
from schemas.codec import decode
from schemas.messages import OrderIntent
from schemas.topics import EXECUTIONS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

SEND_WITHIN: Final = (
    # seconds from before the claim; a fifth of the lease after which others may conclude "not sent"
    2.0
)
# seconds for the quote book to catch up with the decision; usually it is ahead
BOOK_PATIENCE: Final = 2.0
RETRY_PAUSE: Final = 0.2  # after "not sent"; ten tries fit into SEND_WITHIN


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the worker looks at and speaks to."""

    store: Store
    broker: BrokerFactory
    rules: ModeRules
    resolver: Resolver
    tokens: RefusedTokens
    accounts: Accounts
    book: QuoteCache
    active: ActiveUsers
    budget: OrderBudget
    clock: MarketClock
    calendar: Calendar
    limits_of: LimitsOf
    kill_switch: Callable[[], bool]
    machine: MachineTime
    metrics: OrderMetrics = field(default_factory=OrderMetrics)


class OrderWorker:
    """Handler of `ats.orders`. Intents of one user come one after another, as the shell sees to."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def __call__(self, record: Record) -> Sequence[Output]:
        intent = decode(OrderIntent, record.value)
        settlement = await self.outcome_of(intent, decided(intent, record))
        message = execution(intent, settlement)
        self._around.budget.observe(message)
        self._around.metrics.told(message)
        log.info(
            "order_settled",
            order=str(intent.id),
            user=str(intent.user_id),
            symbol=intent.symbol,
            outcome=settlement.outcome,
            code=settlement.code,
        )
        return [message_output(EXECUTIONS, message, str(intent.user_id))]

    async def outcome_of(self, intent: OrderIntent, when: Decided) -> Settlement:
        """The recorded outcome of `intent`, which is brought about if there is none yet."""
        key = OrderKey.of(intent)
        while True:
            await self._around.book.reached(intent.instrument, intent.event_time, BOOK_PATIENCE)
            now = await self._turn(intent, when)
            started = self._around.machine.monotonic()
            order = cut_to_close(intent, self._situation(intent, now, started))
            try:
                claim = await self._around.store.claim(order)
            except StoreAway as error:  # the claim may stand: then the next try finds it taken
                log.warning("claim_unanswered", order=str(intent.id), error=str(error))
                await self._around.machine.sleep(RETRY_PAUSE)
                continue
            match claim:
                case Taken(settlement):
                    return settlement or await self._around.resolver.resolve(key)
                case Refused(reason):
                    return await self._settle(
                        key, replace(denied(reason), terms=OrderTerms.of(order))
                    )
                case Claimed() as claimed:
                    # judged after it: so an order cannot be denied here and sent by a frozen worker
                    # elsewhere
                    return await self._send(order, claimed, when, started)

    async def _turn(self, intent: OrderIntent, when: Decided) -> UtcNs:
        """Wait until the user's rate allows one more order; returns the market time then."""
        now = self._around.clock.now(when)
        while (slot := self._around.budget.next_slot(intent.user_id, now)) > now:
            now = await self._around.clock.reach(slot, when)
        return now

    def _situation(
        self, order: OrderIntent, now: UtcNs, since: float, claimed: Claimed | None = None
    ) -> Situation:
        """What is known now.

        `since`: when, in machine time, the database was asked about the user and said yes.
        """
        user = order.user_id
        account = claimed.credentials.client_id if claimed else None
        return Situation(
            now=now,
            kill_switch=self._around.kill_switch(),
            mode_allows=self._around.rules.allows(account),
            user_active=self._around.active.still_active(user, since),
            calendar=self._around.calendar,
            feed_clock=self._around.book.clock(order.instrument),
            quote=self._around.book.quote_at(order.instrument, now),
            sent=self._around.budget.sent(user, now),
            limits=self._around.limits_of(user),
            position=self._around.budget.position(user, order.instrument, now),
            token_refused=claimed is not None and claimed.token_version in self._around.tokens,
        )

    async def _send(
        self, order: OrderIntent, claimed: Claimed, when: Decided, started: float
    ) -> Settlement:
        key = OrderKey.of(order)
        self._around.budget.connected(key.user, claimed.credentials.client_id)
        match await self._place(order, claimed, when, started):
            case Unknown(reason):
                log.warning("order_unknown", order=str(order.id), reason=reason)
                return await self._around.resolver.resolve(key)
            case Denial() as denial:
                return await self._settle(key, denied(denial))
            case placed:
                if isinstance(placed, Rejected) and placed.token_refused:
                    await self._around.tokens.add(key.user, claimed.token_version, placed.code)
                return await self._settle(key, of_placement(placed))

    async def _place(
        self, order: OrderIntent, claimed: Claimed, when: Decided, started: float
    ) -> Placed | Denial:
        """Send the order once; again only while it certainly did not leave and the claim is young.

        Each try is judged and counted at its own moment: deadline or session may have ended since,
        the kill switch may be on.
        """
        desk = self._around.broker(claimed.credentials)
        account = await self._around.accounts.seen(order.user_id, claimed)
        placed: Placed = NotSent(CLAIM_STALE, "")
        while True:
            now = await self._turn(order, when)
            if self._around.machine.monotonic() - started >= SEND_WITHIN:
                return placed
            situation = self._situation(order, now, started, claimed)
            if denial := judge(order, replace(situation, account=account)):
                return denial
            self._around.budget.spend(order, now)
            placed = await desk.place(_new_order(order))
            if not isinstance(placed, NotSent):
                return placed
            log.warning("order_not_sent", order=str(order.id), code=placed.code)
            await self._around.machine.sleep(RETRY_PAUSE)

    async def _settle(self, key: OrderKey, settlement: Settlement) -> Settlement:
        return await settled(self._around.store, key, settlement, self._around.machine)


def _new_order(intent: OrderIntent) -> NewOrder:
    return NewOrder(
        instrument=intent.instrument,
        side=intent.side,
        quantity=intent.quantity,
        price=intent.price,
        correlation_id=intent.dhan_correlation_id,
        # what does not fill at once would rest on after the decision has expired
        validity=Validity.IOC,
    )
