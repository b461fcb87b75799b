"""A recorded day once more: its decisions and exits, sent when they were sent, to the same market.

From the record come decisions, the limits each order was made under, and when each request came to
the broker. Size, price, stop and target of each order, what the gate cut away, every fill and every
exit that rested are derived.

Where it stops: what a guardian sent is taken as it was sent, because when it did depends on the
machine of that day. A request that the broker never showed is not sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from backtest.account import AccountFill
from backtest.exchange import Exchange
from backtest.fills import Fills
from backtest.market import DayMarket
from backtest.observed import ObservedBook
from backtest.trade import Ending, Trade
from backtest.trades import trades_of
from dhan.orders import NewOrder
from dhan.super_orders import NewSuperOrder
from executors.charges.rates import Rates
from executors.orders.exits import Cancel, ChangeStop, PlaceClose, PlaceStop, Step
from executors.orders.worker import new_order
from executors.risk.gate import fitting
from executors.risk.recorded import context_of
from executors.risk.situation import opens
from executors.risk.sizing import NoOrder, UserLimits, plan
from schemas.ids import DecisionId, DhanOrderId, InstrumentId, UserId
from schemas.messages import (
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    ExitReason,
    Leg,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Signal,
)
from schemas.messages import Trade as RecordedTrade
from schemas.units import NS_PER_SECOND, Price, UtcNs
from simulator.matching.order import Order, OrderSnapshot

ENDINGS: Final[Mapping[ExitReason, Ending]] = {
    ExitReason.SQUARE_OFF: Ending.SQUARE_OFF,
    ExitReason.HALT: Ending.HALT,
}


class Request(NamedTuple):
    """One request, as it came to the broker.

    Attributes:
        second: Market time, UTC.
        number: Of the order that it placed; "" of one that changed another.
    """

    second: int
    number: str
    user: UserId
    instrument: InstrumentId
    what: NewOrder | NewSuperOrder | Step
    name: str = ""


@dataclass(frozen=True)
class RecordedDay:
    """What one day's topics hold of orders.

    Attributes:
        limits: The platform's; the value that an order was made under stands in its outcome.
    """

    signals: Sequence[Signal]
    decisions: Sequence[Decision]
    intents: Sequence[OrderIntent]
    executions: Sequence[Execution]
    events: Sequence[OrderEvent]
    exits: Sequence[ExitOrder]
    trades: Sequence[RecordedTrade]
    limits: UserLimits

    @cached_property
    def rules(self) -> Mapping[DecisionId, str]:
        """Whose signal each decision was on."""
        said = {each.id: each.rule for each in self.signals}
        return {each.id: said.get(each.signal_id, "") for each in self.decisions}

    @cached_property
    def decided(self) -> Mapping[DecisionId, Decision]:
        """The decisions by id."""
        return {each.id: each for each in self.decisions}

    @cached_property
    def shown(self) -> Mapping[DhanOrderId, list[ObservedOrder]]:
        """What the broker showed of each order, by its own number, with a time."""
        found: dict[DhanOrderId, list[ObservedOrder]] = defaultdict(list)
        for event in self.events:
            if event.order and event.order.updated_at:
                found[event.order.dhan_order_id].append(event.order)
        return found

    @cached_property
    def traded(self) -> Mapping[DhanOrderId, UtcNs]:
        """When each order traded first."""
        found: dict[DhanOrderId, UtcNs] = {}
        for each in (one.fill for one in self.trades if one.fill.traded_at):
            found[each.dhan_order_id] = min(
                each.traded_at, found.get(each.dhan_order_id, each.traded_at)
            )
        return found

    def arrived(self, number: DhanOrderId) -> int:
        """The second at which an order was first at the exchange; one in TRANSIT is not there yet.

        Where nobody saw it before it had traded whole, it came with its first trade at the latest.
        """
        seen = self.shown[number]
        there = [each for each in seen if each.status is not OrderStatus.TRANSIT]
        first = min(each.updated_at for each in there or seen)
        return min(first, self.traded.get(number, first)) // NS_PER_SECOND

    @cached_property
    def ordered(self) -> Mapping[DhanOrderId, Decision]:
        """What each order of a decision acted on."""
        return {
            each.dhan_order_id: self.decided[each.decision_id]
            for each in self.executions
            if each.dhan_order_id and each.decision_id in self.decided
        }

    def fills(self, user: UserId) -> list[AccountFill]:
        """What the record holds of a user's trades."""
        legs = {
            number: (seen[-1].leg, seen[-1].super_order or number)
            for number, seen in self.shown.items()
        }
        own = (each.fill for each in self.trades if each.user_id == user)
        return list(self._told(own, legs, {}))

    def told(self, book: ObservedBook, numbers: Mapping[str, DhanOrderId]) -> list[AccountFill]:
        """What a replayed book holds; `numbers` has the recorded number of each order placed."""
        legs = {
            key.dhan_order_id: (key.leg, order.super_order or key.dhan_order_id)
            for key, order in book.book.orders.items()
        }
        return list(self._told(book.book.fills.values(), legs, numbers))

    def _told(
        self,
        fills: Iterable[ObservedFill],
        legs: Mapping[DhanOrderId, tuple[Leg, DhanOrderId]],
        numbers: Mapping[str, DhanOrderId],
    ) -> Iterator[AccountFill]:
        last = dict[InstrumentId, Decision]()
        for fill in sorted(fills, key=lambda each: (each.traded_at, each.trade_id)):
            leg, parent = legs.get(fill.dhan_order_id, (Leg.ENTRY, fill.dhan_order_id))
            entry, own = numbers.get(parent, parent), fill.dhan_order_id
            decision = self.ordered.get(entry) or last.get(fill.instrument)
            if decision is None:
                continue  # of an order that no decision here made, as from the phone
            last[fill.instrument] = decision
            yield AccountFill(fill, decision, self._ending(numbers.get(own, own), leg))

    def _ending(self, number: DhanOrderId, leg: Leg) -> Ending:
        if leg is Leg.STOP_LOSS:
            return Ending.STOP
        if leg is Leg.TARGET:
            return Ending.TARGET
        for each in self.exits:
            if each.dhan_order_id == number and each.action is not ExitAction.CANCEL:
                return ENDINGS.get(each.reason_code, Ending.STOP)
        return Ending.OTHER_SIDE


