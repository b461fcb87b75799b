"""Bills against real contract notes, brokers' calculators and worked examples.

Numbers of the examples are those of docs/facts/charges.md.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from executors.charges.bill import Computed, Estimated
from executors.charges.charges import charges, estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import FEES, GST, Basis, Charge, NoRate, shipped_rates
from schemas.errors import Unreadable
from schemas.units import Paise
from tests.executors.billing import (
    BSE_SHARE,
    BUY,
    FUTURE,
    GOLD_ETF,
    INDEX_ETF,
    OPTION,
    OTHER_OPTION,
    OTHER_PLANS,
    OTHER_SHARE,
    SELL,
    SENSEX_OPTION,
    SHARE,
    day_of,
    fill,
)

RATES = shipped_rates()
# The same note before rounding, in paise.
RAW = {
    Charge.STT: Fraction("2801.25"),
    Charge.TRANSACTION: Fraction("1298.617845"),
    Charge.SEBI: Fraction("3.655"),
    Charge.STAMP: Fraction("53.625"),
}
OLD = date(2025, 1, 15)  # after the transaction charge became one for all, before Budget 2026


def bill(*fills: Fill, on: date | None = None) -> Computed:
    return charges(day_of(*fills, on=on) if on else day_of(*fills), RATES)


def columns(computed: Computed | Estimated) -> list[str]:
    """Brokerage, STT, exchange with IPFT, SEBI, stamp duty, GST, and what the note adds up to."""
    one = computed.of
    note = one(*(charge for charge in Charge if charge.on_note))
    sums = (
        one(Charge.BROKERAGE),
        one(Charge.STT),
        one(Charge.TRANSACTION, Charge.IPFT),
        one(Charge.SEBI),
        one(Charge.STAMP),
        one(*GST),
        note,
    )
    return [f"{amount.rupees():.2f}" for amount in sums]


def test_a_real_contract_note_of_dhan_is_reproduced_line_by_line() -> None:
    note = bill(
        fill(SELL, 2075, "9.00", OPTION), fill(BUY, 650, "27.50", OTHER_OPTION), on=date(2026, 5, 8)
    )

    assert columns(note) == ["40.00", "28.00", "12.99", "0.04", "1.00", "9.55", "91.58"]
    assert note.total == note.note_total == Paise(91_58)


def test_the_raw_figures_behind_that_note_are_kept() -> None:
    lines = {
        line.charge: line.exact
        for line in bill(
            fill(SELL, 2075, "9.00", OPTION),
            fill(BUY, 650, "27.50", OTHER_OPTION),
            on=date(2026, 5, 8),
        ).lines
    }

    raw = {charge: lines[charge] for charge in RAW}
    assert raw == RAW


def test_a_real_note_of_another_broker_is_reproduced_with_its_own_plan() -> None:
    rates = RATES.with_rows(OTHER_PLANS.rows)
    sold = fill(SELL, 15, "48480.00", FUTURE)

    note = charges(day_of(sold, on=date(2024, 6, 20), plan="zerodha", same_state=True), rates)

    assert columns(note) == ["20.00", "91.00", "14.40", "0.73", "0.00", "6.32", "132.45"]
    assert (note.of(Charge.CGST), note.of(Charge.SGST)) == (Paise(3_16), Paise(3_16))


# A delivery bought and sold is two shares here, so that one note holds both sides.
@pytest.mark.parametrize(
    ("fills", "on", "want"),
    [
        pytest.param(
            (fill(BUY, 500, "1000"), fill(SELL, 500, "1000")),
            None,
            "40.00 125.00 30.70 1.00 15.00 12.91 224.61",
            id="3 intraday",
        ),
        pytest.param(
            (
                fill(BUY, 500, "1000", product="CNC"),
                fill(SELL, 500, "1000", OTHER_SHARE, product="CNC"),
            ),
            None,
            "0.00 1000.00 30.70 1.00 75.00 5.71 1112.41",
            id="4 delivery",
        ),
        pytest.param(
            (fill(BUY, 500, "1000", FUTURE), fill(SELL, 500, "1000", FUTURE)),
            OLD,
            "40.00 100.00 18.30 1.00 10.00 10.67 179.97",
            id="5 futures before Budget 2026",
        ),
        pytest.param(
            (fill(BUY, 500, "1000", FUTURE), fill(SELL, 500, "1000", FUTURE)),
            None,
            "40.00 250.00 18.30 1.00 10.00 10.67 329.97",
            id="5b futures",
        ),
        pytest.param(
            (fill(BUY, 500, "1000", OPTION), fill(SELL, 500, "1000", OPTION)),
            OLD,
            "40.00 500.00 355.30 1.00 15.00 71.33 982.63",
            id="6 options before Budget 2026",
        ),
        pytest.param(
            (fill(BUY, 500, "1000", OPTION), fill(SELL, 500, "1000", OPTION)),
            None,
            "40.00 750.00 355.30 1.00 15.00 71.33 1232.63",
            id="6b options",
        ),
        pytest.param(
            (
                fill(BUY, 5000, "1000", product="CNC"),
                fill(SELL, 5000, "1000", OTHER_SHARE, product="CNC"),
            ),
            None,
            "0.00 10000.00 307.00 10.00 750.00 57.06 11124.06",
            id="7 delivery, as OpenAlgo works it out",
        ),
        pytest.param(
            (fill(BUY, 100, "1500"), fill(SELL, 100, "1510")),
            None,
            "40.00 38.00 9.24 0.30 5.00 8.92 101.46",
            id="8 intraday at NSE",
        ),
        pytest.param(
            (fill(BUY, 100, "1500", BSE_SHARE), fill(SELL, 100, "1510", BSE_SHARE)),
            None,
            "40.00 38.00 11.29 0.30 5.00 9.29 103.88",
            id="8 intraday at BSE",
        ),
        pytest.param(
            (fill(BUY, 100, "1000", product="CNC"),),
            None,
            "0.00 100.00 3.07 0.10 15.00 0.57 118.74",
            id="9 delivery bought",
        ),
        pytest.param(
            (fill(BUY, 100, "1000"), fill(SELL, 100, "1000")),
            None,
            "40.00 25.00 6.14 0.20 3.00 8.34 82.68",
            id="9 intraday",
        ),
        pytest.param(
            (fill(BUY, 75, "25000", FUTURE), fill(SELL, 75, "25000", FUTURE)),
            None,
            "40.00 938.00 68.62 3.75 38.00 20.23 1108.60",
            id="11 with Dhan's charges",
        ),
        pytest.param(
            (fill(BUY, 65, "25000", FUTURE), fill(SELL, 65, "25100", FUTURE)),
            None,
            "40.00 816.00 59.59 3.26 33.00 18.51 970.36",
            id="16 index future",
        ),
        pytest.param(
            (fill(BUY, 65, "120", OPTION), fill(SELL, 65, "121", OPTION)),
            None,
            "40.00 12.00 5.57 0.02 0.00 8.21 65.80",
            id="17 index option",
        ),
        pytest.param(
            (fill(BUY, 20, "300", SENSEX_OPTION), fill(SELL, 20, "330", SENSEX_OPTION)),
            None,
            "40.00 10.00 4.10 0.01 0.00 7.94 62.05",
            id="18 option at BSE",
        ),
        pytest.param(
            (fill(BUY, 100, "2450", product="CNC"),),
            None,
            "0.00 245.00 7.52 0.25 37.00 1.40 291.17",
            id="19 delivery bought",
        ),
    ],
)
def test_worked_examples_come_out_to_the_paisa(
    fills: tuple[Fill, ...], on: date | None, want: str
) -> None:
    assert columns(bill(*fills, on=on)) == want.split()


def test_a_delivery_held_overnight_is_two_notes_and_one_debit_in_the_ledger() -> None:
    bought = bill(fill(BUY, 100, "1000", product="CNC"), on=date(2026, 11, 26))
    sold = bill(fill(SELL, 100, "1000", product="CNC"))

    assert bought.note_total + sold.note_total == Paise(222_48)
    assert bought.total + sold.total == Paise(237_23)
    assert sold.of(Charge.DP) == Paise(14_75)


@pytest.mark.parametrize(
    ("security", "bought", "sold", "want"),
    [
        (OPTION, "25", "35", "17.50 10.66 0.03 0.38 1.92 30.49"),
        (FUTURE, "1420", "1450", "145.00 26.26 1.44 14.20 4.99 191.88"),
    ],
    ids=["option", "future"],
)
def test_a_client_of_may_2025_was_charged_the_rates_of_that_day(
    security: Security, bought: str, sold: str, want: str
) -> None:
    """Without brokerage, and before rupees were rounded: an estimate."""
    day = day_of(
        fill(BUY, 500, bought, security),
        fill(SELL, 500, sold, security),
        on=date(2025, 5, 20),
        plan="none",
    )

    told = estimate(day, RATES.with_rows(OTHER_PLANS.rows))

    assert columns(told)[1:] == want.split()


def test_an_estimate_is_not_rounded_as_no_order_estimate_is() -> None:
    """Kite's virtual note of one INFY at 1,500, sold from the demat account, before March 2026."""
    told = estimate(day_of(fill(SELL, 1, "1500", product="CNC"), on=date(2025, 6, 2)), RATES)

    note = sum(float(line.exact) for line in told.lines if line.charge is not Charge.DP)
    assert note / 100 == pytest.approx(1.556109, abs=1e-9)


