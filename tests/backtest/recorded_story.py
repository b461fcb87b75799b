"""A small day of two accounts at one broker, written down as `ats.*` topics would have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from agents.committee import VALIDITY
from agents.decided import decide_unasked
from agents.entries import Circumstances
from agents.limits import Limits
from backtest.market import DayMarket
from backtest.observed import observed_fill, observed_order
from backtest.recorded import RecordedDay
from backtest.setup import PLATFORM
from backtest.signals import KnownSignal
from dhan.super_orders import NewSuperOrder
from executors.orders.outcomes import execution
from executors.orders.worker import new_order
from executors.risk.recorded import record_of
from executors.risk.situation import OrderCounts, PreTradeContext
from executors.risk.sizing import NoOrder, plan
from executors.store import OrderOutcome
from schemas.calendar import EVERY_DAY
from schemas.evidence import Evidence, Judgement, SeenContext
from schemas.ids import DhanOrderId, InstrumentId, UserId, derive
from schemas.market import Side
from schemas.messages import (
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    ExitReason,
    Leg,
    ObservedBy,
    OrderEvent,
    OrderIntent,
    Outcome,
    Trade,
)
from schemas.units import NS_PER_SECOND, Paise, Quantity, UtcNs
from simulator.matching import enums
from simulator.matching.order import Order, OrderRequest, OrderSnapshot
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Rules
from simulator.matching.super_orders import Exits, SuperOrders

USERS = tuple(UserId(UUID(int=number)) for number in (1, 2))
ON_THE_WAY = 3  # seconds in TRANSIT
CLOSING = (15 * 60 + 5 - 9 * 60 - 15) * 60  # seconds from the open to 15:05


@dataclass
class Broker:
    """All prints are shown to it, one after another; it tells of each change."""

    market: DayMarket
    events: list[OrderEvent] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    shown: int = 0

    def __post_init__(self) -> None:
        self.orders = OrderManager(
            self.market.session.day,
            self.market.instruments,
            circuits=self.market.circuits,
            rules=Rules(market_hours=False),
        )
        self.super_orders = SuperOrders(self.orders)
        self.orders.on_change(self.tell)
        self.orders.open(self.market.session.open // NS_PER_SECOND)

    def tell(self, snapshot: OrderSnapshot) -> None:
        user = USERS[int(snapshot.request.client_id)]
        common: dict[str, Any] = {
            "event_time": UtcNs.seconds(snapshot.updated_at),
            "user_id": user,
            "trading_date": self.market.session.day,
        }
        number = len(self.events)
        self.events.append(
            OrderEvent(
                id=derive("event", number),
                observed_by=ObservedBy.ORDER_UPDATE,
                order=observed_order(snapshot),
                **common,
            )
        )
        if snapshot.trade:
            fill = observed_fill(snapshot)
            self.trades.append(Trade(id=derive("trade", fill.trade_id), fill=fill, **common))

    def until(self, second: int) -> None:
        prints = self.market.prints
        while self.shown < len(prints) and prints["second"][self.shown] <= second:
            place, price, at = (
                int(prints[name][self.shown]) for name in ("place", "price", "second")
            )
            self.orders.on_price(self.market.listings[place].id, price, at)
            self.shown += 1


def written_down(market: DayMarket, signals: list[KnownSignal]) -> RecordedDay:
    """Each signal becomes an order of both users; at 15:05 everything is closed."""
    broker, decisions = Broker(market), list[Decision]()
    intents, executions = list[OrderIntent](), list[Execution]()
    for known in signals:
        instrument = market.instruments[known.signal.instrument]
        decision = decide_unasked(
            known.signal, instrument.symbol, Circumstances(), Limits(), VALIDITY
        )
        decisions.append(decision)
        broker.until(known.second + 1)
        on_their_way = []
        for nth, user in enumerate(USERS):
            intent = plan(decision, user, instrument, PLATFORM)
            assert not isinstance(intent, NoOrder)
            order = placed(broker, str(nth), intent, known.second + 1)
            intents.append(intent)
            executions.append(told(market, intent, order, known.second + 1))
            on_their_way.append(order)
        broker.until(known.second + 1 + ON_THE_WAY)
        for order in on_their_way:
            broker.orders.release(order, known.second + 1 + ON_THE_WAY)
    exits = closed(broker, market.session.open // NS_PER_SECOND + CLOSING)
    broker.until(market.session.close // NS_PER_SECOND)
    return RecordedDay(
        [known.signal for known in signals],
        decisions,
        intents,
        executions,
        broker.events,
        exits,
        broker.trades,
        PLATFORM,
    )


def placed(broker: Broker, client: str, intent: OrderIntent, second: int) -> Order:
    new = new_order(intent, opens=True)
    assert isinstance(new, NewSuperOrder)
    request = OrderRequest(
        client_id=client,
        correlation_id=new.correlation_id,
        side=new.side,
        instrument=new.instrument,
        product=enums.Product.INTRADAY,
        order_type=enums.OrderType.LIMIT,
        validity=enums.Validity.DAY,
        quantity=new.quantity,
        price=Paise(new.price),
    )
    exits = Exits(Paise(new.exits.target), Paise(new.exits.stop_loss))
    order = broker.super_orders.place(request, exits, second, hold=True)
    assert isinstance(order, Order)
    return order


def told(market: DayMarket, intent: OrderIntent, order: Order, second: int) -> Execution:
    now = UtcNs.seconds(second)
    context = PreTradeContext(
        now=now,
        mode_allows=True,
        user_active=True,
        calendar=EVERY_DAY,
        feed_clock=now,
        quote=market.quote_at(intent.instrument, second),
        sent=OrderCounts(),
        limits=PLATFORM,
    )
    seen = SeenContext.model_validate_json(orjson.dumps(record_of(context, intent.instrument)))
    evidence = Evidence(
        asked=seen,
        asked_quantity=intent.quantity,
        cut_by=(),
        valid_until=intent.valid_until,
        stop=intent.stop,
        judgement=Judgement(seen=seen, verdict="", claimed=1, judged=2, tries=1, answer=None),
    )
    outcome = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId(order.order_id))
    return execution(intent, outcome).model_copy(update={"evidence": evidence})


def closed(broker: Broker, second: int) -> list[ExitOrder]:
    """Everybody's exits are taken away, and what is open is sold or bought."""
    broker.until(second)
    exits = list[ExitOrder]()
    for nth, user in enumerate(USERS):
        client = str(nth)
        for made in broker.super_orders.of(client):
            number = made.entry.order_id
            for leg in (Leg.TARGET, Leg.STOP_LOSS):
                name = enums.Leg.TARGET if leg is Leg.TARGET else enums.Leg.STOP_LOSS
                if broker.super_orders.cancel(client, number, name, second) is None:
                    exits.append(exit_of(user, made.entry, leg, len(exits), second))
        for position in broker.orders.ledger.of(client):
            if position.net:
                exits.append(close_of(broker, client, position.instrument.id, position.net, second))
    return exits


