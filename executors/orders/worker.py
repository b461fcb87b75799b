"""Takes one order intent to its one recorded outcome: claim, judge, place, record.

Promise: at most one order reaches Dhan per (decision, user), and each intent ends in exactly one
outcome, whatever crashes. The claim gives the first half, the recorded outcome and the
uncommitted record the second (docs/executors.md lists each failure). Everything after a claim is
written from what the database recorded, so a repeat is byte for byte the same.

An order whose fate is unknown is left to `executors.orders.unresolved`: nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

import structlog

from bus.database import StoreAway
from bus.records import Output, Record
from dhan.orders import NewOrder, Validity
from dhan.outcomes import NotSent, PlaceResult, Rejected, Unknown
from dhan.super_orders import Exits, NewSuperOrder
from executors.clock import DecisionTime, MonotonicClock
from executors.fanout import decided
from executors.modes import BrokerClient, BrokerFactory
from executors.orders.breaker import Breakers
from executors.orders.outcomes import denied, denied_as_seen, of_placement
from executors.orders.pre_trade import BrokerSays, PreTrade
from executors.orders.stopwatch import Stopwatch
from executors.orders.telling import Telling
from executors.orders.unresolved import UnresolvedOrders
from executors.reasons import Reason
from executors.risk.denial import Denial
from executors.store import (
    AlreadyClaimed,
    Claimed,
    OrderKey,
    OrderOutcome,
    Refused,
    Store,
    record_with_retry,
    retry_until_available,
)
from executors.terms import OrderTerms
from executors.tokens import RefusedTokens
from schemas.codec import decode
from schemas.evidence import Written
from schemas.market import Side
from schemas.messages import OrderIntent

log = structlog.get_logger(__name__)

# Seconds from before the claim: a fifth of the lease after which others may conclude "not sent".
SEND_TIMEOUT: Final = 2.0
INPUT_ERROR: Final = "DH-905"
RETRY_PAUSE: Final = 0.2  # after "not sent"; ten tries fit into SEND_TIMEOUT
# Orders between claim and request. They share one event loop, so the last of them leaves after
# the work of all: 128 times 5 ms on a slow machine, a third of SEND_TIMEOUT. Whose account must be
# looked at first keeps no place meanwhile.
BEGUN_AT_ONCE: Final = 128
# Seconds that an entry waits for an earlier order of its user to be found: most are, at once.
UNRESOLVED_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class WorkerDeps:
    """What the worker looks at and speaks to."""

    store: Store
    broker: BrokerFactory
    unresolved: UnresolvedOrders
    breakers: Breakers
    tokens: RefusedTokens
    pre_trade: PreTrade
    telling: Telling
    machine: MonotonicClock


class _Place:
    """One order's place among those that have begun and are not on their way yet.

    Attributes:
        started: Machine time from which its claim is young.
    """

    def __init__(self, room: asyncio.Semaphore, machine: MonotonicClock) -> None:
        self._room = room
        self._machine = machine
        self._held = False
        self.started = 0.0

    async def take(self) -> None:
        """Wait for a place, and begin."""
        await self._room.acquire()
        self._held, self.started = True, self._machine.monotonic()

    async def take_again(self) -> None:
        """Wait for a place with a claim that ages meanwhile."""
        await self._room.acquire()
        self._held = True

    def leave(self) -> None:
        """Let the next order begin."""
        if self._held:
            self._held = False
            self._room.release()


class OrderWorker:
    """Handler of `ats.orders`. Intents of one user come one after another, as the shell sees to."""

    def __init__(self, deps: WorkerDeps) -> None:
        self._deps = deps
        self._begun = asyncio.Semaphore(BEGUN_AT_ONCE)  # fair: first come, first served

    async def __call__(self, record: Record) -> Sequence[Output]:
        intent = decode(OrderIntent, record.value)
        self._deps.pre_trade.heard(intent, record)
        outcome = await self.outcome_of(intent, decided(intent, record))
        outcome = outcome or await self._deps.unresolved.leave(intent, record)
        if outcome is None:
            log.warning("order_left_unresolved", order=str(intent.id), user=str(intent.user_id))
            return ()
        return self._deps.telling.outputs(intent, outcome)

    async def outcome_of(self, intent: OrderIntent, when: DecisionTime) -> OrderOutcome | None:
        """The recorded outcome of `intent`, which is brought about if there is none yet.

        None: it was claimed, and nobody knows what came of it.
        """
        place = _Place(self._begun, self._deps.machine)
        try:
            return await self._outcome_of(intent, when, place)
        finally:
            place.leave()

    async def _outcome_of(
        self, intent: OrderIntent, when: DecisionTime, place: _Place
    ) -> OrderOutcome | None:
        key, began = OrderKey.of(intent), self._deps.machine.monotonic()
        while True:
            place.leave()
            await self._deps.pre_trade.quotes(intent)
            now = await self._deps.pre_trade.turn(intent, when)
            await place.take()
            now = max(now, self._deps.pre_trade.clock.now(when))
            order, evidence = self._deps.pre_trade.cut(intent, now, place.started)
            try:
                claim = await self._deps.store.claim(
                    order, closes=self._deps.pre_trade.closes(order, now), evidence=evidence
                )
            except StoreAway as error:  # the claim may stand: then the next try finds it taken
                log.warning("claim_unanswered", order=str(intent.id), error=str(error))
                place.leave()
                await self._deps.machine.sleep(RETRY_PAUSE)
                continue
            match claim:
                case AlreadyClaimed(outcome):
                    return outcome
                case Refused(Reason.ORDER_UNRESOLVED) if self._waits(key, began):
                    place.leave()
                    await self._deps.machine.sleep(RETRY_PAUSE)
                case Refused(reason):
                    place.leave()
                    return await self._deny(key, denied(reason), OrderTerms.of(order, evidence))
                case Claimed() as claimed:
                    # judged after it: so an order cannot be denied here and sent by a frozen worker
                    # elsewhere
                    return await self._send(order, evidence, claimed, when, place)

    def _waits(self, key: OrderKey, began: float) -> bool:
        """Whether the user's unresolved order may still be found soon: an account that answers."""
        waited = self._deps.machine.monotonic() - began
        return waited < UNRESOLVED_TIMEOUT and not self._deps.breakers.is_open(key.user)

    async def _send(
        self,
        order: OrderIntent,
        evidence: Written,
        claimed: Claimed,
        when: DecisionTime,
        place: _Place,
    ) -> OrderOutcome | None:
        key = OrderKey.of(order)
        placed, judgement = await self._place(order, claimed, when, place)
        evidence = {**evidence, "judgement": judgement}
        place.leave()
        if not isinstance(placed, Denial):
            self._deps.breakers.heard(key.user, placed)
        match placed:
            case Unknown(reason):
                log.warning("order_unknown", order=str(order.id), reason=reason)
                await self._keep(key, judgement)
                return None
            case Denial() as denial:
                preflight = judgement["seen"]["preflight"] if judgement else ""
                return await self._record_outcome(key, denied_as_seen(denial, preflight), evidence)
            case _:
                if isinstance(placed, Rejected) and placed.token_refused:
                    await self._deps.tokens.add(key.user, claimed.token_version, placed.code)
                return await self._record_outcome(key, of_placement(placed), evidence)

    async def _place(
        self, order: OrderIntent, claimed: Claimed, when: DecisionTime, place: _Place
    ) -> tuple[PlaceResult | Denial, Written | None]:
        """Send the order once; again only while it certainly did not leave and the claim is young.

        Each try is judged and counted at its own moment: deadline or session may have ended since,
        a halt may be in force. The last judgement comes with the answer; None when there was none.
        """
        client, pre_trade = self._deps.broker(claimed.credentials), self._deps.pre_trade
        started = place.started
        watch = Stopwatch(self._deps.machine, started)
        said = await self._said(order, claimed, client, when, place)
        placed: PlaceResult = NotSent(Reason.CLAIM_STALE.value, "")
        guarded = True  # by a stop and a target that go with it
        while True:
            now = await pre_trade.turn(order, when)
            if self._deps.machine.monotonic() - started >= SEND_TIMEOUT:
                return placed, watch.judgement
            denial, seen = pre_trade.judge(order, now, started, claimed, said)
            watch.judged(seen, denial)
            if denial:
                return denial, watch.judgement
            pre_trade.spend(order, now)
            new = new_order(order, opens=guarded and pre_trade.opens(order, now))
            watch.sent()
            place.leave()  # the broker's time is nobody else's
            placed = await client.place(new)
            watch.answered(placed)
            if isinstance(new, NewSuperOrder) and _refuses_form(placed):
                # the guardian rests a stop on the first fill of a plain one
                log.warning("super_order_refused", order=str(order.id), code=placed.code)
                guarded = False
                continue
            if not isinstance(placed, NotSent):
                return placed, watch.judgement
            log.warning("order_not_sent", order=str(order.id), code=placed.code)
            await self._deps.machine.sleep(RETRY_PAUSE)

    async def _said(
        self,
        order: OrderIntent,
        claimed: Claimed,
        client: BrokerClient,
        when: DecisionTime,
        place: _Place,
    ) -> BrokerSays:
        """What Dhan lets be known of the account; while it has to be asked the place is free."""
        pre_trade, breakers = self._deps.pre_trade, self._deps.breakers
        asks = pre_trade.must_ask(order, claimed) or breakers.must_ask(order.user_id)
        if asks:
            place.leave()
        said = await pre_trade.account(order, claimed)
        closing = pre_trade.closes(order, pre_trade.clock.now(when))
        answers = closing or await breakers.admits(order.user_id, client)
        if asks:
            await place.take_again()
        return said._replace(answers=answers)

    async def _deny(
        self, key: OrderKey, denial: OrderOutcome, terms: OrderTerms
    ) -> OrderOutcome | None:
        """What the database refused; None: another worker has been given the claim since."""
        return await retry_until_available(
            lambda: self._deps.store.record_denial(key, denial, terms), self._deps.machine
        )

    async def _record_outcome(
        self, key: OrderKey, outcome: OrderOutcome, evidence: Written
    ) -> OrderOutcome:
        return await record_with_retry(self._deps.store, key, outcome, self._deps.machine, evidence)

    async def _keep(self, key: OrderKey, judgement: Written | None) -> None:
        """Before the lookup, which another process may finish."""
        if judgement:
            await retry_until_available(
                lambda: self._deps.store.keep_judgement(key, judgement), self._deps.machine
            )


