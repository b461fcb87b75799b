"""What was recorded of why an order left or did not gives the same verdict again."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.rejudge import rejudge
from executors.orders.outcomes import denied, execution, execution_output
from executors.risk.crowd import Crowd
from executors.risk.exposure import Exposure, Reach
from executors.risk.gate import cut_to_fit, fitting, judge
from executors.risk.listed import Ban, Listed
from executors.risk.recorded import record_of
from executors.risk.situation import (
    Account,
    Address,
    Approval,
    Funds,
    OrderCounts,
    PreTradeContext,
    Quote,
)
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.store import OrderOutcome
from executors.terms import OrderTerms
from schemas.calendar import EVERY_DAY, Calendar, ClosingAuction, Coverage, Holiday, Special
from schemas.calendar_file import exchange_calendar
from schemas.codec import decode, encode
from schemas.evidence import SeenContext
from schemas.ids import DhanOrderId, InstrumentId, Segment
from schemas.market import PriceBand, Side, trading_day
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import BasisPoints, Paise, Price, Quantity, UtcNs
from tests.executors.factories import TEN_O_CLOCK, an_intent

INSTRUMENTS = (
    InstrumentId(Segment.NSE_EQ, 2885),
    InstrumentId(Segment.NSE_FNO, 35_001),
    InstrumentId(Segment.NSE_CURRENCY, 7),
)
TODAY = trading_day(TEN_O_CLOCK)
CALENDARS = (
    EVERY_DAY,
    exchange_calendar(),
    Calendar(coverage=()),
    Calendar(coverage=(Coverage(first=TODAY, last=TODAY),), holidays=(Holiday(day=TODAY),)),
    Calendar(closing_auction=(ClosingAuction(since=TODAY, close=time(10, 2)),)),
    Calendar(
        special=(
            Special(day=TODAY, open=time(9, 50), close=time(10)),
            Special(day=TODAY, open=time(10, 1), close=time(10, 30)),
        )
    ),
)
NEAR = st.integers(-400, 20_000).map(lambda s: UtcNs(TEN_O_CLOCK + s * 1_000_000_000))
SMALL = st.integers(-12, 12)
CROWDS = st.builds(
    Crowd,
    st.integers(1, 12).map(Quantity),
    st.integers(12, 40).map(Quantity),
    st.integers(0, 3).map(Quantity),
    st.integers(0, 500).map(Quantity),
    st.just(BasisPoints(1_000)),
    st.sampled_from([Quantity(1), Quantity(3)]),
)
FUNDS = st.integers(0, 2_000_000).map(lambda free: Funds(free=Paise(free)))


@st.composite
def situations(draw: st.DrawFn) -> tuple[OrderIntent, PreTradeContext]:
    """Any order in any situation, near enough to all limits that each is met."""
    intent = an_intent(
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        side=draw(st.sampled_from(Side)),
        quantity=Quantity(draw(st.integers(1, 12))),
        price=Price(draw(st.integers(140_000, 160_000))),
        valid_until=UtcNs(TEN_O_CLOCK + draw(st.sampled_from([0, 10**13, 10**14]))),
    )
    now = draw(NEAR)
    quotes = st.builds(
        Quote,
        st.integers(148_000, 152_000).map(Price),
        st.integers(0, 130).map(lambda s: UtcNs(now - UtcNs.seconds(s))),
    )
    limits = UserLimits(
        max_order_value=Paise(draw(st.integers(0, 2_000_000))),
        max_orders_per_day=draw(st.integers(0, 3)),
        max_deviation=BasisPoints(draw(st.integers(0, 1_000))),
        max_open_positions=draw(st.none() | st.integers(0, 3)),
        max_symbol_exposure=draw(st.none() | st.integers(0, 4_000_000).map(Paise)),
        max_exposure=draw(st.none() | st.integers(0, 4_000_000).map(Paise)),
        max_daily_loss=draw(st.none() | st.integers(0, 1_000).map(Paise)),
        segments=draw(st.none() | st.frozensets(st.sampled_from([i.segment for i in INSTRUMENTS]))),
        products=draw(st.none() | st.frozensets(st.sampled_from(["INTRADAY", "CNC"]))),
        long_only=draw(st.booleans()),
        stop_out_cooldown=draw(st.none() | st.integers(0, 15)),
        max_stop_outs_per_day=draw(st.none() | st.integers(0, 3)),
        known=draw(st.integers(0, 9)) != 0,
    )
    seldom = st.integers(0, 19).map(lambda n: n == 13)
    reached = Reach(draw(SMALL), draw(SMALL))
    return intent, PreTradeContext(
        now=now,
        mode_allows=not draw(seldom),
        user_active=not draw(seldom),
        calendar=draw(st.sampled_from(CALENDARS)),
        feed_clock=draw(
            st.none() | st.integers(0, 11).map(lambda s: UtcNs(now - UtcNs.seconds(s)))
        ),
        quote=draw(st.none() | quotes),
        sent=OrderCounts(*(draw(st.integers(0, most)) for most in (3, 9, 9, 140, 600, 4_000))),
        limits=limits,
        position=draw(SMALL),
        token_refused=draw(seldom),
        account=Account.AS_STORED if not draw(seldom) else draw(st.sampled_from(Account)),
        square_off=draw(st.sampled_from([SquareOff(), SquareOff(cash=time(10, 1, 30))])),
        account_answers=not draw(seldom),
        halted=draw(seldom),
        filled=draw(st.none() | SMALL),
        member=not draw(seldom),
        preflight="no_funds" if draw(seldom) else "",
        address=Address.AS_REGISTERED if not draw(seldom) else draw(st.sampled_from(Address)),
        exposure=Exposure(reached, Paise(draw(st.integers(0, 2_000_000))), draw(st.integers(0, 3))),
        day_result=draw(st.integers(-1_000, 1_000)),
        stopped=draw(seldom),
        listed=Listed(
            band=draw(st.none() | st.just(PriceBand(Price(147_000), Price(151_000)))),
            band_needed=draw(seldom),
            freeze_quantity=draw(st.none() | st.just(Quantity(10))),
            ban=Ban.NONE if not draw(seldom) else draw(st.sampled_from(Ban)),
        ),
        stop_outs=draw(st.integers(0, 3)),
        stopped_out_at=draw(st.none() | NEAR),
        reconciled=not draw(seldom),
        logged=not draw(seldom),
        approval=draw(st.sampled_from(Approval)),
        crowd=draw(st.none() | CROWDS),
        funds=draw(st.sampled_from([Funds(), Funds(known=False)]) | FUNDS),
        lot=Quantity(draw(st.integers(1, 3))),
    )


def told(intent: OrderIntent, context: PreTradeContext) -> Execution:
    """The message of what the gate says of `intent`, by way of the database's row and Kafka."""
    order, denial = cut_to_fit(intent, context), judge(cut_to_fit(intent, context), context)
    seen = record_of(context, intent.instrument)
    evidence = {
        "asked": seen,
        "asked_quantity": intent.quantity,
        "cut_by": [each.value for each in fitting(intent, context)[1]],
        "valid_until": intent.valid_until,
        "stop": intent.stop,
        "judgement": {
            "seen": seen,
            "verdict": denial.value if denial else "",
            "claimed": 1,
            "judged": 2,
            "tries": 1,
            "answer": None,
        },
    }
    row = orjson.loads(orjson.dumps(OrderTerms.of(order, evidence).written()))
    accepted = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))
    outcome = denied(denial) if denial else accepted
    terms = OrderTerms.read(row)
    message = execution(intent, replace(outcome, terms=terms))
    return decode(Execution, execution_output(message, terms).value)


