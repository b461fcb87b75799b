from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.risk.crowd import Crowd
from executors.risk.denial import Denial
from executors.risk.exposure import Exposure
from executors.risk.gate import CHECKS, FEED_DEAD_AFTER, QUOTE_STALE_AFTER, cut_to_fit, judge
from executors.risk.listed import Ban, Listed
from executors.risk.requests import ENTRIES, WORKERS, Share
from executors.risk.situation import (
    Account,
    Address,
    Approval,
    Funds,
    OrderCounts,
    PreTradeContext,
    Quote,
    closable,
)
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.risk.strategy import StrategyContext
from schemas.calendar import Calendar
from schemas.ids import InstrumentId, Segment
from schemas.market import PriceBand, Side
from schemas.messages import OrderIntent
from schemas.strategy import Strategy, StrategyMode
from schemas.units import BasisPoints, Paise, Price, Quantity, UtcNs
from tests.executors.factories import LIMITS, NEVER, TEN_O_CLOCK, an_intent, the_situation_for

HALF_PAST_THREE = UtcNs(TEN_O_CLOCK + UtcNs.minutes(330))
QUARTER_PAST_NINE = UtcNs(TEN_O_CLOCK - UtcNs.minutes(45))
FIVE_PAST_THREE = UtcNs(TEN_O_CLOCK + UtcNs.minutes(305))
Change = Callable[[OrderIntent, PreTradeContext], PreTradeContext]


def test_an_order_that_breaks_no_rule_may_leave() -> None:
    intent = an_intent()

    assert judge(intent, the_situation_for(intent)) is None


def at(moment: int) -> Change:
    """The same situation at another time of day, for an intent that is still valid then."""
    now = UtcNs(moment)
    return lambda intent, s: replace(
        s, now=now, feed_clock=now, quote=Quote(intent.reference_price, now)
    )


def limited(**limits: Any) -> Change:
    """The same situation of a user with these limits."""
    return lambda _, s: replace(s, limits=replace(s.limits, **limits))


def listed(**said: Any) -> Change:
    """The same situation where the day's instrument master says this."""
    return lambda _, s: replace(s, listed=Listed(**said))


def of_strategy(
    mode: StrategyMode = StrategyMode.LIVE,
    positions: int = 0,
    orders: int = 0,
    lost: bool = False,
    **limits: Any,
) -> Change:
    """The same situation with real money, of a decision with this strategy."""
    seen = StrategyContext(
        Strategy(name="ema_cross", mode=mode, **limits),
        StrategyMode.LIVE,
        orders,
        Exposure(positions=positions),
        lost=lost,
    )
    return lambda _, s: replace(s, strategy=seen)


def a_crowd(volume: int) -> Crowd:
    """Ten units of a hundred, of a tenth of what was traded."""
    return Crowd(Quantity(10), Quantity(100), Quantity(0), Quantity(volume), BasisPoints(1_000))


