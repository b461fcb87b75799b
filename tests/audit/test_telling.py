"""What a story says of ticks, of the gate's checks, of fills and of what it took."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from audit.checks import SAW, checked
from audit.costs import bill_of, thinking
from audit.ending import Purpose, exit_entered_because, left_because, purpose_of
from audit.hops import hops
from audit.sentences import Sentence, sentences
from audit.story import Story, told
from audit.ticks import begins_before, ticks_of
from bus.records import Record
from executors.charges.rates import shipped_rates
from executors.risk.gate import CHECKS, cut_to_fit, judge
from executors.risk.situation import PreTradeContext
from schemas.depth import Book, BookFault
from schemas.evidence import Answer
from schemas.ids import DhanOrderId, SignalId, derive
from schemas.manifest import HEADER as MANIFEST
from schemas.market import Side
from schemas.market_context import DaySoFar, MarketContext
from schemas.messages import (
    ExitAction,
    ExitOrder,
    Leg,
    OrderIntent,
    OrderStatus,
    Outcome,
    Trade,
)
from schemas.ticks import TICK, Batch, encode
from schemas.topics import TICKS
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.ats.factories import TCS, a_record
from tests.audit.test_rejudge import situations, the_open_market
from tests.audit.test_rejudge import told as gate_told
from tests.audit.test_story import (
    CHAIN,
    DECISION,
    INTENT,
    NUMBER,
    OURS,
    SIGNAL,
    a_call,
    a_trade,
    an_event,
    an_exit,
    recorded,
    story_from,
)
from tests.executors.factories import an_intent as another_intent
from tests.schemas.factories import a_candle

BAR = a_candle(instrument=TCS)
SECOND = 1_000_000_000
LEG = DhanOrderId("9")


def ticks(offset: int, *rows: tuple[int, int], instrument: int = TCS.security_id) -> Record:
    """A record of ticks: seconds after the bar's start, and price."""
    array = np.zeros(len(rows), TICK)
    for row, (second, price) in zip(array, rows, strict=True):
        at = BAR.start + second * SECOND
        row["exchange_time"] = row["clock"] = row["received_at"] = at
        row["price"], row["security_id"], row["segment"] = price, instrument, TCS.segment.code
    clock = UtcNs(int(array["clock"][-1]) if rows else BAR.event_time)
    return a_record(TICKS, encode(Batch(clock, clock, 0, array)), offset=offset)


def the(role: str, story: Story) -> Sentence:
    return next(each for each in sentences(story, shipped_rates()) if each.role == role)


def with_a_closed_leg(leg: Leg = Leg.STOP_LOSS) -> Story:
    """The order's super order, of which a leg traded."""
    event = an_event(LEG, leg=leg)
    assert event.order
    order = event.order.model_copy(update={"side": Side.SELL})
    return story_from(
        INTENT,
        (*CHAIN, *OURS[:3], a_trade(), event.model_copy(update={"order": order}), a_sale(LEG)),
    )


def a_sale(number: DhanOrderId) -> Trade:
    bought = a_trade(number)
    return bought.model_copy(update={"fill": bought.fill.model_copy(update={"side": Side.SELL})})


# The market around a signal


def test_the_market_that_a_signal_was_judged_in_is_told_with_it() -> None:
    day = DaySoFar(
        end=SIGNAL.event_time,
        open=Price(100),
        high=Price(12_345),
        low=Price(99),
        close=Price(100),
        whole=True,
    )
    market = MarketContext(
        id=derive("market-context", SIGNAL.id),
        event_time=SIGNAL.event_time,
        signal_id=SignalId(SIGNAL.id),
        instrument=SIGNAL.instrument,
        day=day,
        index=day.model_copy(update={"close": Price(2_475_000)}),
        depth=Book(
            at=SIGNAL.event_time,
            bid=Price(12_300),
            bid_quantity=Quantity(1_500),
        ),
    )

    told = the("market", story_from(INTENT, (*CHAIN, market, *OURS)))

    assert told.text == "bars known: none"
    assert "₹0.99 to ₹123.45" in told.details[0]
    assert "24,750.00" in told.details[1]
    assert "bid ₹123.00, ask nobody, 1,500 units wanted and 0 offered" in told.details[2]


