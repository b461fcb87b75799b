"""`ats_client` reads what our producers write, and what newer ones may write."""

from __future__ import annotations

from itertools import permutations
from uuid import UUID

import orjson
import pytest
from pydantic import ValidationError

from ats_client import Corrections, Repeats
from ats_client.messages import TOPICS, Action, Decision, Execution
from schemas.codec import encode
from schemas.messages import Execution as OurExecution
from schemas.strategy import Strategy, StrategyMode
from schemas.topics import CATALOGUE
from tests.ats.factories import a_decision, an_execution

SHADOW = Strategy(name="ema_cross", mode=StrategyMode.SHADOW)  # absent where there is none
VALUE = orjson.loads(encode(a_decision(strategy=SHADOW)))


def read(**changes: object) -> Decision:
    return Decision.model_validate_json(orjson.dumps(VALUE | changes))


def test_every_field_of_a_message_is_read_as_it_was_written() -> None:
    decision, ours = read(), a_decision()

    assert orjson.loads(decision.model_dump_json()) == VALUE
    assert (decision.id, decision.event_time) == (ours.id, ours.event_time)
    assert decision.action is Action.BUY


def test_each_topic_of_messages_has_its_type() -> None:
    assert {topic: kind.__name__ for topic, kind in TOPICS.items()} == {
        topic.name: topic.message.__name__ for topic in CATALOGUE if topic.message
    }


def test_a_field_of_a_newer_producer_is_dropped() -> None:
    assert read(schema_version=2, mood="calm") == read(schema_version=2)


def test_a_word_of_a_newer_producer_is_kept_and_is_no_member() -> None:
    action = read(action="HEDGE").action

    assert action == "HEDGE"
    assert not action.known
    assert "HEDGE" not in list(Action)
    assert read().action.known


def test_a_record_from_before_a_field_has_its_default() -> None:
    old = {name: value for name, value in VALUE.items() if name not in ("model", "prompt_version")}

    assert Decision.model_validate_json(orjson.dumps(old)).model == ""


@pytest.mark.parametrize("moment", [10**25, -(10**25)])
def test_a_moment_that_no_calendar_holds_is_refused_and_not_met_later(moment: int) -> None:
    value = encode(a_decision()).replace(b"%d" % a_decision().event_time, b"%d" % moment)

    with pytest.raises(ValidationError, match="event_time"):
        Decision.model_validate_json(value)


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValidationError, match="confidence"):
        read(confidence="much")


def test_a_message_is_new_once_and_the_memory_is_bounded() -> None:
    repeats = Repeats(remember=2)

    assert [repeats.is_new(value) for value in (b"a", b"b", b"a", b"c", b"b")] == [
        True, True, False, True, False,
    ]  # fmt: skip
    assert repeats.is_new(b"a")  # the oldest, forgotten
    assert len(repeats._seen) == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_an_outcome_and_its_corrections_the_last_counts_in_whatever_order_they_come(
    order: tuple[int, ...],
) -> None:
    first = an_execution()
    second = an_execution(id=UUID(int=2), corrects=first.id)
    third = an_execution(id=UUID(int=3), corrects=second.id)
    chain = [_read(each) for each in (first, second, third)]

    found = Corrections(chain[nth] for nth in order)

    assert [each.id for each in found] == [third.id]


def _read(execution: OurExecution) -> Execution:
    return Execution.model_validate_json(encode(execution))
