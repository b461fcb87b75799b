"""What holds for every day's trades."""

from __future__ import annotations

from datetime import date
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from executors.charges.bill import Bill
from executors.charges.charges import charges, estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Charge, shipped_rates
from schemas.market import Side
from schemas.units import Paise, Price, Quantity
from tests.executors.billing import (
    BSE_SHARE,
    FUTURE,
    NOW,
    OPTION,
    OTHER_OPTION,
    OTHER_SHARE,
    SENSEX_OPTION,
    SHARE,
)

RATES = shipped_rates()
CONTRACTS: Final = (FUTURE, OPTION, OTHER_OPTION, SENSEX_OPTION)
SHARES: Final = (SHARE, OTHER_SHARE, BSE_SHARE)
FEW: Final = settings(max_examples=40, deadline=None)  # a bill takes milliseconds
NEVER_NETTED: Final = frozenset(Charge) - {Charge.STT, Charge.STAMP, Charge.DP}

prices = st.integers(5, 9_999_95).map(Price)
quantities = st.integers(1, 5_000).map(Quantity)
products = st.sampled_from(["CNC", "INTRADAY", "MTF"])
days = st.sampled_from([NOW, date(2025, 1, 15), date(2026, 3, 15)])


def orders_of(securities: tuple[Security, ...], most: int = 6) -> st.SearchStrategy[list[Fill]]:
    """Orders of one fill each."""
    order = st.tuples(st.sampled_from(securities), st.sampled_from(Side), products)
    return st.lists(st.tuples(order, quantities, prices), max_size=most).map(
        lambda rows: [
            Fill(f"{number}", security, side, product, quantity, price)
            for number, ((security, side, product), quantity, price) in enumerate(rows)
        ]
    )


def day_of(fills: list[Fill], on: date = NOW) -> DayTrades:
    return DayTrades(on, tuple(fills))


def amounts(bill: Bill) -> dict[Charge, Paise]:
    return {charge: bill.of(charge) for charge in Charge}


@FEW
@given(orders_of(SHARES + CONTRACTS), days, st.data())
def test_splitting_the_fills_of_an_order_and_any_sequence_change_nothing(
    orders: list[Fill], on: date, data: st.DataObject
) -> None:
    pieces: list[Fill] = []
    for fill in orders:
        first = data.draw(st.integers(0, fill.quantity))
        pieces += [
            Fill(fill.order, fill.security, fill.side, fill.product, Quantity(part), fill.price)
            for part in (first, fill.quantity - first)
            if part
        ]
    mixed = data.draw(st.permutations(pieces))

    for work_out in (charges, estimate):
        whole = work_out(day_of(orders, on), RATES)
        assert set(work_out(day_of(mixed, on), RATES).lines) == set(whole.lines)


@FEW
@given(orders_of(CONTRACTS, most=7).filter(bool), days)
def test_one_more_fill_of_a_contract_lowers_no_line(orders: list[Fill], on: date) -> None:
    for work_out in (charges, estimate):
        before = work_out(day_of(orders[:-1], on), RATES)
        after = work_out(day_of(orders, on), RATES)

        assert all(after.of(charge) >= before.of(charge) for charge in Charge)


@FEW
@given(orders_of(SHARES, most=7).filter(bool), days)
def test_one_more_fill_of_a_share_lowers_only_what_the_day_nets(
    orders: list[Fill], on: date
) -> None:
    for work_out in (charges, estimate):
        before = work_out(day_of(orders[:-1], on), RATES)
        after = work_out(day_of(orders, on), RATES)

        assert all(after.of(charge) >= before.of(charge) for charge in NEVER_NETTED)


@FEW
@given(orders_of(SHARES, most=7).filter(bool), st.sampled_from(Side))
def test_without_netting_one_more_fill_of_a_share_lowers_no_line(
    orders: list[Fill], side: Side
) -> None:
    one_way = [
        Fill(fill.order, fill.security, side, "CNC", fill.quantity, fill.price) for fill in orders
    ]

    before = estimate(day_of(one_way[:-1]), RATES)
    after = estimate(day_of(one_way), RATES)

    assert all(after.of(charge) >= before.of(charge) for charge in Charge)


@FEW
@given(orders_of(SHARES + CONTRACTS, most=5).filter(bool), quantities, prices)
def test_a_further_fill_costs_less_brokerage_in_an_order_than_as_one_of_its_own(
    orders: list[Fill], quantity: Quantity, price: Price
) -> None:
    last = orders[-1]
    more = Fill(last.order, last.security, last.side, last.product, quantity, price)
    apart = Fill("apart", last.security, last.side, last.product, quantity, price)

    joined = charges(day_of([*orders, more]), RATES)
    alone = charges(day_of([*orders, apart]), RATES)

    # each order is rounded by itself, so two may lose a paisa that one does not
    assert joined.of(Charge.BROKERAGE) <= alone.of(Charge.BROKERAGE) + 1


@FEW
@given(orders_of(CONTRACTS), days)
def test_swapping_the_sides_of_contracts_moves_only_stt_and_stamp_duty(
    orders: list[Fill], on: date
) -> None:
    other = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    swapped = [
        Fill(one.order, one.security, other[one.side], one.product, one.quantity, one.price)
        for one in orders
    ]

    there = amounts(charges(day_of(orders, on), RATES))
    back = amounts(charges(day_of(swapped, on), RATES))

    moved = {charge for charge in Charge if there[charge] != back[charge]}
    assert moved <= {Charge.STT, Charge.STAMP}


@FEW
@given(st.sampled_from(CONTRACTS), quantities.filter(lambda each: each > 100), days)
def test_stt_of_a_contract_is_the_sellers_and_stamp_duty_the_buyers(
    security: Security, quantity: Quantity, on: date
) -> None:
    bought, sold = (
        estimate(day_of([Fill("1", security, side, "MARGIN", quantity, Price(50_000))], on), RATES)
        for side in (Side.BUY, Side.SELL)
    )

    assert bought.of(Charge.STT) == sold.of(Charge.STAMP) == 0
    assert min(bought.of(Charge.STAMP), sold.of(Charge.STT)) > 0


@FEW
@given(orders_of(SHARES + CONTRACTS), days)
def test_a_bill_is_never_further_from_its_estimate_than_rounding_and_netting(
    orders: list[Fill], on: date
) -> None:
    """All are squared off or all are kept, so both see the same deliveries."""
    kept = [
        Fill(one.order, one.security, one.side, "MTF", one.quantity, one.price) for one in orders
    ]
    computed = charges(day_of(kept, on), RATES)
    estimated = estimate(day_of(kept, on), RATES)

    # a line of rupees: half of one, and half a paisa of the mean price a unit; others: one paisa
    units = sum(one.quantity for one in kept)
    slack = sum(
        50 + units * 0.5 * 0.001 if line.charge in {Charge.STT, Charge.STAMP} else 1
        for line in computed.lines
    )
    assert abs(computed.total - estimated.total) <= slack + 1