def requests_of(day: RecordedDay, market: DayMarket) -> list[Request]:
    """Everything that was sent, in the order in which it came to the broker."""
    found = [*_entries(day, market), *_exits(day)]
    placed = {each.number: each.second for each in found}

    def turn(request: Request) -> tuple[int, str, bool]:
        """Of one second: what changes an older order goes first, then orders by the broker's count,
        each with what changed it.
        """
        changed = request.what.order if isinstance(request.what, Cancel | ChangeStop) else ""
        of = changed if placed.get(changed) == request.second else request.number
        return request.second, of, bool(changed)

    return sorted(found, key=turn)


def _entries(day: RecordedDay, market: DayMarket) -> Iterator[Request]:
    intents = {each.id: each for each in day.intents}
    for told in day.executions:
        number, intent = told.dhan_order_id, intents.get(told.order_id)
        seen = day.shown.get(number) if number else None
        if told.corrects or not number or not seen or intent is None:
            continue
        made = _made(day, told, market)
        if made is not None:
            yield Request(day.arrived(number), number, told.user_id, told.instrument, made)


def _made(day: RecordedDay, told: Execution, market: DayMarket) -> NewOrder | NewSuperOrder | None:
    """The order, made again from its decision and from what was seen when it left."""
    evidence, decision = told.evidence, day.decided.get(told.decision_id)
    if evidence is None or evidence.judgement is None or decision is None:
        return None
    limits = evidence.asked.limits
    user_limits = UserLimits(
        max_order_value=limits.max_order_value,
        max_orders_per_day=limits.max_orders_per_day,
        risk_per_trade=day.limits.risk_per_trade,
    )
    planned = plan(decision, told.user_id, market.instruments[told.instrument], user_limits)
    if isinstance(planned, NoOrder):
        return None
    quantity, _ = fitting(planned, context_of(evidence.asked, told.instrument))
    order = planned.model_copy(update={"quantity": quantity})
    seen = context_of(evidence.judgement.seen, told.instrument)
    return new_order(order, opens=opens(order.side, seen.closable))


def _exits(day: RecordedDay) -> Iterator[Request]:
    for each in day.exits:
        if each.instrument is None or each.dhan_order_id is None:
            continue
        number, seen = each.dhan_order_id, day.shown.get(each.dhan_order_id, [])
        if each.action is ExitAction.CANCEL:
            yield from _cancel(day, each, number, each.instrument)
        elif seen and each.side and each.action is ExitAction.PLACE_CLOSE:
            step: Step = PlaceClose(each.side, each.quantity, Price(each.price))
            yield _sent(each, day.arrived(number), step, number, each.instrument)
        elif seen and each.side and each.action is ExitAction.PLACE_STOP:
            step = PlaceStop(each.side, each.quantity, Price(each.trigger), Price(each.price))
            yield _sent(each, day.arrived(number), step, number, each.instrument)
        elif each.action is ExitAction.CHANGE_STOP:
            changed = [one for one in seen if one.quantity == each.quantity]
            step = ChangeStop(number, each.quantity, Price(each.trigger), Price(each.price))
            if changed:
                second = min(one.updated_at for one in changed) // NS_PER_SECOND
                yield _sent(each, second, step, "", each.instrument)