CHANGES: list[tuple[Change, Denial]] = [
    (lambda _, s: replace(s, halted=True), Denial.HALTED),
    (lambda _, s: replace(s, mode_allows=False), Denial.MODE_REFUSES),
    (of_strategy(capital=Paise(1_502_999)), Denial.STRATEGY_CAPITAL_USED_UP),
    (of_strategy(positions=1, max_open_positions=1), Denial.STRATEGY_POSITIONS_USED_UP),
    (of_strategy(orders=1, max_orders_per_day=1), Denial.STRATEGY_ORDERS_USED_UP),
    (of_strategy(lost=True, max_daily_loss=Paise(1)), Denial.STRATEGY_LOSS_REACHED),
    (of_strategy(StrategyMode.OFF), Denial.STRATEGY_OFF),
    (of_strategy(StrategyMode.SHADOW), Denial.STRATEGY_IN_SHADOW),
    (of_strategy(StrategyMode.PAPER), Denial.STRATEGY_ON_PAPER),
    (lambda _, s: replace(s, user_active=False), Denial.USER_INACTIVE),
    (lambda _, s: replace(s, token_refused=True), Denial.TOKEN_REFUSED),
    (lambda _, s: replace(s, account=Account.ANOTHER), Denial.ACCOUNT_MISMATCH),
    (lambda _, s: replace(s, account=Account.UNVERIFIED), Denial.ACCOUNT_UNVERIFIED),
    (lambda _, s: replace(s, account_answers=False), Denial.ACCOUNT_FAILING),
    (lambda _, s: replace(s, member=False), Denial.NOT_A_MEMBER),
    (lambda _, s: replace(s, preflight="no_funds"), Denial.PREFLIGHT_RED),
    (lambda _, s: replace(s, address=Address.ANOTHER), Denial.ADDRESS_MISMATCH),
    (lambda _, s: replace(s, address=Address.UNVERIFIED), Denial.ADDRESS_UNVERIFIED),
    (lambda intent, s: replace(s, now=intent.valid_until), Denial.DECISION_EXPIRED),
    (lambda _, s: replace(s, calendar=Calendar(coverage=())), Denial.DAY_NOT_IN_CALENDAR),
    (at(QUARTER_PAST_NINE - 1), Denial.OUTSIDE_SESSION),
    (lambda _, s: replace(s, square_off=SquareOff(cash=time(9, 30))), Denial.AFTER_LAST_ENTRY),
    (lambda _, s: replace(s, feed_clock=None), Denial.FEED_DEAD),
    (lambda _, s: replace(s, feed_clock=UtcNs(s.now - FEED_DEAD_AFTER - 1)), Denial.FEED_DEAD),
    (lambda _, s: replace(s, quote=None), Denial.QUOTE_ABSENT),
    (
        lambda intent, s: replace(
            s, quote=Quote(intent.reference_price, UtcNs(s.now - QUOTE_STALE_AFTER - 1))
        ),
        Denial.QUOTE_STALE,
    ),
    (
        lambda intent, s: replace(s, quote=Quote(Price(intent.price * 2), s.now)),
        Denial.PRICE_FAR_FROM_MARKET,
    ),
    (
        lambda _, s: replace(s, limits=replace(LIMITS, max_order_value=Paise(1))),
        Denial.ORDER_TOO_LARGE,
    ),
    (
        lambda _, s: replace(s, sent=OrderCounts(today=LIMITS.max_orders_per_day)),
        Denial.ORDERS_OF_THE_DAY_USED_UP,
    ),
    (
        lambda _, s: replace(s, sent=OrderCounts(this_second=WORKERS.second)),
        Denial.TOO_MANY_ORDERS_A_SECOND,
    ),
    (
        lambda _, s: replace(s, sent=OrderCounts(last_second=WORKERS.second)),
        Denial.TOO_MANY_ORDERS_A_SECOND,
    ),
    (limited(known=False), Denial.LIMITS_UNKNOWN),
    (lambda _, s: replace(s, filled=-5), Denial.AGAINST_POSITION),
    (lambda _, s: replace(s, stopped=True, position=-10), Denial.STOPPED),
    (limited(segments=frozenset({Segment.NSE_FNO})), Denial.SEGMENT_NOT_ALLOWED),
    (limited(products=frozenset({"CNC"})), Denial.PRODUCT_NOT_ALLOWED),
    (limited(max_open_positions=0), Denial.TOO_MANY_POSITIONS),
    (limited(max_symbol_exposure=Paise(1_502_999)), Denial.SYMBOL_EXPOSURE_TOO_LARGE),
    (limited(max_exposure=Paise(1_502_999)), Denial.EXPOSURE_TOO_LARGE),
    (limited(max_daily_loss=Paise(0)), Denial.DAILY_LOSS_REACHED),
    (listed(band_needed=True), Denial.PRICE_BAND_UNKNOWN),
    (listed(band=PriceBand(Price(150_000), Price(170_000))), Denial.LOCKED_AT_CIRCUIT),
    (listed(band=PriceBand(Price(140_000), Price(150_299))), Denial.PRICE_OUTSIDE_BAND),
    (listed(band=PriceBand(Price(148_801), Price(170_000))), Denial.STOP_OUTSIDE_BAND),
    (listed(freeze_quantity=Quantity(10)), Denial.QUANTITY_ABOVE_FREEZE),
    (listed(ban=Ban.UNKNOWN), Denial.BAN_LIST_UNKNOWN),
    (listed(ban=Ban.IN_FORCE), Denial.UNDERLYING_BANNED),
    (lambda _, s: replace(s, reconciled=False), Denial.BOOK_NOT_RECONCILED),
    (lambda _, s: replace(s, logged=False), Denial.LEDGER_BEHIND),
    (lambda _, s: replace(s, approval=Approval.WAITING), Denial.NOT_APPROVED),
    (lambda _, s: replace(s, crowd=a_crowd(volume=0)), Denial.CROWD_TOO_LARGE),
    (limited(max_stop_outs_per_day=0), Denial.TOO_MANY_STOP_OUTS),
    (
        lambda _, s: replace(
            s, stopped_out_at=s.now, limits=replace(s.limits, stop_out_cooldown=1)
        ),
        Denial.COOLING_DOWN,
    ),
    (lambda _, s: replace(s, funds=Funds(known=False)), Denial.FUNDS_UNKNOWN),
    (lambda _, s: replace(s, funds=Funds(free=Paise(1_502_999))), Denial.FUNDS_TOO_SMALL),
    *(
        (lambda _, s, sent=sent: replace(s, sent=sent), Denial.TOO_MANY_REQUESTS)
        for sent in (
            OrderCounts(last_minute=ENTRIES.minute),
            OrderCounts(last_hour=ENTRIES.hour),
            OrderCounts(last_day=ENTRIES.day),
        )
    ),
]


