"""`ats charges`: a bill on the terminal, and every mistake in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from io import StringIO

import pytest
from rich.console import Console

from ats.commands.charges import ChargesOptions, show
from schemas.errors import Misconfigured

INTRADAY = ChargesOptions(
    buy=("100@1500",),
    sell=("100@1510",),
    segment="NSE_EQ",
    market="",
    product="INTRADAY",
    kind="share",
    group="",
    plan="dhan",
    day=date(2026, 11, 27),
)
OPTION = replace(INTRADAY, buy=("65@120",), sell=("65@121",), segment="NSE_FNO", market="options")


def printed(options: ChargesOptions) -> str:
    out = StringIO()
    show(Console(file=out, width=120), options)
    return out.getvalue()


def rows(text: str) -> dict[str, str]:
    cells = (line.strip("│ ").split("│") for line in text.splitlines() if line.startswith("│"))
    return {name.strip(): amount.strip() for name, amount in cells}


def test_every_line_of_the_bill_is_printed_with_its_total() -> None:
    assert rows(printed(INTRADAY)) == {
        "brokerage": "40.00",
        "securities transaction tax (STT)": "38.00",
        "exchange's transaction charge": "9.24",
        "investor protection fund (IPFT)": "0.00",
        "SEBI fee": "0.30",
        "stamp duty": "5.00",
        "GST": "8.92",
        "total": "101.46",
    }


def test_what_is_left_of_the_profit_is_said_and_how_far_the_price_must_move() -> None:
    assert "earned ₹65.00, after charges ₹-0.80" in printed(OPTION)
    assert "must move by ₹1.02" in printed(OPTION)


def test_each_buy_is_an_order_with_brokerage_of_its_own() -> None:
    sliced = printed(replace(OPTION, buy=("30@120", "35@120")))

    assert rows(sliced)["brokerage"] == "60.00"


def test_what_stayed_open_has_no_result_yet() -> None:
    text = printed(replace(INTRADAY, product="CNC", buy=("300@1500",)))

    assert "200 were not closed again that day" in text
    assert "earned" not in text


def test_a_share_of_bse_is_billed_by_its_group() -> None:
    assert rows(printed(replace(INTRADAY, segment="bse_eq", group="a")))["total"] == "103.88"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"buy": (), "sell": ()}, "nothing was traded: give --buy or --sell"),
        ({"buy": ("100",)}, "--buy '100' is not usable: give quantity@price"),
        ({"sell": ("0@100",)}, "--sell '0@100' is not usable"),
        ({"sell": ("1@0.00",)}, "--sell '1@0.00' is not usable"),
        ({"sell": ("1@1.005",)}, "--sell '1@1.005' is not usable"),
        ({"sell": ("-1@1",)}, "--sell '-1@1' is not usable"),
        ({"segment": "NYSE"}, "--segment 'NYSE' is not usable: give one of IDX_I, NSE_EQ"),
        ({"segment": "NSE_FNO"}, "NSE_FNO has two markets: give --market futures or options"),
        ({"market": "bonds"}, "--market 'bonds' is not usable: give one of cash, futures"),
        ({"market": "futures"}, "NSE_EQ:0 is not of the futures market"),
        ({"segment": "MCX_COMM", "market": "futures"}, "MCX_COMM:0 is not of the futures market"),
        ({"kind": "coin"}, "--kind 'coin' is not usable: give one of share"),
        ({"segment": "BSE_EQ"}, "it depends on the security's group"),
        ({"plan": "other"}, "no rate for brokerage"),
        ({"product": "SPECIAL"}, "no rate for brokerage"),
        ({"day": date(2024, 9, 30)}, "no rate for transaction"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(change: dict[str, object], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        printed(replace(INTRADAY, **change))  # type: ignore[arg-type]  # one field each

    assert says in str(caught.value)
