"""What was recorded stays; what Dhan's book shows later is appended, told once, and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from bus.database import StoreAway
from bus.records import Output
from dhan.orders import BrokerOrder, DayOrders
from executors.clock import MonotonicClock
from executors.metrics import OrderMetrics
from executors.orders.correction_store import ChangingOrder, Correction, CorrectionStore
from executors.orders.corrections import ROUND_EVERY, CorrectionSweep, compare
from executors.orders.outcomes import denied, execution, execution_id
from executors.orders.worker import WorkerDeps
from executors.sessions import ActiveUsers, SessionPoller
from executors.store import OrderKey, Store
from executors.tokens import RefusedTokens
from schemas.codec import decode, encode
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, UserId, derive
from schemas.messages import Execution, OrderIntent, Outcome
from simulator.faults import FaultKind
from simulator.server import Simulator
from tests.database.fixtures import SupabaseStack, own_stack, signed_in_user
from tests.database.test_corrections import an_account
from tests.dhan.broker import ScriptedDhan, hang_up, json_answer, text_answer, trading_error
from tests.executors.conftest import TOKEN
from tests.executors.factories import TEN_O_CLOCK, an_intent
from tests.executors.harness import LEASE, FastMachine, World, run


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: a round is about every user it finds."""
    async with own_stack(postgres, f"corrections_{uuid4().hex}") as stack:
        yield stack


@pytest_asyncio.fixture(autouse=True)
async def nothing_left_to_check(supabase_stack: SupabaseStack) -> None:
    """Orders of the tests before are none of this test's business."""
    connection = await asyncpg.connect(supabase_stack.dsn)
    await connection.execute("update private.order_claims set final_at = now()")
    await connection.close()


@dataclass
class Kafka:
    """Takes what is published; `away` refuses it."""

    told: list[Output] = field(default_factory=list)
    away: bool = False
    first: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, output: Output) -> None:
        if self.away:
            raise ConnectionError("the broker is away")
        self.told.append(output)
        self.first.set()

    @property
    def messages(self) -> list[Execution]:
        return [decode(Execution, output.value) for output in self.told]


def sweep_of(
    deps: WorkerDeps, world: World, kafka: Kafka, store: CorrectionStore | None = None
) -> CorrectionSweep:
    return CorrectionSweep(
        store or CorrectionStore(world.client),
        deps.broker,
        deps.tokens,
        publish=kafka.publish,
        machine=deps.machine,
        metrics=OrderMetrics(),
    )


async def a_round(world: World, kafka: Kafka | None = None) -> list[Execution]:
    """What one round of one order worker tells."""
    kafka = kafka or Kafka()
    before = len(kafka.told)
    await sweep_of(world.surroundings(), world, kafka).round()
    return kafka.messages[before:]


async def later(world: World, seconds: float = ROUND_EVERY) -> None:
    """Let `seconds` pass since the last checks."""
    back = "update private.order_checks set checked_at = checked_at - $1::interval"
    await world.sql(back, timedelta(seconds=seconds + 1))
    await world.sql(
        "update private.stored_tokens set stored_at = stored_at - $1::interval",
        timedelta(seconds=seconds + 2),
    )


async def accepted_order(
    world: World, dhan: ScriptedDhan, user: UserId, number: str
) -> OrderIntent:
    intent = await world.intent(user)
    dhan.on("POST", "/v2/orders", json_answer({"orderId": number, "orderStatus": "PENDING"}))
    assert (await run(world.worker(user), intent)).outcome is Outcome.ACCEPTED
    return intent


async def lost_order(world: World, dhan: ScriptedDhan, user: UserId) -> OrderIntent:
    """One whose reply was lost and that Dhan did not show until the lease was over."""
    intent = await world.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders/external/", trading_error("DH-906", status=404))
    dhan.on("GET", "/v2/orders", json_answer([]))
    assert (await run(world.worker(user), intent)).outcome is Outcome.NOT_FOUND
    return intent


