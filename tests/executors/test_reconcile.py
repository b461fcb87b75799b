from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bus.records import Output
from dhan.outcomes import Unknown
from executors.metrics import OrderMetrics
from executors.orders.breaker import FAILURES, PROBE_EVERY
from executors.orders.reconcile import UNCLEAR_LIMIT
from executors.orders.unresolved import UnresolvedOrders
from executors.orders.unresolved_store import Taken, UnresolvedStore
from executors.orders.worker import OrderWorker
from executors.risk.denial import Denial
from executors.store import Claimed, OrderKey, Reconciled, Refused, Store
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater
from schemas.ids import OrderId
from schemas.lineage import HEADER
from schemas.market import Side
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.topics import EXECUTIONS, ORDER_EVENTS
from schemas.units import Price
from tests.dhan.broker import Answer, ScriptedDhan, hang_up, json_answer, trading_error
from tests.executors.factories import a_record
from tests.executors.harness import LEASE, FastMachine, World, run

NOTHING = trading_error("DH-907", status=400)


def executions(outputs: list[Output]) -> dict[OrderId, Execution]:
    told = [decode(Execution, each.value) for each in outputs if each.topic is EXECUTIONS]
    return {execution.order_id: execution for execution in told}


def found(intent: OrderIntent, number: str = "52211") -> Answer:
    name = intent.dhan_correlation_id
    return json_answer({"orderId": number, "orderStatus": "TRADED", "correlationId": name})


