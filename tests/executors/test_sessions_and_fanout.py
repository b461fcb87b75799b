from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.records import Output
from executors.fanout import DECIDED_AT, FanOut, decided
from executors.planning import UserLimits
from executors.sessions import (
    ACTIVE,
    DATABASE_AWAY,
    KEEP_FOR,
    NO_TOKEN,
    REMOVED,
    SWITCHED_OFF,
    TOKEN_EXPIRED,
    ActiveUsers,
    SessionPoller,
    UserState,
    changes,
    state_of,
)
from executors.store import PAGE, KeyRow, Store
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import DhanClientId, InstrumentId, Segment, UserId
from schemas.market import Action
from schemas.messages import OrderIntent, UserSession
from schemas.topics import DECISIONS
from schemas.units import UtcNs
from tests.database.fixtures import client, signed_in_user
from tests.executors.factories import LIMITS, NIFTY, RELIANCE, TEN_O_CLOCK, a_decision, a_record
from tests.executors.world import FastMachine, World

NOW = datetime(2026, 7, 14, 4, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USERS = [UserId(UUID(int=number)) for number in range(1, 5)]
IN_USE = DhanClientId("1100000001")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (KeyRow(USERS[0], IN_USE, True, LATER), ACTIVE),
        (KeyRow(USERS[0], IN_USE, False, LATER), SWITCHED_OFF),
        (KeyRow(USERS[0], IN_USE, True, NOW), TOKEN_EXPIRED),
        (KeyRow(USERS[0], IN_USE, True, None), NO_TOKEN),
        (KeyRow(USERS[0], None, True, LATER), NO_TOKEN),
    ],
)
def test_a_user_is_active_with_the_switch_on_and_a_living_token_only(row: KeyRow, reason: str) -> None:
    assert state_of(row, NOW).reason == reason


views = st.dictionaries(st.sampled_from(USERS), st.sampled_from([ACTIVE, SWITCHED_OFF]).map(UserState))


@given(views, views)
def test_the_messages_turn_the_old_view_into_the_new_one_and_say_nothing_twice(
    before: dict[UserId, UserState], after: dict[UserId, UserState]
) -> None:
    told = {user: state.reason for user, state in before.items()}
    said = list(changes(before, after, TEN_O_CLOCK))
    told |= {user: session.reason for user, session in said}

    assert told == {user: after[user].reason if user in after else REMOVED for user in before | after}
    assert not list(changes(after, after, TEN_O_CLOCK))


async def poller(world: World, machine: FastMachine) -> tuple[SessionPoller, ActiveUsers, list[UserSession]]:
    told: list[UserSession] = []

    async def publish(output: Output) -> None:
        told.append(decode(UserSession, output.value))

    active = ActiveUsers(machine.time())
    store = Store(world.client)
    return SessionPoller(store, active, publish, lambda: datetime.now(UTC), machine.time()), active, told


async def test_the_database_decides_who_is_active_and_the_topic_is_told_once(scripted: World) -> None:
    user = await scripted.user()
    sessions, active, told = await poller(scripted, FastMachine())

    await sessions.poll()
    await sessions.poll()
    assert active.is_active(user)
    assert [session.reason for session in told if session.user_id == user] == [ACTIVE]

    await scripted.switch_off(user)
    await sessions.poll()
    assert not active.is_active(user)
    assert [session.active for session in told if session.user_id == user] == [True, False]


async def test_when_the_database_stays_away_nobody_is_active_and_the_reason_is_told(
    scripted: World, free_port: Callable[[], int]
) -> None:
    user = await scripted.user()
    machine = FastMachine()
    sessions, active, told = await poller(scripted, machine)
    await sessions.poll()
    sessions._store = Store(await client(f"http://127.0.0.1:{free_port()}", scripted.stack.secret_key))

    await sessions.poll()
    assert active.is_active(user)

    machine.now += KEEP_FOR + 1
    assert not active.is_active(user)
    assert active.users() == []
    await sessions.poll()
    assert [session.reason for session in told if session.user_id == user] == [ACTIVE, DATABASE_AWAY]


async def test_more_users_than_one_page_are_all_seen(scripted: World) -> None:
    await signed_in_user(scripted.stack)
    await scripted.sql(
        """with people as (insert into auth.users (id) select gen_random_uuid() from generate_series(1, $1) returning id)
           insert into public.user_trading_keys (user_id) select id from people""",
        PAGE + 5,
    )
    try:
        rows = await Store(scripted.client).trading_keys()
        counted = await scripted.sql("select count(*) as n from public.user_trading_keys")
        assert len({row.user for row in rows}) == counted[0]["n"] > PAGE
    finally:
        await scripted.sql(
            "delete from auth.users where id in (select user_id from public.user_trading_keys where dhan_client_id is null)"
        )


def an_active_set(users: Iterable[UserId]) -> ActiveUsers:
    machine = FastMachine()
    active = ActiveUsers(machine.time())
    active.replace({user: UserState(ACTIVE) for user in users} | {USERS[3]: UserState(SWITCHED_OFF)}, machine.now)
    return active


def limits_of(_: UserId) -> UserLimits:
    return LIMITS


def fan_out(users: Iterable[UserId]) -> FanOut:
    return FanOut(an_active_set(users), {RELIANCE.id: RELIANCE, NIFTY.id: NIFTY}, limits_of)


@pytest.mark.parametrize("action", [Action.BUY, Action.SELL])
async def test_each_active_user_gets_one_intent_under_their_own_key_and_the_switched_off_none(action: Action) -> None:
    decision = a_decision(action=action)

    outputs = await fan_out(USERS[:3])(a_record(decision, decision.instrument, DECISIONS))

    intents = [decode(OrderIntent, output.value) for output in outputs]
    assert [intent.user_id for intent in intents] == USERS[:3]
    assert [output.key for output in outputs] == [str(user).encode() for user in USERS[:3]]
    assert {intent.side.value for intent in intents} == {action.value}


async def test_a_decision_read_twice_gives_the_same_records() -> None:
    record = a_record(a_decision(), "k", DECISIONS, published_at=UtcNs(123))

    assert await fan_out(USERS[:2])(record) == await fan_out(USERS[:2])(record)


@pytest.mark.parametrize(
    "decision", [a_decision(action=Action.HOLD), a_decision(instrument=NIFTY.id)], ids=["hold", "index"]
)
async def test_what_cannot_be_ordered_makes_no_intent(decision: object) -> None:
    assert not await fan_out(USERS[:2])(a_record(decision, "k", DECISIONS))  # type: ignore[arg-type]


async def test_a_decision_about_an_unknown_instrument_is_a_dead_letter() -> None:
    stranger = a_decision(instrument=InstrumentId(Segment.NSE_EQ, 99))

    with pytest.raises(Unreadable, match="NSE_EQ:99"):
        await fan_out(USERS)(a_record(stranger, "k", DECISIONS))


async def test_the_intent_remembers_when_its_decision_was_published() -> None:
    record = a_record(a_decision(), "k", DECISIONS, published_at=UtcNs(123))
    (output,) = await fan_out(USERS[:1])(record)
    intent = decode(OrderIntent, output.value)

    assert decided(intent, a_record(intent, "k", headers=dict(output.headers))).published_at == 123
    assert decided(intent, a_record(intent, "k", published_at=UtcNs(456))).published_at == 456
    with pytest.raises(Unreadable):
        decided(intent, a_record(intent, "k", headers={DECIDED_AT: b"now"}))