@pytest.mark.parametrize(("change", "denial"), CHANGES, ids=[denial for _, denial in CHANGES])
def test_each_rule_alone_denies_with_its_own_reason(change: Change, denial: Denial) -> None:
    intent = an_intent()

    assert judge(intent, change(intent, the_situation_for(intent))) is denial


@pytest.mark.parametrize(
    ("change", "denial"),
    [
        (limited(max_order_value=Paise(1)), Denial.ORDER_TOO_LARGE),
        (limited(max_orders_per_day=0), Denial.ORDERS_OF_THE_DAY_USED_UP),
    ],
)
def test_what_would_close_only_by_accepted_orders_is_held_to_the_limits_of_entries(
    change: Change, denial: Denial
) -> None:
    """A stop has closed it: the sale would open a short position."""
    sale = an_intent(side=Side.SELL)
    held = replace(the_situation_for(sale), position=sale.quantity)

    assert judge(sale, change(sale, held)) is None
    assert judge(sale, change(sale, replace(held, filled=0))) is denial


@pytest.mark.parametrize("window", ["minute", "hour", "day"])
def test_what_closes_has_requests_left_when_entries_have_none(window: str) -> None:
    exit_ = an_intent(side=Side.SELL)
    held = replace(the_situation_for(exit_), position=exit_.quantity)

    def sent(share: Share) -> PreTradeContext:
        counts = {f"last_{window}": getattr(share, window)}
        return replace(held, sent=OrderCounts(**counts))

    assert judge(exit_, sent(ENTRIES)) is None
    assert judge(exit_, sent(WORKERS)) is Denial.TOO_MANY_REQUESTS


@pytest.mark.parametrize(
    ("moment", "denial"),
    [
        (QUARTER_PAST_NINE, None),
        (HALF_PAST_THREE - 1, None),
        (HALF_PAST_THREE, Denial.OUTSIDE_SESSION),
    ],
)
def test_the_session_begins_with_its_first_moment_and_ends_before_its_last(
    moment: int, denial: Denial | None
) -> None:
    intent = an_intent(valid_until=UtcNs(HALF_PAST_THREE + 1))
    situation = replace(the_situation_for(intent), square_off=NEVER)

    assert judge(intent, at(moment)(intent, situation)) is denial