async def test_orders_left_by_an_earlier_life_end_as_dhans_book_says(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    sent, unsent = await scripted.intent(user), await scripted.intent(user)
    for intent in (sent, unsent):
        await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", NOTHING)
    dhan.on("GET", "/v2/orders", json_answer([]))
    dhan.on("GET", f"/v2/orders/external/{sent.dhan_correlation_id}", found(sent))

    outputs = await scripted.resolve(sent, unsent)

    told = executions(outputs)
    assert told[sent.id].outcome is Outcome.ACCEPTED
    assert told[unsent.id].outcome is Outcome.NOT_FOUND
    assert [each.topic for each in outputs].count(ORDER_EVENTS) == 1
    assert await scripted.logged(sent) == [("SUCCESS", "52211", None)]
    assert not [request for request in dhan.seen if request.method == "POST"]


async def test_an_order_nobody_finds_has_no_outcome_while_its_owner_may_still_be_sending(
    scripted: World, dhan: ScriptedDhan
) -> None:
    intent = await scripted.intent(await scripted.user())
    await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", NOTHING)
    dhan.on("GET", "/v2/orders", json_answer([]))

    outcome = await scripted.reconciler(lease=600).look(OrderKey.of(intent), left_for=601.0)

    assert outcome is None
    assert await scripted.logged(intent) == []


async def test_what_is_told_beside_the_worker_is_the_record_that_it_would_have_written(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", json_answer([]))
    dhan.on("GET", "/v2/orders", json_answer([]))

    (output,) = await scripted.resolve(intent)

    (redelivered,) = await scripted.worker(user)(a_record(intent, user, partition=3, offset=17))
    assert (output.value, output.key) == (redelivered.value, redelivered.key)
    assert (output.partition, output.headers) == (3, ((HEADER, b"17:0"),))
    assert (await run(scripted.worker(user), intent)).outcome is Outcome.NOT_FOUND


async def test_a_lost_reply_holds_no_record_back(scripted: World, dhan: ScriptedDhan) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders", json_answer({}, status=502))

    outputs = await OrderWorker(scripted.surroundings(user))(a_record(intent, user))

    assert outputs == ()
    assert not [request for request in dhan.seen if request.method == "GET"]


async def test_while_an_order_is_unresolved_its_user_enters_nothing_and_others_do(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user, other = await scripted.user(), await scripted.user()
    lost = await scripted.intent(user)
    store = Store(scripted.client)
    await store.claim(lost)
    await scripted.surroundings().unresolved.leave(lost, a_record(lost, user))

    entry = await store.claim(await scripted.intent(user))
    exit_ = await store.claim(
        await scripted.intent(user, side=Side.SELL, price=Price(149_700)), closes=True
    )
    of_another = await store.claim(await scripted.intent(other))
    dhan.on("GET", "/v2/orders/external/", found(lost))
    await scripted.resolve(lost)
    later = await store.claim(await scripted.intent(user))

    assert entry == Refused("order_unresolved")
    assert isinstance(exit_, Claimed)
    assert isinstance(of_another, Claimed)
    assert isinstance(later, Claimed)


async def test_an_entry_waits_until_the_order_before_it_is_found(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    lost, entry = await scripted.intent(user), await scripted.intent(user)
    await Store(scripted.client).claim(lost)
    dhan.on("GET", "/v2/orders/external/", found(lost))
    dhan.on("POST", "/v2/orders", json_answer({"orderId": "2", "orderStatus": "TRANSIT"}))
    await scripted.surroundings().unresolved.leave(lost, a_record(lost, user))

    sending = asyncio.create_task(run(scripted.worker(user), entry))
    await scripted.resolve(lost)

    assert (await sending).outcome is Outcome.ACCEPTED


async def test_an_account_that_gives_no_answer_is_sent_no_entry_until_it_answers_again(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user, machine = await scripted.user(), FastMachine()
    deps = scripted.surroundings(user, machine=machine.time())
    dhan.on("POST", "/v2/orders", json_answer({"orderId": "2", "orderStatus": "TRANSIT"}))
    dhan.on("GET", "/v2/orders", json_answer({}, status=504))
    for _ in range(FAILURES):
        deps.breakers.heard(user, Unknown("deadline"))

    said = [(await run(OrderWorker(deps), await scripted.intent(user))).reason_code]
    not_even_asked = not dhan.seen
    machine.now += PROBE_EVERY
    said += [(await run(OrderWorker(deps), await scripted.intent(user))).reason_code]
    dhan.on("GET", "/v2/orders", json_answer([]))
    machine.now += PROBE_EVERY
    said += [(await run(OrderWorker(deps), await scripted.intent(user))).reason_code]

    assert said == [Denial.ACCOUNT_FAILING, Denial.ACCOUNT_FAILING, "accepted"]
    assert not_even_asked


async def test_what_closes_a_position_is_sent_to_an_account_that_gives_no_answer(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user, machine = await scripted.user(), FastMachine()
    deps = scripted.surroundings(user, machine=machine.time())
    dhan.on("POST", "/v2/orders", json_answer({"orderId": "2", "orderStatus": "TRANSIT"}))
    await run(OrderWorker(deps), await scripted.intent(user))
    for _ in range(FAILURES):
        deps.breakers.heard(user, Unknown("deadline"))
    machine.now += PROBE_EVERY

    sale = await scripted.intent(user, side=Side.SELL, price=Price(149_700))
    sold = await run(OrderWorker(deps), sale)

    assert sold.outcome is Outcome.ACCEPTED
    assert not [request for request in dhan.seen if request.method == "GET"]


@pytest.mark.parametrize(
    "answer",
    [
        trading_error("DH-901", status=401),
        *(trading_error(code, status=403) for code in ("DH-902", "DH-903", "DH-911")),
    ],
    ids=["dead token", "no access", "no such account", "wrong address"],
)
async def test_an_account_that_cannot_be_asked_holds_up_nobody_else_and_says_so_after_the_lease(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    stranded, healthy = await scripted.user(), await scripted.user()
    lost, there = await scripted.intent(stranded), await scripted.intent(healthy)
    for intent in (lost, there):
        await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders", answer)
    dhan.on("GET", f"/v2/orders/external/{there.dhan_correlation_id}", found(there))

    told = executions(await scripted.resolve(lost, there))

    assert told[there.id].outcome is Outcome.ACCEPTED
    assert (told[lost.id].outcome, told[lost.id].reason_code) == (Outcome.NOT_FOUND, "unverifiable")
    assert not [request for request in dhan.seen if request.method == "POST"]


async def test_unclear_answers_end_five_minutes_after_the_claim_and_are_asked_about_until_then(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    young, old = await scripted.intent(user), await scripted.intent(user)
    for intent in (young, old):
        await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders", json_answer({"status": "failed"}, status=502))
    await claimed_ago(scripted, old, UNCLEAR_LIMIT + 1)
    reconciler = scripted.reconciler()

    given_up = await reconciler.look(OrderKey.of(old), LEASE)
    still_asked = await reconciler.look(OrderKey.of(young), LEASE)

    assert given_up
    assert (given_up.outcome, given_up.code) == (Outcome.NOT_FOUND, "unverifiable")
    assert still_asked is None
    assert await scripted.logged(young) == []


async def test_an_order_that_cannot_be_settled_leaves_the_others_to_be_told(
    scripted: World, dhan: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, healthy = await scripted.user(), await scripted.user()
    lost, there = await scripted.intent(broken), await scripted.intent(healthy)
    for intent in (lost, there):
        await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", found(there, "52213"))
    reconcile = Store.reconcile

    async def vanished(self: Store, key: OrderKey) -> Reconciled:
        if key.order == lost.id:
            raise TryLater("the claim has vanished")
        return await reconcile(self, key)

    monkeypatch.setattr(Store, "reconcile", vanished)
    await scripted.surroundings().unresolved.leave(lost, a_record(lost, broken))

    told = executions(await scripted.resolve(there))

    assert told.keys() == {there.id}


async def test_an_order_is_looked_up_by_one_process_and_by_another_when_that_one_is_dead(
    scripted: World,
) -> None:
    user = await scripted.user()
    first, second = await scripted.intent(user), await scripted.intent(user)
    store = UnresolvedStore(scripted.client)
    for intent in (first, second):
        await Store(scripted.client).claim(intent)
    for intent in (first, second):
        await store.leave(intent, a_record(intent, user))

    mine = await store.take(10_000, hold=600)
    nobodys = await store.take(10_000, hold=600)
    await scripted.sql("update private.unresolved_orders set held_until = now() - interval '1 s'")
    after_its_death = await store.take(10_000, hold=600)

    def of_user(taken: Taken) -> list[OrderId]:
        return [each.intent.id for each in taken.orders if each.intent.user_id == user]

    assert len(of_user(mine)) == 1
    assert of_user(nobodys) == []
    assert len(of_user(after_its_death)) == 1
    assert mine.waiting >= 2
    assert mine.oldest > 0


async def test_a_database_that_does_not_fit_ends_the_sweep_and_says_so(scripted: World) -> None:
    machine, told = FastMachine(), list[Output]()
    deps = scripted.surroundings(machine=machine.time())
    anonymous = UnresolvedStore(await scripted.stack.anonymous(), lambda: machine.now)
    sweep = UnresolvedOrders(
        anonymous, scripted.reconciler(), deps.telling.outputs, machine.time(), OrderMetrics()
    )

    async def publish(output: Output) -> None:
        told.append(output)

    with pytest.raises(Misconfigured, match="take_unresolved_orders"):
        await asyncio.wait_for(sweep.run(publish), 20)


async def claimed_ago(world: World, intent: OrderIntent, seconds: float) -> None:
    back = (
        "update private.order_claims set claimed_at = claimed_at - $2::interval where order_id = $1"
    )
    await world.sql(back, intent.id, timedelta(seconds=seconds))
