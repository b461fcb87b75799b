from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bus.records import Record
from executors.orders.reconcile import UNCLEAR_LIMIT, Reconciler, intents_of
from executors.store import OrderKey, OrderOutcome, Reconciled, Store
from schemas.errors import TryLater
from schemas.ids import OrderId
from schemas.lineage import HEADER
from schemas.messages import OrderIntent, Outcome
from schemas.topics import ORDERS
from schemas.units import UtcNs
from tests.dhan.broker import Answer, ScriptedDhan, json_answer, trading_error
from tests.executors.factories import a_record
from tests.executors.harness import LEASE, World, run


async def records(*given: Record) -> AsyncIterator[Record]:
    for record in given:
        yield record


async def reconciled(reconciler: Reconciler) -> dict[OrderId, OrderOutcome]:
    """What came of the open claims."""
    recorded: dict[OrderId, OrderOutcome] = {}

    async def tell(key: OrderKey, outcome: OrderOutcome) -> None:
        recorded[key.order] = outcome

    await reconciler.resolve_all(await reconciler.open_claims(), tell)
    return recorded


async def test_claims_of_an_earlier_life_are_settled_by_what_dhans_book_holds(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    sent, unsent = await scripted.intent(user), await scripted.intent(user)
    store = Store(scripted.client)
    for intent in (sent, unsent):
        await store.claim(intent)
    row = {"orderId": "52211", "orderStatus": "TRADED", "correlationId": sent.dhan_correlation_id}
    dhan.on("GET", "/v2/orders/external/", trading_error("DH-907"))
    dhan.on("GET", "/v2/orders", json_answer([]))
    dhan.on("GET", f"/v2/orders/external/{sent.dhan_correlation_id}", json_answer(row))
    await asyncio.sleep(LEASE)

    recorded = await reconciled(scripted.surroundings(user).reconciler)

    assert recorded[sent.id].outcome is Outcome.ACCEPTED
    assert recorded[unsent.id].outcome is Outcome.NOT_FOUND
    assert await scripted.logged(sent) == [("SUCCESS", "52211", None)]
    assert not [request for request in dhan.seen if request.method == "POST"]


async def test_a_claim_whose_owner_may_still_be_sending_is_left_alone_at_the_start(
    scripted: World,
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)

    recorded = await reconciled(scripted.surroundings(user, lease=600).reconciler)

    assert intent.id not in recorded
    assert await scripted.logged(intent) == []


async def test_the_message_made_at_the_start_is_the_one_the_worker_makes_later(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", json_answer([]))
    dhan.on("GET", "/v2/orders", json_answer([]))
    worker = scripted.worker(user)
    await asyncio.sleep(LEASE)
    outcome = await scripted.surroundings(user).reconciler.resolve(OrderKey.of(intent))
    record = a_record(intent, user, partition=3, offset=17)

    junk = Record(ORDERS.name, 0, 1, b"k", b"junk", UtcNs(0))
    found = await intents_of(records(junk, record, record), {intent.id})
    output = found[intent.id].output(outcome)

    (redelivered,) = await worker(record)
    assert (output.value, output.key) == (redelivered.value, redelivered.key)
    assert (output.partition, output.headers) == (3, ((HEADER, b"17:0"),))
    assert (await run(worker, intent)).outcome is Outcome.NOT_FOUND


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
    lost, found = await scripted.intent(stranded), await scripted.intent(healthy)
    for intent in (lost, found):
        await Store(scripted.client).claim(intent)
    row = {"orderId": "52212", "orderStatus": "TRADED", "correlationId": found.dhan_correlation_id}
    dhan.on("GET", "/v2/orders", answer)
    dhan.on("GET", f"/v2/orders/external/{found.dhan_correlation_id}", json_answer(row))
    await asyncio.sleep(LEASE)

    recorded = await asyncio.wait_for(reconciled(scripted.surroundings(healthy).reconciler), 20)

    assert recorded[found.id].outcome is Outcome.ACCEPTED
    assert (recorded[lost.id].outcome, recorded[lost.id].code) == (
        Outcome.NOT_FOUND,
        "unverifiable",
    )
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
    reconciler = scripted.surroundings(user).reconciler

    given_up = await reconciler.resolve(OrderKey.of(old))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reconciler.resolve(OrderKey.of(young)), LEASE + 1)

    assert (given_up.outcome, given_up.code) == (Outcome.NOT_FOUND, "unverifiable")
    assert await scripted.logged(young) == []
    await Store(scripted.client).record_outcome(
        OrderKey.of(young), given_up
    )  # else it is looked up in the tests after this one


async def test_a_claim_that_cannot_be_settled_leaves_the_others_to_be_told(
    scripted: World, dhan: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, healthy = await scripted.user(), await scripted.user()
    lost, found = await scripted.intent(broken), await scripted.intent(healthy)
    for intent in (lost, found):
        await Store(scripted.client).claim(intent)
    row = {"orderId": "52213", "orderStatus": "TRADED", "correlationId": found.dhan_correlation_id}
    dhan.on("GET", "/v2/orders/external/", json_answer(row))
    reconcile = Store.reconcile

    async def vanished(self: Store, key: OrderKey) -> Reconciled:
        if key.order == lost.id:
            raise TryLater("the claim has vanished")
        return await reconcile(self, key)

    monkeypatch.setattr(Store, "reconcile", vanished)
    await asyncio.sleep(LEASE)

    recorded = await reconciled(scripted.surroundings(healthy).reconciler)

    assert found.id in recorded
    assert lost.id not in recorded
    await Store(scripted.client).record_outcome(OrderKey.of(lost), recorded[found.id])


async def claimed_ago(world: World, intent: OrderIntent, seconds: float) -> None:
    back = (
        "update private.order_claims set claimed_at = claimed_at - $2::interval where order_id = $1"
    )
    await world.sql(back, intent.id, timedelta(seconds=seconds))
