from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from dhan.outcomes import Accepted
from executors.clock import MonotonicClock
from executors.orders.outcomes import execution, of_placement
from executors.positions import FilledPositions
from schemas.ids import DhanOrderId
from schemas.market import Side, trading_day
from schemas.messages import Position
from schemas.units import Paise, Quantity
from tests.executors.factories import NIFTY, RELIANCE, TEN_O_CLOCK, USER, an_intent
from tests.executors.harness import World

DAY = trading_day(TEN_O_CLOCK)
ACCEPTED = Accepted(DhanOrderId("1"), "TRANSIT")


def a_position(net: int, days: int = 0) -> Position:
    return Position(
        id=uuid4(),
        event_time=TEN_O_CLOCK,
        user_id=USER,
        trading_date=DAY + timedelta(days),
        instrument=RELIANCE.id,
        bought=Quantity(max(net, 0)),
        bought_value=Paise(0),
        sold=Quantity(max(-net, 0)),
        sold_value=Paise(0),
        net=net,
        realised=Paise(0),
        resting_stop=Quantity(0),
        by_trades=True,
        agrees=None,
    )


def test_the_newest_position_of_a_day_counts_and_none_of_another_day() -> None:
    known = FilledPositions()
    for position in (a_position(7), a_position(3), a_position(9, days=-1)):
        known.observe(position)

    assert known.net(USER, RELIANCE.id, DAY) == 3
    assert known.net(USER, RELIANCE.id, DAY + timedelta(1)) is None
    assert known.net(USER, NIFTY.id, DAY) is None


async def test_after_a_stop_an_order_of_the_other_side_opens_and_passes_no_halt(
    scripted: World,
) -> None:
    known = FilledPositions()
    pre_trade = scripted.surroundings(USER, positions=known, machine=MonotonicClock()).pre_trade
    pre_trade.budget.observe(execution(an_intent(), of_placement(ACCEPTED)))
    exit_ = an_intent(side=Side.SELL)
    held = pre_trade.closes(exit_, TEN_O_CLOCK), pre_trade.opens(exit_, TEN_O_CLOCK)
    known.observe(a_position(0))
    stopped = pre_trade.closes(exit_, TEN_O_CLOCK), pre_trade.opens(exit_, TEN_O_CLOCK)

    assert (held, stopped) == ((True, False), (False, True))