@pytest.mark.parametrize(
    ("fills", "delivery", "intraday"),
    [
        pytest.param((fill(BUY, 500, "100"), fill(SELL, 500, "105")), None, "13", id="all netted"),
        pytest.param(
            (fill(BUY, 500, "100"), fill(BUY, 200, "110"), fill(SELL, 500, "105")),
            "21",
            "13",
            id="200 delivered",
        ),
        pytest.param((fill(BUY, 500, "100", product="CNC"),), "50", None, id="bought"),
        pytest.param((fill(SELL, 500, "105", product="CNC"),), "53", None, id="sold"),
        pytest.param(
            (fill(BUY, 1000, "100"), fill(SELL, 1000, "130")), None, "29", id="mean, not sales"
        ),
        pytest.param(
            (fill(SELL, 1000, "130"), fill(BUY, 1000, "100")), None, "29", id="first sold"
        ),
        pytest.param(
            (fill(BUY, 108_000, "10.00"), fill(BUY, 92_000, "10.01")),
            "2000",
            None,
            id="a mean of 10.0046 is 10.00",
        ),
    ],
)
def test_stt_goes_by_the_days_net_quantity_and_mean_price(
    fills: tuple[Fill, ...], delivery: str | None, intraday: str | None
) -> None:
    taxed = {line.basis: line.amount for line in bill(*fills).lines if line.charge is Charge.STT}

    want = {Basis.DELIVERY: delivery, Basis.INTRADAY: intraday}
    assert taxed == {
        basis: Paise.from_rupees(amount) for basis, amount in want.items() if amount is not None
    }