def test_a_book_that_was_none_is_told_with_what_was_wrong_with_it() -> None:
    market = MarketContext(
        id=derive("market-context", SIGNAL.id),
        event_time=SIGNAL.event_time,
        signal_id=SignalId(SIGNAL.id),
        instrument=SIGNAL.instrument,
        depth=Book(at=SIGNAL.event_time, fault=BookFault.CROSSED),
    )

    told = the("market", story_from(INTENT, (*CHAIN, market, *OURS)))

    assert "none to tell of (crossed)" in told.details[0]


# Ticks


def test_a_bar_is_told_by_its_own_ticks_from_the_first_to_the_last() -> None:
    end = int(BAR.event_time - BAR.start) // SECOND
    records = [
        ticks(3, (-1, 100), (0, 200)),
        ticks(4, (1, 900), instrument=1),
        ticks(5, (1, 300), (2, 150)),
        ticks(6, (3, 250), (end, 100)),
    ]

    found = ticks_of(BAR, records, whole=True)

    assert found.count == 4
    assert found.first
    assert (found.first.place, found.first.row, found.first.price) == ("ats.ticks-0@3", 1, 200)
    assert found.last
    assert (found.last.place, found.last.row, found.last.price) == ("ats.ticks-0@6", 0, 250)
    assert found.high
    assert found.low
    assert (found.high.price, found.low.price) == (300, 150)
    assert found.closing == "ats.ticks-0@6"


@pytest.mark.parametrize("value", [b"", b"\x00" * 40, b'{"a":1}'])
def test_what_is_no_tick_is_passed_over(value: bytes) -> None:
    odd = a_record(TICKS, value)

    assert ticks_of(BAR, [odd, ticks(1, (0, 200))], whole=True).count == 1
    assert not begins_before(odd, BAR)


def test_only_a_record_from_before_the_bar_proves_that_no_tick_of_it_stands_earlier() -> None:
    assert begins_before(ticks(1, (-1, 100)), BAR)
    assert not begins_before(ticks(1, (0, 100)), BAR)


# Checks of the gate


def test_every_check_of_the_gate_says_what_it_looked_at() -> None:
    assert {check.__name__ for check in CHECKS} == set(SAW)


@given(situations())
@settings(max_examples=15)
def test_the_checks_end_with_the_one_that_denied_and_say_what_each_saw(
    situation: tuple[OrderIntent, PreTradeContext],
) -> None:
    intent, context = situation
    denial = judge(cut_to_fit(intent, context), context)

    checks = checked(gate_told(intent, context))

    assert [each.denial for each in checks if each.denial] == ([denial.value] if denial else [])
    assert all(each.saw for each in checks if each.asked)
    assert denial or len(checks) == len(CHECKS)


def test_what_is_asked_of_entries_alone_is_not_said_to_have_passed_for_a_closing_order() -> None:
    holding = replace(the_open_market(), position=100, filled=100, halted=True)
    intent = another_intent(side=Side.SELL, quantity=Quantity(5))

    checks = {each.name: each for each in checked(gate_told(intent, holding))}

    assert not checks["nobody halted it"].asked
    assert checks["market is open"].asked


# What fills were for


@pytest.mark.parametrize(
    ("leg", "purpose"), [(Leg.STOP_LOSS, Purpose.STOP_LOSS), (Leg.TARGET, Purpose.TARGET)]
)
def test_a_fill_of_a_leg_is_its_stop_or_target_and_quotes_its_own_entry(
    leg: Leg, purpose: Purpose
) -> None:
    story = with_a_closed_leg(leg)
    bought, sold = story.of(Trade)

    assert purpose_of(bought.fill, story) == (Purpose.ENTRY, "")
    assert purpose_of(sold.fill, story) == (purpose, "")
    assert left_because(sold, story) == DECISION.reasoning