@given(situations())
def test_any_situation_is_judged_from_its_record_as_it_was(
    situation: tuple[OrderIntent, PreTradeContext],
) -> None:
    intent, context = situation

    again = rejudge(told(intent, context))

    assert again
    denial = judge(cut_to_fit(intent, context), context)
    assert again.again == (denial.value if denial else "")
    assert again.quantity_again == cut_to_fit(intent, context).quantity
    assert again.agrees


@given(situations())
def test_what_is_read_from_a_record_is_written_as_the_same_record(
    situation: tuple[OrderIntent, PreTradeContext],
) -> None:
    message = told(*situation)

    assert encode(decode(Execution, encode(message))) == encode(message)
    assert len(encode(message)) < 8_192


@given(situations())
def test_what_order_workers_write_of_a_situation_is_what_its_model_writes(
    situation: tuple[OrderIntent, PreTradeContext],
) -> None:
    intent, context = situation
    written = orjson.dumps(record_of(context, intent.instrument))

    read = SeenContext.model_validate_json(written)

    assert read.model_dump(mode="json") == orjson.loads(written)


def test_evidence_of_an_older_process_is_told_with_what_it_lacks_as_it_is_read() -> None:
    evidence = told(an_intent(), the_open_market()).evidence
    assert evidence
    today = evidence.model_dump(mode="json")
    asked = {name: value for name, value in today["asked"].items() if name != "logged"}
    of_then = OrderTerms.of(an_intent(), today | {"asked": asked}).written()

    assert OrderTerms.read(of_then).evidence == today


