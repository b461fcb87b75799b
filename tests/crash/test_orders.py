"""A small run of `python -m tests.crash.orders`, and whether its verdict can find anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dhan.outcomes import Accepted
from executors.orders.outcomes import denied, execution, of_placement
from schemas.ids import DhanOrderId, UserId
from schemas.messages import Execution, OrderIntent
from tests.crash.orders.run import Run, staged
from tests.crash.orders.story import Event, Kind, Story, story_of
from tests.crash.orders.verdict import BookedOrder, Heard, Known, wrong
from tests.executors.factories import an_intent

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
