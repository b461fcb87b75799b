from __future__ import annotations

from uuid import UUID

import pytest

from ats.demo.tally import Tally
from bus.records import Record
from schemas import topics
from schemas.ids import UserId, derive
from schemas.messages import Execution, Outcome
from schemas.units import NS_PER_SECOND
from tests.ats.factories import (
    ASHA,
    OPEN,
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
    for record in records:
        tally.take(record)
    return tally


def test_a_day_where_everything_has_one_end_has_no_problems() -> None:
    tally = tally_of(*a_day())

    assert tally.problems() == []
    assert tally.accepted_by_user() == {ASHA: 1}


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