def test_evidence_that_nobody_can_read_holds_no_outcome_up() -> None:
    ours = {"asked": "all is well"}
    unreadable = OrderTerms.of(an_intent(), {"asked": "something else"}).written()

    assert OrderTerms.read(unreadable, ours).evidence is None


@given(situations(), situations())
def test_a_record_of_another_situation_is_seen_to_say_something_else(
    one: tuple[OrderIntent, PreTradeContext], other: tuple[OrderIntent, PreTradeContext]
) -> None:
    said, unsaid = told(*one), told(one[0], other[1])
    assert said.evidence
    assert said.evidence.judgement
    assert unsaid.evidence
    assert unsaid.evidence.judgement
    forged = said.evidence.judgement.model_copy(update={"seen": unsaid.evidence.judgement.seen})
    message = said.model_copy(
        update={"evidence": said.evidence.model_copy(update={"judgement": forged})}
    )
    order = cut_to_fit(*one)

    again = rejudge(message)

    assert again
    assert again.agrees is (judge(order, one[1]) is judge(order, other[1]))


def test_an_outcome_that_the_gate_did_not_give_is_refused() -> None:
    intent, context = an_intent(), the_open_market()
    message = told(intent, context).model_copy(
        update={"outcome": Outcome.DENIED, "reason_code": "quote_stale"}
    )

    with pytest.raises(ValueError, match="ended as quote_stale, and the gate said it may leave"):
        rejudge(message)


def test_a_correction_may_say_something_else_than_the_gate_did() -> None:
    message = told(an_intent(), replace(the_open_market(), halted=True))
    corrected = message.model_copy(
        update={"outcome": Outcome.ACCEPTED, "reason_code": "found_late", "corrects": uuid4()}
    )

    again = rejudge(corrected)

    assert again
    assert (again.verdict, again.agrees) == ("halted", True)


def test_without_evidence_nothing_is_judged() -> None:
    message = told(an_intent(), the_open_market()).model_copy(update={"evidence": None})

    assert rejudge(message) is None
    assert b"evidence" not in encode(message)


def the_open_market() -> PreTradeContext:
    now = TEN_O_CLOCK
    return PreTradeContext(
        now=now,
        mode_allows=True,
        user_active=True,
        calendar=EVERY_DAY,
        feed_clock=now,
        quote=Quote(Price(150_000), now),
        sent=OrderCounts(),
        limits=UserLimits(max_order_value=Paise(5_000_000), max_orders_per_day=40),
    )
