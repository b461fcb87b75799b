"""The trades of one client's day, as its charges see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from executors.charges.rates import Charge, Exchange, Kind, Market
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import Price, Quantity

DHAN: Final = "dhan"
# Squared off before the session ends: a quantity still open in them will not be delivered.
SAME_DAY_PRODUCTS: Final = frozenset({"INTRADAY", "CO", "BO"})
_PLACES: Final = {
    Segment.NSE_EQ: (Exchange.NSE, frozenset({Market.CASH})),
    Segment.BSE_EQ: (Exchange.BSE, frozenset({Market.CASH})),
    Segment.NSE_FNO: (Exchange.NSE, frozenset({Market.FUTURES, Market.OPTIONS})),
    Segment.BSE_FNO: (Exchange.BSE, frozenset({Market.FUTURES, Market.OPTIONS})),
}


@dataclass(frozen=True, slots=True)
class Security:
    """A share, fund or contract, with what its charges depend on.

    Attributes:
        kind: Of the cash market only.
        group: The scrip's group at BSE, or what an option of BSE is on (SENSEX, BANKEX, SENSEX50,
            STOCK); empty is not known, and then there is no bill.
        isin: Delivery sales of one ISIN pay one DP charge a day; empty: the instrument's id counts.

    Raises:
        Unreadable: the segment has no such market, or we know no charges of it.
    """

    instrument: InstrumentId
    market: Market
    kind: Kind = Kind.SHARE
    group: str = ""
    isin: str = ""

    def __post_init__(self) -> None:
        markets = _PLACES[self.segment][1] if self.segment in _PLACES else frozenset()
        if self.market not in markets:
            raise Unreadable(
                f"{self.instrument} is not of the {self.market} market of NSE or BSE", "market"
            )

    @property
    def segment(self) -> Segment:
        """Dhan's word for exchange and market."""
        return self.instrument.segment

    @property
    def exchange(self) -> Exchange:
        """Where it is traded."""
        return _PLACES[self.segment][0]


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade at the exchange.

    Attributes:
        order: Dhan's number of the order; brokerage counts orders. Each slice is an order.
        product: As Dhan spells it: CNC, INTRADAY, MARGIN, MTF, …
        price: Per unit; of an option the premium.

    Raises:
        Unreadable: nothing was traded.
    """

    order: str
    security: Security
    side: Side
    product: str
    quantity: Quantity
    price: Price

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise Unreadable(f"order {self.order} traded nothing", "quantity")
        if self.price < 1:
            raise Unreadable(f"order {self.order} traded for nothing", "price")

    @property
    def value(self) -> int:
        """Price times quantity, in paise."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class DayTrades:
    """All fills of one client on one trading day, each once, in any order.

    Attributes:
        day: The trading day (India): its rates hold.
        plan: Whose brokerage.
        same_state: Broker and client are in one state, so GST comes in two halves.

    Raises:
        Unreadable: fills of one order, or of one instrument, contradict each other.
    """

    day: date
    fills: tuple[Fill, ...]
    plan: str = DHAN
    same_state: bool = False

    def __post_init__(self) -> None:
        orders: dict[str, Fill] = {}
        securities: dict[InstrumentId, Security] = {}
        for place, fill in enumerate(self.fills):
            first = orders.setdefault(fill.order, fill)
            if (fill.security, fill.side, fill.product) != (
                first.security,
                first.side,
                first.product,
            ):
                raise Unreadable(
                    f"order {fill.order} has fills of different instruments, sides or products",
                    f"fills.{place}",
                )
            instrument = fill.security.instrument
            if securities.setdefault(instrument, fill.security) != fill.security:
                raise Unreadable(f"{instrument} is described in two ways", f"fills.{place}")

    @property
    def gst(self) -> tuple[Charge, ...]:
        """The one tax, or its two halves."""
        return (Charge.CGST, Charge.SGST) if self.same_state else (Charge.IGST,)


@dataclass(frozen=True, slots=True)
class SecurityDay:
    """What one client bought and sold of one security on one day: units, and paise."""

    security: Security
    bought: int = 0
    sold: int = 0
    bought_value: int = 0
    sold_value: int = 0
    same_day_net: int = 0  # bought less sold in products that are squared off

    def plus(self, fill: Fill) -> SecurityDay:
        """With one more fill."""
        buys = fill.side is Side.BUY
        signed = fill.quantity if buys else -fill.quantity
        return SecurityDay(
            self.security,
            self.bought + (fill.quantity if buys else 0),
            self.sold + (0 if buys else fill.quantity),
            self.bought_value + (fill.value if buys else 0),
            self.sold_value + (0 if buys else fill.value),
            self.same_day_net + (signed if fill.product in SAME_DAY_PRODUCTS else 0),
        )

    @property
    def turnover(self) -> int:
        """Bought and sold, in paise."""
        return self.bought_value + self.sold_value

    @property
    def net(self) -> int:
        """Bought less sold."""
        return self.bought - self.sold

    def value(self, side: Side) -> int:
        """Bought or sold, in paise."""
        return self.bought_value if side is Side.BUY else self.sold_value


def by_security(fills: tuple[Fill, ...]) -> list[SecurityDay]:
    """The day of each security, in the order of their ids."""
    days: dict[InstrumentId, SecurityDay] = {}
    for fill in fills:
        before = days.get(fill.security.instrument, SecurityDay(fill.security))
        days[fill.security.instrument] = before.plus(fill)
    return [days[instrument] for instrument in sorted(days)]
