from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.turns import out_of_turn
from bus.records import Output
from executors import fanout
from executors.clock import ReplayClock
from executors.fanout import DECIDED_AT, HOLD_LIMIT, MOST_LISTED, FanOut, decided, fan_out_of
from executors.risk.sizing import NoOrder, UserLimits
from executors.sessions import (
    ACTIVE,
    DATABASE_AWAY,
    KEEP_FOR,
    NO_TOKEN,
    REMOVED,
    SWITCHED_OFF,
    TOKEN_EXPIRED,
    TOKEN_REFUSED,
    ActiveUsers,
    SessionPoller,
    UserState,
    changes,
    state_of,
)
from executors.store import PAGE, KeyRow, Store
from schemas.codec import decode, encode
from schemas.errors import Unreadable
from schemas.ids import DhanClientId, InstrumentId, Segment, UserId, derive
from schemas.market import Action
from schemas.messages import FanOut as FanOutRecord
from schemas.messages import OrderIntent, UserSession, WithoutOrder
from schemas.strategy import Strategy, StrategyMode
from schemas.topics import DECISIONS, FANOUTS, ORDERS, SESSIONS, SESSIONS_LATEST
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from tests.database.fixtures import client, signed_in_user
from tests.executors.factories import (
    LIMITS,
    NIFTY,
    RELIANCE,
    TEN_O_CLOCK,
    a_decision,
    a_record,
    an_intent,
)
from tests.executors.harness import FastMachine, World

NOW = datetime(2026, 7, 14, 4, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USERS = [UserId(UUID(int=number)) for number in range(1, 5)]
IN_USE = DhanClientId("1100000001")


CHANGED = NOW - timedelta(days=3)


def a_row(
    user: UserId, account: DhanClientId | None, on: bool, expiry: datetime | None, refused: bool
) -> KeyRow:
    return KeyRow(user, account, on, expiry, refused, CHANGED)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (a_row(USERS[0], IN_USE, True, LATER, False), ACTIVE),
        (a_row(USERS[0], IN_USE, False, LATER, False), SWITCHED_OFF),
        (a_row(USERS[0], IN_USE, True, LATER, True), TOKEN_REFUSED),
        (a_row(USERS[0], IN_USE, False, LATER, True), SWITCHED_OFF),
        (a_row(USERS[0], IN_USE, True, NOW, False), TOKEN_EXPIRED),
        (a_row(USERS[0], IN_USE, True, None, False), NO_TOKEN),
        (a_row(USERS[0], None, True, LATER, False), NO_TOKEN),
    ],
)
def test_a_user_is_active_with_the_switch_on_and_a_living_token_only(
    row: KeyRow, reason: str
) -> None:
    assert state_of(row, NOW).reason == reason


views = st.dictionaries(
    st.sampled_from(USERS), st.sampled_from([ACTIVE, SWITCHED_OFF]).map(UserState)
)


@given(views, views)
def test_the_messages_turn_the_old_view_into_the_new_one_and_say_nothing_twice(
    before: dict[UserId, UserState], after: dict[UserId, UserState]
) -> None:
    told = {user: state.reason for user, state in before.items()}
    said = list(changes(before, after, TEN_O_CLOCK))
    told |= {user: session.reason for user, session in said}

    assert told == {
        user: after[user].reason if user in after else REMOVED for user in before | after
    }
    assert not list(changes(after, after, TEN_O_CLOCK))


def at_(moment: datetime) -> UtcNs:
    return UtcNs.from_datetime(moment)


def test_a_change_has_the_time_and_the_id_of_its_cause_whoever_tells_it_and_when() -> None:
    on, ended = (state_of(a_row(USERS[0], IN_USE, True, end, False), NOW) for end in (LATER, NOW))

    for state, since in ((on, CHANGED), (ended, NOW)):
        (_, one), (_, other) = (
            *changes({}, {USERS[0]: state}, at_(NOW)),
            *changes({}, {USERS[0]: state}, at_(LATER)),
        )
        assert one == other
        assert one.event_time == at_(since)