@pytest.mark.parametrize(
    ("position", "filled", "held"),
    [(10, None, 10), (10, 10, 10), (10, 4, 4), (10, 0, 0), (10, -10, 0), (0, 10, 0), (-7, -9, -7)],
)
def test_what_may_be_closed_is_held_by_orders_and_by_fills(
    position: int, filled: int | None, held: int
) -> None:
    assert closable(position, filled) == held


@pytest.mark.parametrize(
    ("change", "denial"),
    [
        (at(FIVE_PAST_THREE), Denial.AFTER_LAST_ENTRY),
        (lambda _, s: replace(s, halted=True), Denial.HALTED),
        (lambda _, s: replace(s, account=Account.UNVERIFIED), Denial.ACCOUNT_UNVERIFIED),
        (lambda _, s: replace(s, account_answers=False), Denial.ACCOUNT_FAILING),
        (lambda _, s: replace(s, member=False), Denial.NOT_A_MEMBER),
        (lambda _, s: replace(s, address=Address.ANOTHER), Denial.ADDRESS_MISMATCH),
        (lambda _, s: replace(s, address=Address.UNVERIFIED), Denial.ADDRESS_UNVERIFIED),
    ],
    ids=[
        *("late", "halted", "unverified", "failing"),
        *("no member", "another address", "unknown address"),
    ],
)
def test_what_a_stop_has_closed_already_is_no_exit_any_more(change: Change, denial: Denial) -> None:
    intent = an_intent(side=Side.SELL, valid_until=HALF_PAST_THREE)
    held = replace(change(intent, the_situation_for(intent)), position=10, square_off=SquareOff())

    assert judge(intent, held) is None
    assert judge(intent, replace(held, filled=0)) is denial


def test_in_a_halt_an_exit_is_cut_to_what_stops_have_left() -> None:
    intent = an_intent(side=Side.SELL)
    halted = replace(the_situation_for(intent), position=10, filled=4, halted=True)

    assert cut_to_fit(intent, halted).quantity == 4


@pytest.mark.parametrize(
    "change", [at(FIVE_PAST_THREE), lambda _, s: replace(s, halted=True)], ids=["late", "halted"]
)
def test_neither_the_hour_nor_a_halt_keeps_anybody_in_a_position(change: Change) -> None:
    exit_ = an_intent(side=Side.SELL, valid_until=UtcNs(HALF_PAST_THREE))
    held = replace(change(exit_, the_situation_for(exit_)), position=exit_.quantity)
    more = exit_.model_copy(update={"quantity": Quantity(exit_.quantity + 5)})

    assert judge(exit_, held) is None
    assert judge(more, held) is not None
    assert cut_to_fit(more, held).quantity == exit_.quantity


def test_an_order_is_cut_to_the_whole_lots_that_funds_pay_for() -> None:
    intent = an_intent(quantity=Quantity(10), price=Price(100))

    def left(free: int, lot: int) -> int:
        situation = replace(the_situation_for(intent), funds=Funds(free=Paise(free)))
        return cut_to_fit(intent, replace(situation, lot=Quantity(lot))).quantity

    assert [left(free, 1) for free in (1_000, 999, 100)] == [10, 9, 1]
    assert [left(free, 4) for free in (1_000, 999, 400)] == [10, 8, 4]
    assert (left(399, 4), left(0, 1)) == (10, 10)  # and `judge` says why not even one lot leaves


def test_funds_keep_nobody_in_a_position() -> None:
    exit_ = an_intent(side=Side.SELL)
    held = replace(the_situation_for(exit_), position=exit_.quantity)

    for funds in (Funds(known=False), Funds(free=Paise(0))):
        assert judge(exit_, replace(held, funds=funds)) is None
        assert cut_to_fit(exit_, replace(held, funds=funds)) == exit_


