"""What is looked at before an order leaves, and when its turn comes.

The judgement itself is pure (`executors.risk.gate`); here its facts are put together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from bus.records import Record
from executors.accounts import Accounts
from executors.addresses import Addresses
from executors.approvals import NotedApprovals
from executors.clock import DecisionTime, MarketClock
from executors.crowds import Crowds
from executors.fanout import LimitsOf
from executors.ledger import LedgerBoard
from executors.modes import ModeRules
from executors.positions import FilledPositions
from executors.quotes import QuoteCache
from executors.risk.denial import Denial
from executors.risk.exposure import Filled, day_result, exposure_to
from executors.risk.gate import fitting, judge
from executors.risk.listed import Listed
from executors.risk.order_rate import OrderRate
from executors.risk.recorded import record_of
from executors.risk.situation import (
    DAILY,
    NOT_ASKED,
    Account,
    Address,
    Funds,
    PreTradeContext,
    closable,
    closes,
    opens,
)
from executors.risk.square_off import SquareOff
from executors.risk.strategy import StrategyContext, UsersDay, strategy_context
from executors.sessions import ActiveUsers
from executors.store import Claimed
from executors.tokens import RefusedTokens
from schemas.calendar import Calendar
from schemas.evidence import Written
from schemas.ids import DhanClientId, InstrumentId, OrderId, UserId
from schemas.market import trading_day
from schemas.messages import OrderIntent
from schemas.units import UtcNs

# seconds for the quote cache to catch up with the decision; usually it is ahead
QUOTE_TIMEOUT: Final = 2.0


class BrokerSays(NamedTuple):
    """What Dhan lets be known of an order's account, after the claim.

    Attributes:
        account: Whose the token is.
        address: Whether requests come from the registered one.
        answers: Its calls are answered, as far as the circuit breaker has heard.
    """

    account: Account = Account.AS_STORED
    address: Address = Address.AS_REGISTERED
    answers: bool = True


NOTHING_AMISS: Final = BrokerSays()


@dataclass(frozen=True, slots=True)
class PreTrade:
    """The facts of one moment about system, market and user.

    `since` is always machine time: when the database was asked about the user and said yes.
    """

    rules: ModeRules
    tokens: RefusedTokens
    accounts: Accounts
    book: QuoteCache
    active: ActiveUsers
    budget: OrderRate
    clock: MarketClock
    calendar: Calendar
    limits_of: LimitsOf
    square_off: SquareOff = DAILY
    halted: Callable[[UserId], bool] = lambda _: False
    stopped: Callable[[UserId], bool] = lambda _: False
    positions: FilledPositions = field(default_factory=FilledPositions)
    addresses: Addresses | None = None
    is_member: Callable[[UserId, DhanClientId], bool] = lambda *_: True
    preflight: Callable[[UserId, date], str] = lambda *_: ""
    listed: Callable[[InstrumentId, date], Listed] = lambda *_: Listed()
    funds: Callable[[UserId, date, OrderId], Funds] = lambda *_: NOT_ASKED
    entering: Callable[[OrderIntent], None] = lambda _: None
    reconciled: Callable[[UserId, date], bool] = lambda *_: True
    crowds: Crowds | None = None
    ledger: LedgerBoard | None = None
    approvals: NotedApprovals = field(default_factory=NotedApprovals)

    def heard(self, intent: OrderIntent, record: Record) -> None:
        """`intent` was read from `record`.

        Raises:
            Unreadable: as `executors.crowds.Crowds.note` and `NotedApprovals.note`.
        """
        self.approvals.note(intent, record)
        if self.crowds:
            self.crowds.note(intent, record)
        if self.ledger:
            self.ledger.note(intent, record)

    async def quotes(self, intent: OrderIntent) -> None:
        """Wait until the quotes are as new as the decision, `QUOTE_TIMEOUT` at most.

        What does not only close waits for its leaf in the ledger too, where that is asked for.
        """
        quotes = self.book.reached(intent.instrument, intent.event_time, QUOTE_TIMEOUT)
        if self.ledger and not self.closes(intent, intent.event_time):
            await asyncio.gather(quotes, self.ledger.reached(intent.id))
        else:
            await quotes

    async def turn(self, intent: OrderIntent, when: DecisionTime) -> UtcNs:
        """Wait until the account's rate allows one more order; returns the market time then."""
        now = self.clock.now(when)
        while True:
            slot = self.budget.next_slot(intent.user_id, now, closing=self.closes(intent, now))
            if slot <= now:
                return now
            now = await self.clock.reach(slot, when)

    def cut(self, intent: OrderIntent, now: UtcNs, since: float) -> tuple[OrderIntent, Written]:
        """As much of `intent` as may leave, such as what closes; and the evidence of why."""
        context = self._context(intent, now, since)
        quantity, reasons = fitting(intent, context)
        evidence = {
            "asked": record_of(context, intent.instrument),
            "asked_quantity": intent.quantity,
            "cut_by": [denial.value for denial in reasons],
            "valid_until": intent.valid_until,
            "stop": intent.stop,
            "judgement": None,
        }
        whole = quantity == intent.quantity
        return intent if whole else intent.model_copy(update={"quantity": quantity}), evidence

    def spend(self, order: OrderIntent, now: UtcNs) -> None:
        """Count a try of `order` that leaves now, against the account's rate and its funds."""
        closing = self.closes(order, now)
        self.budget.spend(order, now, closing=closing)
        if not closing:
            self.entering(order)

    def day_result(self, user: UserId, now: UtcNs) -> int:
        """Paise made or lost on the day of `now`, closed and open, before charges."""
        fills = self.positions.of(user, trading_day(now))
        return day_result(fills, self._prices(fills, now))

    def closes(self, order: OrderIntent, now: UtcNs) -> bool:
        """Whether `order` only makes the position smaller: neither halt nor switch holds it."""
        return closes(order.side, order.quantity, self._closable(order, now))

    def opens(self, order: OrderIntent, now: UtcNs) -> bool:
        """Whether `order` closes nothing; one that turns a position over does both."""
        return opens(order.side, self._closable(order, now))

    def _closable(self, order: OrderIntent, now: UtcNs) -> int:
        position = self.budget.position(order.user_id, order.instrument, now)
        return closable(position, self._filled(order, now))

    def _filled(self, order: OrderIntent, now: UtcNs) -> int | None:
        return self.positions.net(order.user_id, order.instrument, trading_day(now))

    async def account(self, order: OrderIntent, claimed: Claimed) -> BrokerSays:
        """Whose account the claimed token is of, and where from Dhan sees it, as the mode asks."""
        user = order.user_id
        self.budget.connected(user, claimed.credentials.client_id)
        if self.addresses is None:
            return BrokerSays(await self.accounts.seen(user, claimed))
        # side by side: an order has two seconds in all
        day = trading_day(order.event_time)
        return BrokerSays(
            *await asyncio.gather(
                self.accounts.seen(user, claimed), self.addresses.seen(user, claimed, day)
            )
        )

    def must_ask(self, order: OrderIntent, claimed: Claimed) -> bool:
        """Whether `account` has to ask Dhan."""
        day = trading_day(order.event_time)
        return self.accounts.must_ask(claimed) or (
            self.addresses is not None and self.addresses.must_ask(order.user_id, claimed, day)
        )

    def judge(
        self, order: OrderIntent, now: UtcNs, since: float, claimed: Claimed, said: BrokerSays
    ) -> tuple[Denial | None, Written]:
        """The first reason why `order` may not leave now, or None; and all that was looked at."""
        context = self._context(order, now, since, claimed, said)
        return judge(order, context), record_of(context, order.instrument)

    def _context(
        self,
        order: OrderIntent,
        now: UtcNs,
        since: float,
        claimed: Claimed | None = None,
        said: BrokerSays = NOTHING_AMISS,
    ) -> PreTradeContext:
        user, day = order.user_id, trading_day(now)
        fills = self.positions.of(user, day)
        stopped_out_at = fills.get(order.instrument, Filled()).stopped_out_at
        listed = self.listed(order.instrument, day)
        ordered = self.budget.ordered(user, now, apart_from=order.id)
        prices = self._prices(ordered.keys() | fills.keys(), now)
        return PreTradeContext(
            now=now,
            mode_allows=self.rules.allows(claimed.credentials.client_id if claimed else None),
            user_active=self.active.still_active(user, since),
            calendar=self.calendar,
            feed_clock=self.book.clock(order.instrument),
            quote=self.book.quote_at(order.instrument, now),
            sent=self.budget.sent(user, now),
            limits=self.limits_of(user),
            position=self.budget.position(user, order.instrument, now),
            token_refused=claimed is not None and claimed.token_version in self.tokens,
            account=said.account,
            account_answers=said.answers,
            square_off=self.square_off,
            halted=self.halted(user),
            stopped=self.stopped(user),
            filled=self._filled(order, now),
            exposure=exposure_to(order.instrument, ordered, fills, prices),
            day_result=day_result(fills, prices),
            member=claimed is None or self.is_member(user, claimed.credentials.client_id),
            address=said.address,
            preflight=self.preflight(user, day),
            listed=listed,
            stop_outs=sum(each.stop_outs for each in fills.values()),
            stopped_out_at=UtcNs(stopped_out_at) if stopped_out_at else None,
            reconciled=self.reconciled(user, day),
            crowd=self.crowds.of(order, now, listed.lot) if self.crowds else None,
            funds=self.funds(user, day, order.id),
            lot=listed.lot,
            logged=self.ledger is None or self.ledger.holds(order.id),
            approval=self.approvals.of(order.id),
            strategy=self._strategy(order, now, UsersDay(ordered, fills, prices)),
        )

    def _strategy(self, order: OrderIntent, now: UtcNs, day: UsersDay) -> StrategyContext | None:
        if order.strategy is None:
            return None
        user, name = order.user_id, order.strategy.name
        placed = self.budget.placed_for(user, name, now, apart_from=order.id)
        return strategy_context(order.strategy, self.rules.platform, placed, order.instrument, day)

    def _prices(self, instruments: Iterable[InstrumentId], now: UtcNs) -> dict[InstrumentId, int]:
        quotes = ((each, self.book.quote_at(each, now)) for each in instruments)
        return {each: int(quote.price) for each, quote in quotes if quote}
