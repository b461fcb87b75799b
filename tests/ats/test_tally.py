from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from ats.demo.tally import Tally
from bus.records import Record
from schemas import topics
from schemas.ids import DhanOrderId, UserId, derive
from schemas.manifest import HEADER
from schemas.market import Side
from schemas.messages import (
    CallOutcome,
    Execution,
    ExitAction,
    ExitOrder,
    ExitReason,
    FeedEvent,
    FeedState,
    LlmCall,
    ObservedFill,
    Outcome,
    Position,
    Trade,
)
from schemas.units import NS_PER_SECOND, Paise, Price, Quantity
from tests.ats.factories import (
    ASHA,
    DAY,
    MADE_UNDER,
    OPEN,
    TCS,
    a_batch,
    a_decision,
    a_record,
    a_signal,
    an_execution,
    an_intent,
    recorded,
)


def a_day() -> list[Record]:
    """One signal that became one order of one user, a second of machine time between the steps."""
    return [
        recorded(topics.SIGNALS, a_signal(), published_at=0),
        recorded(topics.DECISIONS, a_decision(), published_at=NS_PER_SECOND),
        recorded(topics.ORDERS, an_intent(), published_at=NS_PER_SECOND),
        recorded(topics.EXECUTIONS, an_execution(), published_at=2 * NS_PER_SECOND),
    ]


def tally_of(*records: Record, **settings: frozenset[object]) -> Tally:
    tally = Tally(**settings)  # type: ignore[arg-type]
    for record in (recorded(topics.MANIFEST, MADE_UNDER), *records):
        tally.take(record)
    return tally


def test_a_feed_that_connects_again_and_again_is_no_progress() -> None:
    tally = tally_of(*a_day())
    before = tally.progress

    tally.take(
        recorded(
            topics.FEED,
            FeedEvent(id=derive("again"), event_time=OPEN, gateway=1, state=FeedState.CONNECTED),
        )
    )
    after_the_feed = tally.progress
    tally.take(
        recorded(topics.DECISIONS, a_decision().model_copy(update={"id": derive("another")}))
    )

    assert before == after_the_feed < tally.progress


def test_a_day_where_everything_has_one_end_has_no_problems() -> None:
    tally = tally_of(*a_day())

    assert tally.problems() == []
    assert tally.accepted_by_user() == {ASHA: 1}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({}, "names no manifest"),
        ({HEADER: b"odd"}, "names no manifest"),
        ({HEADER: str(ASHA).encode()}, f"names manifest {ASHA}, which nobody wrote"),
    ],
    ids=["none", "no id", "nobody's"],
)
def test_a_record_that_names_no_manifest_of_the_topic_is_a_problem(
    name: dict[str, bytes], said: str
) -> None:
    first, *others = a_day()

    problems = tally_of(replace(first, headers=name), *others).problems()

    assert problems == [f"ats.signals-0@0 {said}"]


def test_ticks_are_counted_by_row_and_move_the_clock() -> None:
    tally = tally_of(a_record(topics.TICKS, a_batch(3)), a_record(topics.TICKS, a_batch(0)))

    assert (tally.ticks, tally.clock) == (3, OPEN)


