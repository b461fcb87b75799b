"""One account's day: signals become decisions, orders, fills and exits, by the cores of live.

Where it stops: what is a shell's affair live is simple here. The broker always answers, at once;
the guardian looks a second after each change, and while it closes, when the market has moved.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from agents.decided import decide_unasked
from agents.entries import Circumstances
from backtest.closing import Closing
from backtest.exchange import Exchange
from backtest.market import DayMarket
from backtest.observed import ObservedBook
from backtest.setup import Setup
from backtest.signals import KnownSignal
from backtest.trade import Ending
from dhan.orders import NewOrder
from executors.orders.outcomes import denied, execution
from executors.orders.plans import Plans
from executors.orders.worker import new_order
from executors.risk.exposure import day_result, exposure_to, loss_reached
from executors.risk.gate import fitting, judge
from executors.risk.listed import DayMaster, Listed
from executors.risk.order_rate import OrderRate
from executors.risk.situation import OrderCounts, PreTradeContext, Quote, closes, opens
from executors.risk.sizing import NoOrder, plan
from executors.risk.strategy import StrategyContext, UsersDay, strategy_context
from executors.store import OrderOutcome
from schemas.ids import DhanOrderId, InstrumentId, UserId, derive
from schemas.market import Action
from schemas.messages import Decision, Leg, ObservedFill, OrderIntent, Outcome
from schemas.strategy import StrategyMode
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.matching import enums
from simulator.matching.order import OrderSnapshot
from simulator.refusals import Refusal

CLIENT: Final = "1"  # the account at the exchange, which has it for itself
TOO_LATE: Final = "after_the_data"  # what became of a signal that the last prints brought
REACTION: Final = 1  # seconds from a change to what the guardian does about it
LOSS_LOOK: Final = 1  # seconds between two looks at the day's loss, as `executors.loss_watch`
IMMEDIATE: Final = 3  # seconds that an immediate order may wait for a trade


@dataclass(frozen=True, slots=True)
class AccountFill:
    """One fill, and what its order was for.

    Attributes:
        decision: What the order acted on; of a guardian's, what the one before it did.
        ending: What the fill ends, where it closes something.
    """

    fill: ObservedFill
    decision: Decision
    ending: Ending


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What an account's day came to.

    Attributes:
        fills: In the order of the exchange's time.
        outcomes: How often each thing became of a signal: `ordered`, or why there was no order.
    """

    fills: tuple[AccountFill, ...]
    outcomes: Counter[str]


