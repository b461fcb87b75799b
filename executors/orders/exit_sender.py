"""Sends one account's exit orders: each once, under a name of its own, and recorded.

A name follows from what the order is for and how often that was tried, so a process that starts
anew counts on from the broker's book. What may have arrived blocks its instrument until it stands
in the book, or is taken for lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any, Final

import structlog

from dhan.orders import LegName, NewOrder, OrderChange, Validity
from dhan.outcomes import (
    Accepted,
    ChangeResult,
    InTransit,
    NotSent,
    PlaceResult,
    Rejected,
    Unknown,
)
from executors.clock import MonotonicClock
from executors.orders.exits import (
    PRODUCT,
    Cancel,
    ChangeStop,
    ExitKind,
    PlaceClose,
    PlaceStop,
    Step,
    brackets,
    closing_side,
    exit_name,
)
from executors.orders.guardian_metrics import GuardianMetrics
from executors.orders.protection import resting_stops
from executors.orders.reading import AccountClients, Reading
from executors.risk.requests import MODIFICATIONS, ExitRequests
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId, UserId, derive
from schemas.messages import ExitAction, ExitOrder, ExitReason, Leg
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# Seconds. What was not acknowledged and does not show by then is taken for lost. A second stop is
# cancelled as soon as it shows; a second closing order would turn the position over.
LOST_AFTER: Final = {ExitKind.STOP: 1.0, ExitKind.CLOSE: 10.0}
# Seconds since a page with 429 came in its place (`dhan.outcomes.Unknown.turned_away`).
TURNED_AWAY_LOST_AFTER: Final = {ExitKind.STOP: 0.0, ExitKind.CLOSE: 2.0}
# Seconds. What Dhan acknowledged is on its way, however late its book shows it.
ACKNOWLEDGED_LOST_AFTER: Final = 10.0

LEG_NAMES: Final = {
    Leg.ENTRY: LegName.ENTRY,
    Leg.STOP_LOSS: LegName.STOP_LOSS,
    Leg.TARGET: LegName.TARGET,
}
_OUTCOMES: Final = (
    (Accepted, "accepted"),
    (Rejected, "rejected"),
    (InTransit, "in_transit"),
    (NotSent, "not_sent"),
    (Unknown, "unknown"),
)
MICROSECONDS: Final = 1_000_000
Record = Callable[[ExitOrder], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a round of exits is decided from.

    Attributes:
        now: Market time.
        alone: No entry of the account can leave, so its whole rate is ours.
    """

    day: date
    now: UtcNs
    reading: Reading
    clients: AccountClients
    alone: bool


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Sent, and not in the book yet.

    Attributes:
        at: When it left; of what was turned away when that was said.
    """

    instrument: InstrumentId
    kind: ExitKind
    at: float
    acknowledged: bool = False
    turned_away: bool = False

    @property
    def lost_after(self) -> float:
        """Seconds after which it is taken for lost."""
        if self.acknowledged:
            return ACKNOWLEDGED_LOST_AFTER
        return (TURNED_AWAY_LOST_AFTER if self.turned_away else LOST_AFTER)[self.kind]


class ExitSender:
    """The exit orders of one account."""

    def __init__(
        self, user: UserId, record: Record, machine: MonotonicClock, metrics: GuardianMetrics
    ) -> None:
        self._user, self._record = user, record
        self._machine, self._metrics = machine, metrics
        self._unseen: dict[CorrelationId, _Unseen] = {}
        self._used: set[CorrelationId] = set()
        self._requests = ExitRequests()
        self._changes = Counter[DhanOrderId]()
        self.unchangeable: set[DhanOrderId] = set()
        self.refused = False  # the last order was refused in words
        self.held_back = False  # something is due that the rate did not allow yet

    @property
    def awaiting(self) -> bool:
        """Whether anything that was sent is not in the book yet."""
        return bool(self._unseen)

    def awaits(self, instrument: InstrumentId) -> bool:
        """Whether something in this instrument is not in the book yet."""
        return any(each.instrument == instrument for each in self._unseen.values())

    def may_place(self, kind: ExitKind, instrument: InstrumentId) -> bool:
        """Whether what is not in the book yet lets another order follow.

        Of a closing order that nobody acknowledged nobody knows whether it left: the position may
        have a stop meanwhile, which is cancelled where it traded after all.
        """
        unseen = [each for each in self._unseen.values() if each.instrument == instrument]
        if kind is ExitKind.CLOSE:
            return not unseen
        return all(each.kind is ExitKind.CLOSE and not each.acknowledged for each in unseen)

    def look_up(self, reading: Reading) -> None:
        """Find what was sent in the book; what does not show in time is taken for lost."""
        for name, sent in list(self._unseen.items()):
            if name in reading.names:
                del self._unseen[name]
            elif reading.began - sent.at > sent.lost_after:
                log.error("exit_lost", user=str(self._user), name=name)
                del self._unseen[name]

    async def send(
        self,
        steps: Iterable[Step],
        instrument: InstrumentId,
        reason: ExitReason,
        moment: Moment,
        uncovered: int = 0,
    ) -> int:
        """Send `steps` as far as the rate allows; how many may have changed the book.

        Cancellations that follow each other leave together: what they uncover has no stop until
        the last of them is answered.
        """
        sent = 0
        for cancels, together in groupby(steps, lambda step: isinstance(step, Cancel)):
            wanted = list(together)
            for batch in [wanted] if cancels else [[step] for step in wanted]:
                leaving = self._leaving_now(batch, instrument, moment)
                answers = [
                    self._answered(step, instrument, reason, moment, uncovered) for step in leaving
                ]
                sent += sum(await asyncio.gather(*answers))
                if len(leaving) < len(batch):
                    return sent
        return sent

    def _leaving_now(
        self, steps: Iterable[Step], instrument: InstrumentId, moment: Moment
    ) -> list[Step]:
        """Those of `steps` that may leave now, counted as sent."""
        leaving: list[Step] = []
        for step in steps:
            if isinstance(step, PlaceStop | PlaceClose) and not self.may_place(
                _kind(step), instrument
            ):
                break
            if self._room(moment) < _needs(step, instrument, moment.reading):
                self.held_back = True
                break
            self._requests.note(self._machine.monotonic())
            leaving.append(step)
        return leaving

    async def _answered(
        self,
        step: Step,
        instrument: InstrumentId,
        reason: ExitReason,
        moment: Moment,
        uncovered: int,
    ) -> bool:
        """Send one step and record the answer; whether it may have changed the book."""
        began = self._machine.monotonic()
        name = self._name(step, instrument, moment)
        result = await self._send(step, instrument, moment, name)
        waited = max(0, round((self._machine.monotonic() - began) * MICROSECONDS))
        seen = {"net": moment.reading.net.get(instrument, 0), "uncovered": uncovered}
        told = _told(step, name) | seen | _answer(result)
        self.tell(moment, instrument, _action(step), reason, waited_us=waited, **told)
        self.refused = isinstance(result, Rejected)
        return not isinstance(result, Rejected | NotSent)

    def tell(
        self,
        moment: Moment,
        instrument: InstrumentId | None,
        action: ExitAction,
        why: ExitReason,
        waited_us: int = 0,
        **told: Any,
    ) -> None:
        """Record what was done."""
        message = exit_order(
            self._user,
            moment.day,
            moment.now,
            action=action,
            why=why,
            instrument=instrument,
            waited_us=waited_us,
            **told,
        )
        log.info(
            "exit",
            user=str(self._user),
            action=action,
            reason=why,
            instrument=str(instrument),
            outcome=message.outcome,
            code=message.code,
        )
        self._metrics.sent(why, message.outcome)
        self._record(message)

    def _room(self, moment: Moment) -> int:
        """How many more the account's rate allows now."""
        return self._requests.room(self._machine.monotonic(), alone=moment.alone)

    def _name(self, step: Step, instrument: InstrumentId, moment: Moment) -> CorrelationId | None:
        if not isinstance(step, PlaceStop | PlaceClose):
            return None
        kind, attempt = _kind(step), 0
        while True:
            name = exit_name(kind, self._user, instrument, moment.day, attempt)
            if name not in self._used and name not in moment.reading.names:
                return name
            attempt += 1

    async def _send(
        self, step: Step, instrument: InstrumentId, moment: Moment, name: CorrelationId | None
    ) -> PlaceResult | ChangeResult:
        orders = moment.clients.orders
        match step:
            case Cancel(number, leg, True):
                return await moment.clients.super_orders.cancel(number, LEG_NAMES[leg])
            case Cancel(number):
                return await orders.cancel(number)
            case ChangeStop(number, quantity, trigger, price):
                change = OrderChange(quantity, price, trigger)
                result = await orders.modify(number, change)
                self._changes[number] += 1
                if isinstance(result, Rejected) or self._changes[number] >= MODIFICATIONS:
                    self.unchangeable.add(number)
                return result
            case PlaceStop() | PlaceClose():
                assert name is not None
                return await self._place(step, instrument, moment, name)

    async def _place(
        self,
        step: PlaceStop | PlaceClose,
        instrument: InstrumentId,
        moment: Moment,
        name: CorrelationId,
    ) -> PlaceResult:
        self._used.add(name)
        # noted before it leaves: we may be cancelled while we wait
        self._unseen[name] = _Unseen(instrument, _kind(step), self._machine.monotonic())
        stop = isinstance(step, PlaceStop)
        result = await moment.clients.orders.place(
            NewOrder(
                instrument=instrument,
                side=step.side,
                quantity=step.quantity,
                price=step.price,
                correlation_id=name,
                product=PRODUCT,
                validity=Validity.DAY if stop else Validity.IOC,
                trigger=step.trigger if isinstance(step, PlaceStop) else None,
            )
        )
        if isinstance(result, Rejected | NotSent):
            del self._unseen[name]
        elif isinstance(result, Accepted):
            self._unseen[name] = replace(self._unseen[name], acknowledged=True)
        elif result.turned_away:
            now = self._machine.monotonic()
            self._unseen[name] = replace(self._unseen[name], at=now, turned_away=True)
        return result


