"""Decisions that wait for an operator's yes, on Postgres with our functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from audit.replay.orders import OrdersAsSet, RecordedOrders, fan_out_again
from bus.records import Output, Record
from executors.approvals import POLL_EVERY, Approvals, ApprovalStore
from executors.clock import ReplayClock
from executors.fanout import FanOut
from executors.metrics import OrderMetrics
from executors.quotes import QuoteCache
from executors.reasons import Reason
from executors.risk.denial import Denial
from executors.risk.sizing import UserLimits
from executors.sessions import ACTIVE, DATABASE_AWAY, ActiveUsers, UserState
from schemas.codec import decode
from schemas.errors import TryLater, Unreadable
from schemas.ids import UserId
from schemas.market import Action
from schemas.messages import ApprovalState, Decision, OrderIntent, Outcome
from schemas.messages import FanOut as FanOutRecord
from schemas.strategy import StrategyMode
from schemas.topics import DECISIONS, FANOUTS, ORDERS
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from tests.database.fixtures import SupabaseStack, client, own_stack
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.factories import LIMITS, RELIANCE, TEN_O_CLOCK, a_decision, a_record
from tests.executors.harness import FastMachine, World, read, run, world_at

USERS = [UserId(UUID(int=number)) for number in range(1, 5)]
YES, NO = True, False


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """Nobody else's: a decision that waits waits for every order worker of its database."""
    async with own_stack(postgres, "approvals") as stack:
        yield stack


@pytest_asyncio.fixture
async def world(
    stack: SupabaseStack, http: httpx.AsyncClient, dhan: ScriptedDhan
) -> AsyncIterator[World]:
    """Entries wait for a minute at most."""
    async with world_at(stack, http, dhan.url) as world:
        await switch(world, 60)
        yield world
        await switch(world, None)
        await world.sql("update private.approvals set told_at = now() where told_at is null")


async def switch(world: World, seconds: int | None) -> None:
    arguments = {"p_seconds": seconds, "p_by": "Asha", "p_reason": "expiry day"}
    await world.client.rpc("set_approvals", arguments).execute()


async def say(world: World, decision: Decision, yes: bool) -> str:
    arguments = {"p_decision": str(decision.id), "p_yes": yes, "p_by": "Asha"}
    answer: Any = (await world.client.rpc("answer_approval", arguments).execute()).data
    return str(answer["status"])


class Process:
    """A process with its fan-out: what it published stands in `told`."""

    def __init__(
        self,
        world: World,
        users: Iterable[UserId] = USERS[:3],
        *,
        closing: Collection[UserId] = (),
        limits: UserLimits = LIMITS,
        store: ApprovalStore | None = None,
    ) -> None:
        self.machine = FastMachine()
        self.store = store or ApprovalStore(world.client)
        self.metrics = OrderMetrics()
        self.approvals = Approvals(self.store, self.machine.time(), self.metrics)
        active = ActiveUsers(self.machine.time())
        active.replace({user: UserState(ACTIVE) for user in users}, self.machine.now)
        self.fan_out = FanOut(
            active,
            {RELIANCE.id: RELIANCE},
            lambda _: limits,
            ReplayClock(wall=lambda: round(self.machine.now * NS_PER_SECOND)),
            self.machine.time(),
            platform=StrategyMode.PAPER,
            approvals=self.approvals,
            exits=lambda intent, _: intent.user_id in closing,
        )
        self.told: list[Output] = []

    async def hear(self, decision: Decision) -> Sequence[Output]:
        """The decision is delivered."""
        return await self.fan_out(record_of(decision))

    async def look(self) -> list[Output]:
        """Look for answers once; what was published."""
        before = len(self.told)
        looks = asyncio.ensure_future(self.approvals.run(self.fan_out.answered, self._send))
        # until the first look is over, and what it found is told
        while POLL_EVERY not in self.machine.slept or self.approvals._telling:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        looks.cancel()
        with suppress(asyncio.CancelledError):
            await looks
        self.machine.slept.clear()
        return self.told[before:]

    async def _send(self, outputs: Sequence[Output]) -> None:
        self.told += outputs


class NewerStore(ApprovalStore):
    """Of a database that knows an answer more than we do."""

    async def _rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        answer = await super()._rpc(function, arguments)
        if function == "take_approvals":
            answer["due"].insert(0, {"decision_id": str(UUID(int=9)), "answer": "perhaps"})
        return answer


def record_of(decision: Decision) -> Record:
    return a_record(decision, decision.instrument, DECISIONS, published_at=UtcNs(5), partition=2)


def users_of(outputs: Iterable[Output]) -> set[UserId]:
    return {intent.user_id for intent in intents_of(outputs)}


def intents_of(outputs: Iterable[Output]) -> list[OrderIntent]:
    return [decode(OrderIntent, each.value) for each in outputs if each.topic is ORDERS]


def fan_out_record(outputs: Iterable[Output]) -> FanOutRecord:
    (output,) = (each for each in outputs if each.topic is FANOUTS)
    return decode(FanOutRecord, output.value)