def test_what_no_row_causes_has_the_moment_at_which_it_was_seen() -> None:
    on, away = state_of(a_row(USERS[0], IN_USE, True, LATER, False), NOW), UserState(DATABASE_AWAY)
    views = [{}, {USERS[0]: on}, {USERS[0]: away}, {USERS[0]: on}, {}]

    said = [
        session
        for nth, (before, after) in enumerate(pairwise(views))
        for _, session in changes(before, after, UtcNs(at_(NOW) + nth))
    ]

    assert [each.reason for each in said] == [ACTIVE, DATABASE_AWAY, ACTIVE, REMOVED]
    assert [each.event_time - at_(NOW) for each in said[1:]] == [1, 2, 3]
    assert len({each.id for each in said}) == len(said)


async def poller(
    world: World, machine: FastMachine
) -> tuple[SessionPoller, ActiveUsers, list[UserSession]]:
    told: list[UserSession] = []

    async def publish(output: Output) -> None:
        if output.topic is SESSIONS:
            told.append(decode(UserSession, output.value))
        else:
            assert output.topic is SESSIONS_LATEST
            assert decode(UserSession, output.value) == told[-1]

    active = ActiveUsers(machine.time())
    store = Store(world.client)
    return (
        SessionPoller(store, active, publish, lambda: datetime.now(UTC), machine.time()),
        active,
        told,
    )


async def looked(sessions: SessionPoller) -> None:
    await sessions.poll()
    await sessions.tell()


async def test_the_database_decides_who_is_active_and_the_topic_is_told_once(
    scripted: World,
) -> None:
    user = await scripted.user()
    sessions, active, told = await poller(scripted, FastMachine())

    await looked(sessions)
    await looked(sessions)
    assert active.is_active(user)
    assert [session.reason for session in told if session.user_id == user] == [ACTIVE]

    await scripted.switch_off(user)
    await looked(sessions)
    assert not active.is_active(user)
    assert [session.active for session in told if session.user_id == user] == [True, False]


