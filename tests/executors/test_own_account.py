"""With real money the account is what Dhan says it is, not what a user typed."""

from __future__ import annotations

import pytest

from executors.modes import Mode, ModeRules
from executors.orders.outcomes import execution
from executors.orders.worker import OrderWorker, WorkerDeps
from executors.store import OrderOutcome
from schemas.ids import DhanClientId, DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import Outcome
from schemas.units import Price
from tests.dhan.broker import (
    Answer,
    ScriptedDhan,
    hang_up,
    json_answer,
    text_answer,
    trading_error,
)
from tests.executors.factories import a_decision, an_intent
from tests.executors.harness import CLIENT, World, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def own_money(world: World, user: UserId) -> WorkerDeps:
    """Mode `self` for the account that `user` named."""
    paper = world.surroundings(user)
    rules = ModeRules(Mode.SELF, paper.pre_trade.rules.base_url, DhanClientId(CLIENT))
    return world.surroundings(user, rules=rules)


def asked(dhan: ScriptedDhan, path: str) -> int:
    return sum(request.path.endswith(path) for request in dhan.seen)


async def test_the_own_account_is_asked_for_once_a_token_and_trades(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    deps = own_money(scripted, user)
    dhan.on("GET", "/v2/profile", json_answer({"dhanClientId": CLIENT}))
    dhan.on("POST", "/v2/orders", PLACED)

    outcomes = [
        (await run(OrderWorker(deps), await scripted.intent(user))).outcome for _ in range(3)
    ]

    assert outcomes == [Outcome.ACCEPTED] * 3
    assert asked(dhan, "/profile") == 1


async def test_a_token_of_another_account_than_the_user_named_trades_nothing_not_even_an_exit(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    deps = own_money(scripted, user)
    dhan.on("GET", "/v2/profile", json_answer({"dhanClientId": "1100000002"}))
    dhan.on("POST", "/v2/orders", PLACED)

    entry = await run(OrderWorker(deps), await scripted.intent(user))
    exit_ = await an_exit(scripted, deps, user)

    assert (entry.outcome, entry.reason_code) == (Outcome.DENIED, "account_mismatch")
    assert exit_ == (Outcome.DENIED, "account_mismatch")
    assert asked(dhan, "/orders") == 0


UNREACHABLE = {
    "connection lost": hang_up,
    "502": text_answer("<html>", 502),
    "no client id": json_answer({"tokenValidity": "30/03/2026 15:37"}),
    "not an object": json_answer([]),
    "Invalid Token in other words": trading_error("DH-906", "Invalid Token"),
}


@pytest.mark.parametrize("answer", UNREACHABLE.values(), ids=UNREACHABLE)
async def test_while_dhan_does_not_say_whose_account_it_is_nothing_is_entered_but_exits_leave(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    user = await scripted.user()
    deps = own_money(scripted, user)
    dhan.on("GET", "/v2/profile", answer)
    dhan.on("POST", "/v2/orders", PLACED)

    entry = await run(OrderWorker(deps), await scripted.intent(user))
    exit_ = await an_exit(scripted, deps, user)

    assert (entry.outcome, entry.reason_code) == (Outcome.DENIED, "account_unverified")
    assert exit_ == (Outcome.ACCEPTED, "accepted")


async def test_a_profile_that_is_refused_in_words_proves_the_token_dead(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("GET", "/v2/profile", trading_error("DH-901", status=401))

    first = await run(OrderWorker(own_money(scripted, user)), await scripted.intent(user))
    second = await run(OrderWorker(own_money(scripted, user)), await scripted.intent(user))

    assert (first.reason_code, second.reason_code) == ("token_refused", "token_refused")
    assert asked(dhan, "/profile") == 1


async def test_paper_asks_nobody_whose_account_it_is(scripted: World, dhan: ScriptedDhan) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/orders", PLACED)

    await run(scripted.worker(user), await scripted.intent(user))

    assert asked(dhan, "/profile") == 0


async def an_exit(world: World, deps: WorkerDeps, user: UserId) -> tuple[Outcome, str]:
    """What becomes of the sale of ten that were bought this morning."""
    bought = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))
    deps.pre_trade.budget.observe(execution(an_intent(user, a_decision()), bought))
    sale = await world.intent(user, side=Side.SELL, price=Price(149_700))
    sold = await run(OrderWorker(deps), sale)
    return sold.outcome, sold.reason_code