def test_a_fill_of_what_the_guardian_sent_says_why_it_was_sent() -> None:
    close = an_exit().model_copy(update={"dhan_order_id": LEG})
    story = story_from(INTENT, (*CHAIN, *OURS[:3], close, a_sale(LEG)))

    (sold,) = story.of(Trade)

    assert purpose_of(sold.fill, story) == (Purpose.EXIT, "square_off")
    assert left_because(sold, story) == DECISION.reasoning


@pytest.mark.parametrize(("net", "reason"), [(10, DECISION.reasoning), (-10, ""), (0, "")])
def test_a_step_that_only_cancels_quotes_the_entry_of_what_was_held(net: int, reason: str) -> None:
    cancel = an_exit().model_copy(
        update={"action": ExitAction.CANCEL, "side": None, "dhan_order_id": NUMBER, "net": net}
    )

    story = story_from(INTENT, (*CHAIN, *OURS[:2], cancel))

    assert [exit_entered_because(each, story) for each in story.of(ExitOrder)] == [reason]


def test_a_cancelled_leg_is_named_with_its_order_and_quotes_the_entry_of_that_order() -> None:
    cancelled = {"action": ExitAction.CANCEL, "side": None, "dhan_order_id": NUMBER}
    cancel = an_exit(INTENT.event_time + 9).model_copy(
        update=cancelled | {"leg": Leg.STOP_LOSS, "waited_us": 1_000}
    )
    decision = DECISION.model_copy(update={"id": derive("decision", 2), "reasoning": "later"})
    later = {"id": derive("order", 2), "decision_id": decision.id}
    moment = {"event_time": UtcNs(INTENT.event_time + 5)}
    number = {
        "order_id": later["id"],
        "decision_id": decision.id,
        "dhan_order_id": DhanOrderId("8"),
    }
    others = (
        decision,
        INTENT.model_copy(update=later | moment),
        OURS[1].model_copy(update={"id": derive("outcome", 2)} | number),
    )

    step = the("exit", story_from(cancel, (*CHAIN, *OURS[:2], *others, cancel)))

    assert step.text == f"cancel stop_loss of {NUMBER} because of square_off: accepted, 10"
    assert "Dhan answered in 1.0 ms: accepted" in step.details
    assert f"entered because: {DECISION.reasoning}" in step.details


def test_a_state_in_which_dhan_did_not_tell_the_filled_units_is_not_told_as_none() -> None:
    event = an_event()
    assert event.order
    silent = event.model_copy(update={"order": event.order.model_copy(update={"filled": 0})})

    told = the("observed", story_from(INTENT, (*CHAIN, *OURS[:2], silent)))

    assert "TRADED, of 10, how much is filled was not told, by" in told.text


def test_an_entry_that_was_rejected_after_dhan_had_taken_it_went_with_its_stop_and_target() -> None:
    entry = another_intent()
    said = gate_told(entry, the_open_market())
    assert said.evidence
    assert said.evidence.judgement
    judged = said.evidence.judgement.model_copy(
        update={"answer": Answer(sent=1, answered=2_001, kind="accepted")}
    )
    later = {
        "id": derive("correction", 1), "corrects": said.id, "outcome": Outcome.REJECTED,
        "reason": "EXCH says no",
        "evidence": said.evidence.model_copy(update={"judgement": judged}),
    }  # fmt: skip
    event = an_event(NUMBER, entry.user_id)
    assert event.order
    state = {"status": OrderStatus.REJECTED, "filled": 0, "instrument": entry.instrument}
    seen = event.model_copy(update={"order": event.order.model_copy(update=state)})

    lines = the("outcome", story_from(entry, (entry, said.model_copy(update=later), seen))).details

    assert any(
        line.endswith("with stop ₹1,488.00 and target ₹1,533.00 at Dhan") for line in lines
    ), lines
    assert f"Dhan answered in 2.0 ms: accepted, its number {NUMBER}" in lines


