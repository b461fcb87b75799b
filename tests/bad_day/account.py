"""One user's order path and books at a simulator, without Kafka and database.

Real are sizing, gate, limits, halts, bans, the watch over the day's loss, Dhan's clients and the
book that is made of Dhan's answers. The claim is left out: nobody else wants to send.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import httpx
import orjson
from pydantic import SecretStr

from bus.records import Record
from dhan import instruments as masters
from dhan.orders import DayOrders, NewOrder, OrderClient, Validity
from dhan.outcomes import Accepted, Rows
from dhan.portfolio import PortfolioClient
from dhan.super_orders import Exits, NewSuperOrder, SuperOrderClient
from dhan.transport import Credentials, OrderUrl
from executors.accounts import Accounts
from executors.bans import BanBoard
from executors.clock import MonotonicClock, ReplayClock
from executors.halts import HaltBoard, HaltPoller
from executors.limits import LimitsBoard, LimitsInForce, OwnLimits
from executors.loss_watch import LossWatch
from executors.modes import Mode, ModeRules
from executors.orders.book_machine import BookMachine
from executors.orders.observations import Reading, observe
from executors.orders.outcomes import execution, of_placement
from executors.orders.pre_trade import NOTHING_AMISS, PreTrade
from executors.positions import FilledPositions
from executors.preflights import BooksRead
from executors.quotes import QuoteCache
from executors.reasons import for_user
from executors.risk.ban_list import parse as parse_bans
from executors.risk.gate import judge
from executors.risk.listed import DayMaster, Listed
from executors.risk.order_rate import OrderRate
from executors.risk.recorded import context_of
from executors.risk.sizing import UserLimits, plan
from executors.sessions import ACTIVE, ActiveUsers, UserState
from executors.store import Claimed, Halt, Halts, Store, TokenVersion
from executors.tokens import RefusedTokens
from schemas.calendar import EVERY_DAY
from schemas.codec import decode, encode
from schemas.evidence import SeenContext, Written
from schemas.ids import DhanClientId, InstrumentId, Segment, UserId
from schemas.market import Action, Instrument
from schemas.messages import OrderIntent, Position
from schemas.topics import ORDER_EVENTS, POSITIONS
from schemas.units import NS_PER_SECOND, Paise, Price, UtcNs
from simulator.config import SimulatedUser
from simulator.server import Simulator
from tests.executors.factories import USER, a_decision, some_ticks
from tests.simulator.factories import call, running

TRADER: Final = SimulatedUser("1100000001", "token-of-one")
CREDENTIALS: Final = Credentials(DhanClientId(TRADER.client_id), SecretStr(TRADER.token))
CLAIMED: Final = Claimed(CREDENTIALS, TokenVersion(1))
PLATFORM: Final = UserLimits(
    max_order_value=Paise(5_000_000),
    max_orders_per_day=40,
    stop_out_cooldown=15,
    max_stop_outs_per_day=5,
)
OWN: Final = OwnLimits(
    max_orders_per_day=7,
    max_open_positions=3,
    max_symbol_exposure=Paise(5_000_000),
    max_exposure=Paise(12_000_000),
    max_daily_loss=Paise(1_000_000),
    segments=frozenset({Segment.NSE_EQ, Segment.NSE_FNO}),
)


class MemoryStore(Store):
    """The halts, as the database has them."""

    def __init__(self) -> None:
        self.wall = UtcNs(0)
        self._halts: list[tuple[Halt, datetime | None]] = []

    async def impose_halt(
        self, user: UserId | None, by: str, reason: str, until: datetime | None
    ) -> None:
        since = _datetime(self.wall)
        halt = Halt(user, flatten=False, broker_kill=False, since=since, reason=f"{by}: {reason}")
        self._halts.append((halt, until))

    async def halts_in_force(self, known: Halts | None = None) -> Halts:  # noqa: ARG002
        now = _datetime(self.wall)
        halts = tuple(halt for halt, until in self._halts if until is None or until > now)
        return Halts(repr(halts), halts)

    def lift_the_platforms(self) -> None:
        """An operator does."""
        self._halts = [row for row in self._halts if row[0].user is not None]


def _datetime(moment: UtcNs) -> datetime:
    return datetime.fromtimestamp(moment / NS_PER_SECOND, tz=UTC)


@dataclass
class Watched:
    """What came of the day, and the most that was ever reached of each limit."""

    lines: list[str] = field(default_factory=list)
    denials: list[str] = field(default_factory=list)
    orders: int = 0
    positions: int = 0
    exposure: int = 0
    symbol_exposure: int = 0
    loss: int = 0
    rejudged: int = 0
    told_by_broker: list[str] = field(default_factory=list)


class TradingAccount:
    """One user, over as many days as the story has."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http, self.watched, self.store = http, Watched(), MemoryStore()
        self.halts = HaltBoard(lambda: self.store.wall / NS_PER_SECOND)
        self.limits = LimitsBoard(PLATFORM, real_money=True)
        self.limits.replace(LimitsInForce(1, {USER: OWN}))
        self.bans, self.books, self.book = BanBoard(), BooksRead(), BookMachine()
        self.positions, self.budget = FilledPositions(), OrderRate()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.last: dict[InstrumentId, int] = {}
        self.mute, self._looks = False, 0

    async def open(self, simulator: Simulator) -> None:
        """A session begins; what is known of the day before stays known."""
        self.simulator, self.last = simulator, {}
        base = OrderUrl.parse(f"{simulator.url}/v2")
        where = (self.http, base, CREDENTIALS)
        self.orders, self.super_orders = OrderClient(*where), SuperOrderClient(*where)
        self.portfolio, self.quotes = PortfolioClient(*where), QuoteCache(1)
        machine = MonotonicClock(lambda: self.store.wall / NS_PER_SECOND)
        rules, active = ModeRules(Mode.PAPER, base, None), ActiveUsers(machine)
        active.replace({USER: UserState(ACTIVE, CREDENTIALS.client_id)}, float("inf"))
        tokens = RefusedTokens(self.store, machine)
        self.master = DayMaster({}, None, self.bans.of)
        self.pre_trade = PreTrade(
            rules=rules,
            tokens=tokens,
            accounts=Accounts(rules, self.http, tokens),
            book=self.quotes,
            active=active,
            budget=self.budget,
            clock=ReplayClock(),
            calendar=EVERY_DAY,
            limits_of=self.limits.of,
            halted=self.halts.halted,
            stopped=self.halts.stopped,
            positions=self.positions,
            listed=self._listed,
            reconciled=self.books.reconciled,
        )
        self.loss_watch = LossWatch(
            self.store,
            self.limits,
            self.pre_trade.day_result,
            lambda: self.now,
            EVERY_DAY,
            machine,
            lambda: self.store.wall,
        )
        self._clock_moved()

    async def read_master(self, day: date, *more: Instrument) -> None:
        """As order workers do at their start."""
        text = await masters.fetch(
            self.http, f"{self.simulator.url}/instruments/api-scrip-master-detailed.csv"
        )
        parsed = masters.parse(text, frozenset({Segment.NSE_EQ}))
        self.instruments = dict(parsed.by_id) | {each.id: each for each in more}
        self.master = DayMaster(self.instruments, day, self.bans.of)

    def read_bans(self, text: str) -> None:
        """The operator puts the day's list there."""
        self.bans.replace(parse_bans(text))

    def tighten(self, **limits: Any) -> None:
        """The user does."""
        self.limits.replace(LimitsInForce(2, {USER: replace(OWN, **limits)}))

    def _listed(self, instrument: InstrumentId, day: date) -> Listed:
        return self.master.of(instrument, day)

    # the market

    @property
    def now(self) -> UtcNs:
        return UtcNs.seconds(self.simulator.exchange.second)

    def _clock_moved(self) -> None:
        self.store.wall = self.now

    def wait(self, *, minutes: int = 0, seconds: int = 0) -> None:
        """Time goes by; every quote comes again, unless the feed is mute."""
        self.simulator.exchange.second += 60 * minutes + seconds
        self._clock_moved()
        if not self.mute:
            for instrument, price in self.last.items():
                self._tick(self.instruments[instrument], price)

    def print_at(self, share: Instrument, price: int) -> None:
        """A trade at the exchange, which the feed brings."""
        exchange = self.simulator.exchange
        exchange.book.on_price(share.id, Price(price), exchange.second)
        self.last[share.id] = price
        self._tick(share, price)

    def _tick(self, share: Instrument, price: int) -> None:
        self.quotes.apply(0, some_ticks((share, self.now, price)))

    # what is done

    async def decide(self, share: Instrument, action: Action = Action.BUY) -> str:
        """A decision is made on the last price; what became of it, in one word."""
        decision = a_decision(
            instrument=share.id,
            symbol=share.symbol,
            action=action,
            event_time=self.now,
            reference_price=Price(self.last[share.id]),
            valid_until=UtcNs(self.now + UtcNs.minutes(5)),
        )
        intent = plan(decision, USER, share, self.limits.of(USER))
        assert isinstance(intent, OrderIntent), intent
        order, _ = self.pre_trade.cut(intent, self.now, 0.0)
        denial, seen = self.pre_trade.judge(order, self.now, 0.0, CLAIMED, NOTHING_AMISS)
        self._judge_again(order, seen, denial)
        if denial:
            self.watched.denials.append(denial.value)
            self.say(f"{action} {share.symbol} denied, {denial}: {for_user(denial)}")
            return denial.value
        await self._send(order)
        self.say(f"{action} {int(order.quantity)} {share.symbol} at {order.price} accepted")
        await self.look()
        return "accepted"

    def _judge_again(self, order: OrderIntent, seen: Written, denial: object) -> None:
        written = SeenContext.model_validate_json(orjson.dumps(seen))
        assert judge(order, context_of(written, order.instrument)) is denial
        self.watched.rejudged += 1

    async def _send(self, order: OrderIntent) -> None:
        opens = self.pre_trade.opens(order, self.now)
        self.budget.spend(order, self.now, closing=not opens)
        terms = (order.instrument, order.side, order.quantity, order.price)
        exits, name = Exits(order.stop, order.target), order.dhan_correlation_id
        placed = await (
            self.super_orders.place(NewSuperOrder(*terms, exits, name))
            if opens
            else self.orders.place(NewOrder(*terms, name, validity=Validity.IOC))
        )
        assert isinstance(placed, Accepted), placed
        self.budget.observe(execution(order, of_placement(placed)))

    async def look(self) -> None:
        """The broker's lists are read into the book, and its truth is held against the limits."""
        orders, trades, supers, positions = (
            await self.orders.orders_of_the_day(),
            await self.portfolio.trades(),
            await self.super_orders.orders_of_the_day(),
            await self.portfolio.positions(),
        )
        assert isinstance(orders, DayOrders)
        assert isinstance(trades, Rows)
        assert isinstance(supers, Rows)
        assert isinstance(positions, Rows)
        self._looks += 1  # two readings have two times
        moment = UtcNs(self.now + self._looks)
        observed = observe(USER, Reading(orders, trades, supers, positions), moment)
        for event in (*observed.events, observed.read):
            record = Record(ORDER_EVENTS.name, 0, 0, b"", encode(event), self.now, {})
            for output in self.book.apply(record):
                if output.topic is POSITIONS:
                    self.positions.observe(decode(Position, output.value))
                    self.books.observe(decode(Position, output.value))
            self.books.observe(event)
        await self.loss_watch.look()
        await self.look_at_halts()
        await self._measure()

    async def look_at_halts(self) -> None:
        """As order workers do twice a second."""
        await HaltPoller(self.store, self.halts, MonotonicClock()).poll()

    async def truth(self) -> Any:
        """What the simulator itself knows of the account."""
        _, books = await call(
            self.simulator, "GET", f"/control/books/{TRADER.client_id}", user=None
        )
        return books

    async def _measure(self) -> None:
        books, watched = await self.truth(), self.watched
        held = {
            InstrumentId(Segment(row["exchangeSegment"]), int(row["securityId"])): row["net"]
            for row in books["positions"]
            if row["net"]
        }
        values = [abs(net) * self.last[each] for each, net in held.items()]
        watched.exposure = max(watched.exposure, sum(values))
        watched.symbol_exposure = max(watched.symbol_exposure, *values, 0)
        watched.positions = max(watched.positions, len(held))
        watched.orders = max(watched.orders, self.budget.sent(USER, self.now).today)
        watched.loss = max(watched.loss, -self.result)

    @property
    def result(self) -> int:
        """Paise made or lost today."""
        return self.pre_trade.day_result(USER, self.now)

    @property
    def stop_outs(self) -> int:
        """Stops that traded today, by the book."""
        day = self.now.ist().date()
        return sum(each.stop_outs for each in self.positions.of(USER, day).values())

    def held(self, share: Instrument) -> int:
        """Units by the fills."""
        return self.positions.net(USER, share.id, self.now.ist().date()) or 0

    def say(self, text: str) -> None:
        """One line of the story."""
        self.watched.lines.append(f"{self.now.ist():%d %b %H:%M:%S}  {text}")


@asynccontextmanager
async def session(account: TradingAccount, day: date) -> AsyncIterator[Simulator]:
    """A day at the broker, from 10:15 on."""
    async with running(users=(TRADER,), shares=10, day=day, order_rate_limit=None) as simulator:
        simulator.exchange.second += 3_600
        await account.open(simulator)
        yield simulator
