"""A denial by a worker that was refused the claim, and comes late."""

from __future__ import annotations

from executors.store import Claimed, OrderKey, OrderOutcome, Store
from executors.terms import OrderTerms
from schemas.ids import UserId
from schemas.messages import OrderIntent, Outcome
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.harness import World, run


class LateStore(Store):
    """Before it writes the denial another worker claims the order and sends it."""

    world: World
    intent: OrderIntent

    async def record_denial(
        self, key: OrderKey, denial: OrderOutcome, terms: OrderTerms
    ) -> OrderOutcome | None:
        await expires(self.world, key.user, "1 day")
        assert isinstance(await Store(self.world.client).claim(self.intent), Claimed)
        return await super().record_denial(key, denial, terms)


async def expires(world: World, user: UserId, in_: str) -> None:
    await world.sql(
        "update public.user_trading_keys set token_expiry = now() + $2::text::interval"
        " where user_id = $1",
        user,
        in_,
    )


async def test_it_does_not_end_the_claim_of_who_sent_the_order(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    store = LateStore(scripted.client)
    store.world, store.intent = scripted, intent
    row = {
        "orderId": "88",
        "orderStatus": "TRADED",
        "correlationId": intent.dhan_correlation_id,
    }
    dhan.on("GET", "/v2/orders/external/", json_answer(row))
    await expires(scripted, user, "-1 second")

    told = await run(scripted.worker(user, store=store), intent)

    assert (told.outcome, told.dhan_order_id) == (Outcome.ACCEPTED, "88")
    assert await scripted.logged(intent) == [("SUCCESS", "88", None)]
