"""Each execution of a real worker carries why, and is judged again to the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from audit.rejudge import rejudge
from executors.quotes import QuoteCache
from executors.risk.order_rate import OrderRate
from executors.store import OrderOutcome, Store
from schemas.calendar import Calendar
from schemas.codec import encode
from schemas.evidence import Judgement
from schemas.market import Side
from schemas.messages import Execution, Outcome
from schemas.units import Paise, Quantity
from tests.dhan.broker import ScriptedDhan, hang_up, json_answer, text_answer, trading_error
from tests.executors.factories import LIMITS, NIFTY, TEN_O_CLOCK, a_record, some_ticks
from tests.executors.harness import World, read, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def a_book_without_the_share() -> QuoteCache:
    book = QuoteCache(partitions=1)
    book.apply(0, some_ticks((NIFTY, TEN_O_CLOCK, 2_500_000)))
    return book


DENIED: dict[str, dict[str, Any]] = {
    "halted": {"halted": lambda _: True},
    "day_not_in_calendar": {"calendar": Calendar(coverage=())},
    "quote_absent": {"book": a_book_without_the_share()},
    "order_too_large": {"limits_of": lambda _: replace(LIMITS, max_order_value=Paise(1))},
    "orders_of_the_day_used_up": {"limits_of": lambda _: replace(LIMITS, max_orders_per_day=0)},
}


def again_as_recorded(execution: Execution) -> str | None:
    """The verdict in the record, which is what the gate says again."""
    again = rejudge(execution)
    assert again
    assert again.agrees, execution.evidence
    return again.verdict


def judgement_of(execution: Execution) -> Judgement:
    assert execution.evidence
    assert execution.evidence.judgement
    return execution.evidence.judgement


async def test_every_denial_is_denied_again_by_what_was_recorded(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/super/orders", PLACED)
    verdicts = {}
    for code, change in DENIED.items():
        intent = await scripted.intent(user)
        execution = await run(scripted.worker(user, **change), intent)
        verdicts[code] = (execution.reason_code, again_as_recorded(execution))
        assert judgement_of(execution).answer is None

    assert verdicts == {code: (code, code) for code in DENIED}


async def test_the_brokers_answers_come_with_what_was_seen_and_when(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    answers: list[tuple[Any, str]] = [
        (PLACED, "accepted"),
        (trading_error("DH-906", "no funds"), "rejected"),
        (text_answer("oops", 502), "unknown"),
        (hang_up, "unknown"),
    ]
    for answer, kind in answers:
        intent = await scripted.intent(user)
        row = {"orderId": "9", "orderStatus": "TRADED"}
        named = row | {"correlationId": intent.dhan_correlation_id}
        dhan.on("POST", "/v2/super/orders", answer)
        dhan.on("GET", "/v2/orders/external/", json_answer(named))
        execution = await run(scripted.worker(user), intent)

        assert again_as_recorded(execution) == ""
        judged = judgement_of(execution)
        assert judged.answer
        assert judged.answer.kind == kind
        assert judged.claimed <= judged.judged <= judged.answer.sent <= judged.answer.answered


async def test_an_order_that_was_cut_says_by_what_and_from_how_many(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/super/orders", PLACED)
    dhan.on("POST", "/v2/orders", PLACED)
    budget, halted = OrderRate(), False
    worker = scripted.worker(user, budget=budget, halted=lambda _: halted)
    await run(worker, await scripted.intent(user))
    halted = True

    execution = await run(
        worker, await scripted.intent(user, side=Side.SELL, quantity=Quantity(25))
    )

    assert (execution.outcome, execution.quantity) == (Outcome.ACCEPTED, 10)
    assert execution.evidence
    assert execution.evidence.asked_quantity == 25
    assert execution.evidence.cut_by == ("halted", "against_position")
    assert again_as_recorded(execution) == ""


async def test_what_the_database_refused_tells_what_was_seen_and_no_verdict(
    scripted: World,
) -> None:
    user = await scripted.user()
    await scripted.switch_off(user)

    execution = await run(scripted.worker(user), await scripted.intent(user))

    assert execution.reason_code == "switched_off"
    assert execution.evidence
    assert execution.evidence.asked.quote
    assert again_as_recorded(execution) is None


async def test_a_repeat_tells_the_first_judgement_in_the_same_bytes(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    dhan.on("POST", "/v2/super/orders", PLACED)
    first = await scripted.worker(user)(a_record(intent, user))
    second = await scripted.worker(user, halted=lambda _: True)(a_record(intent, user))

    assert judgement_of(read(first)).answer
    assert encode(read(second)) == encode(read(first))


class DiesBeforeRecording(Store):
    async def record_outcome(self, *_: object) -> OrderOutcome:
        raise ConnectionAbortedError


async def test_where_nobody_lived_to_write_the_judgement_it_is_absent_and_the_rest_is_told(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    row = {"orderId": "9", "orderStatus": "TRADED", "correlationId": intent.dhan_correlation_id}
    dhan.on("POST", "/v2/super/orders", PLACED)
    dhan.on("GET", "/v2/orders/external/", json_answer(row))
    with suppress(ConnectionAbortedError):
        await run(scripted.worker(user, store=DiesBeforeRecording(scripted.client)), intent)

    execution = await run(scripted.worker(user), intent)

    assert execution.outcome is Outcome.ACCEPTED
    assert execution.evidence
    assert execution.evidence.judgement is None
    assert again_as_recorded(execution) is None


class DiesLookingUp(Store):
    """Its process ends after the reply was lost."""

    async def reconcile(self, _: object) -> Any:
        raise ConnectionAbortedError


async def test_a_lost_reply_leaves_the_judgement_to_whoever_finds_the_order(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    row = {"orderId": "9", "orderStatus": "TRADED", "correlationId": intent.dhan_correlation_id}
    dhan.on("POST", "/v2/super/orders", hang_up)
    dhan.on("GET", "/v2/orders/external/", json_answer(row))
    with pytest.raises(ConnectionAbortedError):
        await run(scripted.worker(user, store=DiesLookingUp(scripted.client)), intent)

    execution = await run(scripted.worker(user), intent)

    assert execution.outcome is Outcome.ACCEPTED
    assert again_as_recorded(execution) == ""
    answer = judgement_of(execution).answer
    assert answer
    assert answer.kind == "unknown"