def exit_order(
    user: UserId,
    day: date,
    now: UtcNs,
    *,
    action: ExitAction,
    why: ExitReason,
    instrument: InstrumentId | None,
    waited_us: int = 0,
    **told: Any,
) -> ExitOrder:
    """The message for what was done at market time `now`.

    Its id follows from all of its content: two tries at one market moment are two.
    """
    parts = (user, day, now, action, why, instrument, waited_us, *sorted(told.items()))
    return ExitOrder(
        id=derive("exit_order", *(str(part).replace("|", "/") for part in parts)),
        event_time=now,
        user_id=user,
        trading_date=day,
        action=action,
        reason_code=why,
        instrument=instrument,
        waited_us=waited_us,
        **told,
    )


def _needs(step: Step, instrument: InstrumentId, reading: Reading) -> int:
    """How many orders the rate must allow: a position's stop goes only with what replaces it."""
    net = reading.net.get(instrument, 0)
    if not net or not isinstance(step, Cancel) or step.leg is Leg.TARGET:
        return 1
    stops = resting_stops(brackets(reading.book, instrument), closing_side(net))
    return 2 if any(stop.of.number == step.order and stop.covers for stop in stops) else 1


def _kind(step: PlaceStop | PlaceClose) -> ExitKind:
    return ExitKind.STOP if isinstance(step, PlaceStop) else ExitKind.CLOSE