async def test_everybody_s_rows_are_read_again_only_once_one_has_changed(
    scripted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await scripted.user()
    sessions, active, _ = await poller(scripted, FastMachine())
    readings: list[int] = []
    read = Store.trading_keys

    async def counted(store: Store) -> list[KeyRow]:
        rows = await read(store)
        readings.append(len(rows))
        return rows

    monkeypatch.setattr(Store, "trading_keys", counted)
    await sessions.poll()
    await sessions.poll()
    read_once = len(readings)
    await scripted.switch_off(user)
    await sessions.poll()

    assert (read_once, len(readings)) == (1, 2)
    assert not active.is_active(user)


async def test_a_token_expires_by_the_clock_alone(scripted: World) -> None:
    user = await scripted.user()
    sessions, active, _ = await poller(scripted, FastMachine())
    await sessions.poll()
    was_active = active.is_active(user)
    sessions._wall = lambda: datetime.now(UTC) + timedelta(days=400)

    await sessions.poll()

    assert (was_active, active.states[user].reason) == (True, TOKEN_EXPIRED)


async def test_the_poller_tells_whose_account_is_whose_also_after_a_disconnection(
    scripted: World,
) -> None:
    user, gone = await scripted.user(), await scripted.user()
    client_id = await scripted.give_up_account(gone)
    accounts: dict[UserId, str] = {}
    sessions, _, _ = await poller(scripted, FastMachine())
    sessions._connected = accounts.__setitem__

    await sessions.poll()

    assert accounts[user] == IN_USE
    assert accounts[gone] == client_id


async def test_an_account_that_another_user_has_now_is_not_told_of_who_had_it_before(
    scripted: World,
) -> None:
    now, before = await scripted.user(), await scripted.user()
    client_id = await scripted.give_up_account(before)
    await scripted.sql(
        "update public.user_trading_keys set dhan_client_id = $2 where user_id = $1", now, client_id
    )
    accounts: dict[UserId, str] = {}
    sessions, _, _ = await poller(scripted, FastMachine())
    sessions._connected = accounts.__setitem__

    await sessions.poll()

    assert accounts[now] == client_id
    assert before not in accounts


async def test_when_the_database_stays_away_nobody_is_active_and_the_reason_is_told(
    scripted: World, free_port: Callable[[], int]
) -> None:
    user = await scripted.user()
    machine = FastMachine()
    sessions, active, told = await poller(scripted, machine)
    await looked(sessions)
    sessions._store = Store(
        await client(f"http://127.0.0.1:{free_port()}", scripted.stack.secret_key)
    )

    await sessions.poll()
    assert active.is_active(user)

    machine.now += KEEP_FOR + 1
    assert not active.is_active(user)
    assert active.users() == []
    await looked(sessions)
    assert [session.reason for session in told if session.user_id == user] == [
        ACTIVE,
        DATABASE_AWAY,
    ]


async def test_more_users_than_one_page_are_all_seen(scripted: World) -> None:
    await signed_in_user(scripted.stack)
    await scripted.sql(
        """with people as (
             insert into auth.users (id) select gen_random_uuid() from generate_series(1, $1)
             returning id)
           insert into public.user_trading_keys (user_id) select id from people""",
        PAGE + 5,
    )
    try:
        rows = await Store(scripted.client).trading_keys()
        counted = await scripted.sql("select count(*) as n from public.user_trading_keys")
        assert len({row.user for row in rows}) == counted[0]["n"] > PAGE
    finally:
        await scripted.sql(
            "delete from auth.users where id in (select user_id from public.user_trading_keys "
            "where dhan_client_id is null)"
        )


def an_active_set(users: Iterable[UserId], machine: FastMachine | None = None) -> ActiveUsers:
    machine = machine or FastMachine()
    active = ActiveUsers(machine.time())
    active.replace(
        {user: UserState(ACTIVE) for user in users} | {USERS[3]: UserState(SWITCHED_OFF)},
        machine.now,
    )
    return active


def limits_of(_: UserId) -> UserLimits:
    return LIMITS


def fan_out(users: Iterable[UserId]) -> FanOut:
    return fan_out_to(an_active_set(users), FastMachine())


def fan_out_to(
    active: ActiveUsers,
    machine: FastMachine,
    limits: Callable[[UserId], UserLimits] = limits_of,
    platform: StrategyMode = StrategyMode.PAPER,
) -> FanOut:
    """Its clock follows `machine`: a decision published at 0 grows older as that sleeps."""
    clock = ReplayClock(wall=lambda: round(machine.now * NS_PER_SECOND))
    instruments = {RELIANCE.id: RELIANCE, NIFTY.id: NIFTY}
    return FanOut(active, instruments, limits, clock, machine.time(), platform=platform)


def orders_of(outputs: Sequence[Output]) -> list[Output]:
    return [output for output in outputs if output.topic is ORDERS]


def record_of(outputs: Sequence[Output]) -> FanOutRecord:
    (output,) = (output for output in outputs if output.topic is FANOUTS)
    return decode(FanOutRecord, output.value)


@pytest.mark.parametrize("action", [Action.BUY, Action.SELL])
async def test_each_active_user_gets_one_intent_under_their_own_key_and_the_switched_off_none(
    action: Action,
) -> None:
    decision = a_decision(action=action)

    outputs = orders_of(
        await fan_out(USERS[:3])(a_record(decision, decision.instrument, DECISIONS))
    )

    intents = [decode(OrderIntent, output.value) for output in outputs]
    assert sorted(intent.user_id for intent in intents) == USERS[:3]
    assert [output.key for output in outputs] == [str(each.user_id).encode() for each in intents]
    assert {intent.side.value for intent in intents} == {action.value}


async def test_no_user_is_always_first_and_the_record_says_by_which_rule() -> None:
    first: Counter[UserId] = Counter()
    late, rules = list[OrderIntent](), set[str | None]()
    for number in range(200):
        decision = a_decision(signal=derive("signal", number))
        outputs = await fan_out(USERS[:3])(a_record(decision, "k", DECISIONS))
        intents = [decode(OrderIntent, output.value) for output in orders_of(outputs)]
        first[intents[0].user_id] += 1
        late += out_of_turn(intents)
        rules.add(record_of(outputs).turns)

    assert min(first[user] for user in USERS[:3]) > 200 / 3 * 0.75
    assert (late, rules) == ([], {"sha256(decision_id|user_id)"})


def test_whoever_goes_before_their_turn_is_seen_and_a_second_delivery_is_not() -> None:
    decision = a_decision(signal=derive("signal", 1))
    intents = sorted(
        (an_intent(user, decision) for user in USERS),
        key=lambda intent: sha256(f"{decision.id}|{intent.user_id}".encode()).hexdigest(),
    )

    assert out_of_turn([*intents, *intents[:2]]) == []
    assert out_of_turn([intents[3], *intents[:3]]) == intents[:3]


async def test_a_decision_read_twice_gives_the_same_records() -> None:
    record = a_record(a_decision(), "k", DECISIONS, published_at=UtcNs(123))

    assert await fan_out(USERS[:2])(record) == await fan_out(USERS[:2])(record)


@pytest.mark.parametrize(
    "decision",
    [a_decision(action=Action.HOLD), a_decision(instrument=NIFTY.id)],
    ids=["hold", "index"],
)
async def test_what_cannot_be_ordered_makes_no_intent(decision: object) -> None:
    assert not orders_of(await fan_out(USERS[:2])(a_record(decision, "k", DECISIONS)))  # type: ignore[arg-type]


async def test_a_decision_about_an_unknown_instrument_is_a_dead_letter() -> None:
    stranger = a_decision(instrument=InstrumentId(Segment.NSE_EQ, 99))

    with pytest.raises(Unreadable, match="NSE_EQ:99"):
        await fan_out(USERS)(a_record(stranger, "k", DECISIONS))


async def test_the_intent_remembers_when_its_decision_was_published() -> None:
    record = a_record(a_decision(), "k", DECISIONS, published_at=UtcNs(123))
    (output,) = orders_of(await fan_out(USERS[:1])(record))
    intent = decode(OrderIntent, output.value)

    assert decided(intent, a_record(intent, "k", headers=dict(output.headers))).published_at == 123
    assert decided(intent, a_record(intent, "k", published_at=UtcNs(456))).published_at == 456
    with pytest.raises(Unreadable):
        decided(intent, a_record(intent, "k", headers={DECIDED_AT: b"now"}))


def reasons(fan_out: FanOutRecord) -> dict[UserId, str]:
    return {each.user_id: each.reason_code for each in fan_out.without}


async def test_who_got_no_order_and_why_is_on_record() -> None:
    decision = a_decision()

    told = record_of(await fan_out(USERS[:2])(a_record(decision, "k", DECISIONS)))

    assert (told.decision_id, told.orders) == (decision.id, 2)
    assert reasons(told) == {USERS[3]: SWITCHED_OFF}


@pytest.mark.parametrize(
    ("mode", "platform", "code"),
    [
        (StrategyMode.SHADOW, StrategyMode.PAPER, "strategy_in_shadow"),
        (StrategyMode.SHADOW, StrategyMode.LIVE, "strategy_in_shadow"),
        (StrategyMode.PAPER, StrategyMode.LIVE, "strategy_on_paper"),
        (StrategyMode.PAPER, StrategyMode.PAPER, ""),
        (StrategyMode.LIVE, StrategyMode.PAPER, ""),
        (StrategyMode.LIVE, StrategyMode.LIVE, ""),
    ],
)
async def test_a_strategy_that_goes_less_far_than_the_platform_makes_no_order(
    mode: StrategyMode, platform: StrategyMode, code: str
) -> None:
    decision = a_decision(strategy=Strategy(name="ema_cross", mode=mode))
    fan = fan_out_to(an_active_set(USERS[:1]), FastMachine(), platform=platform)

    outputs = await fan(a_record(decision, "k", DECISIONS))

    strategies = [decode(OrderIntent, each.value).strategy for each in orders_of(outputs)]
    assert strategies == ([] if code else [decision.strategy])
    assert reasons(record_of(outputs)).get(USERS[0], "") == code


async def test_a_user_who_cannot_afford_one_lot_is_on_record_with_that_reason() -> None:
    poor = replace(LIMITS, max_order_value=Paise(1))
    fan = fan_out_to(an_active_set(USERS[:1]), FastMachine(), lambda _: poor)

    told = record_of(await fan(a_record(a_decision(), "k", DECISIONS)))

    assert told.orders == 0
    assert reasons(told)[USERS[0]] == NoOrder.LESS_THAN_ONE_LOT


async def test_a_decision_that_meets_a_stale_set_is_held_until_the_set_is_fresh() -> None:
    machine = FastMachine()
    active = an_active_set(USERS[:2], machine)
    machine.now += KEEP_FOR + 1
    fan = fan_out_to(active, machine)
    decision = a_decision()

    held = asyncio.create_task(fan(a_record(decision, "k", DECISIONS, published_at=UtcNs(0))))
    await machine.until(machine.now + 1)
    active.replace({user: UserState(ACTIVE) for user in USERS[:2]}, machine.now)
    outputs = await asyncio.wait_for(held, 10)

    assert len(orders_of(outputs)) == record_of(outputs).orders == 2


async def test_a_decision_that_expires_while_held_is_on_record_for_all_who_would_have_traded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout, "LOOK_AGAIN", 5.0)
    machine = FastMachine()
    active = an_active_set(USERS[:2], machine)
    machine.now += KEEP_FOR + 1
    decision = a_decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.seconds(30)))
    record = a_record(decision, "k", DECISIONS, published_at=UtcNs(0))

    outputs = await asyncio.wait_for(fan_out_to(active, machine)(record), 20)

    assert orders_of(outputs) == []
    assert reasons(record_of(outputs)) == {
        USERS[0]: DATABASE_AWAY,
        USERS[1]: DATABASE_AWAY,
        USERS[3]: SWITCHED_OFF,
    }