def test_what_a_sold_contract_binds_is_not_known() -> None:
    rich = Funds(free=Paise(10**12))
    share, contract = (
        an_intent(side=Side.SELL),
        an_intent(side=Side.SELL, instrument=InstrumentId(Segment.NSE_FNO, 35_001)),
    )

    assert judge(share, replace(the_situation_for(share), funds=rich)) is None
    sold = replace(the_situation_for(contract), funds=rich)
    assert judge(contract, sold) is Denial.FUNDS_UNKNOWN
    assert judge(contract, replace(sold, funds=Funds())) is None


def test_every_denial_has_a_check_that_can_give_it() -> None:
    given = set(Denial) - {Denial.KILL_SWITCH}  # of old records
    of_sales = {Denial.LONG_ONLY}  # its cases are in test_gate_cases.py

    assert {denial for _, denial in CHANGES} == given - of_sales
    of_strategies = [denial for denial in given if denial.value.startswith("strategy_")]
    assert len(CHECKS) == len(given) - len(of_strategies) + 2  # one of modes, one of limits


@given(
    st.integers(1, 10**7),
    st.integers(1, 10**7),
    st.integers(1, 10**5),
    st.integers(0, 50),
    st.integers(0, 12),
)
def test_a_denied_order_stays_denied_when_the_user_has_sent_more(
    price: int, last: int, quantity: int, today: int, second: int
) -> None:
    intent = an_intent(price=Price(price), quantity=Quantity(quantity))
    context = the_situation_for(intent, sent=OrderCounts(today, second, second))
    context = replace(context, quote=Quote(Price(last), context.now))
    worse = replace(context, sent=OrderCounts(today + 1, second + 1, second + 1))

    assert judge(intent, context) is None or judge(intent, worse) is not None


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_no_order_leaves_further_from_the_market_than_the_limit_says(price: int, last: int) -> None:
    intent = an_intent(price=Price(price), quantity=Quantity(1))
    context = the_situation_for(intent, limits=replace(LIMITS, max_order_value=Paise(10**9)))

    verdict = judge(intent, replace(context, quote=Quote(Price(last), context.now)))

    assert (verdict is None) == (abs(price - last) <= last * LIMITS.max_deviation / 10_000)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    "limits",
    [replace(LIMITS, max_orders_per_day=0), replace(LIMITS, max_order_value=Paise(0))],
    ids=["count", "value"],
)
def test_an_order_that_only_closes_leaves_whatever_count_and_value_say(
    side: Side, limits: UserLimits
) -> None:
    held = 10 if side is Side.SELL else -10
    intent = an_intent(side=side, quantity=Quantity(10))
    context = the_situation_for(intent, limits=limits, position=held)

    assert judge(intent, context) is None
    assert judge(intent, replace(context, position=held // 10 * 9)) is not None
    assert judge(intent, replace(context, position=0)) is not None
    assert judge(intent, replace(context, position=-held)) is not None


def test_a_closing_order_too_waits_for_its_second() -> None:
    intent = an_intent(side=Side.SELL, quantity=Quantity(10))

    context = the_situation_for(intent, position=10, sent=OrderCounts(this_second=WORKERS.second))

    assert judge(intent, context) is Denial.TOO_MANY_ORDERS_A_SECOND


@given(
    st.sampled_from(Side),
    st.integers(1, 100),
    st.integers(-100, 100),
    st.integers(0, 3),
    st.integers(0, 20_000_000),
)
def test_what_is_left_of_an_order_after_the_cut_is_all_of_it_or_exactly_the_exit(
    side: Side, quantity: int, position: int, today: int, value: int
) -> None:
    intent = an_intent(side=side, quantity=Quantity(quantity))
    allowed = replace(LIMITS, max_orders_per_day=2, max_order_value=Paise(value))
    context = the_situation_for(
        intent, limits=allowed, position=position, sent=OrderCounts(today=today)
    )

    cut = cut_to_fit(intent, context)

    if judge(intent, context) is None:
        assert cut == intent
    held = position if side is Side.SELL else -position
    if held > 0:
        assert judge(cut, context) is None
        assert cut.quantity in (quantity, held)
    else:
        assert cut == intent
