from __future__ import annotations

from datetime import date

import pytest

from executors.charges.book import estimated
from executors.charges.rates import shipped_rates
from schemas.ids import DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.messages import ObservedFill
from schemas.units import Paise, Price, Quantity, UtcNs

RATES = shipped_rates()
DAY = date(2026, 11, 27)
SHARE, CONTRACT = InstrumentId.parse("NSE_EQ:2885"), InstrumentId.parse("NSE_FNO:52175")


def a_fill(side: Side, quantity: int, rupees: int, instrument: InstrumentId) -> ObservedFill:
    return ObservedFill(
        trade_id=f"T{side}",
        dhan_order_id=DhanOrderId("112111182198"),
        instrument=instrument,
        side=side,
        product="INTRADAY",
        quantity=Quantity(quantity),
        price=Price(rupees * 100),
        traded_at=UtcNs(0),
    )


def both_ways(
    quantity: int, bought: int, sold: int, instrument: InstrumentId
) -> list[ObservedFill]:
    return [
        a_fill(Side.BUY, quantity, bought, instrument),
        a_fill(Side.SELL, quantity, sold, instrument),
    ]


def test_shares_bought_and_sold_on_one_day_cost_what_an_independent_repository_says() -> None:
    """A lakh both ways: example 9 of `../shared/reference/charges.md`, from a Dhan repository."""
    assert estimated(both_ways(100, 1000, 1000, SHARE), DAY, RATES) == Paise(82_68)


def test_nothing_traded_costs_nothing() -> None:
    assert estimated([], DAY, RATES) == Paise(0)


def test_a_future_and_an_option_cost_differently() -> None:
    fills = both_ways(65, 100, 101, CONTRACT)

    future, option = (estimated(fills, DAY, RATES, kind) for kind in ("FUTSTK", "OPTIDX"))

    assert future
    assert option
    assert future != option


@pytest.mark.parametrize(
    ("instrument", "kind", "day"),
    [
        pytest.param(CONTRACT, "", DAY, id="contract of an unknown kind"),
        pytest.param(InstrumentId.parse("MCX_COMM:5"), "FUTCOM", DAY, id="segment without charges"),
        pytest.param(SHARE, "EQUITY", date(1999, 1, 4), id="day without rates"),
    ],
)
def test_what_nobody_knows_the_cost_of_has_none(
    instrument: InstrumentId, kind: str, day: date
) -> None:
    assert estimated(both_ways(1, 100, 101, instrument), day, RATES, kind) is None
