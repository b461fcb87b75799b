"""Looks after one account's positions: stops that rest, entries that end, the way to flat.

Everything is decided from the broker's own book, read the moment before, so it goes on while
Kafka, the database or the model endpoint is away; the recorded book only says when it is worth a
look. Each order has a name that follows from what it is for, and is looked up by it: what may have
arrived is never sent again blind.

Where the guarantee stops: between the reading and the order a person may close by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Final, TypeAlias

import structlog

from dhan.outcomes import TokenRefused
from dhan.trader_control import KillSwitchState, PnlExit
from executors.clock import MonotonicClock
from executors.orders.account import AccountView, BookAccess
from executors.orders.book import DayBook
from executors.orders.exit_sender import ExitSender, Moment, Record
from executors.orders.exits import (
    Bracket,
    Cancel,
    ChangeStop,
    ExitKind,
    PlaceClose,
    PlaceStop,
    Step,
    brackets,
    entries,
    intraday,
)
from executors.orders.flatten import Market, flatten, ladder_of
from executors.orders.guardian_metrics import BareTime, GuardianMetrics, UnprotectedTime
from executors.orders.leaving import Leaving
from executors.orders.plans import Plans, expired, stop_of
from executors.orders.pnl_exit import PnlExitKeeper
from executors.orders.protection import Protection, StopPlan, protect, take_away
from executors.orders.reading import AccountClients, OpenClients, Reading, read_account
from executors.risk.situation import Quote
from executors.risk.square_off import SquareOff
from executors.store import Halt, TokenVersion
from schemas.calendar import Calendar
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument, trading_day
from schemas.messages import ExitAction, ExitReason, OrderStatus
from schemas.units import Paise, Price, Quantity, UtcNs

log = structlog.get_logger(__name__)

ROUNDS: Final = 8  # of one step: each reads the book and sends what is due
PAUSE: Final = 0.25  # seconds between rounds: what was sent has reached the exchange by then
# Seconds between our own readings while something is held or waits: an update may have been missed
WATCH_EVERY: Final = 0.8
STALE_AFTER: Final = 60.0  # seconds after which a silent recorded book is no longer believed flat
SETTLE: Final = 1.0  # seconds; what an earlier life sent at its end stands in the book by then
PROTECT_WITHIN: Final = 5.0  # seconds; a position that no stop protects by then is closed

# The exchange rejects an order above its freeze quantity, whatever the price, and nobody tells us
# that quantity: so each rejection halves the closing orders that follow. What is small enough to be
# taken stays so large: less and less of what is left would take many rounds.
MOST_HALVINGS: Final = 6
# Seconds for which the broker must count fewer units than orders and fills add up to: its list of
# positions may lag behind its order book.
COUNT_BELIEVED_AFTER: Final = 5.0

QuoteAt: TypeAlias = Callable[[InstrumentId, UtcNs], Quote | None]


@dataclass(frozen=True, slots=True)
class GuardianDeps:
    """What guardians share.

    Attributes:
        halts: The halts of one user, as known last.
        record: Takes a message for `ats.exits`; never waits.
        pnl_exit_of: What Dhan itself is to leave a user's account at; None for nothing.
    """

    open_clients: OpenClients
    instruments: Mapping[InstrumentId, Instrument]
    calendar: Calendar
    square_off: SquareOff
    plans: Plans
    halts: Callable[[UserId], tuple[Halt, ...]]
    quote_at: QuoteAt
    record: Record
    pnl_exit_of: Callable[[UserId], PnlExit | None] = lambda _: None
    machine: MonotonicClock = field(default_factory=MonotonicClock)
    metrics: GuardianMetrics = field(default_factory=GuardianMetrics)
    unprotected: UnprotectedTime = field(default_factory=UnprotectedTime)

    def open_sender(self, user: UserId) -> ExitSender:
        """A sender that has nothing on its way."""
        return ExitSender(user, self.record, self.machine, self.metrics)


class ExitGuardian:
    """The guardian of one account, as `executors.orders.account.Guardian` asks."""

    def __init__(
        self,
        user: UserId,
        access: BookAccess,
        deps: GuardianDeps,
        sender: ExitSender | None = None,
    ) -> None:
        """`sender` is that of the account's guardian before, who may have something on its way."""
        self._user, self._access, self._deps = user, access, deps
        self._sender = sender or deps.open_sender(user)
        self._pnl_exit = PnlExitKeeper(
            user, partial(deps.pnl_exit_of, user), deps.record, deps.machine, deps.metrics.sent
        )
        self._born = deps.machine.monotonic()
        self._looked_at = float("-inf")
        self._clients: tuple[TokenVersion, AccountClients] | None = None
        self._leaving: dict[InstrumentId, Leaving] = {}
        self._fewer: dict[InstrumentId, float] = {}  # the broker counts fewer, since when
        self._bare = BareTime(user, deps.metrics, deps.unprotected)
        self._proved: tuple[date, tuple[Halt, ...]] | None = None

    async def step(self, view: AccountView, now: UtcNs) -> None:
        """Read the broker's book where something may be due, and send what is."""
        halts = self._deps.halts(self._user)
        if not self._is_due(view, halts, now):
            return
        clients, acted = self._clients_of(view), False
        try:
            for _ in range(ROUNDS):
                if not await self._round(view, clients, now):
                    return
                acted = True
                await self._deps.machine.sleep(PAUSE)
        finally:
            if acted:  # once: while we are at work, Dhan's limit of readings is needed here
                self._access.read_soon()

    async def _round(self, view: AccountView, clients: AccountClients, now: UtcNs) -> bool:
        """Read and send what is due; whether another look is needed."""
        self._looked_at = self._machine()
        halts = self._deps.halts(self._user)
        reading = await read_account(clients, self._machine)
        if not isinstance(reading, Reading):
            self._deps.metrics.unreadable += 1
            if not isinstance(reading, TokenRefused):
                log.warning("book_unread", user=str(self._user), reason=reading.reason)
            return False
        self._sender.held_back = False
        sent = await self._act(view, reading, clients, halts, now)
        return bool(sent) or self._sender.held_back

    async def keep_exit(self, view: AccountView, now: UtcNs) -> None:
        """See that Dhan's own exit at a loss is armed, once a day."""
        await self._pnl_exit.keep(view.trading_date, now, self._clients_of(view).control)

    def _machine(self) -> float:
        return self._deps.machine.monotonic()

    def _clients_of(self, view: AccountView) -> AccountClients:
        if self._clients is None or self._clients[0] != view.token_version:
            self._clients = (view.token_version, self._deps.open_clients(view.credentials))
        return self._clients[1]

    # When to look

    def _is_due(self, view: AccountView, halts: tuple[Halt, ...], now: UtcNs) -> bool:
        """Whether the recorded book, or its age, asks for a look at the broker's."""
        if self._sender.awaiting or self._leaving:
            return True
        if halts and self._proved != (view.trading_date, halts):
            return True
        age = float("inf") if view.read_at is None else self._machine() - view.read_at
        book = intraday(view.book) if view.book and age <= STALE_AFTER else None
        if book is None or self._exposed(book):
            return self._machine() - self._looked_at >= WATCH_EVERY or self._any_asks(
                book or DayBook(), halts, now
            )
        return self._any_asks(book, halts, now)

    def _exposed(self, book: DayBook) -> bool:
        """Whether anything is held, or may still trade."""
        return any(book.nets().values()) or any(not o.status.final for o in book.orders.values())

    def _any_asks(self, book: DayBook, halts: tuple[Halt, ...], now: UtcNs) -> bool:
        leaves = any(halt.flatten for halt in halts)
        # each is looked at, also after the first that asks: time without a stop is counted there
        asks = [self._asks(book, each, leaves, now) for each in book.instruments()]
        return any(asks)

    def _asks(self, book: DayBook, instrument: InstrumentId, leaves: bool, now: UtcNs) -> bool:
        if not self._open(instrument, now):
            return False
        answer = self._protection(book, instrument, now)
        held = book.holding(instrument).net or any(e.live() for e in brackets(book, instrument))
        due = leaves or self._deps.square_off.due(self._deps.calendar, now, instrument)
        if held and due:
            return True
        late = any(expired(book, instrument, self._deps.plans.by_name, now))
        return late or bool(answer.steps or answer.uncovered)

    def _open(self, instrument: InstrumentId, now: UtcNs) -> bool:
        sessions = self._deps.calendar.sessions(trading_day(now), instrument)
        return any(now in session for session in sessions)

    # What to do

    async def _act(
        self,
        view: AccountView,
        reading: Reading,
        clients: AccountClients,
        halts: tuple[Halt, ...],
        now: UtcNs,
    ) -> int:
        """Send what is due; how much of it may have changed the book."""
        self._sender.look_up(reading)
        if self._machine() - self._born < SETTLE:
            return 0
        held = {each for each, units in reading.net.items() if units}
        instruments = sorted((reading.book.instruments() | held) - reading.doubtful)
        if reading.doubtful:
            self._deps.metrics.unreadable += 1
            doubtful = [str(each) for each in sorted(reading.doubtful)]
            log.warning("instruments_unread", user=str(self._user), instruments=doubtful)
        alone = bool(halts) or all(
            self._deps.square_off.due(self._deps.calendar, now, each) for each in instruments
        )
        moment = Moment(view.trading_date, now, reading, clients, alone)
        sent, kept = 0, []
        for instrument in instruments:
            if self._must_leave(instrument, halts, moment):
                sent += await self._leave(instrument, moment)
            else:
                kept.append(instrument)
        # a stop that is missing comes before an entry that is late: the rate may not do for both
        for instrument in kept:
            sent += await self._protect(instrument, moment)
        for instrument in kept:
            sent += await self._end_entries(instrument, bool(halts), moment)
        if halts and not sent and self._proved != (moment.day, halts):
            await self._prove(halts, moment)
        return sent

    def _must_leave(
        self, instrument: InstrumentId, halts: tuple[Halt, ...], moment: Moment
    ) -> bool:
        """Whether the position goes. The first reason stands until it is flat."""
        if not self._open(instrument, moment.now):
            return False
        if any(halt.flatten for halt in halts):
            reason = ExitReason.HALT
        elif self._deps.square_off.due(self._deps.calendar, moment.now, instrument):
            reason = ExitReason.SQUARE_OFF
        else:
            return instrument in self._leaving
        if instrument not in self._leaving and self._is_flat(instrument, moment):
            return False
        self._leaving.setdefault(instrument, Leaving(reason))
        return True

    async def _leave(self, instrument: InstrumentId, moment: Moment) -> int:
        """One round of the way to flat."""
        leaving = self._leaving[instrument]
        if self._sender.awaits(instrument):
            return await self._cover(instrument, moment)
        book, now = moment.reading.book, self._machine()
        live = {each.number for each in brackets(book, instrument) if each.live()}
        net = moment.reading.net.get(instrument, 0)
        leaving.climb(abs(net))
        market = self._market(instrument, moment)
        answer = flatten(
            book,
            instrument,
            net,
            market,
            rung=leaving.rung,
            insist=leaving.stuck(live, now),
            rests=leaving.rests(abs(net), now),
        )
        if answer.flat:
            del self._leaving[instrument]
            self._bare.note(instrument, 0, moment.day, self._machine())
            return 0
        most = _most_at_once(brackets(book, instrument), leaving)
        steps = [self._part(step, instrument, most) for step in answer.steps]
        sent = 0
        if not any(isinstance(step, PlaceClose) for step in steps):
            sent = await self._cover(instrument, moment)
        sent += await self._sender.send(steps, instrument, leaving.reason, moment)
        if not self._sender.held_back:
            leaving.note_asked(live, now)
            for step in steps:
                if isinstance(step, PlaceClose):
                    leaving.note_closing(abs(net), step.quantity, len(ladder_of(market)), now)
                    leaving.refused += [step.quantity] if self._sender.refused else []
        return sent

    async def _cover(self, instrument: InstrumentId, moment: Moment) -> int:
        """A stop for what has none: until the way to flat is clear seconds may pass.

        Also until it is known whether a closing order left.
        """
        leaving, held = self._leaving[instrument], moment.reading.net.get(instrument, 0)
        if not self._sender.may_place(ExitKind.STOP, instrument):
            return 0
        if not leaving.may_cover(abs(held), self._machine()):
            return 0
        answer = self._protection(moment.reading.book, instrument, moment.now, held)
        missing = [each for each in answer.steps[:1] if isinstance(each, PlaceStop | ChangeStop)]
        if not answer.uncovered:
            return 0
        leaving.stops += len(missing)
        why = ExitReason.STOP_LOST
        return await self._sender.send(missing, instrument, why, moment, answer.uncovered)

    def _part(self, step: Step, instrument: InstrumentId, most: int | None) -> Step:
        """A closing order of `most` units, in whole lots; every other step as it is."""
        if not isinstance(step, PlaceClose) or most is None:
            return step
        master = self._deps.instruments.get(instrument)
        lot = master.lot_size if master else 1
        least = step.quantity // 2**MOST_HALVINGS
        lots = max(1, max(most, least) // lot)
        return replace(step, quantity=Quantity(min(step.quantity, lots * lot)))

    async def _end_entries(self, instrument: InstrumentId, halted: bool, moment: Moment) -> int:
        """Cancel entries that may not fill any more."""
        book = moment.reading.book
        if halted:
            reason, ending = ExitReason.HALT, entries(book, instrument)
        else:
            late = expired(book, instrument, self._deps.plans.by_name, moment.now)
            reason, ending = ExitReason.DEADLINE, list(late)
        steps = [step for each in ending for step in take_away(each)]
        return await self._sender.send(steps, instrument, reason, moment)

    async def _protect(self, instrument: InstrumentId, moment: Moment) -> int:
        """See that the stop is right."""
        book = moment.reading.book
        if not self._open(instrument, moment.now) or self._sender.awaits(instrument):
            return 0
        held = self._held(instrument, moment.reading)
        answer = self._protection(book, instrument, moment.now, held)
        if answer.uncovered and self._give_up(instrument, answer, book):
            passed = answer.passed
            why = ExitReason.STOP_PASSED if passed else ExitReason.UNPROTECTED
            self._leaving[instrument] = Leaving(why)
            return await self._leave(instrument, moment)
        sent = 0
        for step in answer.steps:
            covers = answer.uncovered and not isinstance(step, Cancel)
            why = ExitReason.STOP_LOST if covers else ExitReason.STOP_EXCESS
            sent += await self._sender.send((step,), instrument, why, moment, answer.uncovered)
        return sent

    def _give_up(self, instrument: InstrumentId, answer: Protection, book: DayBook) -> bool:
        """Whether a position that ATS planned a stop for can have none."""
        if self._stop_of(book, instrument) is None:
            return False
        bare = self._bare.seconds(instrument, self._machine())
        return answer.passed or bare > PROTECT_WITHIN

    def _held(self, instrument: InstrumentId, reading: Reading) -> int:
        """Units to protect. A stop of what was converted to delivery could open a position."""
        ours, counted = reading.book.holding(instrument).net, reading.net.get(instrument, 0)
        same_side = ours * counted > 0
        if (same_side and abs(counted) >= abs(ours)) or instrument not in reading.listed:
            self._fewer.pop(instrument, None)
            return ours
        since = self._fewer.setdefault(instrument, self._machine())
        if self._machine() - since < COUNT_BELIEVED_AFTER:
            return ours
        return counted if same_side else 0

    def _protection(
        self, book: DayBook, instrument: InstrumentId, now: UtcNs, held: int | None = None
    ) -> Protection:
        quote = self._deps.quote_at(instrument, now)
        plan = self._stop_of(book, instrument)
        answer = protect(
            book,
            instrument,
            plan,
            now=now,
            last=quote.price if quote else None,
            unchangeable=self._sender.unchangeable,
            net=held,
        )
        if plan is None:  # no business of ours
            return Protection(answer.steps, excess=answer.excess)
        self._bare.note(instrument, answer.uncovered, trading_day(now), self._machine())
        return answer

    def _stop_of(self, book: DayBook, instrument: InstrumentId) -> StopPlan | None:
        master = self._deps.instruments.get(instrument)
        return stop_of(book, instrument, master, self._deps.plans.by_name)

    def _market(self, instrument: InstrumentId, moment: Moment) -> Market:
        """The last trade; without one, what the position cost."""
        master = self._deps.instruments.get(instrument)
        tick, band = (master.tick_size, master.band) if master else (Paise(5), None)
        if quote := self._deps.quote_at(instrument, moment.now):
            return Market(quote.price, tick, band)
        held = moment.reading.book.holding(instrument)
        quantity, value = held.bought + held.sold, held.bought_value + held.sold_value
        cost = Price(max(tick, value // quantity if quantity else tick))
        return Market(cost, tick, band, guessed=True)

    # Halts

    def _is_flat(self, instrument: InstrumentId, moment: Moment) -> bool:
        live = any(each.live() for each in brackets(moment.reading.book, instrument))
        return not moment.reading.net.get(instrument) and not live

    async def _prove(self, halts: tuple[Halt, ...], moment: Moment) -> None:
        """Tell once that a halt is done: no entry can fill, and with `flatten` all is flat."""
        if self._sender.awaiting or moment.reading.doubtful:
            return
        book, flat_asked = moment.reading.book, any(halt.flatten for halt in halts)
        touched = book.instruments() | moment.reading.net.keys()
        flat = all(self._is_flat(each, moment) for each in touched)
        done = flat if flat_asked else not any(entries(book, each) for each in touched)
        if not done:
            return
        if flat:
            self._sender.tell(moment, None, ExitAction.FLAT, ExitReason.HALT, outcome="proved")
        if any(halt.broker_kill for halt in halts) and not await self._broker_kill(moment):
            return
        self._proved = (moment.day, halts)

    async def _broker_kill(self, moment: Moment) -> bool:
        """Dhan's own switch, last: it refuses while anything is open. Read back."""
        await moment.clients.control.activate_kill_switch()
        state = await moment.clients.control.kill_switch()
        on = isinstance(state, KillSwitchState) and state.active
        outcome = "accepted" if on else "unknown"
        self._sender.tell(moment, None, ExitAction.BROKER_KILL, ExitReason.HALT, outcome=outcome)
        return on


def _most_at_once(found: Collection[Bracket], leaving: Leaving) -> int | None:
    """Units of a closing order: half of the smallest that was rejected on this way to flat."""
    rejected = {
        each.number: each.entry.quantity
        for each in found
        if each.entry and _is_rejected_close(each)
    }
    if leaving.before is None:
        leaving.before = frozenset(rejected)
    sizes = [size for number, size in rejected.items() if number not in leaving.before]
    sizes += leaving.refused
    return min(sizes) // 2 if sizes else None


def _is_rejected_close(bracket: Bracket) -> bool:
    rejected = bracket.entry is not None and bracket.entry.status is OrderStatus.REJECTED
    return rejected and bracket.name.startswith(ExitKind.CLOSE)
