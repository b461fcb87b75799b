"""A package of others as a second opinion, where docs/facts/charges.md says that it is right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.charges.charges import estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import GST, Charge, Exchange, Kind, Market, shipped_rates
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Price, Quantity
from tests.executors.billing import NOW

others: Any = pytest.importorskip("indian_charges", reason="the lock of dev has grown: make lint")
DHAN: Final = others.BrokeragePlan(
    "dhan",
    "Dhan",
    # a share of the whole, so that the cap decides: flat
    percent={
        "delivery": Decimal(0),
        "intraday": Decimal("0.0003"),
        "futures": Decimal(1),
        "options": Decimal(0),
    },
    flat_cap={
        "delivery": Decimal(0),
        "intraday": Decimal(20),
        "futures": Decimal(20),
        "options": Decimal(20),
    },
    dp_charge_per_scrip=Decimal("14.75"),
)
PRODUCT: Final = {"delivery": "CNC", "intraday": "INTRADAY", "futures": "MARGIN"}
MARKET: Final = {"futures": Market.FUTURES, "options": Market.OPTIONS}
NAMES: Final = {
    "brokerage": (Charge.BROKERAGE,),
    "stt": (Charge.STT,),
    "exchange_txn": (Charge.TRANSACTION,),
    "sebi_fee": (Charge.SEBI,),
    "ipft": (Charge.IPFT,),
    "stamp_duty": (Charge.STAMP,),
    "gst": GST,
    "dp_charge": (Charge.DP,),
}
BSE_GROUPS: Final = ("A", "B", "T", "X", "XT", "Z", "P", "ZP", "M", "MT", "TS", "MS", "IF", "R")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["delivery", "intraday", "futures", "options"]),
    st.sampled_from(Exchange),
    st.sampled_from(Side),
    st.sampled_from(BSE_GROUPS),
    st.sampled_from(Kind),
    st.integers(1, 5_000).map(Quantity),
    st.integers(20_00, 9_999_95).map(Price),
)
def test_another_package_charges_the_same_for_one_order_before_rupees_are_rounded(  # noqa: PLR0917 (drawn)
    segment: str,
    exchange: Exchange,
    side: Side,
    group: str,
    kind: Kind,
    quantity: Quantity,
    price: Price,
) -> None:
    market = MARKET.get(segment, Market.CASH)
    cash = market is Market.CASH
    security = Security(
        InstrumentId.parse(f"{exchange}_{'EQ' if cash else 'FNO'}:1"),
        market,
        kind=kind if cash else Kind.SHARE,
        group="" if exchange is Exchange.NSE else group if cash else "SENSEX",
    )
    order = Fill("1", security, side, PRODUCT.get(segment, "MARGIN"), quantity, price)

    ours = estimate(DayTrades(NOW, (order,)), shipped_rates())
    theirs = others.leg(
        turnover=price.rupees() * quantity,
        side=side.lower(),
        segment=segment,
        exchange=str(exchange),
        broker=DHAN,
        dp_scrips=1,
        bse_group=group,
        fund={Kind.SHARE: "", Kind.EQUITY_FUND: "equity", Kind.OTHER_FUND: "other"}[kind]
        if cash
        else "",
    )

    # its investor protection fund of BSE's derivatives is confirmed by nobody
    unsure = {"ipft", "gst"} if exchange is Exchange.BSE and not cash else set()
    assert {
        name: ours.of(*charges).rupees() for name, charges in NAMES.items() if name not in unsure
    } == {name: getattr(theirs, name) for name in NAMES if name not in unsure}
