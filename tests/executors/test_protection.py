"""What must be sent so that a stop of exactly the open size rests."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from executors.orders.exits import (
    Cancel,
    ChangeStop,
    ExitKind,
    PlaceStop,
    closing_side,
    exit_name,
    is_ours,
)
from executors.orders.protection import Protection, StopPlan, protect
from schemas.ids import CORRELATION_ID_LENGTH, DhanOrderId
from schemas.market import PriceBand, Side
from schemas.messages import Leg, OrderStatus
from schemas.units import Price, Quantity, UtcNs
from tests.executors.exchange_model import (
    BY_HAND,
    DAY,
    SHARE,
    TICK,
    USER,
    ExchangeModel,
    Row,
)

PLAN = StopPlan(Price(99_00), TICK)
LATER = UtcNs.seconds(100)


def due(model: ExchangeModel, **changes: Any) -> Protection:
    asked: dict[str, Any] = {"plan": PLAN, "now": LATER}
    asked |= changes
    return protect(model.book(), SHARE, asked.pop("plan"), **asked)


def held(quantity: int = 10, *, leaves: bool = False) -> ExchangeModel:
    model = ExchangeModel()
    number = model.entry(Side.BUY, quantity, leaves=leaves)
    model.trade(model.row(number), quantity)
    return model


def test_an_open_position_gets_a_stop_of_its_size() -> None:
    assert due(held()).steps == (PlaceStop(Side.SELL, Quantity(10), Price(99_00), Price(98_00)),)


def test_a_stop_trades_no_further_than_the_days_band() -> None:
    """The exchange rejects a stop whose limit price is outside, and the position stays bare."""
    plan = StopPlan(Price(99_00), TICK, PriceBand(Price(98_50), Price(101_50)))
    assert due(held(), plan=plan).steps == (
        PlaceStop(Side.SELL, Quantity(10), Price(99_00), Price(98_50)),
    )


def test_a_short_position_gets_a_stop_above_the_market() -> None:
    model = ExchangeModel()
    model.trade(model.row(model.entry(Side.SELL, 10)), 10)
    plan = StopPlan(Price(101_00), TICK)
    assert due(model, plan=plan).steps == (
        PlaceStop(Side.BUY, Quantity(10), Price(101_00), Price(102_05)),
    )


def test_a_stop_leg_that_rests_is_enough() -> None:
    assert due(held(leaves=True)) == Protection()


def test_a_leg_of_an_entry_that_has_not_traded_is_no_excess() -> None:
    model = ExchangeModel()
    model.entry(Side.BUY, 10, leaves=True)
    assert due(model) == Protection()


def test_a_lost_leg_is_replaced_by_a_plain_stop() -> None:
    model = held(leaves=True)
    model.row("1", Leg.STOP_LOSS).status = OrderStatus.CANCELLED
    assert due(model).steps == (PlaceStop(Side.SELL, Quantity(10), Price(99_00), Price(98_00)),)


def test_a_further_fill_enlarges_the_stop_that_rests() -> None:
    model = held(6)
    model.stop(Side.SELL, 4, 99_00)
    assert due(model).steps == (ChangeStop(DhanOrderId("2"), Quantity(6), Price(99_00), Price(1)),)


def test_where_dhan_refused_the_change_a_second_stop_is_placed() -> None:
    model = held(6)
    model.stop(Side.SELL, 4, 99_00)
    steps = due(model, unchangeable={DhanOrderId("2")}).steps
    assert steps == (PlaceStop(Side.SELL, Quantity(2), Price(99_00), Price(98_00)),)


def test_nothing_is_sent_while_a_stop_is_in_transit() -> None:
    model = held()
    model.row(model.stop(Side.SELL, 4, 99_00)).status = OrderStatus.TRANSIT
    answer = due(model)
    assert (answer.steps, answer.uncovered) == ((), 6)


def test_no_stop_is_placed_while_an_order_of_ours_is_closing() -> None:
    model = held()
    model.entry(Side.SELL, 10)
    assert due(model).steps == ()


def test_a_stop_without_a_position_is_cancelled() -> None:
    model = ExchangeModel()
    model.stop(Side.SELL, 10, 99_00)
    assert due(model).steps == (Cancel(DhanOrderId("1"), Leg.ENTRY, super_order=False),)


def test_the_exits_of_a_super_order_whose_position_is_gone_are_cancelled() -> None:
    model = held(leaves=True)
    model.trade(model.row(model.entry(Side.SELL, 10)), 10)
    assert set(due(model).steps) == {
        Cancel(DhanOrderId("1"), Leg.STOP_LOSS, super_order=True),
        Cancel(DhanOrderId("1"), Leg.TARGET, super_order=True),
    }


def test_a_position_that_shrank_loses_the_target_first_and_then_one_stop() -> None:
    model = held(leaves=True)
    model.trade(model.row(model.entry(Side.BUY, 10, leaves=True)), 10)
    model.trade(model.row(model.entry(Side.SELL, 15)), 15)
    targets = due(model).steps
    assert targets == (
        Cancel(DhanOrderId("1"), Leg.TARGET, super_order=True),
        Cancel(DhanOrderId("2"), Leg.TARGET, super_order=True),
    )

    for step in targets:
        model.apply(step)
    assert due(model).steps == (Cancel(DhanOrderId("1"), Leg.STOP_LOSS, super_order=True),)


def test_a_stop_stays_while_an_order_on_its_way_keeps_another_from_following() -> None:
    model = held(leaves=True)
    model.trade(model.row(model.entry(Side.SELL, 4, name=BY_HAND)), 4)
    model.row(model.entry(Side.SELL, 6)).status = OrderStatus.TRANSIT
    answer = due(model)
    assert (answer.steps, answer.excess) == ((), 4)


def test_a_missing_stop_comes_before_stops_that_nothing_is_held_for() -> None:
    model = held()
    model.stop(Side.BUY, 3, 101_00)
    answer = due(model)
    assert answer.steps == (
        PlaceStop(Side.SELL, Quantity(10), Price(99_00), Price(98_00)),
        Cancel(DhanOrderId("2"), Leg.ENTRY, super_order=False),
    )
    assert (answer.uncovered, answer.excess) == (10, 3)


def test_a_stop_that_is_too_large_is_made_smaller() -> None:
    model = held(6)
    model.stop(Side.SELL, 10, 99_00)
    assert due(model).steps == (ChangeStop(DhanOrderId("2"), Quantity(6), Price(99_00), Price(1)),)


def test_within_the_second_of_its_last_change_it_is_cancelled_instead() -> None:
    model = held(6)
    model.stop(Side.SELL, 10, 99_00)
    steps = due(model, now=UtcNs.seconds(1)).steps
    assert steps == (Cancel(DhanOrderId("2"), Leg.ENTRY, super_order=False),)


def test_a_stop_placed_by_hand_counts_and_is_left_alone() -> None:
    model = held()
    model.stop(Side.SELL, 12, 99_00, name=BY_HAND)
    answer = due(model)
    assert (answer.steps, answer.uncovered, answer.excess) == ((), 0, 2)


def test_a_market_beyond_the_stop_needs_more_than_a_stop() -> None:
    answer = due(held(), last=Price(99_00))
    assert (answer.steps, answer.passed) == ((), True)


def test_without_a_plan_it_says_what_is_uncovered() -> None:
    answer = due(held(), plan=None)
    assert (answer.steps, answer.uncovered) == ((), 10)


def test_names_are_the_same_in_every_process_and_fit() -> None:
    names = {exit_name(kind, USER, SHARE, DAY, n) for kind in ExitKind for n in range(50)}
    assert len(names) == 100
    assert all(len(name) == CORRELATION_ID_LENGTH and is_ours(name) for name in names)
    assert not is_ours(BY_HAND)


def test_a_leg_with_a_number_of_its_own_belongs_to_its_entry() -> None:
    model = held(leaves=True)
    model.legs_numbered = True
    assert due(model) == Protection()
    for row in model.rows:
        if row.leg is Leg.STOP_LOSS and row.live:
            row.status = OrderStatus.CANCELLED
    assert due(model).steps == (PlaceStop(Side.SELL, Quantity(10), Price(99_00), Price(98_00)),)


@st.composite
def scenes(draw: st.DrawFn) -> ExchangeModel:
    """An account after any day: entries, exits and stops of ours in any state that can be."""
    model = ExchangeModel(legs_numbered=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 4))):
        side = draw(st.sampled_from(Side))
        number = model.entry(side, draw(st.integers(1, 20)), leaves=draw(st.booleans()))
        model.trade(model.row(number), draw(st.integers(0, 20)))
        if draw(st.booleans()):
            model.row(number).status = (
                OrderStatus.CANCELLED if model.row(number).live else model.row(number).status
            )
        for row in [row for row in model.rows if row.number == number and row.leg is not Leg.ENTRY]:
            if draw(st.booleans()):
                model.trade(row, draw(st.integers(0, 20)))
    for _ in range(draw(st.integers(0, 3))):
        row = model.row(model.stop(draw(st.sampled_from(Side)), draw(st.integers(1, 20)), 99_00))
        row.updated = draw(st.sampled_from([1, 100]))
    return model


def stops(model: ExchangeModel, side: Side) -> int:
    def covers(row: Row) -> int:
        if row.leg is Leg.STOP_LOSS:
            return max(0, model.open_of(row.number)) if row.live else 0
        return row.remaining if row.kind == "STOP_LOSS" else 0

    return sum(covers(row) for row in model.rows if row.side is side)


def ended(model: ExchangeModel) -> None:
    """Entries that still work end, as they do within seconds."""
    for row in model.rows:
        if row.leg is Leg.ENTRY and row.kind == "LIMIT" and row.live:
            row.status = OrderStatus.CANCELLED


@given(scenes(), st.data())
def test_any_scene_ends_with_a_stop_of_exactly_the_position(
    model: ExchangeModel, data: st.DataObject
) -> None:
    ended(model)
    for _ in range(6):
        answer = due(model)
        for step in answer.steps:
            # an answer that is lost: the step is asked for again, never doubled
            if data.draw(st.booleans()):
                side = closing_side(model.net)
                allowed = max(abs(model.net), stops(model, side))
                model.apply(step)
                assert stops(model, side) <= allowed
    for _ in range(20):
        for step in due(model).steps:
            model.apply(step)
    needed = closing_side(model.net)
    assert stops(model, needed) == abs(model.net)
    assert stops(model, Side.SELL if needed is Side.BUY else Side.BUY) == 0
    assert due(model) == Protection()
