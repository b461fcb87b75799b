"""A recorded day comes out again: trades, prices, times and charges."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from ats.backtest.recorded import show
from backtest.fills import Fills
from backtest.market import DayMarket
from backtest.recorded import RecordedDay, replay, requests_of
from backtest.signals import SignalSource
from backtest.trade import Ending
from executors.charges.rates import shipped_rates
from executors.orders.exits import Cancel
from schemas.messages import ExitAction, ExitOrder, Leg, OrderEvent, OrderStatus
from schemas.units import Price
from simulator.market.generator import generate
from streams.engine.config import EngineConfig
from streams.rules import RULES
from tests.backtest.recorded_story import USERS, written_down

DAY = date(2026, 11, 19)
SIGNALS = 24


@pytest.fixture(scope="module")
def market() -> DayMarket:
    return DayMarket.of(generate(5, DAY, 3))


@pytest.fixture(scope="module")
def recorded(market: DayMarket) -> RecordedDay:
    signals = SignalSource(RULES, EngineConfig()).play(market)
    return written_down(market, signals[:SIGNALS])


def test_two_accounts_that_shared_a_market_have_the_trades_that_were_recorded(
    market: DayMarket, recorded: RecordedDay
) -> None:
    users = replay(recorded, market, Fills.BOOK, shipped_rates())

    assert [each.user for each in users] == list(USERS)
    assert all(each.equal for each in users)
    assert {Ending.SQUARE_OFF, Ending.STOP} <= {
        trade.ending for each in users for trade in each.replayed
    }
    assert users[0].replayed != users[1].replayed  # who comes second finds less


def test_a_fill_that_was_recorded_otherwise_is_named(
    market: DayMarket, recorded: RecordedDay
) -> None:
    first = recorded.trades[0]
    dearer = first.fill.model_copy(update={"price": Price(first.fill.price + 5)})
    spoiled = replace(
        recorded, trades=[first.model_copy(update={"fill": dearer}), *recorded.trades[1:]]
    )

    users = replay(spoiled, market, Fills.BOOK, shipped_rates())

    (said,) = (each.missing for each in users if each.missing)
    assert dearer.instrument in {each.instrument for each in said}
    assert show(Console(quiet=True), DAY, users) == 1


def test_an_order_on_its_way_meets_the_market_it_arrives_at(
    market: DayMarket, recorded: RecordedDay
) -> None:
    hasty = [
        each.model_copy(update={"order": each.order.model_copy(update={"updated_at": early})})
        if each.order and not each.order.filled and (early := each.order.updated_at - 120 * 10**9)
        else each
        for each in recorded.events
    ]

    users = replay(replace(recorded, events=hasty), market, Fills.BOOK, shipped_rates())

    assert not all(each.equal for each in users)


def test_an_order_that_nobody_saw_until_it_had_traded_was_there_for_its_first_trade(
    market: DayMarket, recorded: RecordedDay
) -> None:
    first = min(recorded.trades, key=lambda each: each.fill.traded_at).fill
    late = first.traded_at + 12 * 10**9
    unseen = [
        each.model_copy(update={"order": each.order.model_copy(update={"updated_at": late})})
        if each.order and each.order.dhan_order_id == first.dhan_order_id
        else each
        for each in recorded.events
    ]

    requests = requests_of(replace(recorded, events=unseen), market)

    (request,) = (each for each in requests if each.number == first.dhan_order_id)
    assert request.second == first.traded_at // 10**9


def test_an_order_that_was_cancelled_in_its_second_was_there_before(
    market: DayMarket, recorded: RecordedDay
) -> None:
    shown = next(each for each in recorded.events if each.order and each.order.leg is Leg.ENTRY)
    spoiled = replace(
        recorded,
        events=[*recorded.events, cancelled(shown)],
        exits=[*recorded.exits, deadline(shown, recorded.exits[0])],
    )

    requests = requests_of(spoiled, market)

    assert shown.order
    number = shown.order.dhan_order_id
    (at,) = (place for place, each in enumerate(requests) if each.number == number)
    assert requests[at + 1].what == Cancel(number, Leg.ENTRY, super_order=True)
    assert requests[at + 1].second == requests[at].second


def cancelled(shown: OrderEvent) -> OrderEvent:
    assert shown.order
    order = shown.order.model_copy(update={"status": OrderStatus.CANCELLED})
    return shown.model_copy(update={"order": order})


def deadline(shown: OrderEvent, like: ExitOrder) -> ExitOrder:
    """The guardian's cancellation of an entry."""
    assert shown.order
    return like.model_copy(
        update={
            "action": ExitAction.CANCEL,
            "leg": Leg.ENTRY,
            "user_id": shown.user_id,
            "instrument": shown.order.instrument,
            "dhan_order_id": shown.order.dhan_order_id,
        }
    )
