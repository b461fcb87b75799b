"""The order path against our migrations on Postgres and a Dhan that fails in every way the
documents and the field know.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from dhan.transport import TEXT_LENGTH
from executors.modes import Mode, ModeRules
from executors.orders.worker import SEND_TIMEOUT, OrderWorker
from executors.store import Claim, OrderKey, Store
from schemas.errors import Misconfigured, Unreadable
from schemas.evidence import Written
from schemas.ids import DhanClientId
from schemas.market import Action, Side
from schemas.messages import OrderIntent, Outcome
from schemas.strategy import Strategy
from schemas.units import Price, Quantity, UtcNs
from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from tests.dhan.broker import Answer, ScriptedDhan, hang_up, json_answer, text_answer, trading_error
from tests.executors.conftest import TOKEN
from tests.executors.factories import LIMITS, TEN_O_CLOCK, a_record, an_intent
from tests.executors.harness import FastMachine, World, read, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def posted(dhan: ScriptedDhan) -> list[bytes]:
    return [request.body for request in dhan.seen if request.method == "POST"]


def book_row(intent: OrderIntent, status: str = "TRADED") -> dict[str, str]:
    return {"orderId": "52211", "orderStatus": status, "correlationId": intent.dhan_correlation_id}


async def test_an_order_reaches_dhan_once_and_its_outcome_stands_in_message_log_and_decision(
    simulated: World, simulator: Simulator
) -> None:
    user = await simulated.user(token=TOKEN)
    intent = await simulated.intent(user)

    execution = await run(simulated.worker(user), intent)

    (order,) = simulator.exchange.book.all()
    assert order.request.correlation_id == intent.dhan_correlation_id
    assert (order.request.quantity, order.request.price) == (intent.quantity, intent.price)
    assert (execution.outcome, execution.dhan_order_id) == (Outcome.ACCEPTED, order.order_id)
    assert await simulated.logged(intent) == [("SUCCESS", order.order_id, None)]
    assert await simulated.executed(intent.decision_id)


async def test_an_intent_delivered_again_gives_the_same_bytes_and_no_second_order(
    simulated: World, simulator: Simulator
) -> None:
    user = await simulated.user(token=TOKEN)
    record = a_record(await simulated.intent(user), user)

    first = await simulated.worker(user)(record)
    again = await simulated.worker(user)(record)

    assert again == first
    assert len(simulator.exchange.book.all()) == 1


async def test_two_workers_with_the_same_intent_place_one_order_and_say_the_same(
    simulated: World, simulator: Simulator
) -> None:
    user = await simulated.user(token=TOKEN)
    record = a_record(await simulated.intent(user), user)

    said = await asyncio.gather(*(simulated.worker(user)(record) for _ in range(4)))

    assert len({tuple(outputs) for outputs in said}) == 1
    assert len(simulator.exchange.book.all()) == 1


async def test_a_switch_turned_off_after_the_fan_out_stops_the_order(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    worker = scripted.worker(user)
    await scripted.switch_off(user)

    execution = await run(worker, intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "switched_off")
    assert dhan.seen == []
    assert (await scripted.logged(intent))[0][0] == "FAILED"
    assert not await scripted.executed(intent.decision_id)


async def test_an_expired_token_stops_the_order(scripted: World, dhan: ScriptedDhan) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await scripted.sql(
        "update public.user_trading_keys set token_expiry = now() where user_id = $1", user
    )

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "token_expired")
    assert dhan.seen == []


async def test_an_order_the_gate_denies_is_recorded_with_its_reason_and_stays_denied(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user, valid_until=UtcNs(TEN_O_CLOCK))

    denied = await run(scripted.worker(user), intent)
    again = await run(
        scripted.worker(user), intent.model_copy(update={"valid_until": UtcNs(TEN_O_CLOCK * 2)})
    )

    assert (denied.outcome, denied.reason_code) == (Outcome.DENIED, "decision_expired")
    assert again == denied
    assert dhan.seen == []
    assert (await scripted.logged(intent))[0][2] == f"decision_expired: {denied.reason}"


async def test_an_order_names_its_strategy_and_the_next_one_meets_its_limit(
    simulated: World, simulator: Simulator
) -> None:
    user = await simulated.user(token=TOKEN)
    worker = simulated.worker(user)
    once = Strategy(name="ema_cross", max_orders_per_day=1)
    first, second = [await simulated.intent(user, strategy=once) for _ in range(2)]

    outcomes = [await run(worker, intent) for intent in (first, second)]
    again = await run(simulated.worker(user), first.model_copy(update={"strategy": None}))

    assert [each.reason_code for each in outcomes] == ["accepted", "strategy_orders_used_up"]
    assert [each.strategy for each in outcomes] == ["ema_cross"] * 2
    assert again == outcomes[0]
    assert len(simulator.exchange.book.all()) == 1


@pytest.mark.parametrize("kind", [FaultKind.ACCEPT_THEN_DROP_REPLY, FaultKind.ACCEPT_THEN_500])
async def test_an_order_whose_reply_was_lost_is_found_and_not_sent_again(
    simulated: World, simulator: Simulator, kind: FaultKind
) -> None:
    user = await simulated.user(token=TOKEN)
    intent = await simulated.intent(user)
    async with simulated.http.stream(
        "POST", f"{simulator.url}/control/faults", json={"kind": Fault(kind).kind}
    ):
        pass

    execution = await run(simulated.worker(user), intent)

    (order,) = simulator.exchange.book.all()
    assert (execution.outcome, execution.dhan_order_id) == (Outcome.ACCEPTED, order.order_id)


async def test_a_lost_order_that_dhan_does_not_know_is_not_found_once_the_lease_has_passed(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders/external/", trading_error("DH-907", status=400))
    dhan.on("GET", "/v2/orders", json_answer([]))

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.NOT_FOUND, "not_found")
    assert len(posted(dhan)) == 1
    assert len(dhan.seen) > 2  # asked again and again while the lease ran


async def test_an_order_that_appears_in_the_book_late_is_still_found(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    answers = iter(
        [
            trading_error("DH-907", status=400),
            text_answer("<html>", 502),
            json_answer([book_row(intent)]),
        ]
    )

    async def late(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    dhan.on("POST", "/v2/orders", text_answer("<html>Gateway Timeout</html>", 504))
    dhan.on("GET", "/v2/orders/external/", late)

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.dhan_order_id) == (Outcome.ACCEPTED, "52211")
    assert len(posted(dhan)) == 1


async def test_while_dhan_is_down_there_is_no_outcome_and_the_asking_goes_on(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders/external/", text_answer("<html>Service Unavailable</html>", 503))
    machine = FastMachine()
    working = asyncio.create_task(run(scripted.worker(user, machine=machine.time()), intent))
    await machine.until(60)

    assert not working.done()
    dhan.on("GET", "/v2/orders/external/", json_answer(book_row(intent)))

    assert (await working).outcome is Outcome.ACCEPTED
    assert len(posted(dhan)) == 1


async def test_an_order_dhan_rejects_in_words_is_rejected_with_them(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", trading_error("DH-906", "Insufficient: margin: short by 10"))

    execution = await run(scripted.worker(user), intent)
    again = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.REJECTED, "DH-906")
    assert execution.reason == "Insufficient: margin: short by 10"
    assert again == execution
    assert len(posted(dhan)) == 1


async def test_an_entry_goes_with_its_stop_and_target_and_may_fill_until_its_deadline(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/super/orders", PLACED)

    execution = await run(scripted.worker(user), intent)

    (sent,) = [json.loads(body) for body in posted(dhan)]
    assert execution.outcome is Outcome.ACCEPTED
    assert (sent["price"], sent["stopLossPrice"], sent["targetPrice"]) == (1503, 1488, 1533)
    assert sent["correlationId"] == intent.dhan_correlation_id


async def test_what_closes_stays_a_plain_order_that_fills_at_once_or_not(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    deps = scripted.surroundings(user)
    dhan.on("POST", "/v2/orders", PLACED)
    await run(OrderWorker(deps), await scripted.intent(user, quantity=Quantity(10)))
    sell = await scripted.intent(user, side=Side.SELL, price=Price(149_700))

    await run(OrderWorker(deps), sell)

    assert [request.path for request in dhan.seen if request.method == "POST"] == [
        "/v2/super/orders",
        "/v2/orders",
    ]
    assert json.loads(posted(dhan)[-1])["validity"] == "IOC"


@pytest.mark.parametrize(
    ("refusal", "orders"),
    [
        (trading_error("DH-905", "Missing required fields"), 2),
        (trading_error("DH-906", "Super Order is not allowed in this segment"), 2),
        (trading_error("DH-906", "Insufficient margin"), 1),
        (trading_error("DH-901", "token", status=401), 1),
        (json_answer({"orderId": "7", "orderStatus": "REJECTED"}), 1),
        (hang_up, 1),
    ],
    ids=["input", "kind", "margin", "token", "exists", "lost"],
)
async def test_only_a_refused_kind_of_order_is_followed_by_a_plain_one(
    scripted: World, dhan: ScriptedDhan, refusal: Answer, orders: int
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/super/orders", refusal)
    dhan.on("POST", "/v2/orders", PLACED)
    dhan.on("GET", "/v2/orders/external/", json_answer(book_row(intent)))

    await run(scripted.worker(user), intent)

    assert len(posted(dhan)) == orders


async def test_an_order_found_rejected_after_a_lost_reply_is_rejected(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    row = book_row(intent, "REJECTED") | {
        "omsErrorCode": "16388",
        "omsErrorDescription": "RMS: margin",
    }
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders/external/", json_answer(row))

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason) == (Outcome.REJECTED, "16388 RMS: margin")
    assert execution.dhan_order_id == "52211"


async def test_the_rate_limit_delays_an_order_but_does_not_lose_it(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    answers = iter(
        [trading_error("DH-904", status=429), trading_error("DH-904", status=429), PLACED]
    )

    async def limited(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    dhan.on("POST", "/v2/orders", limited)

    execution = await run(scripted.worker(user), await scripted.intent(user))

    assert execution.outcome is Outcome.ACCEPTED
    assert len(posted(dhan)) == 3


async def test_an_order_that_never_left_is_denied_when_its_time_is_up(
    scripted: World, free_port: Callable[[], int]
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    machine = FastMachine()
    worker = scripted.worker(
        user, machine=machine.time(), broker_url=f"http://127.0.0.1:{free_port()}/v2"
    )

    execution = await run(worker, intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "connect_error")
    assert machine.now >= SEND_TIMEOUT


class SlowToClaim(Store):
    """A database whose answer to a claim takes as long as told."""

    def __init__(self, world: World, machine: FastMachine, seconds: float) -> None:
        super().__init__(world.client)
        self._machine, self._seconds = machine, seconds

    async def claim(
        self, intent: OrderIntent, *, closes: bool = False, evidence: Written | None = None
    ) -> Claim:
        claim = await super().claim(intent, closes=closes, evidence=evidence)
        await self._machine.sleep(self._seconds)
        return claim


async def test_an_order_whose_claim_has_grown_old_is_not_sent(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    machine = FastMachine()
    dhan.on("POST", "/v2/orders", PLACED)
    slow = SlowToClaim(scripted, machine, SEND_TIMEOUT)

    execution = await run(scripted.worker(user, machine=machine.time(), store=slow), intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "claim_stale")
    assert dhan.seen == []


async def test_a_lost_order_of_a_user_whose_token_is_gone_ends_as_unverifiable(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)

    async def hang_up_and_expire(request: web.Request) -> web.StreamResponse:
        await scripted.sql(
            "update public.user_trading_keys set token_expiry = now() where user_id = $1", user
        )
        return await hang_up(request)

    dhan.on("POST", "/v2/orders", hang_up_and_expire)

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason_code) == (Outcome.NOT_FOUND, "unverifiable")
    assert "order book at Dhan" in execution.reason


async def test_a_claim_left_behind_by_a_dead_worker_is_looked_up_and_never_sent(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", json_answer([]))
    dhan.on("GET", "/v2/orders", json_answer([]))

    execution = await run(scripted.worker(user), intent)

    assert execution.outcome is Outcome.NOT_FOUND
    assert posted(dhan) == []


async def test_the_account_is_checked_again_when_its_credentials_are_in_hand(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user(client_id="1100000002")
    dhan.on("POST", "/v2/orders", PLACED)
    deps = scripted.surroundings(user)  # believes the user's account to be CLIENT
    rules = ModeRules(Mode.SELF, deps.pre_trade.rules.base_url, DhanClientId("1100000001"))

    execution = await run(scripted.worker(user, rules=rules), await scripted.intent(user))

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "mode_refuses")
    assert dhan.seen == []


async def test_an_intent_about_a_decision_nobody_recorded_is_a_dead_letter(scripted: World) -> None:
    user = await scripted.user()

    with pytest.raises(Unreadable, match="not in the database"):
        await run(scripted.worker(user), an_intent(user))


@pytest.mark.parametrize("field", ["id", "dhan_correlation_id"])
async def test_an_intent_that_carries_another_orders_name_is_a_dead_letter_that_names_the_field(
    scripted: World, dhan: ScriptedDhan, field: str
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/orders", PLACED)
    first = await scripted.intent(user)
    await run(scripted.worker(user), first)
    thief = await scripted.intent(user, **{field: getattr(first, field)})

    with pytest.raises(Unreadable) as refused:
        await run(scripted.worker(user), thief)

    assert refused.value.field == field
    assert len(posted(dhan)) == 1


@pytest.mark.parametrize(
    "text", ["RMS\0: no", "lone \ud83d half", "x" * 100_000, "\x1b[2Jgone", "\u202eback"]
)
async def test_whatever_text_dhan_rejects_with_is_kept_told_and_logged(
    scripted: World, dhan: ScriptedDhan, text: str
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    body = json.dumps({"errorType": text, "errorCode": f"DH{text}", "errorMessage": text})
    dhan.on("POST", "/v2/orders", text_answer(body, 400))

    execution = await run(scripted.worker(user), intent)

    assert execution.outcome is Outcome.REJECTED
    assert len(execution.reason) <= TEXT_LENGTH
    ((status, _, reason),) = await scripted.logged(intent)
    assert status == "FAILED"
    assert execution.reason in (reason or "")


async def test_a_lookup_that_finds_odd_text_settles_the_order(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", hang_up)
    row = book_row(intent, "REJECTED") | {"omsErrorDescription": "no\0 \ud800"}
    dhan.on("GET", "/v2/orders/external/", text_answer(json.dumps(row)))

    execution = await run(scripted.worker(user), intent)

    assert (execution.outcome, execution.reason) == (Outcome.REJECTED, "no\ufffd \ufffd")


@pytest.mark.parametrize(
    "decided",
    [{"action": Action.SELL}, {"action": Action.HOLD}, {"symbol": "TCS"}],
    ids=["side", "hold", "symbol"],
)
async def test_an_intent_that_is_not_what_its_decision_says_is_a_dead_letter_and_takes_nothing(
    scripted: World, dhan: ScriptedDhan, decided: dict[str, Any]
) -> None:
    user = await scripted.user()
    intent = an_intent(user, await scripted.decision(**decided), symbol="RELIANCE")
    dhan.on("POST", "/v2/orders", PLACED)

    with pytest.raises(Unreadable, match=r"says .*, not BUY RELIANCE"):
        await run(scripted.worker(user), intent)

    assert dhan.seen == []
    assert not await scripted.sql(
        "select from private.order_claims where decision_id = $1", intent.decision_id
    )


@pytest.mark.parametrize("symbol", ["RELI\u0000ANCE", ""])
async def test_a_symbol_the_database_cannot_hold_is_a_dead_letter(
    scripted: World, symbol: str
) -> None:
    user = await scripted.user()
    intent = an_intent(user, await scripted.decision(), symbol=symbol)

    async with asyncio.timeout(10):
        with pytest.raises(Unreadable):
            await run(scripted.worker(user), intent)


@pytest.mark.parametrize(
    "answer",
    [PLACED, hang_up, trading_error("DH-906", "margin")],
    ids=["placed", "lost", "refused"],
)
async def test_an_intent_made_again_under_changed_limits_tells_the_first_order_in_the_same_bytes(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    other = intent.model_copy(update={"quantity": Quantity(3), "price": Price(150_005)})
    dhan.on("POST", "/v2/orders", answer)
    dhan.on("GET", "/v2/orders/external/", json_answer(book_row(intent)))

    first = await scripted.worker(user)(a_record(intent, user))
    again = await scripted.worker(user)(a_record(other, user))

    assert again == first
    assert read(again).quantity == intent.quantity
    assert len(posted(dhan)) == 1


async def test_a_claim_left_by_a_crash_is_told_as_it_was_claimed_whatever_the_limits_are_now(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await Store(scripted.client).claim(intent)
    dhan.on("GET", "/v2/orders/external/", json_answer(book_row(intent)))
    other = intent.model_copy(update={"quantity": Quantity(3)})

    execution = await run(scripted.worker(user), other)

    assert (execution.outcome, execution.quantity, execution.price) == (
        Outcome.ACCEPTED,
        intent.quantity,
        intent.price,
    )


async def test_an_order_refused_before_its_claim_is_told_as_it_was_refused_first(
    scripted: World,
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    await scripted.switch_off(user)

    first = await scripted.worker(user)(a_record(intent, user))
    again = await scripted.worker(user)(
        a_record(intent.model_copy(update={"quantity": Quantity(3)}), user)
    )

    assert read(first).reason_code == "switched_off"
    assert again == first


async def test_when_the_days_orders_are_used_up_an_order_beyond_the_position_is_cut_to_fit_it(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    deps = scripted.surroundings(user, limits_of=lambda _: replace(LIMITS, max_orders_per_day=1))
    dhan.on("POST", "/v2/orders", PLACED)
    bought = await run(OrderWorker(deps), await scripted.intent(user, quantity=Quantity(10)))
    sell = await scripted.intent(user, side=Side.SELL, quantity=Quantity(12), price=Price(149_700))
    record = a_record(sell, user)

    sold = await OrderWorker(deps)(record)
    again = await OrderWorker(deps)(record)
    nothing_left = await run(
        OrderWorker(deps), await scripted.intent(user, side=Side.SELL, price=Price(149_700))
    )

    assert (bought.outcome, read(sold).outcome, read(sold).quantity) == (
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
        10,
    )
    assert [json.loads(body)["quantity"] for body in posted(dhan)] == [10, 10]
    assert again == sold
    assert (nothing_left.outcome, nothing_left.reason_code) == (
        Outcome.DENIED,
        "orders_of_the_day_used_up",
    )


async def test_an_account_that_another_user_took_over_keeps_its_count_of_the_day(
    scripted: World, dhan: ScriptedDhan
) -> None:
    first, second = await scripted.user(), await scripted.user()
    limits = replace(LIMITS, max_orders_per_day=1)
    deps = scripted.surroundings(first, second, limits_of=lambda _: limits)
    dhan.on("POST", "/v2/orders", PLACED)
    bought = await run(OrderWorker(deps), await scripted.intent(first))
    account = await scripted.give_up_account(first)
    await scripted.sql(
        "update public.user_trading_keys set dhan_client_id = $2 where user_id = $1",
        *(second, account),
    )

    denied = await run(OrderWorker(deps), await scripted.intent(second))

    assert bought.outcome is Outcome.ACCEPTED
    assert (denied.outcome, denied.reason_code) == (Outcome.DENIED, "orders_of_the_day_used_up")


async def test_a_wrong_database_key_ends_the_service_instead_of_losing_orders(
    scripted: World,
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    anonymous, machine = await scripted.stack.anonymous(), FastMachine()
    store = Store(anonymous, lambda: machine.now)

    with pytest.raises(Misconfigured, match="SUPABASE_SERVICE_KEY"):
        await run(scripted.worker(user, store=store, machine=machine.time()), intent)


async def test_the_first_settlement_stands_whatever_is_said_later(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/orders", PLACED)
    await run(scripted.worker(user), intent)

    recorded = await scripted.reconciler().look(OrderKey.of(intent), 0.0)

    assert recorded
    assert (recorded.outcome, recorded.dhan_order_id) == (Outcome.ACCEPTED, "52211")
    assert len(await scripted.logged(intent)) == 1


async def test_no_token_shows_in_messages_rows_or_logs(
    scripted: World,
    dhan: ScriptedDhan,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    user = await scripted.user()
    (token,) = scripted.tokens
    shown: list[object] = [
        scripted.surroundings(user),
        await Store(scripted.client).claim(await scripted.intent(user)),
    ]
    for answer in (
        PLACED,
        hang_up,
        text_answer(f"<p>{token}", 502),
        trading_error("DH-901", f"bad token {token}", 401),
    ):
        intent = await scripted.intent(user)
        dhan.on("POST", "/v2/orders", answer)
        dhan.on("GET", "/v2/orders/external/", json_answer(book_row(intent)))
        outputs = await scripted.worker(user)(a_record(intent, user))
        shown += [read(outputs), outputs, await scripted.logged(intent)]

    printed = capsys.readouterr()
    everything = (
        f"{shown!r}{printed.out}{printed.err}{[record.getMessage() for record in caplog.records]}"
    )
    assert any(token in request.headers["access-token"] for request in dhan.seen)
    assert "order_settled" in everything
    assert token not in everything