class AccountDay:
    """One account on one day."""

    def __init__(self, account: str, market: DayMarket, setup: Setup) -> None:
        self._market, self._setup = market, setup
        self._user = UserId(derive("backtest", account))
        self._observed, self._plans, self._rate = ObservedBook(), Plans(), OrderRate()
        self._exchange = Exchange(market, setup.fills, self._hear)
        self._closing = Closing(
            CLIENT, self._user, market, setup, self._exchange, self._observed, self._plans
        )
        self._master = DayMaster(market.instruments)
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._looks: set[tuple[InstrumentId, int]] = set()
        self._numbers = count()
        self._earlier: defaultdict[InstrumentId, list[Decision]] = defaultdict(list)
        self._ordered: dict[str, Decision] = {}
        self._outcomes = Counter[str]()
        self._quotes_of, self._quotes = -1, dict[InstrumentId, Quote | None]()

    def run(self, signals: Sequence[KnownSignal]) -> AccountResult:
        """Trade the day on `signals`, which come in their order, until the last print."""
        if self._setup.limits.max_daily_loss is not None:
            self._later(self._market.session.open // NS_PER_SECOND, self._watch_loss)
        for known in signals:
            self._later(self._setup.arrival(known), partial(self._decide, known))
        while True:
            due, event = self._exchange.next_second(), self._next_event()
            if due is not None and (event is None or due <= event):
                self._exchange.step()
            elif event is not None:
                second, _, act = heapq.heappop(self._events)
                act(second)
            else:
                break
        if left := len(signals) - self._outcomes.total():
            self._outcomes[TOO_LATE] = left
        return AccountResult(tuple(self._fills()), self._outcomes)

    def _next_event(self) -> int | None:
        second = self._events[0][0] if self._events else None
        return None if second is None or second > self._market.seconds[-1] else second

    # Orders

    def _decide(self, known: KnownSignal, second: int) -> None:
        signal, setup = known.signal, self._setup
        instrument = self._market.instruments[signal.instrument]
        earlier = self._earlier[signal.instrument]
        around = Circumstances(self._market.session, tuple(earlier))
        decision = decide_unasked(signal, instrument.symbol, around, setup.agents, setup.validity)
        earlier.append(decision)
        if decision.action is Action.HOLD:
            self._outcomes[decision.reason_code] += 1
            return
        intent = plan(decision, self._user, instrument, setup.limits)
        if isinstance(intent, NoOrder):
            self._outcomes[intent.value] += 1
            return
        self._order(decision, intent, second)

    def _order(self, decision: Decision, intent: OrderIntent, second: int) -> None:
        now = UtcNs.seconds(second)
        context = self._context(intent, now)
        closing = closes(intent.side, intent.quantity, context.closable)
        slot = self._rate.next_slot(self._user, now, closing=closing)
        if slot > now and not self._setup.plain:
            self._later(-(-slot // NS_PER_SECOND), partial(self._order, decision, intent))
            return
        quantity, _ = fitting(intent, context)
        if quantity != intent.quantity:
            intent = intent.model_copy(update={"quantity": quantity})
            closing = closes(intent.side, quantity, context.closable)
        if denial := judge(intent, context):
            self._outcomes[denial.value] += 1
            self._rate.observe(execution(intent, denied(denial)))
            return
        self._rate.spend(intent, now, closing=closing)
        self._place(decision, intent, second, opens=opens(intent.side, context.closable))

    def _place(self, decision: Decision, intent: OrderIntent, second: int, *, opens: bool) -> None:
        self._plans.observe(intent)
        new = new_order(intent, opens=opens)
        placed = self._exchange.enter(CLIENT, new, second)
        if isinstance(placed, Refusal):
            outcome = OrderOutcome(Outcome.REJECTED, placed.code.name, placed.message)
        elif placed.status is enums.Status.REJECTED:
            outcome = OrderOutcome(Outcome.REJECTED, placed.reason_code, placed.reason)
        else:
            number = DhanOrderId(placed.order_id)
            outcome = OrderOutcome(Outcome.ACCEPTED, Outcome.ACCEPTED.value, dhan_order_id=number)
            self._ordered[number] = decision
        self._rate.observe(execution(intent, outcome))
        self._outcomes["ordered" if outcome.dhan_order_id else "rejected"] += 1
        self._look_at(intent.instrument, -(-intent.valid_until // NS_PER_SECOND))
        if isinstance(new, NewOrder):
            self._look_at(intent.instrument, second + IMMEDIATE)
        at = self._setup.closing(self._market.session.day, intent.instrument)
        if at is not None:
            self._look_at(intent.instrument, at)

    def _context(self, order: OrderIntent, now: UtcNs) -> PreTradeContext:
        user, instrument = self._user, order.instrument
        second = now // NS_PER_SECOND
        traded = {each: self._observed.filled(each) for each in self._observed.touched}
        ordered = self._rate.ordered(user, now, apart_from=order.id)
        quotes = {each: self._quote(each, second) for each in {instrument, *traded, *ordered}}
        prices = {each: int(quote.price) for each, quote in quotes.items() if quote}
        own = traded.get(instrument)
        listed = self._listed(instrument)
        return PreTradeContext(
            now=now,
            mode_allows=True,
            user_active=True,
            calendar=self._setup.calendar,
            feed_clock=now,
            quote=quotes[instrument],
            sent=self._sent(now),
            limits=self._setup.limits,
            halted=self._closing.halted,
            position=self._rate.position(user, instrument, now),
            square_off=self._setup.square_off,
            filled=own.net if own else None,
            exposure=exposure_to(instrument, ordered, traded, prices),
            day_result=day_result(traded, prices),
            listed=listed,
            stop_outs=sum(each.stop_outs for each in traded.values()),
            stopped_out_at=UtcNs(own.stopped_out_at) if own and own.stopped_out_at else None,
            lot=listed.lot,
            strategy=self._strategy(order, now, UsersDay(ordered, traded, prices)),
        )

    def _watch_loss(self, second: int) -> None:
        """Halt the account for the rest of the day once its loss has reached the limit."""
        traded = {each: self._observed.filled(each) for each in self._observed.touched}
        quotes = {each: self._quote(each, second) for each, own in traded.items() if own.net}
        prices = {each: int(quote.price) for each, quote in quotes.items() if quote}
        if not loss_reached(day_result(traded, prices), self._setup.limits.max_daily_loss):
            self._later(second + LOSS_LOOK, self._watch_loss)
            return
        self._closing.halted = True
        for each in traded:
            self._look_at(each, second + REACTION)

    def _sent(self, now: UtcNs) -> OrderCounts:
        """The account's orders so far; plainly without those that the broker would not take yet."""
        sent = self._rate.sent(self._user, now)
        return OrderCounts(today=sent.today) if self._setup.plain else sent

    def _strategy(self, order: OrderIntent, now: UtcNs, day: UsersDay) -> StrategyContext | None:
        """Its limits as live; a backtest trades it whatever its mode."""
        if order.strategy is None:
            return None
        strategy = order.strategy.model_copy(update={"mode": StrategyMode.LIVE})
        placed = self._rate.placed_for(self._user, strategy.name, now, apart_from=order.id)
        return strategy_context(strategy, StrategyMode.LIVE, placed, order.instrument, day)

    def _quote(self, instrument: InstrumentId, second: int) -> Quote | None:
        """As the market has it; many orders of one bar's close ask in the same second."""
        if self._quotes_of != second:
            self._quotes_of, self._quotes = second, {}
        if instrument not in self._quotes:
            self._quotes[instrument] = self._market.quote_at(instrument, second)
        return self._quotes[instrument]

    def _listed(self, instrument: InstrumentId) -> Listed:
        return self._master.of(instrument, self._market.session.day)

    # What the exchange tells

    def _hear(self, snapshot: OrderSnapshot) -> None:
        self._observed.hear(snapshot)
        self._look_at(snapshot.request.instrument, snapshot.updated_at + REACTION)

    def _look_at(self, instrument: InstrumentId, second: int) -> None:
        if (instrument, second) not in self._looks:
            self._looks.add((instrument, second))
            self._later(second, partial(self._look, instrument))

    def _look(self, instrument: InstrumentId, second: int) -> None:
        self._looks.discard((instrument, second))
        if self._closing.look(instrument, second):
            own = self._market.tapes[instrument].seconds
            at = int(own.searchsorted(second, side="right"))
            if at < len(own):
                self._look_at(instrument, int(own[at]))

    def _later(self, second: int, act: Callable[[int], None]) -> None:
        heapq.heappush(self._events, (second, next(self._numbers), act))

    # What came of it

    def _fills(self) -> Iterable[AccountFill]:
        book, last = self._observed.book, dict[InstrumentId, Decision]()
        fills = sorted(book.fills.values(), key=lambda each: (each.traded_at, each.trade_id))
        orders = {key.dhan_order_id: (key.leg, known) for key, known in book.orders.items()}
        for fill in fills:
            leg, known = orders[fill.dhan_order_id]
            # a leg may trade before the guardian has taken it away, and open what nobody decided
            own = self._ordered.get(known.super_order or fill.dhan_order_id)
            decision = own or last[fill.instrument]
            last[fill.instrument] = decision
            yield AccountFill(fill, decision, self._ending(fill.dhan_order_id, leg))

    def _ending(self, number: DhanOrderId, leg: Leg) -> Ending:
        if leg is Leg.STOP_LOSS:
            return Ending.STOP
        if leg is Leg.TARGET:
            return Ending.TARGET
        return self._closing.sent.get(number, Ending.OTHER_SIDE)