def test_a_delivery_product_sold_the_same_day_is_taxed_as_intraday_but_pays_no_brokerage() -> None:
    both = (
        fill(BUY, 100, "1500", product="CNC"),
        fill(SELL, 100, "1510", product="CNC"),
    )

    netted = bill(*both)

    assert {line.basis for line in netted.lines if line.charge is Charge.STT} == {Basis.INTRADAY}
    assert (netted.of(Charge.BROKERAGE), netted.of(Charge.DP)) == (Paise(0), Paise(0))
    assert netted.of(Charge.STAMP) == Paise(5_00)


def test_a_margin_trade_held_overnight_pays_delivery_tax_on_each_day_and_intraday_brokerage() -> (
    None
):
    bought = bill(fill(BUY, 100, "1322.70", product="MTF"), on=date(2026, 11, 16))
    sold = bill(fill(SELL, 100, "1454.97", product="MTF"))

    assert (bought.of(Charge.STT), sold.of(Charge.STT)) == (Paise(132_00), Paise(145_00))
    assert bought.of(Charge.BROKERAGE) + sold.of(Charge.BROKERAGE) == Paise(40_00)


def test_purchases_at_one_exchange_do_not_net_with_sales_at_the_other() -> None:
    day = bill(
        fill(BUY, 100, "1500", product="CNC"), fill(SELL, 100, "1500", BSE_SHARE, product="CNC")
    )

    assert {line.basis for line in day.lines if line.charge is Charge.STT} == {Basis.DELIVERY}
    assert day.of(Charge.STT) == Paise(300_00)


def test_an_isin_sold_at_both_exchanges_leaves_the_demat_account_once() -> None:
    day = bill(
        fill(SELL, 10, "1500", product="CNC"), fill(SELL, 10, "1500", BSE_SHARE, product="CNC")
    )

    assert day.of(Charge.DP) == Paise(14_75)


def test_two_shares_sold_from_the_demat_account_pay_twice() -> None:
    day = bill(
        fill(SELL, 10, "1500", product="CNC"), fill(SELL, 10, "1500", OTHER_SHARE, product="CNC")
    )

    assert day.of(Charge.DP) == Paise(29_50)


def test_the_dp_charge_is_the_same_where_gst_comes_in_halves() -> None:
    day = day_of(fill(SELL, 10, "1500", product="CNC"), same_state=True)

    assert charges(day, RATES).of(Charge.DP) == Paise(14_75)


@pytest.mark.parametrize(
    ("security", "delivery", "intraday"),
    [(INDEX_ETF, "2.00", "50.00"), (GOLD_ETF, "0.00", "0.00")],
    ids=["equity", "gold"],
)
def test_units_of_funds_have_tax_rates_of_their_own(
    security: Security, delivery: str, intraday: str
) -> None:
    held = bill(fill(SELL, 1000, "200", security, product="CNC"))
    turned = bill(fill(BUY, 1000, "200", security), fill(SELL, 1000, "200", security))
    bought = bill(fill(BUY, 1000, "200", security, product="CNC"))

    assert held.of(Charge.STT) == Paise.from_rupees(delivery)
    assert turned.of(Charge.STT) == Paise.from_rupees(intraday)
    assert bought.of(Charge.STT) == Paise(0)