def _sent(
    each: ExitOrder, second: int, step: Step, number: str, instrument: InstrumentId
) -> Request:
    return Request(second, number, each.user_id, instrument, step, each.dhan_correlation_id)


def _cancel(
    day: RecordedDay, each: ExitOrder, number: DhanOrderId, instrument: InstrumentId
) -> Iterator[Request]:
    """When the broker showed the order, or the leg, as cancelled; nothing where it never did."""
    parts = [
        one
        for seen in day.shown.values()
        for one in seen
        if number in {one.dhan_order_id, one.super_order}
    ]
    legs = {each.leg} if each.leg is not Leg.ENTRY else set(Leg)
    ended = [one for one in parts if one.leg in legs and one.status is OrderStatus.CANCELLED]
    if ended:
        whole = any(one.super_order for one in parts)
        second = min(one.updated_at for one in ended) // NS_PER_SECOND
        step = Cancel(number, each.leg, super_order=whole)
        yield Request(second, "", each.user_id, instrument, step)


@dataclass(frozen=True, slots=True)
class Compared:
    """A user's day as it was recorded, and as it comes out again.

    Attributes:
        recorded, replayed: Trades by when they were entered.
    """

    user: UserId
    recorded: tuple[Trade, ...]
    replayed: tuple[Trade, ...]

    @property
    def missing(self) -> list[Trade]:
        """Recorded trades that do not come out again."""
        return list((Counter(self.recorded) - Counter(self.replayed)).elements())

    @property
    def added(self) -> list[Trade]:
        """Trades that come out and are not recorded."""
        return list((Counter(self.replayed) - Counter(self.recorded)).elements())

    @property
    def equal(self) -> bool:
        """Whether all trades are the same: units, prices, times, charges, and what ended them."""
        return self.recorded == self.replayed


def replay(day: RecordedDay, market: DayMarket, fills: Fills, rates: Rates) -> list[Compared]:
    """Send everything again, and hold each user's trades against the recorded ones."""
    whose = [*(each.user_id for each in day.trades), *(each.user_id for each in day.intents)]
    users = sorted(set(whose))
    clients = {user: str(nth) for nth, user in enumerate(users, start=1)}
    books: dict[str, ObservedBook] = defaultdict(ObservedBook)

    def hear(snapshot: OrderSnapshot) -> None:
        books[snapshot.request.client_id].hear(snapshot)

    exchange, numbers = Exchange(market, fills, hear), dict[str, str]()
    for each in requests_of(day, market):
        _show(exchange, each.second)
        _send(exchange, clients[each.user], each, numbers)
    _show(exchange, market.session.close // NS_PER_SECOND)
    recorded = {placed: DhanOrderId(number) for number, placed in numbers.items()}
    return [
        Compared(
            user,
            tuple(trades_of(str(user), market, day.fills(user), day.rules, rates)),
            tuple(
                trades_of(
                    str(user), market, day.told(books[clients[user]], recorded), day.rules, rates
                )
            ),
        )
        for user in users
    ]


def _show(exchange: Exchange, second: int) -> None:
    while (due := exchange.next_second()) is not None and due <= second:
        exchange.step()


def _send(exchange: Exchange, client: str, each: Request, numbers: dict[str, str]) -> None:
    what = each.what
    if isinstance(what, NewOrder | NewSuperOrder):
        entered = exchange.enter(client, what, each.second)
        placed = entered if isinstance(entered, Order) else None
    else:
        if isinstance(what, Cancel | ChangeStop):
            known = numbers.get(what.order)
            if known is None:
                return
            what = _renumbered(what, DhanOrderId(known))
        placed = exchange.leave(client, what, each.instrument, each.name, each.second)
    if placed:
        numbers[each.number] = placed.order_id


def _renumbered(step: Cancel | ChangeStop, number: DhanOrderId) -> Step:
    if isinstance(step, Cancel):
        return Cancel(number, step.leg, step.super_order)
    return ChangeStop(number, step.quantity, step.trigger, step.price)