def _action(step: Step) -> ExitAction:
    match step:
        case PlaceStop():
            return ExitAction.PLACE_STOP
        case ChangeStop():
            return ExitAction.CHANGE_STOP
        case PlaceClose():
            return ExitAction.PLACE_CLOSE
        case Cancel():
            return ExitAction.CANCEL


def _told(step: Step, name: CorrelationId | None) -> dict[str, Any]:
    match step:
        case PlaceStop(side, quantity, trigger, price):
            told = {"side": side, "quantity": quantity, "trigger": trigger, "price": price}
        case ChangeStop(order, quantity, trigger, price):
            told = {"quantity": quantity, "trigger": trigger, "price": price}
            return told | {"dhan_order_id": order}
        case PlaceClose(side, quantity, price):
            told = {"side": side, "quantity": quantity, "price": price}
        case Cancel(order, leg):
            return {"dhan_order_id": order, "leg": leg}
    return told | {"dhan_correlation_id": name}


def _answer(result: PlaceResult | ChangeResult) -> dict[str, Any]:
    outcome = next(word for kind, word in _OUTCOMES if isinstance(result, kind))
    match result:
        case Accepted(order):
            return {"outcome": outcome, "dhan_order_id": order}
        case Rejected(code, message) | NotSent(code, message):
            return {"outcome": outcome, "code": code[:100], "reason": message[:4_000]}
        case InTransit(message):
            return {"outcome": outcome, "reason": message[:4_000]}
        case Unknown(reason):
            return {"outcome": outcome, "reason": reason[:4_000]}