async def test_a_decision_without_end_is_held_five_minutes_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout, "LOOK_AGAIN", 10.0)
    machine = FastMachine()
    active = ActiveUsers(machine.time())
    decision = a_decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.minutes(600)))
    fan = fan_out_to(active, machine)

    outputs = await asyncio.wait_for(
        fan(a_record(decision, "k", DECISIONS, published_at=UtcNs(0))), 100
    )

    assert record_of(outputs).orders == 0
    assert HOLD_LIMIT <= machine.now < HOLD_LIMIT + 10.0


def test_a_record_of_more_users_than_it_may_list_says_how_many_are_missing() -> None:
    many = [
        WithoutOrder(user_id=UserId(UUID(int=number)), reason_code=SWITCHED_OFF)
        for number in range(MOST_LISTED + 7)
    ]

    told = fan_out_of(a_decision(), 0, many)

    assert (len(told.without), told.more_without) == (MOST_LISTED, 7)
    assert len(encode(told)) < FANOUTS.max_message_bytes
    assert told.id != fan_out_of(a_decision(), 0, many[:-1]).id


async def test_a_broker_that_takes_no_session_makes_nobody_inactive(scripted: World) -> None:
    user = await scripted.user()
    machine = FastMachine()

    async def never(_: Output) -> None:
        await asyncio.Event().wait()

    active = ActiveUsers(machine.time())
    sessions = SessionPoller(
        Store(scripted.client), active, never, lambda: datetime.now(UTC), machine.time()
    )
    running = asyncio.create_task(sessions.run())
    try:
        await machine.until(3 * KEEP_FOR)

        assert active.is_active(user)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