@pytest.mark.parametrize(
    ("group", "want"),
    [("A", "7.50"), ("T", "7.50"), ("X", "200.00"), ("ZP", "2000.00"), ("MT", "5.50")],
)
def test_the_transaction_charge_of_bse_depends_on_the_scrips_group(group: str, want: str) -> None:
    security = Security(BSE_SHARE.instrument, BSE_SHARE.market, group=group)

    sold = bill(fill(BUY, 1000, "100", security), fill(SELL, 1000, "100", security))

    assert sold.of(Charge.TRANSACTION) == Paise.from_rupees(want)


@pytest.mark.parametrize("group", ["", "QQ"])
def test_a_share_of_bse_whose_group_is_not_known_has_no_bill(group: str) -> None:
    security = Security(BSE_SHARE.instrument, BSE_SHARE.market, group=group)

    with pytest.raises(NoRate, match=r"transaction.*group.*A, B"):
        bill(fill(BUY, 1, "100", security))


def test_each_market_has_a_column_of_its_own_on_the_note() -> None:
    day = bill(fill(BUY, 10, "100"), fill(BUY, 65, "120", OPTION), fill(BUY, 10, "1", BSE_SHARE))

    columns = {
        (line.exchange, line.market) for line in day.lines if line.charge is Charge.TRANSACTION
    }
    assert len(columns) == len([one for one in day.lines if one.charge is Charge.SEBI]) == 3


def test_gst_is_taken_of_the_lines_as_the_note_shows_them() -> None:
    day = bill(fill(SELL, 2075, "9.00", OPTION), fill(BUY, 650, "27.50", OTHER_OPTION))

    assert day.of(*FEES) == Paise(53_03)
    assert day.of(Charge.IGST) == Paise(9_55)


def test_a_day_without_trades_costs_nothing() -> None:
    assert bill().lines == ()
    assert bill().total == Paise(0)


def test_an_estimate_takes_what_is_open_in_an_intraday_product_as_intraday() -> None:
    open_short = estimate(day_of(fill(SELL, 100, "1500")), RATES)
    open_long = estimate(day_of(fill(BUY, 100, "1500")), RATES)

    assert (open_short.of(Charge.STT), open_short.of(Charge.DP)) == (Paise(37_50), Paise(0))
    assert (open_long.of(Charge.STT), open_long.of(Charge.STAMP)) == (Paise(0), Paise(4_50))


def test_at_the_days_end_what_stayed_open_was_delivered_whatever_its_product() -> None:
    left = bill(fill(BUY, 100, "1500"))

    assert left.of(Charge.STT) == Paise(150_00)


def test_an_estimate_expects_an_intraday_short_to_be_bought_back_not_to_take_from_a_delivery() -> (
    None
):
    day = day_of(fill(BUY, 100, "1500", product="CNC"), fill(SELL, 100, "1500"))

    assert {
        line.basis: line.amount for line in estimate(day, RATES).lines if line.charge is Charge.STT
    } == {Basis.DELIVERY: Paise(150_00), Basis.INTRADAY: Paise(37_50)}


def test_fills_of_one_order_must_agree() -> None:
    with pytest.raises(Unreadable, match=r"fills\.1: order 7 has fills of different"):
        DayTrades(OLD, (fill(BUY, 1, "1", order="7"), fill(SELL, 1, "1", order="7")))


def test_one_instrument_has_one_description() -> None:
    nameless = Security(SHARE.instrument, SHARE.market)

    with pytest.raises(Unreadable, match=r"fills\.1: NSE_EQ:2885 is described in two ways"):
        day_of(fill(BUY, 1, "1"), fill(BUY, 1, "1", nameless))


@pytest.mark.parametrize("words", [("NSE_EQ:1", "futures"), ("MCX_COMM:1", "futures")])
def test_a_market_whose_charges_are_not_known_is_refused(words: tuple[str, str]) -> None:
    instrument, market = words

    with pytest.raises(Unreadable, match=f"market: {instrument} is not of the {market} market"):
        Security(SHARE.instrument.parse(instrument), FUTURE.market)


def test_an_unknown_product_has_no_brokerage() -> None:
    with pytest.raises(NoRate, match=r"brokerage .*product SPECIAL"):
        bill(fill(BUY, 1, "100", product="SPECIAL"))
