"""Every single request to Dhan is judged and counted when it leaves, whatever the answers and their
delays were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bus.records import Record
from dhan.orders import DayOrders, NewOrder
from dhan.outcomes import RATE_LIMIT, Accepted, NotSent, PlaceResult, Rejected, Unknown
from dhan.transport import Credentials, OrderUrl
from executors.accounts import Accounts
from executors.clock import LiveClock, MarketClock, MonotonicClock, ReplayClock
from executors.metrics import OrderMetrics
from executors.modes import Mode, ModeRules
from executors.orders import worker as order_worker
from executors.orders.breaker import FAILURES, PROBE_EVERY, Breakers
from executors.orders.outcomes import not_found
from executors.orders.pre_trade import PreTrade
from executors.orders.telling import Telling
from executors.orders.worker import SEND_TIMEOUT, OrderWorker, WorkerDeps
from executors.quotes import QuoteCache
from executors.reasons import Reason
from executors.risk.order_rate import OrderRate
from executors.risk.requests import WORKERS
from executors.sessions import ACTIVE, SWITCHED_OFF, ActiveUsers, UserState
from executors.store import Claim, Claimed, OrderKey, OrderOutcome, Store, TokenVersion
from executors.terms import OrderTerms
from executors.tokens import RefusedTokens
from schemas.calendar import EVERY_DAY
from schemas.evidence import Written
from schemas.ids import DhanClientId, DhanOrderId, UserId
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import NS_PER_SECOND, UtcNs
from tests.executors.factories import (
    LIMITS,
    NEVER,
    RELIANCE,
    TEN_O_CLOCK,
    USER,
    a_decision,
    a_record,
    an_intent,
    some_ticks,
)
from tests.executors.harness import read

ACCOUNT = DhanClientId("1100000001")
LIMITED = NotSent(RATE_LIMIT, "slow down")
MS = NS_PER_SECOND // 1_000


@dataclass
class Time:
    """Wall, market and machine time in one, moved by hand."""

    now: int = int(TEN_O_CLOCK)

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * NS_PER_SECOND)

    def machine(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.now / NS_PER_SECOND, self.sleep)


@dataclass
class Memory:
    """A database of one user that says yes, after `claim_takes`."""

    time: Time
    claim_takes: float = 0.0
    recorded: dict[OrderKey, OrderOutcome] = field(default_factory=dict)
    refused: list[tuple[TokenVersion, str]] = field(default_factory=list)

    async def claim(self, intent: OrderIntent, **_: object) -> Claim:
        await self.time.sleep(self.claim_takes)
        self.recorded[OrderKey.of(intent)] = replace(
            not_found(Reason.NOT_FOUND), terms=OrderTerms.of(intent)
        )
        return Claimed(Credentials(ACCOUNT, SecretStr("a-token")), TokenVersion(1))

    async def refuse_token(self, _: UserId, version: TokenVersion, code: str) -> bool:
        self.refused.append((version, code))
        return True

    async def keep_judgement(self, key: OrderKey, judgement: Written) -> None:
        pass

    async def record_outcome(
        self, key: OrderKey, outcome: OrderOutcome, _: Written | None
    ) -> OrderOutcome:
        self.recorded[key] = replace(outcome, terms=self.recorded[key].terms)
        return self.recorded[key]

    async def leave(self, intent: OrderIntent, _: Record) -> OrderOutcome:
        return self.recorded[OrderKey.of(intent)]


@dataclass
class Exchange:
    """Dhan: each request gets the next answer after the next delay; keeps when each came in."""

    time: Time
    answers: Iterator[tuple[PlaceResult, float]]
    posts: list[int] = field(default_factory=list)
    on_post: Any = None

    def __call__(self, _: Credentials) -> Exchange:
        return self

    async def place(self, _: NewOrder) -> PlaceResult:
        self.posts.append(self.time.now)
        if self.on_post:
            self.on_post(len(self.posts))
        answer, delay = next(self.answers)
        await self.time.sleep(delay)
        return answer

    async def orders_of_the_day(self) -> DayOrders:
        return DayOrders(())


@dataclass
class Room:
    """A worker with everything around it."""

    answers: list[tuple[PlaceResult, float]]
    time: Time = field(default_factory=Time)
    claim_takes: float = 0.0
    killed: bool = False
    market: MarketClock | None = None

    def __post_init__(self) -> None:
        endless = iter(
            [
                *self.answers,
                *[(cast(PlaceResult, Accepted(DhanOrderId("1"), "TRANSIT")), 0.0)] * 1_000,
            ]
        )
        self.exchange, self.memory = (
            Exchange(self.time, endless),
            Memory(self.time, self.claim_takes),
        )
        self.active = ActiveUsers(self.time.machine())
        self.switch(ACTIVE)
        self.tokens = RefusedTokens(cast(Store, self.memory), self.time.machine())
        book = QuoteCache(partitions=1)
        book.apply(
            0,
            some_ticks(
                (RELIANCE, int(TEN_O_CLOCK), 150_000), clock=TEN_O_CLOCK + 100 * NS_PER_SECOND
            ),
        )
        rules = ModeRules(Mode.PAPER, OrderUrl.parse("http://127.0.0.1:1/v2"), None)
        budget, metrics = OrderRate(), OrderMetrics()
        self.worker = OrderWorker(
            WorkerDeps(
                store=cast(Store, self.memory),
                broker=cast(Any, self.exchange),
                unresolved=cast(Any, self.memory),
                breakers=Breakers(self.time.machine(), metrics),
                tokens=self.tokens,
                telling=Telling(budget, metrics),
                pre_trade=PreTrade(
                    rules=rules,
                    tokens=self.tokens,
                    accounts=Accounts(rules, cast(Any, None), self.tokens),
                    book=book,
                    active=self.active,
                    budget=budget,
                    calendar=EVERY_DAY,
                    clock=self.market or LiveClock(lambda: self.time.now, self.time.sleep),
                    limits_of=lambda _: LIMITS,
                    halted=lambda _: self.killed,
                    square_off=NEVER,
                ),
                machine=self.time.machine(),
            )
        )

    def switch(self, reason: str) -> None:
        self.active.replace({USER: UserState(reason, ACCOUNT)}, self.time.now / NS_PER_SECOND)

    def kill(self) -> None:
        self.killed = True

    async def deliver(self, **changes: Any) -> Execution:
        decision = a_decision(event_time=changes.pop("event_time", TEN_O_CLOCK))
        return read(await self.worker(record_of(an_intent(decision=decision, **changes))))


def record_of(intent: OrderIntent) -> Record:
    return a_record(intent, USER, published_at=UtcNs(intent.event_time))


FAR = UtcNs(TEN_O_CLOCK + UtcNs.minutes(60))
placements = st.sampled_from(
    [
        LIMITED,
        NotSent("connect_error", ""),
        Accepted(DhanOrderId("1"), "TRANSIT"),
        Rejected("DH-906", "no"),
        Unknown("lost"),
    ]
)
delays = st.sampled_from([0.0, 0.001, 0.05, 0.19, 0.4, 1.9])
runs = st.tuples(placements, delays, st.integers(1, 12)).map(lambda run: [run[:2]] * run[2])
answers = st.lists(runs, max_size=12).map(lambda parts: list(chain(*parts)))
bursts = st.tuples(st.sampled_from([0, 1, 100 * MS, 799 * MS, NS_PER_SECOND]), st.integers(1, 12))
gaps = st.lists(bursts.map(lambda burst: [burst[0]] * burst[1]), max_size=6).map(
    lambda parts: list(chain(*parts))
)


def busiest(posts: list[int]) -> int:
    """The most requests that any second saw, by calendar and by any second beginning at one of
    them.
    """
    calendar = [
        sum(post // NS_PER_SECOND == other // NS_PER_SECOND for other in posts) for post in posts
    ]
    rolling = [sum(post <= other < post + NS_PER_SECOND for other in posts) for post in posts]
    return max([0, *calendar, *rolling])


@given(answers, gaps, st.integers(0, NS_PER_SECOND - 1))
@settings(deadline=None, max_examples=200)
def test_no_schedule_of_retries_sends_more_than_the_budget_in_any_second(
    answers: list[tuple[PlaceResult, float]], gaps: list[int], began: int
) -> None:
    room = Room(answers, Time(int(TEN_O_CLOCK) + began))

    async def day() -> None:
        for gap in gaps:
            room.time.now += gap
            await room.deliver(valid_until=FAR)

    asyncio.run(day())

    assert busiest(room.exchange.posts) <= WORKERS.second


def refusing(times: int = 50) -> list[tuple[PlaceResult, float]]:
    return [(LIMITED, 0.0)] * times


async def test_a_halt_ends_the_retries() -> None:
    room = Room(refusing())
    room.exchange.on_post = lambda count: room.kill() if count == 2 else None

    execution = await room.deliver(valid_until=FAR)

    assert len(room.exchange.posts) == 2
    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "halted")


async def test_a_switch_off_that_is_known_ends_the_retries() -> None:
    room = Room(refusing())
    room.exchange.on_post = lambda count: room.switch(SWITCHED_OFF) if count == 2 else None

    execution = await room.deliver(valid_until=FAR)

    assert len(room.exchange.posts) == 2
    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "user_inactive")


async def test_a_look_older_than_the_claim_does_not_deny_what_the_database_just_allowed() -> None:
    room = Room([])
    room.switch(SWITCHED_OFF)
    room.time.now += MS

    execution = await room.deliver(valid_until=FAR)

    assert execution.outcome is Outcome.ACCEPTED


async def test_a_token_that_dhan_refused_ends_its_claims_at_once_also_those_given_before() -> None:
    dead = Rejected("DH-901", "invalid token", token_refused=True)
    room = Room([(dead, 0.0)])
    first = await room.deliver(valid_until=FAR)

    second = await room.deliver(valid_until=FAR)  # the database has not heard of it: it says yes

    assert (first.outcome, first.reason_code) == (Outcome.REJECTED, "DH-901")
    assert (second.outcome, second.reason_code) == (Outcome.DENIED, "token_refused")
    assert len(room.exchange.posts) == 1
    assert room.memory.refused == [(1, "DH-901")]


async def test_the_deadline_ends_the_retries() -> None:
    room = Room(refusing())

    execution = await room.deliver(valid_until=UtcNs(TEN_O_CLOCK + 500 * MS))

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "decision_expired")
    assert max(room.exchange.posts) < TEN_O_CLOCK + 500 * MS


async def test_the_end_of_the_session_ends_the_retries() -> None:
    close = UtcNs(TEN_O_CLOCK + UtcNs.minutes(330))
    room = Room(refusing(), Time(int(close) - 300 * MS))
    batch = some_ticks((RELIANCE, int(close) - NS_PER_SECOND, 150_000))
    room.worker._deps.pre_trade.book.apply(0, batch)

    execution = await room.deliver(
        event_time=UtcNs(close - NS_PER_SECOND), valid_until=UtcNs(close + NS_PER_SECOND)
    )

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "outside_session")
    assert room.exchange.posts
    assert max(room.exchange.posts) < close


async def test_an_order_whose_decision_ended_while_it_was_claimed_is_not_sent() -> None:
    room = Room([], claim_takes=1.0)

    execution = await room.deliver(valid_until=UtcNs(TEN_O_CLOCK + 900 * MS))

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "decision_expired")
    assert not room.exchange.posts


async def test_the_retries_of_one_order_end_with_the_time_to_send() -> None:
    room = Room(refusing(1_000))

    execution = await room.deliver(valid_until=FAR)

    assert execution.outcome is Outcome.REJECTED
    assert room.exchange.posts[-1] - room.exchange.posts[0] < SEND_TIMEOUT * NS_PER_SECOND
    assert busiest(room.exchange.posts) <= WORKERS.second


async def test_a_replay_counts_each_retry_at_its_own_market_time() -> None:
    time = Time()
    room = Room(refusing(9), time, market=ReplayClock(lambda: time.now))

    await room.deliver(valid_until=FAR)

    stamps = room.worker._deps.pre_trade.budget._requests[ACCOUNT]._at
    assert len(stamps) == len(room.exchange.posts) > 1
    assert stamps == sorted(set(stamps))
    assert busiest(stamps) <= WORKERS.second


async def test_an_order_on_its_way_leaves_its_place_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_worker, "BEGUN_AT_ONCE", 1)
    room, answered = Room([]), asyncio.Event()
    place = room.exchange.place

    async def first_waits(order: NewOrder) -> PlaceResult:
        first_of_all = not room.exchange.posts
        placed = await place(order)
        if first_of_all:
            await answered.wait()
        return placed

    monkeypatch.setattr(room.exchange, "place", first_waits)
    slow = asyncio.create_task(room.deliver(valid_until=FAR))
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        other = await room.deliver(valid_until=FAR)

    assert (other.outcome, slow.done()) == (Outcome.ACCEPTED, False)
    answered.set()
    assert (await slow).outcome is Outcome.ACCEPTED


async def test_no_more_orders_begin_than_can_be_sent_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_worker, "BEGUN_AT_ONCE", 2)
    room, claimed = Room([]), asyncio.Event()
    claim, begun = room.memory.claim, list[OrderIntent]()

    async def held(intent: OrderIntent, **_: object) -> Claim:
        begun.append(intent)
        await claimed.wait()
        return await claim(intent)

    monkeypatch.setattr(room.memory, "claim", held)
    orders = [asyncio.create_task(room.deliver(valid_until=FAR)) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    at_once = len(begun)
    claimed.set()

    assert [(await order).outcome for order in orders] == 5 * [Outcome.ACCEPTED]
    assert (at_once, len(begun)) == (2, 5)


async def test_an_account_that_must_be_looked_at_keeps_nobody_elses_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_worker, "BEGUN_AT_ONCE", 1)
    room, answered = Room([]), asyncio.Event()
    for _ in range(FAILURES):
        room.worker._deps.breakers.heard(USER, Unknown("deadline"))
    await room.time.sleep(PROBE_EVERY)
    look, asked = room.exchange.orders_of_the_day, asyncio.Event()

    async def first_waits() -> DayOrders:
        if not asked.is_set():
            asked.set()
            await answered.wait()
        return await look()

    monkeypatch.setattr(room.exchange, "orders_of_the_day", first_waits)
    slow = asyncio.create_task(room.deliver(valid_until=FAR))
    async with asyncio.timeout(5):
        await asked.wait()
        other = await room.deliver(valid_until=FAR)

    assert (other.outcome, slow.done()) == (Outcome.ACCEPTED, False)
    answered.set()
    assert (await slow).outcome is Outcome.ACCEPTED
