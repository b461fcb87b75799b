"""What belongs to the story of an order, and what does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sentences import sentences
from audit.story import Recorded, Story, names_of, subject_of, told, widened
from schemas.ids import DhanOrderId, InstrumentId, ReportId, Segment, UserId, derive
from schemas.market import AgentType, Side, Timeframe, trading_day
from schemas.messages import (
    BookRead,
    CallOutcome,
    ExitAction,
    ExitOrder,
    ExitReason,
    FanOut,
    Indicators,
    Leg,
    LlmCall,
    Message,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderStatus,
    Outcome,
    Position,
    Report,
    Trade,
)
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.ats.factories import ASHA, DAY, TCS, a_decision, a_signal, an_execution, an_intent
from tests.audit.test_rejudge import the_open_market
from tests.audit.test_rejudge import told as gate_told
from tests.executors.factories import an_intent as closing_intent
from tests.schemas.factories import a_candle

BALA = UserId(UUID(int=2))
NUMBER, OTHERS_NUMBER = DhanOrderId("1"), DhanOrderId("2")
WIPRO = InstrumentId(Segment.NSE_EQ, 3_787)
SIGNAL, DECISION, INTENT = a_signal(), a_decision(), an_intent()
AT = DECISION.event_time


def an_event(
    number: DhanOrderId = NUMBER, user: UserId = ASHA, *, leg: Leg = Leg.ENTRY
) -> OrderEvent:
    order = ObservedOrder(
        dhan_order_id=number,
        leg=leg,
        instrument=TCS,
        side=Side.BUY,
        product="INTRADAY",
        status=OrderStatus.TRADED,
        status_word="TRADED",
        quantity=Quantity(10),
        filled=Quantity(10),
        super_order=NUMBER if leg is not Leg.ENTRY else DhanOrderId(""),
    )
    return OrderEvent(
        id=derive("event", number, user, leg),
        event_time=AT,
        user_id=user,
        observed_by=ObservedBy.ORDER_BOOK,
        trading_date=DAY,
        order=order,
    )


def a_trade(number: DhanOrderId = NUMBER, user: UserId = ASHA) -> Trade:
    fill = ObservedFill(
        trade_id=f"T{number}",
        dhan_order_id=number,
        instrument=TCS,
        side=Side.BUY,
        product="INTRADAY",
        quantity=Quantity(10),
        price=Price(300_000),
    )
    return Trade(
        id=derive("trade", number, user), event_time=AT, user_id=user, trading_date=DAY, fill=fill
    )


def an_exit(
    moment: int = AT, user: UserId = ASHA, instrument: InstrumentId = TCS, day: date = DAY
) -> ExitOrder:
    return ExitOrder(
        id=derive("exit", moment, user, instrument, day),
        event_time=UtcNs(moment),
        user_id=user,
        trading_date=day,
        action=ExitAction.PLACE_CLOSE,
        reason_code=ExitReason.SQUARE_OFF,
        instrument=instrument,
        side=Side.SELL,
        quantity=Quantity(10),
        net=10,
        outcome="accepted",
    )


def a_position(moment: int = AT, net: int = 10) -> Position:
    return Position(
        id=derive("position", moment, net),
        event_time=UtcNs(moment),
        user_id=ASHA,
        trading_date=DAY,
        instrument=TCS,
        bought=Quantity(10),
        bought_value=Paise(3_000_000),
        sold=Quantity(10 - net),
        sold_value=Paise(300_000 * (10 - net)),
        net=net,
        realised=Paise(0),
        resting_stop=Quantity(net),
        by_trades=True,
        agrees=True,
    )


def a_call(subject: UUID = SIGNAL.id) -> LlmCall:
    return LlmCall(
        id=derive("call", subject),
        event_time=AT,
        causation_id=subject,
        agent="commander",
        model="simulated",
        request={},
        response="{}",
        outcome=CallOutcome.OK,
        latency_ms=1.0,
    )


def a_report() -> Report:
    return Report(
        id=ReportId(derive("report", "test")),
        event_time=AT,
        signal_id=DECISION.signal_id,
        scan_id=DECISION.scan_id,  # type: ignore[arg-type]
        instrument=TCS,
        symbol="TCS",
        agent_type=AgentType.TECHNICAL,
        score=40,
        confidence=60,
        summary="up",
        data={},
    )


def a_fan_out() -> FanOut:
    return FanOut(
        id=derive("fanout", "test"),
        event_time=AT,
        decision_id=DECISION.id,
        instrument=TCS,
        symbol="TCS",
        action=DECISION.action,
        orders=2,
    )


BAR = {"instrument": TCS, "timeframe": Timeframe.M5, "event_time": SIGNAL.event_time}
VALUES = Indicators(
    id=derive("values", "test"),
    start=UtcNs(0),
    close=Price(1),
    values={"ema_9": 1.0},
    **BAR,  # type: ignore[arg-type]
)
CHAIN: tuple[Message, ...] = (
    a_candle(**BAR),
    VALUES,
    SIGNAL,
    a_call(),
    a_report(),
    DECISION,
    a_fan_out(),
)
OURS: tuple[Message, ...] = (
    INTENT,
    an_execution(),
    an_event(),
    an_event(DhanOrderId("9"), leg=Leg.STOP_LOSS),
    a_trade(),
    an_exit(),
    a_position(),
)
STOPPED = OURS[3]
THEIRS = an_execution(
    id=derive("x", 1),
    order_id=an_intent(BALA).id,
    user_id=BALA,
    dhan_order_id=DhanOrderId("3"),
)
OTHERS: tuple[Message, ...] = (
    a_candle(**BAR | {"timeframe": Timeframe.M1}),
    a_call(derive("another", "signal")),
    an_intent(BALA),
    THEIRS,
    an_event(user=BALA),
    an_event(OTHERS_NUMBER),
    a_trade(user=BALA),
    a_trade(OTHERS_NUMBER),
    an_exit(AT - 1),
    an_exit(user=BALA),
    an_exit(instrument=WIPRO),
    an_exit(day=date(2026, 11, 19)),
)


def recorded(messages: Iterable[Message]) -> list[Recorded]:
    return [
        Recorded(type(each).__name__, 0, offset, UtcNs(offset), each)
        for offset, each in enumerate(messages)
    ]


def story_from(start: Message, messages: Iterable[Message]) -> Story:
    """As the reader does: the ids that follow, until there are no more."""
    given, subject = list(messages), subject_of(start)
    assert subject
    return told(widened(subject, given), recorded(given))


def ids(story: Story) -> set[UUID]:
    return {each.message.id for each in story.records}


@pytest.mark.parametrize("start", [INTENT, an_execution()], ids=["order", "outcome"])
def test_an_order_has_its_chain_and_what_came_of_it_and_nobody_elses(start: Message) -> None:
    story = story_from(start, CHAIN + OURS + OTHERS)

    assert ids(story) == {each.id for each in CHAIN + OURS}
    assert story.missing == ()


def test_what_ended_a_later_position_of_the_same_share_is_no_part_of_an_order() -> None:
    closing = DhanOrderId("20")
    later = an_exit(AT + 3).model_copy(update={"dhan_order_id": closing})
    flat = a_position(AT + 1, net=0)
    ours = [each for each in (*CHAIN, *OURS) if each != STOPPED]

    story = story_from(INTENT, [*ours, flat, later, an_event(closing), a_trade(closing)])

    assert ids(story) == {each.id for each in (*ours, flat)}


def test_what_ended_the_units_of_others_is_no_part_of_an_order_that_its_own_stop_closed() -> None:
    closing = DhanOrderId("20")
    later = an_exit(AT + 3).model_copy(update={"dhan_order_id": closing})
    held = a_position(AT + 4)  # by another order of the day

    story = story_from(INTENT, [*CHAIN, *OURS, held, later, an_event(closing), a_trade(closing)])

    assert ids(story) == {each.id for each in (*CHAIN, *OURS, held)}


def test_what_ended_the_rest_of_an_order_is_part_of_it_when_its_stop_closed_some() -> None:
    assert isinstance(STOPPED, OrderEvent)
    assert STOPPED.order
    part = STOPPED.order.model_copy(update={"filled": 4})
    stopped = STOPPED.model_copy(update={"order": part})
    later = an_exit(AT + 3)

    story = story_from(INTENT, [*CHAIN, *OURS[:3], stopped, later])

    assert later.id in ids(story)


def test_an_order_that_only_closed_has_no_stop_of_what_was_left() -> None:
    holding = replace(the_open_market(), position=100, filled=100)
    closing = closing_intent(side=Side.SELL, quantity=Quantity(5))
    said = gate_told(closing, holding)
    stop = an_exit(closing.event_time + 1, said.user_id, said.instrument, DAY).model_copy(
        update={
            "action": ExitAction.PLACE_STOP,
            "dhan_order_id": DhanOrderId("31"),
            "trading_date": trading_day(closing.event_time),
        }
    )

    story = story_from(closing, [closing, said, stop])

    assert ids(story) == {closing.id, said.id}


@pytest.mark.parametrize(
    "start", [a_trade(), an_exit(), a_position(), an_event()], ids=lambda m: type(m).__name__
)
def test_what_became_of_a_position_leads_back_to_all_that_opened_it(start: Message) -> None:
    ours = {each.id for each in CHAIN + OURS}
    same_position = {an_event(OTHERS_NUMBER).id, a_trade(OTHERS_NUMBER).id, an_exit(AT - 1).id}

    assert ids(story_from(start, CHAIN + OURS + OTHERS)) == ours | same_position


@pytest.mark.parametrize(
    "start", [SIGNAL, a_call(), a_report(), DECISION, a_fan_out()], ids=lambda m: type(m).__name__
)
def test_a_decision_has_everybodys_orders_and_nobodys_book(start: Message) -> None:
    orders = [INTENT, an_execution(), *OTHERS[2:4]]

    assert ids(story_from(start, CHAIN + OURS + OTHERS)) == {each.id for each in (*CHAIN, *orders)}


@given(st.integers(0, 2**32), st.lists(st.sampled_from(CHAIN + OURS + OTHERS)))
def test_order_and_repetition_of_what_is_read_change_nothing(
    seed: int, again: list[Message]
) -> None:
    messages = [*CHAIN, *OURS, *OTHERS, *again]
    Random(seed).shuffle(messages)

    assert ids(story_from(INTENT, messages)) == {each.id for each in CHAIN + OURS}


def test_what_is_on_no_topic_any_more_is_named() -> None:
    without = [each for each in CHAIN if each not in (SIGNAL, DECISION)]

    told_without = story_from(INTENT, (*without, INTENT))

    assert told_without.missing == (
        f"decision {DECISION.id} is on no topic any more",
        f"order {INTENT.id} has no recorded outcome yet",
    )


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (INTENT, str(INTENT.id)),
        (INTENT, INTENT.dhan_correlation_id),
        (an_execution(), str(INTENT.id)),
        (an_execution(), NUMBER),
        (a_trade(), f"T{NUMBER}"),
        (an_event(), NUMBER),
        (DECISION, str(DECISION.id)),
    ],
)
def test_a_message_is_found_by_our_ids_and_by_dhans(message: Message, name: str) -> None:
    assert name in names_of(message)
    assert not {"", name[:-1]} & names_of(message)


def test_a_reading_of_a_whole_book_has_no_story() -> None:
    read = OrderEvent(
        id=derive("read", 1),
        event_time=AT,
        user_id=ASHA,
        observed_by=ObservedBy.ORDER_BOOK,
        trading_date=DAY,
        book=BookRead(whole=True, orders=1, trades=1, positions=()),
    )

    assert subject_of(read) is None


@pytest.mark.parametrize(
    "outcome",
    [
        {"outcome": Outcome.REJECTED, "dhan_order_id": None},
        {"outcome": Outcome.DENIED, "dhan_order_id": None},
        {"outcome": Outcome.ACCEPTED, "dhan_order_id": DhanOrderId("30")},
    ],
    ids=["rejected", "denied", "rejected later"],
)
def test_an_order_that_was_turned_down_has_no_stop_of_another_order(
    outcome: dict[str, Any],
) -> None:
    stop = an_exit(AT + 1).model_copy(
        update={"action": ExitAction.PLACE_STOP, "dhan_order_id": DhanOrderId("31")}
    )
    seen = an_event(DhanOrderId("30"))
    assert seen.order
    state = {"status": OrderStatus.REJECTED, "filled": 0, "quantity": 10}
    seen = seen.model_copy(update={"order": seen.order.model_copy(update=state)})
    ours = [*CHAIN, INTENT, an_execution().model_copy(update=outcome), seen]

    story = story_from(INTENT, [*ours, stop, an_event(DhanOrderId("31"))])

    assert stop.id not in ids(story)
    assert not any("31" in each.text for each in sentences(story))


@pytest.mark.parametrize("asked", [an_exit(AT + 2), a_trade(OTHERS_NUMBER), an_event()])
def test_a_story_begins_with_the_event_of_the_position_that_was_asked_about(
    asked: Message,
) -> None:
    story = story_from(asked, [*CHAIN, *OURS, asked, a_position(AT + 3, net=0)])

    steps = list(sentences(story))

    (told_in_full,) = [each for each in steps if each.record and each.record.message == asked]
    assert steps[0].text == f"{told_in_full.role}: {told_in_full.text}"
    assert steps[0].details[: len(told_in_full.details)] == told_in_full.details


def test_an_exit_quotes_the_reason_of_its_entry() -> None:
    steps = {each.role: each for each in sentences(story_from(INTENT, CHAIN + OURS))}

    assert "entered because: the trend is up" in steps["exit"].details
    assert list(steps) == [
        "in short",
        *("bar", "indicators", "signal", "model", "report", "decision", "fan-out"),
        *("order", "outcome", "exit", "observed", "trade", "position"),
        *("timing", "thinking"),
    ]
