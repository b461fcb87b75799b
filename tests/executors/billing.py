"""Short ways to say what was traded, for tests of charges."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Final

from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Charge, Kind, Market, parse
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise, Price, Quantity

BUY, SELL = Side.BUY, Side.SELL
NOW: Final = date(2026, 11, 27)
SHARE: Final = Security(InstrumentId.parse("NSE_EQ:2885"), Market.CASH, isin="INE002A01018")
OTHER_SHARE: Final = Security(InstrumentId.parse("NSE_EQ:1594"), Market.CASH, isin="INE009A01021")
FUTURE: Final = Security(InstrumentId.parse("NSE_FNO:53001"), Market.FUTURES)
OPTION: Final = Security(InstrumentId.parse("NSE_FNO:40001"), Market.OPTIONS)
OTHER_OPTION: Final = Security(InstrumentId.parse("NSE_FNO:40002"), Market.OPTIONS)
BSE_SHARE: Final = Security(
    InstrumentId.parse("BSE_EQ:500325"), Market.CASH, group="A", isin="INE002A01018"
)
SENSEX_OPTION: Final = Security(
    InstrumentId.parse("BSE_FNO:870001"), Market.OPTIONS, group="SENSEX"
)
INDEX_ETF: Final = Security(InstrumentId.parse("NSE_EQ:10576"), Market.CASH, Kind.EQUITY_FUND)
GOLD_ETF: Final = Security(InstrumentId.parse("NSE_EQ:14428"), Market.CASH, Kind.OTHER_FUND)

# A plan of June 2024, when each broker still passed on a transaction charge of its own, and one
# without brokerage.
OTHER_PLANS: Final = parse(
    """
    [[rate]]
    charge = "brokerage"
    plan = "zerodha"
    market = "futures"
    side = "both"
    base = "turnover"
    rate = "0.03"
    unit = "percent"
    cap = "20"
    rounded_per = "order"
    round_to = "0.01"
    valid_from = 2024-01-01
    source = "the broker's note"
    confidence = "A"

    [[rate]]
    charge = "transaction"
    plan = "zerodha"
    exchange = "NSE"
    market = "futures"
    side = "both"
    base = "turnover"
    rate = "188"
    unit = "per_crore"
    rounded_per = "segment"
    round_to = "0.01"
    valid_from = 2024-01-01
    valid_to = 2024-09-30
    source = "the broker's note"
    confidence = "A"

    [[rate]]
    charge = "brokerage"
    plan = "none"
    side = "both"
    base = "turnover"
    rate = "0"
    unit = "percent"
    rounded_per = "order"
    round_to = "0.01"
    valid_from = 2024-01-01
    source = "none"
    confidence = "A"
    """,
    "other plans",
)

_orders = count(1)


def fill(
    side: Side,
    quantity: int,
    rupees: str,
    security: Security = SHARE,
    *,
    product: str = "INTRADAY",
    order: str = "",
) -> Fill:
    """A fill, of an order of its own unless one is named."""
    return Fill(
        order or f"order-{next(_orders)}",
        security,
        side,
        product,
        Quantity(quantity),
        Price.from_rupees(rupees),
    )


def day_of(*fills: Fill, on: date = NOW, plan: str = "dhan", same_state: bool = False) -> DayTrades:
    """One client's day at Dhan."""
    return DayTrades(on, fills, plan, same_state)


def rupees(**amounts: str) -> dict[Charge, Paise]:
    """`rupees(stt="28.00")`."""
    return {Charge(name): Paise.from_rupees(amount) for name, amount in amounts.items()}