def exit_of(user: UserId, entry: Order, leg: Leg, number: int, second: int) -> ExitOrder:
    return ExitOrder(
        id=derive("exit", user, number),
        event_time=UtcNs.seconds(second),
        user_id=user,
        trading_date=UtcNs.seconds(second).ist().date(),
        action=ExitAction.CANCEL,
        reason_code=ExitReason.SQUARE_OFF,
        instrument=entry.request.instrument,
        leg=leg,
        dhan_order_id=DhanOrderId(entry.order_id),
        outcome="accepted",
    )


def close_of(
    broker: Broker, client: str, instrument: InstrumentId, net: int, second: int
) -> ExitOrder:
    side, last = (Side.SELL if net > 0 else Side.BUY), broker.orders.last(instrument)
    assert last is not None
    price = Paise(last - 5 * 20 if side is Side.SELL else last + 5 * 20)
    request = OrderRequest(
        client_id=client,
        correlation_id=f"AXC{client}",
        side=side,
        instrument=instrument,
        product=enums.Product.INTRADAY,
        order_type=enums.OrderType.LIMIT,
        validity=enums.Validity.IOC,
        quantity=Quantity(abs(net)),
        price=price,
    )
    order = broker.orders.place(request, second)
    assert isinstance(order, Order)
    return ExitOrder(
        id=derive("close", client, str(instrument)),
        event_time=UtcNs.seconds(second),
        user_id=USERS[int(client)],
        trading_date=UtcNs.seconds(second).ist().date(),
        action=ExitAction.PLACE_CLOSE,
        reason_code=ExitReason.SQUARE_OFF,
        instrument=instrument,
        side=side,
        quantity=Quantity(abs(net)),
        price=price,
        dhan_order_id=DhanOrderId(order.order_id),
        outcome="accepted",
    )
