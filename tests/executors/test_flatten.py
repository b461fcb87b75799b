"""The way to flat."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from executors.orders.exits import Cancel, PlaceClose, is_ours
from executors.orders.flatten import BLIND_LADDER, LADDER, Flatten, Market, flatten, ladder_price
from schemas.ids import DhanOrderId
from schemas.market import PriceBand, Side
from schemas.messages import Leg, OrderStatus
from schemas.units import Paise, Price, Quantity
from tests.executors.exchange_model import BY_HAND, SHARE, TICK, ExchangeModel, Row

MARKET = Market(Price(100_00), TICK)


def due(model: ExchangeModel, *, rung: int = 0, insist: bool = False) -> Flatten:
    return flatten(model.book(), SHARE, model.net, MARKET, rung=rung, insist=insist)


def held(quantity: int = 10, *, leaves: bool = False) -> ExchangeModel:
    model = ExchangeModel()
    model.trade(model.row(model.entry(Side.BUY, quantity, leaves=leaves)), quantity)
    return model


def test_a_position_is_closed_a_little_beyond_the_market() -> None:
    assert due(held()).steps == (PlaceClose(Side.SELL, Quantity(10), Price(99_90)),)


def test_each_rung_goes_further_and_the_ladder_starts_again() -> None:
    prices = [ladder_price(Side.SELL, MARKET, rung) for rung in range(len(LADDER) + 1)]
    assert prices[:-1] == sorted(prices[:-1], reverse=True)
    assert prices[-1] == prices[0]


def test_no_rung_leaves_the_days_limits() -> None:
    market = Market(Price(100_00), TICK, PriceBand(Price(98_00), Price(102_00)))
    rungs = range(len(LADDER))
    assert min(ladder_price(Side.SELL, market, rung) for rung in rungs) == 98_00
    assert max(ladder_price(Side.BUY, market, rung) for rung in rungs) == 102_00


def test_a_band_that_the_market_has_left_behind_holds_no_rung_back() -> None:
    above = Market(Price(103_00), TICK, PriceBand(Price(98_00), Price(102_00)))
    assert ladder_price(Side.BUY, above, 0) > 103_00


def test_the_target_is_cancelled_while_the_stop_still_rests_then_the_stop() -> None:
    model = held(leaves=True)
    target = Cancel(DhanOrderId("1"), Leg.TARGET, super_order=True)
    assert due(model).steps == (target,)

    model.apply(target)
    assert due(model).steps == (Cancel(DhanOrderId("1"), Leg.STOP_LOSS, super_order=True),)


def test_what_a_cancelled_stop_covered_is_closed_before_the_next_stop_goes() -> None:
    model = held(4)
    model.stop(Side.SELL, 4, 99_00)
    model.trade(model.row(model.entry(Side.BUY, 6)), 6)
    assert due(model).steps == (PlaceClose(Side.SELL, Quantity(6), Price(99_90)),)


def test_an_entry_that_waits_is_cancelled_with_its_exits() -> None:
    model = ExchangeModel()
    model.entry(Side.BUY, 10, leaves=True)
    assert due(model).steps == (Cancel(DhanOrderId("1"), Leg.ENTRY, super_order=True),)


def test_an_order_placed_by_hand_is_cancelled_too() -> None:
    model = held()
    model.entry(Side.SELL, 10, name=BY_HAND)
    assert due(model).steps == (Cancel(DhanOrderId("2"), Leg.ENTRY, super_order=False),)


def test_an_order_in_transit_is_waited_for() -> None:
    model = held()
    model.row(model.entry(Side.BUY, 5)).status = OrderStatus.TRANSIT
    assert due(model) == Flatten()


def test_what_cannot_be_cancelled_keeps_what_it_may_close() -> None:
    model = held()
    model.row(model.stop(Side.SELL, 4, 99_00)).status = OrderStatus.TRANSIT
    assert due(model, insist=True).steps == (PlaceClose(Side.SELL, Quantity(6), Price(99_90)),)


def test_a_closing_order_on_its_way_is_waited_for() -> None:
    model = held()
    model.apply(due(model).steps[0])
    assert due(model) == Flatten()
    assert due(model, insist=True) == Flatten()


def test_flat_is_only_a_book_without_position_and_without_orders() -> None:
    model = ExchangeModel()
    assert due(model).flat
    model.entry(Side.BUY, 10)
    assert not due(model).flat


def covers(model: ExchangeModel, row: Row) -> int:
    return row.remaining if row.leg is Leg.ENTRY else max(0, model.open_of(row.number))


@st.composite
def scenes(draw: st.DrawFn) -> ExchangeModel:
    model = ExchangeModel(legs_numbered=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 5))):
        side, size = draw(st.sampled_from(Side)), draw(st.integers(1, 20))
        if draw(st.booleans()):
            number = model.entry(side, size, leaves=draw(st.booleans()))
            model.trade(model.row(number), draw(st.integers(0, size)))
        else:
            number = model.stop(side, size, 99_00)
        row = model.row(number)
        if row.live and not row.filled and draw(st.booleans()):
            row.status = OrderStatus.TRANSIT
    return model


@settings(max_examples=50)
@given(scenes(), st.data())
def test_from_any_scene_it_ends_flat_and_never_beyond(
    model: ExchangeModel, data: st.DataObject
) -> None:
    """Whatever trades between a reading and the next, and whatever request gets lost."""
    for rung in range(200):
        book = model.book()
        for row in model.rows:  # what trades between the two readings
            model.trade(row, data.draw(st.integers(0, 2)))
        answer = flatten(book, SHARE, model.net, MARKET, rung=rung)
        if answer.flat and not any(row.live for row in model.rows):
            break
        for step in answer.steps:
            if data.draw(st.booleans()):
                continue  # it was lost
            held_now, before = abs(model.net), {row.number for row in model.rows}
            try:
                model.apply(step)
            except AssertionError:
                continue  # the broker refused
            if isinstance(step, PlaceClose):
                assert step.quantity <= held_now
                number = next(row.number for row in model.rows if row.number not in before)
                assert is_ours(model.row(number).name)
                others = [row for row in model.rows if row.live and row.number != number]
                # together they close what is held, and nothing can open
                assert {row.side for row in others} <= {step.side}
                assert all(row.leg is Leg.STOP_LOSS or row.kind == "STOP_LOSS" for row in others)
                assert step.quantity + sum(covers(model, row) for row in others) <= held_now
        for row in model.rows:
            if row.status is OrderStatus.TRANSIT and data.draw(st.booleans()):
                row.status = OrderStatus.PENDING
            if row.name.startswith("AXC") and row.live:  # immediate or cancel
                sign = 1 if model.net > 0 else -1
                model.trade(row, data.draw(st.integers(0, row.quantity)))
                assert model.net * sign >= 0
                row.quantity = row.filled
                row.status = OrderStatus.CANCELLED
    else:
        raise AssertionError("never flat")
    assert model.net == 0


def test_without_a_known_trade_the_way_to_flat_goes_farther_than_any_days_slip() -> None:
    """As while Kafka is away: what the position cost is the best guess there is."""
    blind = Market(Price(100_00), Paise(5), guessed=True)

    prices = [ladder_price(Side.SELL, blind, rung) for rung in range(len(BLIND_LADDER) + 1)]

    assert prices[-2:] == [80_00, 99_90]
