"""Looks at every connected account before it may enter anything, and again while something is red.

The judgement is pure (`executors.risk.preflight`). With real money an account enters nothing before
its first look of the day. Where the guarantee stops: a green one is looked at again every ten
minutes, so what turns red in between is seen by then; feed, token and address have checks of their
own in the gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Final, TypeAlias

import httpx
import structlog
from supabase import AsyncClient

from bus.connection import KafkaConnection
from bus.database import Answers, RowRefused, StoreAway
from bus.reader import read_topics
from bus.records import Output, message_output
from dhan.portfolio import FundLimits, PortfolioClient
from dhan.trader_control import PnlExitState, TraderControlClient
from executors.addresses import Addresses
from executors.clock import MonotonicClock
from executors.funds import FundsBoard
from executors.modes import ModeRules
from executors.reasons import for_operator
from executors.risk.preflight import Red, judge_preflight
from executors.sessions import ActiveUsers
from executors.store import Connected, Store
from schemas.calendar import Calendar
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import InstrumentId, UserId, derive
from schemas.market import trading_day
from schemas.messages import OrderEvent, Position, Preflight, PreflightFacts
from schemas.topics import ORDER_EVENTS, POSITIONS, PREFLIGHTS
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"
POLL_EVERY: Final = 1.0  # whoever connects is looked at within two seconds
RED_AGAIN: Final = 60.0  # seconds; three calls, and most of what is red heals in minutes
GREEN_AGAIN: Final = 600.0
AT_ONCE: Final = 64  # accounts: one that answers slowly keeps nobody else's look waiting
DAY_BACK: Final = UtcNs.minutes(24 * 60)

Look: TypeAlias = Callable[[UserId, Connected, UtcNs], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Verdict:
    day: date
    reds: tuple[Red, ...]
    at: float


class PreflightStore:
    """Where users read what was found."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._answers = Answers(_REMEDY)

    async def record(self, message: Preflight) -> None:
        """Write one look; an older one than is there changes nothing.

        Raises:
            StoreAway, Misconfigured, RowRefused: as `bus.database.Answers`.
        """
        arguments = {
            "p_user": str(message.user_id),
            "p_trading_date": message.trading_date.isoformat(),
            "p_green": message.green,
            "p_reds": list(message.reds),
            "p_looked_at": message.event_time.ist().isoformat(),
        }
        call = self._client.rpc("record_preflight", arguments)
        await self._answers.of("record_preflight", call.execute)


class PreflightBoard:
    """The verdicts of today, as far as this process has looked."""

    def __init__(self, *, required: bool) -> None:
        """`required`: without a green preflight of the day nothing is entered."""
        self.required = required
        self._verdicts: dict[UserId, _Verdict] = {}

    def red(self, user: UserId, day: date) -> str:
        """The first reason why `user` enters nothing on `day`; "" when they may."""
        if not self.required:
            return ""
        verdict = self._verdicts.get(user)
        if verdict is None or verdict.day != day:
            return Red.PREFLIGHT_MISSING.value
        return verdict.reds[0].value if verdict.reds else ""

    def note(self, user: UserId, day: date, reds: tuple[Red, ...], at: float) -> bool:
        """Take a verdict, as of machine time `at`; whether it says something new."""
        before = self._verdicts.get(user)
        self._verdicts[user] = _Verdict(day, reds, at)
        return before is None or (before.day, before.reds) != (day, reds)

    def is_due(self, user: UserId, day: date, now: float) -> bool:
        """Whether `user` is to be looked at, at machine time `now`."""
        verdict = self._verdicts.get(user)
        if verdict is None or verdict.day != day:
            return True
        return now - verdict.at >= (RED_AGAIN if verdict.reds else GREEN_AGAIN)