def test_a_repeat_counts_once() -> None:
    tally = tally_of(*a_day(), *a_day())

    assert tally.counts["ats.decisions"] == 1
    assert tally.outcomes == {Outcome.ACCEPTED: 1}
    assert tally.problems() == []


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (recorded(topics.DECISIONS, a_decision(confidence=71)), "two records with id"),
        (
            recorded(topics.EXECUTIONS, an_execution(id=derive("execution", "another"))),
            "has 2 outcomes",
        ),
        (recorded(topics.ORDERS, an_intent(UserId(UUID(int=9)))), "orders without an outcome"),
        (recorded(topics.ORDERS, an_intent(UserId(UUID(int=4)))), "switched off but got order"),
        (
            recorded(topics.SIGNALS, a_signal().model_copy(update={"id": UUID(int=5)})),
            "signals without a decision",
        ),
        (a_record(topics.DECISIONS, b"{"), "cannot be read"),
        (a_record(topics.TICKS, b"xx"), "cannot be read"),
        (a_record(topics.DEAD_LETTER, b'"a-demo-token"'), "holds a token"),
        (a_record(topics.DEPTH, b'"a-demo-token"'), "holds a token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_broken_promise_is_named(extra: Record, says: str) -> None:
    tally = tally_of(
        *a_day(),
        extra,
        inactive=frozenset({UserId(UUID(int=4))}),
        tokens=frozenset({b"a-demo-token"}),
    )

    assert says in "; ".join(tally.problems())


def test_order_books_are_looked_through_and_not_kept() -> None:
    tally = tally_of(*a_day())

    tally.take(a_record(topics.DEPTH, b"{}"))

    assert tally.counts == tally_of(*a_day()).counts
    assert tally.problems() == []


REJECTED = an_execution(
    id=derive("correction", 1),
    outcome=Outcome.REJECTED,
    reason_code="REJECTED",
    corrects=an_execution().id,
)
ACCEPTED_AGAIN = an_execution(id=derive("correction", 2), corrects=REJECTED.id)


@pytest.mark.parametrize("turned", [False, True], ids=["in_order", "backwards"])
@pytest.mark.parametrize(
    ("corrections", "outcome"),
    [([REJECTED], Outcome.REJECTED), ([REJECTED, ACCEPTED_AGAIN], Outcome.ACCEPTED)],
)
def test_a_corrected_order_counts_once_as_what_is_known_last(
    corrections: list[Execution], outcome: Outcome, turned: bool
) -> None:
    told = [an_execution(), *corrections, an_execution()]
    records = [recorded(topics.EXECUTIONS, message) for message in told]

    tally = tally_of(*a_day()[:-1], *(reversed(records) if turned else records))

    accepted = outcome is Outcome.ACCEPTED
    assert tally.outcomes == {outcome: 1}
    assert tally.denials == ({} if accepted else {(outcome, "REJECTED"): 1})
    assert tally.accepted_by_user() == ({ASHA: 1} if accepted else {})
    assert tally.problems() == []


def test_a_correction_of_what_was_never_told_is_named() -> None:
    tally = tally_of(*a_day(), recorded(topics.EXECUTIONS, ACCEPTED_AGAIN))

    assert "never told" in "; ".join(tally.problems())


def test_an_outcome_for_an_order_nobody_asked_for_is_named() -> None:
    tally = tally_of(*[record for record in a_day() if record.topic != topics.ORDERS.name])

    assert "nobody asked for" in "; ".join(tally.problems())


def test_an_accepted_order_needs_dhan_s_id() -> None:
    records = [*a_day()[:-1], recorded(topics.EXECUTIONS, an_execution(dhan_order_id=None))]

    assert "without Dhan's order id" in "; ".join(tally_of(*records).problems())


def test_latency_is_machine_time_between_cause_and_effect() -> None:
    tally = tally_of(*a_day())
    other = a_signal().model_copy(update={"id": UUID(int=5)})
    tally.take(recorded(topics.SIGNALS, other, published_at=0))
    tally.take(
        recorded(
            topics.DECISIONS,
            a_decision(id=UUID(int=6), signal_id=other.id),
            published_at=3 * NS_PER_SECOND,
        )
    )

    latency = tally.latencies()["signal to decision"]

    assert (latency.count, latency.p50) == (2, 2_000.0)


def a_position(cause: int, net: int) -> Position:
    return Position(
        id=derive("position", cause),
        event_time=OPEN,
        user_id=ASHA,
        trading_date=DAY,
        instrument=TCS,
        bought=Quantity(net),
        bought_value=Paise(net * 100),
        sold=Quantity(0),
        sold_value=Paise(0),
        net=net,
        realised=Paise(0),
        resting_stop=Quantity(0),
        by_trades=True,
        agrees=None,
    )


def test_the_last_position_of_an_instrument_stands_also_when_an_older_one_comes_again() -> None:
    told = [a_position(1, 10), a_position(2, 20), a_position(1, 10)]

    tally = tally_of(*(recorded(topics.POSITIONS, position) for position in told))

    assert tally.positions[ASHA][TCS].net == 20


def a_trade() -> Record:
    message = Trade(
        id=derive("trade", 1),
        event_time=OPEN,
        user_id=ASHA,
        trading_date=DAY,
        fill=ObservedFill(
            trade_id="T1",
            dhan_order_id=DhanOrderId("1"),
            instrument=TCS,
            side=Side.BUY,
            product="INTRADAY",
            quantity=Quantity(10),
            price=Price(100),
        ),
    )
    return recorded(topics.TRADES, message)


def test_a_trade_that_comes_twice_is_one() -> None:
    assert len(tally_of(a_trade(), a_trade()).trades[ASHA]) == 1


def an_exit(action: ExitAction, name: str) -> Record:
    message = ExitOrder(
        id=derive("exit", name),
        event_time=OPEN,
        user_id=ASHA,
        trading_date=DAY,
        action=action,
        reason_code=ExitReason.SQUARE_OFF,
        instrument=TCS,
        dhan_correlation_id=name,
        outcome="accepted",
    )
    return recorded(topics.EXITS, message)


def test_why_a_closing_order_was_sent_is_kept_by_its_name() -> None:
    exits = tally_of(an_exit(ExitAction.PLACE_CLOSE, "AXC1"), an_exit(ExitAction.CANCEL, "")).exits

    assert exits == {"AXC1": ExitReason.SQUARE_OFF}


def test_thinking_costs_what_the_model_calls_did() -> None:
    calls = [
        LlmCall(
            id=derive("call", number),
            event_time=OPEN,
            agent="commander",
            model="simulated",
            request={},
            response="",
            outcome=CallOutcome.OK,
            cost=Paise(number),
            latency_ms=1.0,
        )
        for number in (3, 4)
    ]

    assert tally_of(*(recorded(topics.LLM, call) for call in calls)).thinking == 7