def state_of(outputs: Iterable[Output]) -> ApprovalState | None:
    approval = fan_out_record(outputs).approval
    return approval.state if approval else None


async def test_with_the_mode_off_every_byte_is_as_without_approvals(world: World) -> None:
    await switch(world, None)
    process = Process(world)
    decision = await world.decision()
    unasked = FanOut(
        process.fan_out._active,
        {RELIANCE.id: RELIANCE},
        lambda _: LIMITS,
        ReplayClock(wall=lambda: 0),
        process.machine.time(),
        platform=StrategyMode.PAPER,
    )

    before_it_looked = await process.hear(decision)
    await process.look()
    after = await process.hear(decision)

    assert before_it_looked == after == await unasked(record_of(decision))
    assert b"approval" not in b"".join(output.value for output in after)


async def test_entries_leave_after_the_yes_and_nobody_waits_meanwhile(world: World) -> None:
    process = Process(world)
    decision, other = await world.decision(), await world.decision()

    left = await process.hear(decision)
    await process.hear(other)
    unanswered = await process.look()
    waited, waiting = list(process.machine.slept), process.metrics.decisions_waiting
    await say(world, decision, YES)
    told = await process.look()

    assert (intents_of(left), state_of(left)) == ([], ApprovalState.WAITING)
    assert (unanswered, waited, waiting) == ([], [], 2)
    assert users_of(told) == set(USERS[:3])
    assert (state_of(told), fan_out_record(told).orders) == (ApprovalState.YES, 3)
    assert {each.decision_id for each in intents_of(told)} == {decision.id}
    assert await process.look() == []


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ApprovalState.NO, Reason.APPROVAL_REFUSED),
        (ApprovalState.TIMED_OUT, Reason.APPROVAL_TIMED_OUT),
    ],
)
async def test_without_a_yes_nobody_enters_and_the_record_says_why(
    world: World, state: ApprovalState, code: Reason
) -> None:
    process = Process(world)
    left = UtcNs.minutes(5) if state is ApprovalState.NO else UtcNs(0)
    decision = await world.decision(valid_until=UtcNs(TEN_O_CLOCK + left))
    await process.hear(decision)
    if state is ApprovalState.NO:
        await say(world, decision, NO)

    told = await process.look()

    record = fan_out_record(told)
    assert (intents_of(told), state_of(told), record.orders) == ([], state, 0)
    assert {each.user_id: each.reason_code for each in record.without} == dict.fromkeys(
        USERS[:3], code
    )
    assert await say(world, decision, YES) in ("answered_already", "timed_out")
    assert await process.look() == []


async def test_a_decision_waits_no_longer_than_it_is_valid(world: World) -> None:
    soon = await world.decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.seconds(20)))
    late = await world.decision()
    for decision in (soon, late):
        await Process(world).hear(decision)

    rows = await world.sql(
        "select extract(epoch from deadline - asked_at) as waits from private.approvals "
        "where decision_id = any ($1) order by deadline",
        [soon.id, late.id],
    )

    assert [round(row["waits"]) for row in rows] == [20, 60]


async def test_what_closes_leaves_at_once_and_once(world: World) -> None:
    process = Process(world, closing=USERS[:1])
    decision = await world.decision(action=Action.SELL)

    left = await process.hear(decision)
    await say(world, decision, NO)
    told = await process.look()

    assert users_of(left) == set(USERS[:1])
    assert fan_out_record(left).orders == 1
    assert intents_of(told) == []
    assert {each.user_id for each in fan_out_record(told).without} == set(USERS[1:3])
    assert fan_out_record(told).orders == 1


async def test_where_everybody_only_closes_nobody_is_asked(world: World) -> None:
    told = await Process(world, closing=USERS).hear(await world.decision(action=Action.SELL))

    assert (users_of(told), state_of(told)) == (set(USERS[:3]), None)


async def test_a_second_delivery_finds_the_same_exits_and_the_same_deadline(world: World) -> None:
    """A worker died after it had left the decision, and positions are others since."""
    decision = await world.decision(action=Action.SELL)
    first = await Process(world, closing=USERS[:1]).hear(decision)
    await say(world, decision, YES)

    again = await Process(world, closing=USERS[1:3]).hear(decision)
    told = await Process(world).look()

    assert again == first
    assert users_of(told) == set(USERS[1:3])


async def test_what_one_worker_took_and_did_not_tell_another_tells_with_the_same_bytes(
    world: World,
) -> None:
    decision = await world.decision()
    dead, other = Process(world), Process(world)
    await dead.hear(decision)
    await say(world, decision, YES)
    (taken,) = (await dead.store.take(16, hold=0)).answered
    (held,) = (await dead.store.take(16, hold=60)).answered

    meanwhile = await other.look()
    await world.sql("update private.approvals set held_until = now() where told_at is null")
    told = await other.look()

    assert taken == held
    assert meanwhile == []
    assert told == await dead.fan_out.answered(held)


