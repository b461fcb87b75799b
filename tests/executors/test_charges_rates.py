"""Dated rates: what a file may say, which row holds on which day, and where they end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from executors.charges.rates import (
    MAX_TEXT,
    Basis,
    Charge,
    Exchange,
    Market,
    NoRate,
    Traded,
    parse,
    shipped_rates,
)
from schemas.errors import Misconfigured

RATES = shipped_rates()
NSE_CASH = Traded(Exchange.NSE, Market.CASH, "dhan")
NSE_FUTURES = Traded(Exchange.NSE, Market.FUTURES, "dhan")
NSE_OPTIONS = Traded(Exchange.NSE, Market.OPTIONS, "dhan")
ROW = """
[[rate]]
charge = "brokerage"
plan = "own"
market = "cash"
products = ["CNC"]
side = "both"
base = "turnover"
rate = "0.03"
unit = "percent"
cap = "20"
rounded_per = "order"
round_to = "0.01"
valid_from = 2026-01-01
valid_to = 2026-03-31
source = "the broker's page"
confidence = "B"
"""


@pytest.mark.parametrize(
    ("charge", "traded", "day", "want"),
    [
        (Charge.TRANSACTION, NSE_CASH, date(2024, 10, 1), "297"),
        (Charge.TRANSACTION, NSE_CASH, date(2026, 2, 28), "297"),
        (Charge.TRANSACTION, NSE_CASH, date(2026, 3, 1), "306.99"),
        (Charge.TRANSACTION, NSE_FUTURES, date(2026, 2, 28), "173"),
        (Charge.TRANSACTION, NSE_FUTURES, date(2026, 3, 1), "182.99"),
        (Charge.TRANSACTION, NSE_OPTIONS, date(2026, 2, 28), "3503"),
        (Charge.TRANSACTION, NSE_OPTIONS, date(2026, 3, 1), "3552.99"),
        (Charge.IPFT, NSE_OPTIONS, date(2026, 2, 28), "50"),
        (Charge.IPFT, NSE_OPTIONS, date(2026, 3, 1), "0.01"),
        (Charge.STT, NSE_FUTURES, date(2024, 9, 30), "0.0125"),
        (Charge.STT, NSE_FUTURES, date(2024, 10, 1), "0.02"),
        (Charge.STT, NSE_FUTURES, date(2026, 3, 31), "0.02"),
        (Charge.STT, NSE_FUTURES, date(2026, 4, 1), "0.05"),
        (Charge.STT, NSE_OPTIONS, date(2024, 9, 30), "0.0625"),
        (Charge.STT, NSE_OPTIONS, date(2024, 10, 1), "0.1"),
        (Charge.STT, NSE_OPTIONS, date(2026, 3, 31), "0.1"),
        (Charge.STT, NSE_OPTIONS, date(2026, 4, 1), "0.15"),
    ],
)
def test_a_rate_holds_from_its_first_day_to_its_last(
    charge: Charge, traded: Traded, day: date, want: str
) -> None:
    assert RATES.find(charge, day, traded).rate == Decimal(want)


@pytest.mark.parametrize("traded", [NSE_CASH, NSE_FUTURES, NSE_OPTIONS], ids=str)
def test_nse_billed_the_same_in_all_before_and_after_its_reshuffle_of_2026(traded: Traded) -> None:
    before, after = (
        sum(RATES.find(charge, day, traded).rate for charge in (Charge.TRANSACTION, Charge.IPFT))
        for day in (date(2026, 2, 28), date(2026, 3, 1))
    )

    assert before == after


@pytest.mark.parametrize(
    ("charge", "traded", "day"),
    [
        (Charge.TRANSACTION, NSE_CASH, date(2024, 9, 30)),
        (Charge.IPFT, NSE_CASH, date(2023, 3, 31)),
        (Charge.SEBI, NSE_CASH, date(2023, 3, 31)),
        (Charge.STT, NSE_OPTIONS, date(2023, 3, 31)),
        (Charge.STAMP, NSE_OPTIONS, date(2020, 6, 30)),
        (Charge.IGST, NSE_CASH, date(2017, 6, 30)),
        (Charge.BROKERAGE, NSE_OPTIONS, date(2023, 12, 31)),
        (Charge.DP, NSE_CASH, date(2023, 12, 31)),
    ],
)
def test_a_day_outside_all_dates_fails_and_names_charge_and_day(
    charge: Charge, traded: Traded, day: date
) -> None:
    with pytest.raises(NoRate, match=rf"no rate for {charge} .* on {day}: rates are known for 20"):
        RATES.find(charge, day, traded)


def test_the_last_day_of_a_row_is_an_end_too() -> None:
    with pytest.raises(
        NoRate, match=r"on 2026-04-01: rates are known for 2026-01-01 to 2026-03-31"
    ):
        parse(ROW, "own").find(
            Charge.BROKERAGE,
            date(2026, 4, 1),
            Traded(Exchange.NSE, Market.CASH, "own", product="CNC"),
        )


def test_a_plan_that_nobody_wrote_down_has_no_brokerage() -> None:
    with pytest.raises(NoRate, match=r"brokerage .*plan other.*add a row to rates\.toml"):
        RATES.find(
            Charge.BROKERAGE, date(2026, 11, 27), Traded(Exchange.NSE, Market.OPTIONS, "other")
        )


def test_a_plans_own_row_goes_before_the_common_one() -> None:
    own = ROW.replace('"brokerage"', '"transaction"').replace('cap = "20"\n', "")
    own = own.replace('"order"', '"segment"').replace('products = ["CNC"]\n', "")
    rates = RATES.with_rows(parse(own, "own").rows)
    day = date(2026, 1, 2)

    assert rates.find(Charge.TRANSACTION, day, NSE_CASH).rate == 297
    assert rates.find(
        Charge.TRANSACTION, day, Traded(Exchange.NSE, Market.CASH, "own")
    ).rate == Decimal("0.03")


def test_every_row_that_ships_says_where_it_is_from_and_how_sure_it_is() -> None:
    assert all(row.source and row.confidence in "ABC" for row in RATES.rows)


@pytest.mark.parametrize("exchange", Exchange)
@pytest.mark.parametrize("market", Market)
def test_what_ships_covers_every_market_of_the_present(exchange: Exchange, market: Market) -> None:
    group = "" if exchange is Exchange.NSE else {Market.OPTIONS: "SENSEX"}.get(market, "A")
    for basis in Basis if market is Market.CASH else (None,):
        traded = Traded(exchange, market, "dhan", group=group, product="INTRADAY", basis=basis)
        for charge in set(Charge) - ({Charge.DP} if market is not Market.CASH else set()):
            assert RATES.find(charge, date(2026, 11, 29), traded).covers(date(2026, 11, 29))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('rate = "0.03"', "rate = 0.03", r"rate\.0\.rate: write an exact number between quotes"),
        ('rate = "0.03"', 'rate = "-1"', r"rate\.0\.rate: write an exact number"),
        ('rate = "0.03"', 'rate = "1e3"', r"rate\.0\.rate: write an exact number"),
        ('rate = "0.03"', 'rate = "0.0000000001"', r"rate\.0\.rate: write an exact number"),
        ('rate = "0.03"', 'rate = "101"', r"rate\.0\.rate: is above 100 percent"),
        ('cap = "20"', 'cap = "many"', r"rate\.0\.cap: write an exact number"),
        ('"brokerage"', '"tips"', r"rate\.0\.charge: .*got 'tips'"),
        ('"brokerage"', '"sebi"', r"rate\.0\.rounded_per: sebi is rounded per segment"),
        ('base = "turnover"', 'base = "fees"', r"rate\.0\.base: brokerage is taken of turnover"),
        ('base = "turnover"', 'base = "order"', r"rate\.0\.unit: rupees are for each order"),
        ('round_to = "0.01"', 'round_to = "0.05"', r"rate\.0\.round_to: write"),
        ("2026-03-31", "2025-12-31", r"rate\.0\.valid_to: is before valid_from"),
        ("valid_from = 2026-01-01", 'valid_from = "soon"', r"rate\.0\.valid_from: "),
        ('source = "the broker\'s page"', 'source = ""', r"rate\.0\.source: "),
        ('confidence = "B"', 'confidence = "D"', r"rate\.0\.confidence: "),
        ('"CNC"', '"CNC, MTF"', r"rate\.0\.products\.\S+: "),
        ("[[rate]]", '[[rate]]\ntypo = "x"', r"rate\.0\.typo: Extra inputs are not permitted"),
        ("[[rate]]", "[[rates]]", r"own: rate: Field required"),
        ("[[rate]]", "[[rate", r"own is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_its_field(old: str, new: str, says: str) -> None:
    assert old in ROW

    with pytest.raises(Misconfigured, match=says):
        parse(ROW.replace(old, new), "own")


def test_two_rows_for_one_trade_are_refused() -> None:
    later = ROW.replace("valid_to = 2026-03-31\n", "").replace("2026-01-01", "2026-03-31")

    with pytest.raises(
        Misconfigured, match=r"rate\.0 and rate\.1 hold for the same brokerage on the same day"
    ):
        parse(ROW + later, "own")


def test_rows_that_follow_each_other_are_not_two_for_one_trade() -> None:
    later = ROW.replace("valid_to = 2026-03-31\n", "").replace("2026-01-01", "2026-04-01")

    assert len(parse(ROW + later, "own").rows) == 2


def test_a_file_without_end_is_not_read() -> None:
    with pytest.raises(Misconfigured, match="more than"):
        parse(ROW + "#" * MAX_TEXT, "own")