def test_what_was_done_to_another_order_of_the_position_is_not_told() -> None:
    theirs = an_exit().model_copy(
        update={"action": ExitAction.CANCEL, "dhan_order_id": DhanOrderId("77")}
    )
    ours = theirs.model_copy(update={"id": INTENT.id, "dhan_order_id": NUMBER})

    story = story_from(INTENT, (*CHAIN, *OURS[:2], theirs, ours))

    assert ours.id in {each.message.id for each in story.records}
    assert theirs.id not in {each.message.id for each in story.records}


def test_an_order_of_which_nothing_traded_says_so_first() -> None:
    story = story_from(INTENT, (*CHAIN, *OURS[:3]))

    assert the("in short", story).text.endswith("accepted, 0 of 10 filled")


def test_an_order_of_which_nothing_traded_says_what_became_of_it() -> None:
    event = an_event()
    assert event.order
    state = {"filled": 0, "status": OrderStatus.CANCELLED}
    cancelled = event.model_copy(update={"order": event.order.model_copy(update=state)})

    story = story_from(INTENT, (*CHAIN, *OURS[:2], cancelled))

    assert the("in short", story).text.endswith("accepted, 0 of 10 filled, the rest cancelled")


def test_other_orders_of_the_position_are_told_beside_with_their_reasons() -> None:
    entry = INTENT.model_copy(
        update={"id": CHAIN[0].id, "event_time": UtcNs(INTENT.event_time - 1)}
    )

    story = story_from(INTENT, (*CHAIN, *OURS, entry))

    assert [each.intent.id for each in story.others] == [entry.id]
    assert f"because: {DECISION.reasoning}" in the("also", story).details


# What it took


def test_charges_are_those_of_the_fills_that_are_told() -> None:
    bill = bill_of(with_a_closed_leg(), shipped_rates())

    assert bill
    assert bill.total == Paise.from_rupees("31.88")
    assert any(line.startswith("brokerage") for line in bill.lines)


def test_thinking_is_the_sum_of_what_the_calls_cost() -> None:
    calls = a_call().model_copy(update={"cost": Paise(7)})
    other = calls.model_copy(update={"id": INTENT.id, "cost": Paise(5)})

    assert thinking(story_from(INTENT, (*CHAIN[:3], calls, other, *CHAIN[4:], *OURS))) == (2, 12)


def test_hops_go_along_the_chain_by_when_its_records_were_written() -> None:
    chain = recorded([*CHAIN, *OURS])
    late = [replace(each, published_at=UtcNs(nth * SECOND)) for nth, each in enumerate(chain)]
    story = told(story_from(INTENT, (*CHAIN, *OURS)).subject, late)

    found = {(hop.begin, hop.end): hop.took for hop in hops(story)}

    assert found["bar", "signal"] == 2 * SECOND
    assert found["order", "outcome"] == SECOND


def test_a_story_names_the_manifests_that_it_was_made_under() -> None:
    chain = recorded([*CHAIN, *OURS])
    named = [replace(each, headers={MANIFEST: b"m1"}) for each in chain]

    story = told(story_from(INTENT, (*CHAIN, *OURS)).subject, named)

    (line,) = the("made under", story).details
    assert line.startswith("m1: ")


def test_a_model_call_shows_its_prompt_and_the_rest_of_the_request() -> None:
    request = {"system": "be brief", "user": "what now?", "seed": 7}
    call = a_call().model_copy(update={"request": request})
    story = story_from(INTENT, (*CHAIN[:3], call, *CHAIN[4:], *OURS))

    assert {each.title: each.lines for each in the("model", story).sections} == {
        "instructions": ("be brief",),
        "question": ("what now?",),
        "request": ("seed 7",),
    }
