"""A small run of `python -m tests.crash.orders`, and whether its verdict can find anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from dhan.outcomes import Accepted
from executors.orders.outcomes import denied, execution, of_placement
from schemas.ids import DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import Execution, ObservedFill, OrderIntent, Position, Trade
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.crash.orders.bare import Bare, bare
from tests.crash.orders.run import Run
from tests.crash.orders.shrink import shortest
from tests.crash.orders.stage import staged
from tests.crash.orders.story import Event, Kind, Story, story_of
from tests.crash.orders.verdict import (
    BookedOrder,
    Heard,
    Known,
    Traded,
    wrong,
    wrong_results,
)
from tests.executors.factories import RELIANCE, an_intent

USER = UserId(UUID(int=1))
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.timeout(240)
async def test_orders_survive_a_killed_worker_a_lost_reply_and_a_switch_off(tmp_path: Path) -> None:
    events = (
        Event(0.0, Kind.FAULT, what="accept_then_drop_reply"),
        Event(0.1, Kind.DECIDE, 0, "BUY"),
        Event(0.2, Kind.KILL, 0),
        Event(0.6, Kind.DECIDE, 1, "BUY"),
        Event(0.7, Kind.SWITCH_OFF, 1),
        Event(0.8, Kind.KILL, 1),
    )
    async with staged(tmp_path) as stage:
        run = Run(stage, Story(0, 0, 2, events))

        assert await run.play() == []
        assert len(stage.heard.final()) >= 2  # of who stayed on, one for each decision


def test_a_seed_tells_the_same_stories_again() -> None:
    assert story_of(1, 7) == story_of(1, 7)
    assert story_of(1, 7) != story_of(1, 8)


async def test_the_shortest_story_keeps_only_what_makes_it_fail() -> None:
    story = Story(1, 1, 2, tuple(Event(n / 10, Kind.DECIDE, n) for n in range(9)))
    tried = []

    async def fails(shorter: Story) -> bool:
        tried.append(shorter)
        return {2, 7} <= set(shorter.numbers)

    found = await shortest(story, fails, lambda: True)
    assert found.numbers == (2, 7)
    assert found in tried
    assert found == story.only((7, 2))


async def test_a_story_is_not_shortened_beyond_the_time() -> None:
    story = Story(1, 1, 2, tuple(Event(n / 10, Kind.DECIDE, n) for n in range(9)))

    async def fails(shorter: Story) -> bool:
        raise AssertionError(shorter)

    assert await shortest(story, fails, lambda: False) == story


def test_time_without_a_stop_counts_while_the_broker_answers_and_a_guardian_lives() -> None:
    spell = {"machine_from": 10.0, "machine_to": 20.0, "on_their_way": [[19.0, 20.0]]}
    record = {"silences": [[11.0, 13.0]], "unprotected": [spell]}

    assert bare(record, [(12.0, 16.0)]) == Bare(at_all=10.0, answered=7.0, guarded=4.0)


def test_every_kind_of_event_happens_in_a_hundred_stories() -> None:
    kinds = {event.kind for nth in range(100) for event in story_of(1, nth).events}

    assert kinds == set(Kind)


def told(intent: OrderIntent, *executions: Execution) -> tuple[Heard, list[BookedOrder], Known]:
    heard = Heard({intent.id: intent}, {each.id: each for each in executions})
    book = [BookedOrder("1", intent.dhan_correlation_id, "900", rejected=False)]
    return heard, book, Known([intent.decision_id], {USER: "1"}, [USER], {}, {})


def accepted(intent: OrderIntent) -> Execution:
    return execution(intent, of_placement(Accepted(DhanOrderId("900"), "TRANSIT")))


def test_the_verdict_finds_nothing_where_all_is_well() -> None:
    intent = an_intent(USER)

    assert wrong(*told(intent, accepted(intent))) == []


def test_the_verdict_finds_an_order_that_stands_twice_in_the_book() -> None:
    intent = an_intent(USER)
    heard, book, known = told(intent, accepted(intent))

    (complaint,) = wrong(heard, book * 2, known)
    assert "stands 2 times in Dhan's book" in complaint


def test_the_verdict_finds_an_intent_without_outcome() -> None:
    intent = an_intent(USER)

    assert wrong(*told(intent)) == [f"order {intent.id} has no outcome"]


def test_the_verdict_finds_an_outcome_that_is_not_the_brokers() -> None:
    intent = an_intent(USER)

    (complaint,) = wrong(*told(intent, execution(intent, denied("feed_dead"))))
    assert "ended denied (feed_dead); Dhan's book has it" in complaint


@pytest.mark.parametrize("token_is_dead", [False, True])
def test_a_late_rejection_must_be_known_unless_the_token_has_died(token_is_dead: bool) -> None:
    intent = an_intent(USER)
    heard, (order,), known = told(intent, accepted(intent))

    found = wrong(
        heard,
        [replace(order, rejected=True)],
        replace(known, dead_tokens={USER} if token_is_dead else set()),
    )

    assert bool(found) is not token_is_dead


def test_the_verdict_finds_an_order_claimed_after_the_switch_went_off() -> None:
    intent = an_intent(USER)
    heard, book, known = told(intent, accepted(intent))
    late = {intent.id: NOW + timedelta(seconds=1)}

    (complaint,) = wrong(heard, book, replace(known, switched_off={USER: NOW}, claimed=late))
    assert "after the switch went off" in complaint


def test_the_verdict_finds_who_was_left_out() -> None:
    intent = an_intent(USER)
    heard, book, known = told(intent, accepted(intent))
    other = UserId(UUID(int=2))
    both = replace(known, always_on=[USER, other], accounts={USER: "1", other: "2"})

    (complaint,) = wrong(heard, book, both)
    assert complaint.startswith("2 was on all the time and got no order")


def a_trade(**changes: Any) -> Trade:
    made: Any = Trade.model_construct
    filled: Any = ObservedFill.model_construct
    fill = {
        "trade_id": "77",
        "dhan_order_id": DhanOrderId("900"),
        "instrument": RELIANCE.id,
        "side": Side.BUY,
        "product": "INTRADAY",
        "quantity": Quantity(10),
        "price": Price(150_000),
        "traded_at": UtcNs(1),
    }
    trade: Trade = made(id=uuid4(), user_id=USER, fill=filled(**fill | changes))
    return trade


def results(ours: list[Trade], theirs: list[Trade], realised: int) -> list[str]:
    made: Any = Position.model_construct  # without what the verdict does not look at
    position = made(realised=Paise(realised))
    heard = Heard(positions={(USER, "NSE_EQ:2885"): position}, trades={t.id: t for t in ours})
    booked = {USER: [Traded.told(each) for each in theirs]}
    return wrong_results(heard, Known([], {USER: "1"}, [USER], {}, {}, traded=booked))


SOLD = {"trade_id": "78", "side": Side.SELL, "price": Price(150_100)}


def test_the_verdict_finds_nothing_where_trades_and_results_agree() -> None:
    trades = [a_trade(), a_trade(**SOLD)]

    assert results(trades, trades, 1_000) == []


def test_the_verdict_finds_a_fill_that_was_counted_twice() -> None:
    trades = [a_trade(), a_trade(**SOLD)]

    complaint, *_ = results([*trades, a_trade()], trades, 1_000)
    assert complaint.startswith("1: only ours")


def test_the_verdict_finds_a_fill_that_is_missing() -> None:
    trades = [a_trade(), a_trade(**SOLD)]

    complaint, *_ = results(trades[:1], trades, 1_000)
    assert complaint.startswith("1: only the broker's")


def test_the_verdict_finds_a_result_that_differs_by_a_paisa() -> None:
    trades = [a_trade(), a_trade(**SOLD)]

    complaints = results(trades, trades, 1_001)
    assert complaints[0] == "1 earned 1000 paise; ats.positions says 1001"
    assert "after charges" in complaints[1]