async def test_an_answer_that_kafka_does_not_take_ends_the_process(world: World) -> None:
    """Its publisher takes nothing more: alive it would keep every later answer from the others."""
    decision, process = await world.decision(), Process(world)
    await process.hear(decision)
    await say(world, decision, YES)

    async def sick(_: Sequence[Output]) -> None:
        raise TryLater("an output was not accepted by Kafka")

    with pytest.raises(TryLater):
        async with asyncio.timeout(10):
            await process.approvals.run(process.fan_out.answered, sick)


async def test_an_answer_that_cannot_be_read_keeps_no_other_waiting(world: World) -> None:
    process = Process(world, store=NewerStore(world.client))
    decision = await world.decision()
    await process.hear(decision)
    await say(world, decision, YES)

    assert users_of(await process.look()) == set(USERS[:3])


async def test_the_rest_is_sized_anew_once_the_yes_is_there(world: World) -> None:
    decision = await world.decision()
    await Process(world).hear(decision)
    await say(world, decision, YES)

    poorer = replace(LIMITS, max_order_value=Paise(decision.reference_price * 3))
    told = await Process(world, USERS[1:4], limits=poorer).look()

    assert users_of(told) == set(USERS[1:4])
    assert max(each.quantity for each in intents_of(told)) < 4


async def test_what_waits_still_needs_its_yes_once_the_mode_is_off(world: World) -> None:
    user = await world.user()
    decision = await world.decision()
    process = Process(world, [user])
    await process.hear(decision)
    await switch(world, None)
    await process.look()

    again = await process.hear(decision)
    await say(world, decision, YES)
    told = await process.look()

    assert (state_of(again), intents_of(again)) == (ApprovalState.WAITING, [])
    assert users_of(told) == {user}


async def approved(world: World, user: UserId) -> Record:
    """The intent of a decision that an operator said yes to."""
    process, decision = Process(world, [user]), await world.decision()
    await process.hear(decision)
    await say(world, decision, YES)
    (sent,) = (each for each in await process.look() if each.topic is ORDERS)
    return a_record(decode(OrderIntent, sent.value), user, headers=dict(sent.headers))


async def test_an_entry_that_was_on_its_way_when_the_mode_began_is_refused(world: World) -> None:
    user = await world.user()
    entry = await world.intent(user)

    told = await run(world.worker(user), entry)

    assert (told.outcome, told.reason_code) == (Outcome.DENIED, Denial.NOT_APPROVED)


async def test_an_approved_entry_is_sent_and_its_evidence_says_that_it_was(
    world: World, dhan: ScriptedDhan
) -> None:
    dhan.on("POST", "/v2/super/orders", json_answer({"orderId": "1", "orderStatus": "PENDING"}))
    user = await world.user()

    told = read(await world.worker(user)(await approved(world, user)))

    assert (told.outcome, len(dhan.seen)) == (Outcome.ACCEPTED, 1)
    assert told.evidence
    assert told.evidence.judgement
    assert told.evidence.judgement.seen.approval == "yes"


@pytest.mark.parametrize(
    ("since", "code"),
    [
        ({"halted": lambda _: True}, Denial.HALTED),
        ({"book": QuoteCache(partitions=1)}, Denial.FEED_DEAD),
        ({"limits_of": lambda _: replace(LIMITS, known=False)}, Denial.LIMITS_UNKNOWN),
    ],
)
async def test_the_gate_judges_again_after_the_yes(
    world: World, dhan: ScriptedDhan, since: dict[str, Any], code: Denial
) -> None:
    user = await world.user()
    record = await approved(world, user)

    told = read(await world.worker(user, machine=FastMachine().time(), **since)(record))

    assert (told.reason_code, dhan.seen) == (code, [])


async def test_while_the_database_is_away_nothing_is_sent_unasked(
    world: World, free_port: Callable[[], int]
) -> None:
    away = await client(f"http://127.0.0.1:{free_port()}", world.stack.secret_key)
    process = Process(world, store=ApprovalStore(away))
    decision = a_decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.seconds(1)))

    told = await process.hear(decision)

    assert intents_of(told) == []
    assert {each.reason_code for each in fan_out_record(told).without} == {DATABASE_AWAY}


async def test_a_decision_that_was_never_recorded_is_a_dead_letter(world: World) -> None:
    with pytest.raises(Unreadable):
        await Process(world).hear(a_decision())


async def test_a_replay_makes_the_same_messages_of_each_answer(world: World) -> None:
    for yes in (YES, NO):
        process = Process(world, closing=USERS[:1])
        decision = await world.decision(action=Action.SELL)
        told = list(await process.hear(decision))
        await say(world, decision, yes)
        told += await process.look()
        recorded = RecordedOrders()
        for output in told:
            if output.topic is FANOUTS:
                recorded.add(decode(FanOutRecord, output.value))
            else:
                recorded.add(decode(OrderIntent, output.value))

        again = fan_out_again(decision, recorded, OrdersAsSet({RELIANCE.id: RELIANCE}, LIMITS))

        assert {each.value for each in again} == {each.value for each in told}