class BooksRead:
    """Whose book was read whole, and where it disagrees with the broker's, by day."""

    def __init__(self) -> None:
        self._read: dict[UserId, date] = {}
        self._disagree: dict[UserId, dict[InstrumentId, date]] = {}

    def observe(self, event: OrderEvent | Position) -> None:
        """Take in what was told; messages of one user come in order."""
        if isinstance(event, Position):
            differing = self._disagree.setdefault(event.user_id, {})
            differing.pop(event.instrument, None)
            if event.agrees is False:
                differing[event.instrument] = event.trading_date
        elif event.book and event.book.whole:
            self._read[event.user_id] = event.trading_date

    def read(self, user: UserId, day: date) -> bool:
        """Whether the whole book of `day` was read."""
        return self._read.get(user) == day

    def agrees(self, user: UserId, day: date) -> bool:
        """Whether no position of `day` is known to differ."""
        return day not in self._disagree.get(user, {}).values()

    def reconciled(self, user: UserId, day: date) -> bool:
        """Whether what is known of the user's book of `day` is what the broker shows."""
        return self.read(user, day) and self.agrees(user, day)

    async def follow(self, connection: KafkaConnection, now: int) -> None:
        """Keep it true for ever, from a day before machine time `now` (UTC ns) on."""
        topics, since = [ORDER_EVENTS, POSITIONS], UtcNs(now - DAY_BACK)
        async with aclosing(read_topics(connection, topics, since=since)) as records:
            async for record in records:
                try:
                    if record.topic == ORDER_EVENTS.name:
                        self.observe(decode(OrderEvent, record.value))
                    else:
                        self.observe(decode(Position, record.value))
                except Unreadable as error:
                    log.warning("book_event_unreadable", record=str(record), reason=error.reason)


@dataclass(frozen=True, slots=True)
class PreflightDeps:
    """What a look needs.

    Attributes:
        instruments_of: The Indian day on which the instrument master was read.
        kinds: An instrument of each kind that has trading hours of its own.
        pnl_exit_wanted: Whether Dhan's exit at a loss is to be armed for a user.
        market: Market time; None while nobody knows it.
        feed_clock: How far the feed's own clock has come.
    """

    store: Store
    http: httpx.AsyncClient
    rules: ModeRules
    addresses: Addresses
    active: ActiveUsers
    books: BooksRead
    calendar: Calendar
    kinds: tuple[InstrumentId, ...]
    instruments_of: date
    pnl_exit_wanted: Callable[[UserId], bool]
    market: Callable[[], UtcNs | None]
    feed_clock: Callable[[], UtcNs | None]
    publish: Callable[[Output], Awaitable[None]]
    record: Callable[[Preflight], Awaitable[None]]
    funds: FundsBoard
    machine: MonotonicClock = field(default_factory=MonotonicClock)