def row_of(intent: OrderIntent, number: str, status: str) -> dict[str, str]:
    name = intent.dhan_correlation_id
    return {"orderId": number, "orderStatus": status, "correlationId": name}


def book(*rows: dict[str, Any]) -> Any:
    return json_answer(list(rows))


def books_read(dhan: ScriptedDhan) -> int:
    return sum(seen.method == "GET" and seen.path == "/v2/orders" for seen in dhan.seen)


async def known(world: World, intent: OrderIntent) -> tuple[str, str | None]:
    """Outcome and Dhan's id of an order, as known now."""
    (row,) = await world.sql(
        "select outcome, dhan_order_id from private.order_outcomes where order_id = $1", intent.id
    )
    return row["outcome"], row["dhan_order_id"]


async def test_an_order_found_after_all_is_appended_and_the_record_stays(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await lost_order(scripted, dhan, user)
    dhan.on("GET", "/v2/orders", book(row_of(intent, "901", "TRADED")))

    (message,) = await a_round(scripted)

    assert (message.outcome, message.reason_code) == (Outcome.ACCEPTED, "found_late")
    assert (message.dhan_order_id, message.order_id) == ("901", intent.id)
    assert message.corrects == execution_id(intent.id)
    assert message.id == derive("correction", intent.id, 1)
    assert (message.event_time, message.correlation_id) == (TEN_O_CLOCK, intent.correlation_id)
    assert [status for status, *_ in await scripted.logged(intent)] == ["FAILED"]
    assert await known(scripted, intent) == ("accepted", "901")
    assert await scripted.executed(intent.decision_id)


async def test_an_order_that_was_pending_and_then_rejected_does_not_stay_a_success(
    simulated: World, simulator: Simulator
) -> None:
    user = await simulated.user(token=TOKEN)
    intent = await simulated.intent(user)
    deps = simulated.surroundings(user)
    fault = {"kind": FaultKind.LATE_REJECT, "delay": 0, "message": "RMS: margin exceeds"}
    await simulated.http.post(f"{simulator.url}/control/faults", json=fault)

    execution = await run(simulated.worker(user, budget=deps.pre_trade.budget), intent)
    deps.pre_trade.budget.observe(execution)
    held = deps.pre_trade.budget.position(user, intent.instrument, TEN_O_CLOCK)
    (message,) = await a_round(simulated)
    deps.pre_trade.budget.observe(message)
    deps.pre_trade.budget.observe(execution)  # a repeat, as after a crash

    assert (execution.outcome, held) == (Outcome.ACCEPTED, intent.quantity)
    assert (message.outcome, message.reason_code) == (Outcome.REJECTED, "REJECTED")
    assert "margin exceeds" in message.reason
    assert await known(simulated, intent) == ("rejected", execution.dhan_order_id)
    assert not await simulated.executed(intent.decision_id)
    assert deps.pre_trade.budget.position(user, intent.instrument, TEN_O_CLOCK) == 0
    assert deps.pre_trade.budget.sent(user, TEN_O_CLOCK).today == 1


async def test_a_decision_stays_executed_while_another_users_order_of_it_is_accepted(
    scripted: World, dhan: ScriptedDhan
) -> None:
    users = [await scripted.user(client_id=an_account()) for _ in range(2)]
    decision = await scripted.decision()
    rows = []
    for user, number in zip(users, ("911", "912"), strict=True):
        intent = an_intent(user, decision)
        dhan.on("POST", "/v2/orders", json_answer({"orderId": number, "orderStatus": "PENDING"}))
        await run(scripted.worker(user), intent)
        rows.append(row_of(intent, number, "TRADED"))
    executed = []
    for row in rows:
        row["orderStatus"] = "REJECTED"
        dhan.on("GET", "/v2/orders", book(*rows))
        await later(scripted)
        await scripted.sql("update private.order_claims set final_at = null")
        await a_round(scripted)
        executed.append(await scripted.executed(decision.id))

    assert executed == [True, False]


async def test_a_chain_of_corrections_replaces_one_message_after_the_other(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user, kafka = await scripted.user(), Kafka()
    intent = await lost_order(scripted, dhan, user)
    for status in ("PENDING", "PENDING", "REJECTED", "REJECTED"):
        dhan.on("GET", "/v2/orders", book(row_of(intent, "902", status)))
        await a_round(scripted, kafka)
        await later(scripted)

    first, second = kafka.messages
    assert [first.outcome, second.outcome] == [Outcome.ACCEPTED, Outcome.REJECTED]
    assert [first.corrects, second.corrects] == [execution_id(intent.id), first.id]


async def test_an_order_that_has_ended_is_not_asked_about_again(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await accepted_order(scripted, dhan, user, "903")
    for status in ("PENDING", "TRADED", "TRADED"):
        dhan.on("GET", "/v2/orders", book(row_of(intent, "903", status)))
        assert await a_round(scripted) == []
        await later(scripted)

    assert books_read(dhan) == 2


async def test_all_orders_of_a_user_take_one_call_to_dhan(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intents = [await accepted_order(scripted, dhan, user, f"92{n}") for n in range(4)]
    rows = [row_of(intent, f"92{n}", "REJECTED") for n, intent in enumerate(intents)]
    dhan.on("GET", "/v2/orders", book(*rows))

    told = await a_round(scripted)

    assert {message.order_id for message in told} == {intent.id for intent in intents}
    assert books_read(dhan) == 1


async def test_what_is_missing_in_the_book_changes_nothing(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await accepted_order(scripted, dhan, user, "904")
    dhan.on("GET", "/v2/orders", book())

    assert await a_round(scripted) == []
    assert await known(scripted, intent) == ("accepted", "904")


async def test_two_order_workers_read_one_book_and_write_one_correction(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await lost_order(scripted, dhan, user)
    before = books_read(dhan)
    dhan.on("GET", "/v2/orders", book(row_of(intent, "905", "TRADED")))
    kafka = Kafka()

    await asyncio.gather(*(a_round(scripted, kafka) for _ in range(4)))

    assert books_read(dhan) == before + 1
    assert len({output.value for output in kafka.told}) == 1
    rows = await scripted.sql(
        "select from private.order_corrections where order_id = $1", intent.id
    )
    assert len(rows) == 1


async def test_one_users_trouble_stops_only_itself(scripted: World, dhan: ScriptedDhan) -> None:
    sick = await scripted.user(client_id=an_account(), token="token-of-the-sick-account")
    healthy = await scripted.user()
    await accepted_order(scripted, dhan, sick, "906")
    intent = await accepted_order(scripted, dhan, healthy, "907")
    fine = book(row_of(intent, "907", "REJECTED"))

    async def by_account(request: Any) -> Any:
        if request.headers["access-token"] == "token-of-the-sick-account":
            return await text_answer("<h1>sorry</h1>", 502)(request)
        return await fine(request)

    dhan.on("GET", "/v2/orders", by_account)

    assert [message.order_id for message in await a_round(scripted)] == [intent.id]


class NotNoted(RefusedTokens):
    """A refusal that the database takes for no text."""

    async def add(self, *_: object) -> None:
        raise Unreadable("no text for a database", "code")


async def test_a_refusal_that_cannot_be_noted_stops_only_its_user(
    scripted: World, dhan: ScriptedDhan
) -> None:
    sick = await scripted.user(client_id=an_account(), token="token-of-the-sick-account")
    healthy = await scripted.user()
    await accepted_order(scripted, dhan, sick, "906")
    intent = await accepted_order(scripted, dhan, healthy, "907")
    fine = book(row_of(intent, "907", "REJECTED"))

    async def by_account(request: Any) -> Any:
        if request.headers["access-token"] == "token-of-the-sick-account":
            return await trading_error("DH-901", status=401)(request)
        return await fine(request)

    dhan.on("GET", "/v2/orders", by_account)
    machine, kafka = MonotonicClock(), Kafka()
    tokens = NotNoted(Store(scripted.client), machine)

    await sweep_of(scripted.surroundings(tokens=tokens), scripted, kafka).round()

    assert [message.order_id for message in kafka.messages] == [intent.id]


async def test_a_row_whose_message_was_never_written_is_told_by_the_next_life(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await lost_order(scripted, dhan, user)
    dhan.on("GET", "/v2/orders", book(row_of(intent, "908", "TRADED")))
    with pytest.raises(ConnectionError):
        await a_round(scripted, Kafka(away=True))
    dhan.on("GET", "/v2/orders", text_answer("away", 502))

    (message,) = await a_round(scripted)

    assert (message.order_id, message.outcome) == (intent.id, Outcome.ACCEPTED)
    assert await a_round(scripted) == []


async def test_a_message_that_nobody_noted_is_written_again_with_the_same_bytes(
    scripted: World, dhan: ScriptedDhan
) -> None:
    class Forgetful(CorrectionStore):
        async def published(self, correction: Correction) -> None:
            raise StoreAway(f"killed before the note of {correction.nth}")

    user, kafka = await scripted.user(), Kafka()
    intent = await lost_order(scripted, dhan, user)
    dhan.on("GET", "/v2/orders", book(row_of(intent, "909", "TRADED")))
    with pytest.raises(StoreAway):
        await sweep_of(scripted.surroundings(), scripted, kafka, Forgetful(scripted.client)).round()

    await a_round(scripted, kafka)

    first, second = kafka.told
    assert (first.value, first.key) == (second.value, second.key)


async def test_another_account_is_never_asked_and_the_first_one_again_when_it_is_back(
    scripted: World, dhan: ScriptedDhan
) -> None:
    person = await signed_in_user(scripted.stack)
    first, another = an_account(), an_account()
    await person.connect_dhan(client_id=first, token="token-of-the-first-account")
    await person.switch(on=True)
    user = UserId(person.id)
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)
    await person.connect_dhan(client_id=another, token="token-of-another-account")
    dhan.on("GET", "/v2/orders", book(row_of(intent, "910", "TRADED")))
    dhan.on("GET", "/v2/orders/external/", json_answer(row_of(intent, "910", "TRADED")))

    recorded = await scripted.reconciler().look(OrderKey.of(intent), LEASE)
    meanwhile = await a_round(scripted)
    asked_meanwhile = list(dhan.seen)
    await person.connect_dhan(client_id=first, token="token-of-the-first-account")
    (message,) = await a_round(scripted)

    assert recorded
    assert (recorded.outcome, recorded.code) == (Outcome.NOT_FOUND, "unverifiable")
    assert (meanwhile, asked_meanwhile) == ([], [])
    assert (message.order_id, message.outcome) == (intent.id, Outcome.ACCEPTED)


async def test_a_token_that_died_and_came_back_is_used_at_once(
    scripted: World, dhan: ScriptedDhan
) -> None:
    person = await signed_in_user(scripted.stack)
    account = an_account()
    await person.connect_dhan(client_id=account)
    await person.switch(on=True)
    user = UserId(person.id)
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders", trading_error("DH-901", status=401))
    recorded = await run(scripted.worker(user), intent)
    assert recorded.reason_code == "unverifiable"
    dhan.on("GET", "/v2/orders", book(row_of(intent, "913", "TRADED")))
    dead = await a_round(scripted)  # Dhan refused this token: nobody asks with it any more

    await person.connect_dhan(client_id=account)
    (message,) = await a_round(scripted)

    assert dead == []
    assert (message.order_id, message.outcome) == (intent.id, Outcome.ACCEPTED)


async def test_a_token_refused_for_the_book_is_flagged(scripted: World, dhan: ScriptedDhan) -> None:
    user = await scripted.user()
    await accepted_order(scripted, dhan, user, "914")
    dhan.on("GET", "/v2/orders", trading_error("DH-901", status=401))

    assert await a_round(scripted) == []

    (row,) = await scripted.sql(
        "select refused_code from private.stored_tokens where user_id = $1", user
    )
    assert row["refused_code"] == "http_401_DH-901"


async def test_a_change_of_somebodys_connection_begins_the_next_round(
    scripted: World, dhan: ScriptedDhan
) -> None:
    machine, kafka = FastMachine(), Kafka()
    forever = MonotonicClock(lambda: machine.now, lambda _: asyncio.sleep(3_600))
    sweep = sweep_of(scripted.surroundings(machine=forever), scripted, kafka)
    poller = SessionPoller(
        Store(scripted.client),
        ActiveUsers(machine.time()),
        kafka.publish,
        lambda: datetime.now(UTC),
        machine.time(),
        on_change=sweep.wake,
    )
    running = asyncio.create_task(sweep.run())
    try:
        user = await scripted.user()
        intent = await lost_order(scripted, dhan, user)
        dhan.on("GET", "/v2/orders", book(row_of(intent, "915", "TRADED")))
        await poller.poll()
        await asyncio.wait_for(kafka.first.wait(), 20)
    finally:
        running.cancel()

    assert kafka.messages[0].order_id == intent.id


async def test_checks_grow_rare_while_nothing_is_new(scripted: World, dhan: ScriptedDhan) -> None:
    user = await scripted.user()
    intent = await lost_order(scripted, dhan, user)
    await a_round(scripted)
    read = books_read(dhan)
    older = (
        "update private.order_claims set settled_at = settled_at - interval '1 hour' where "
        "order_id = $1"
    )
    await scripted.sql(older, intent.id)

    await later(scripted, 300)  # six minutes are a tenth of the hour
    await a_round(scripted)
    too_soon = books_read(dhan) - read
    await later(scripted, 100)
    await a_round(scripted)

    assert (too_soon, books_read(dhan) - read) == (0, 1)


async def test_an_order_of_another_day_is_not_looked_for(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    await lost_order(scripted, dhan, user)
    await scripted.sql("update private.order_claims set claimed_at = claimed_at - interval '1 day'")
    before = books_read(dhan)

    await a_round(scripted)

    assert books_read(dhan) == before


def a_changing_order(outcome: Outcome, number: str | None = None) -> ChangingOrder:
    intent = an_intent()
    return ChangingOrder(
        OrderKey.of(intent),
        intent.dhan_correlation_id,
        outcome,
        DhanOrderId(number) if number else None,
    )


def a_row(number: str, status: str, name: str = "another") -> BrokerOrder:
    return BrokerOrder(DhanOrderId(number), name, status)


@pytest.mark.parametrize("status", ["PENDING", "TRANSIT", "PART_TRADED", "A_NEW_WORD"])
def test_an_accepted_order_on_its_way_is_neither_corrected_nor_final(status: str) -> None:
    order = a_changing_order(Outcome.ACCEPTED, "1")

    assert compare([order], DayOrders((a_row("1", status),))) == ([], [])


@pytest.mark.parametrize("status", ["TRADED", "CANCELLED", "EXPIRED"])
def test_an_accepted_order_at_its_end_is_final(status: str) -> None:
    order = a_changing_order(Outcome.ACCEPTED, "1")

    assert compare([order], DayOrders((a_row("1", status),))) == ([], [order.key])


def test_an_accepted_order_is_known_by_dhans_id_and_a_lost_one_by_our_name() -> None:
    accepted, lost = a_changing_order(Outcome.ACCEPTED, "1"), a_changing_order(Outcome.NOT_FOUND)
    rows = (
        a_row("2", "REJECTED", accepted.correlation_id),
        a_row("1", "PENDING"),
        a_row("3", "TRADED", lost.correlation_id),
    )

    corrections, final = compare([accepted, lost], DayOrders(rows))

    assert [(key, seen.dhan_order_id) for key, seen in corrections] == [(lost.key, "3")]
    assert final == []


def test_a_first_outcome_has_the_bytes_it_had_before_there_were_corrections() -> None:
    first = execution(an_intent(), denied("quote_stale"))

    assert b"corrects" not in encode(first)
    assert decode(Execution, encode(first)) == first
