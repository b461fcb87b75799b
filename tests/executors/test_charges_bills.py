"""Three states of a bill, the comparison with the broker's figures, and the profit after it."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from executors.charges.bill import Billed, BillState, DayBills
from executors.charges.charges import charges, estimate
from executors.charges.compare import Comparison, compare
from executors.charges.rates import GST, Charge, shipped_rates
from executors.charges.result import net_result
from schemas.units import Paise
from tests.executors.billing import BUY, OPTION, OTHER_OPTION, SELL, day_of, fill, rupees

RATES = shipped_rates()
DAY = day_of(fill(SELL, 2075, "9.00", OPTION), fill(BUY, 650, "27.50", OTHER_OPTION))
COMPUTED = charges(DAY, RATES)
ESTIMATED = estimate(DAY, RATES)
NOTE = Billed(
    rupees(brokerage="40", stt="28", transaction="12.99", sebi="0.04", stamp="1", igst="9.55"),
    "contract note",
)


def of(charge: Charge, billed: Billed) -> Comparison:
    return next(one for one in compare(COMPUTED, billed) if charge in one.charges)


@pytest.mark.parametrize("bills", [*permutations((ESTIMATED, COMPUTED, NOTE))])
def test_no_state_takes_the_place_of_another_in_whatever_order_they_come(
    bills: tuple[object, ...],
) -> None:
    known = DayBills()
    for bill in bills:
        known = known.plus(bill)  # type: ignore[arg-type]  # a permutation forgets the union

    assert known == DayBills(ESTIMATED, COMPUTED, NOTE)


def test_the_most_certain_state_is_the_brokers_then_the_computed_then_the_estimate() -> None:
    known = DayBills().plus(ESTIMATED)

    assert known.most_certain is ESTIMATED
    assert known.plus(COMPUTED).most_certain is COMPUTED
    assert known.plus(COMPUTED).plus(NOTE).most_certain is NOTE
    assert DayBills().most_certain is None


def test_a_later_estimate_replaces_an_earlier_one_only() -> None:
    earlier = estimate(day_of(*DAY.fills[:1]), RATES)

    assert DayBills(earlier, COMPUTED).plus(ESTIMATED) == DayBills(ESTIMATED, COMPUTED)


def test_the_brokers_own_note_agrees_line_by_line() -> None:
    compared = compare(COMPUTED, NOTE)

    told = [one for one in compared if one.billed is not None]
    assert len(told) == len(NOTE.amounts)
    assert all(one.agrees for one in told)


def test_what_the_broker_does_not_tell_is_not_compared() -> None:
    assert of(Charge.IPFT, NOTE).agrees is None


@pytest.mark.parametrize(
    ("amounts", "agrees"),
    [
        ({"stt": "29.00"}, True),
        ({"stt": "29.01"}, False),
        ({"stt": "26.99"}, False),
        ({"stamp": "0.00"}, True),
        ({"stamp": "2.01"}, False),
        ({"sebi": "0.06"}, True),
        ({"sebi": "0.07"}, False),
        ({"brokerage": "40.04"}, True),  # two orders, two lines
        ({"brokerage": "40.05"}, False),
        ({"cgst": "4.78", "sgst": "4.78"}, True),
        ({"cgst": "4.79", "sgst": "4.79"}, False),
        ({"dp": "14.75"}, False),
    ],
)
def test_stt_and_stamp_may_differ_by_a_rupee_a_contract_and_other_lines_by_two_paise(
    amounts: dict[str, str], agrees: bool
) -> None:
    charge = Charge(next(iter(amounts)))

    assert of(charge, Billed(rupees(**amounts), "note")).agrees is agrees


def test_a_broker_without_a_figure_for_ipft_may_have_it_in_the_transaction_charge() -> None:
    """Until February 2026 it was 50 rupees a crore."""

    old = charges(day_of(fill(SELL, 100_000, "10", OPTION), on=date(2026, 2, 2)), RATES)
    apart = Billed(rupees(transaction="350.30"), "note")
    together = Billed(rupees(transaction="355.30"), "note")
    neither = Billed(rupees(transaction="352.00"), "note")
    itemised = Billed(rupees(transaction="355.30", ipft="5.00"), "note")

    def agrees(billed: Billed) -> bool | None:
        return next(one.agrees for one in compare(old, billed) if Charge.TRANSACTION in one.charges)

    assert [agrees(billed) for billed in (apart, together, neither, itemised)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_charge_that_only_the_broker_has_is_found() -> None:
    billed = Billed({**NOTE.amounts, **rupees(dp="14.75")}, "ledger")

    assert of(Charge.DP, billed) == Comparison((Charge.DP,), Paise(0), Paise(14_75), Paise(2))


def test_gst_is_compared_as_one() -> None:
    assert of(Charge.IGST, NOTE).charges == GST


def test_profit_after_everything_takes_charges_and_the_cost_of_deciding_apart() -> None:
    result = net_result(Paise(500_00), COMPUTED, Paise(12_34))

    assert result.charges == Paise(91_58)
    assert result.after_charges == Paise(408_42)
    assert result.after_everything == Paise(396_08)


@pytest.mark.parametrize("bill", [ESTIMATED, COMPUTED, NOTE], ids=lambda bill: bill.state)
def test_a_profit_says_how_certain_its_charges_are(bill: Billed) -> None:
    assert net_result(Paise(0), bill, Paise(0)).state is bill.state
    assert set(BillState) == {"estimated", "computed", "billed"}


def test_one_lot_of_an_index_option_must_move_a_point_to_pay_for_itself() -> None:
    round_trip = charges(day_of(fill(BUY, 65, "120", OPTION), fill(SELL, 65, "121", OPTION)), RATES)

    assert net_result(Paise(65 * 1_00), round_trip, Paise(0)).after_charges == Paise(-80)