class PreflightSweep:
    """Keeps a board true."""

    def __init__(self, deps: PreflightDeps, board: PreflightBoard) -> None:
        self._deps, self._board = deps, board
        self._unrecorded: dict[UserId, Preflight] = {}

    async def run(self) -> None:
        """Look for ever, where a preflight is required."""
        while self._board.required:
            await self.round()
            await self._deps.machine.sleep(POLL_EVERY)

    async def round(self) -> None:
        """One look at each account that is due."""
        if (now := self._deps.market()) is None:
            return
        day, at, turns = (
            trading_day(now),
            self._deps.machine.monotonic(),
            asyncio.Semaphore(AT_ONCE),
        )
        connected = [
            user
            for user, state in sorted(self._deps.active.states.items())
            if state.client_id is not None and self._deps.rules.allows(state.client_id)
        ]
        due = {user for user in connected if self._board.is_due(user, day, at)}
        spent = [user for user in connected if user not in due and self._deps.funds.is_due(user)]
        looks = [(user, self._look) for user in due] + [(user, self._ask_funds) for user in spent]
        await asyncio.gather(*(self._in_turn(user, look, now, turns) for user, look in looks))
        await self._record()

    async def _in_turn(
        self, user: UserId, look: Look, now: UtcNs, turns: asyncio.Semaphore
    ) -> None:
        async with turns:
            try:
                connected = await self._deps.store.account_credentials(user)
            except (StoreAway, Misconfigured, Unreadable) as error:
                log.warning("preflight_waits", user=str(user), error=str(error))
                return
            if connected:
                await look(user, connected, now)

    async def _record(self) -> None:
        """Write what users are to read; what the database does not take now it takes later."""
        for user, message in list(self._unrecorded.items()):
            try:
                await self._deps.record(message)
            except (StoreAway, Misconfigured) as error:
                log.warning("preflight_unrecorded", user=str(user), error=str(error))
                return
            except RowRefused as error:
                log.error("preflight_refused", user=str(user), error=str(error))
            del self._unrecorded[user]

    async def _ask_funds(self, user: UserId, connected: Connected, now: UtcNs) -> None:
        asked_at = self._deps.machine.monotonic()
        client = PortfolioClient(self._deps.http, self._deps.rules.base_url, connected.credentials)
        funds = _paise(await client.funds())
        self._deps.funds.note(user, trading_day(now), funds, asked_at)

    async def _look(self, user: UserId, connected: Connected, now: UtcNs) -> None:
        asked_at = self._deps.machine.monotonic()
        facts = await self.facts(user, connected, now)
        self._deps.funds.note(user, facts.trading_date, facts.funds, asked_at)
        reds = judge_preflight(facts)
        at = self._deps.machine.monotonic()
        if not self._board.note(user, facts.trading_date, reds, at):
            return
        level = log.warning if reds else log.info
        level(
            "preflight",
            user=str(user),
            reds={red.value: for_operator(red) for red in reds},
        )
        message = preflight(user, facts, reds)
        await self._deps.publish(message_output(PREFLIGHTS, message, str(user)))
        self._unrecorded[user] = message

    async def facts(self, user: UserId, connected: Connected, now: UtcNs) -> PreflightFacts:
        """What is known of the account at market time `now`; Dhan is asked for what it knows."""
        deps, day = self._deps, trading_day(now)
        where = (deps.http, deps.rules.base_url, connected.credentials)
        expiry = deps.active.states[user].token_expiry if user in deps.active.states else None
        sessions = [each for kind in deps.kinds for each in deps.calendar.sessions(day, kind)]
        return PreflightFacts(
            now=now,
            trading_date=day,
            token_expiry=UtcNs.from_datetime(expiry) if expiry else None,
            session_close=max((session.close for session in sessions), default=None),
            address=(await deps.addresses.seen(user, connected, day)).value,
            funds=_paise(await PortfolioClient(*where).funds()),
            instruments_of=deps.instruments_of,
            day_known=any(deps.calendar.covers(day, kind.segment) for kind in deps.kinds),
            feed_clock=deps.feed_clock(),
            book_read=deps.books.read(user, day),
            book_agrees=deps.books.agrees(user, day),
            pnl_exit=await self._pnl_exit(user, TraderControlClient(*where)),
        )

    async def _pnl_exit(self, user: UserId, control: TraderControlClient) -> str:
        if not self._deps.pnl_exit_wanted(user):
            return "not_wanted"
        state = await control.pnl_exit()
        if not isinstance(state, PnlExitState):
            return "unknown"
        return "armed" if state.active else "unarmed"


def preflight(user: UserId, facts: PreflightFacts, reds: tuple[Red, ...]) -> Preflight:
    """The message of one look: a function of what was seen alone."""
    codes = tuple(red.value for red in reds)
    return Preflight(
        id=derive("preflight", user, facts.model_dump_json().replace("|", "/")),
        event_time=facts.now,
        user_id=user,
        trading_date=facts.trading_date,
        green=not reds,
        reds=codes,
        facts=facts,
    )


def _paise(funds: object) -> Paise | None:
    """Rupees of Dhan's, rounded down to the paisa; None where it did not say."""
    if not isinstance(funds, FundLimits):
        return None
    return Paise(int((funds.available * Decimal(100)).to_integral_value(ROUND_FLOOR)))