def _refuses_form(placed: PlaceResult) -> TypeGuard[Rejected]:
    """Whether Dhan refused in words to take this kind of order; so none of this name exists.

    A refusal for other reasons, such as too little money, would only be heard twice.
    """
    return (
        isinstance(placed, Rejected)
        and placed.order_id is None
        and not placed.token_refused
        and (placed.code == INPUT_ERROR or "super" in placed.message.lower())
    )


def _lies_between(intent: OrderIntent) -> bool:
    low, high = sorted((intent.stop, intent.target))
    rises = intent.stop < intent.target
    return low < intent.price < high and rises is (intent.side is Side.BUY)


def new_order(intent: OrderIntent, *, opens: bool) -> NewOrder | NewSuperOrder:
    """What opens a position goes with its stop and target, which rest from its first fill on.

    It may fill until the decision's deadline, then the guardian cancels what is left.
    """
    if opens and _lies_between(intent):
        return NewSuperOrder(
            instrument=intent.instrument,
            side=intent.side,
            quantity=intent.quantity,
            price=intent.price,
            exits=Exits(intent.stop, intent.target),
            correlation_id=intent.dhan_correlation_id,
        )
    return NewOrder(
        instrument=intent.instrument,
        side=intent.side,
        quantity=intent.quantity,
        price=intent.price,
        correlation_id=intent.dhan_correlation_id,
        # what does not fill at once would rest on after the decision has expired
        validity=Validity.IOC,
    )
