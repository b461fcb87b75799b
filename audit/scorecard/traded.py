"""What decisions came to at the broker: fills matched first in, first out, and their charges. Pure.

A fill belongs to a decision by the name that its order was placed under. What closes a position,
such as a stop, names no decision: it closes the oldest lot that is open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import UUID

from audit.holdings import fills_by_holding
from executors.charges.book import estimated
from executors.charges.charges import estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Market, NoRate, Rates
from executors.orders.round_trips import RoundTrip, round_trips
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.messages import OrderIntent, Trade
from schemas.units import Paise, Price, Quantity

SAMPLE_RUPEES: Final = 100_000  # of one order, to say what a round trip costs


@dataclass(slots=True)
class DecisionResult:
    """What one decision came to, over all users.

    Attributes:
        gross: Paise that its closed lots earned.
        charges: Paise, estimated, by its share of the day's turnover; None where a rate is unknown.
        turnover: Paise bought and sold.
        open: Units that nothing closed, as far as recorded.
    """

    gross: int = 0
    charges: float | None = 0.0
    turnover: int = 0
    open: int = 0

    @property
    def net(self) -> float | None:
        """Paise after charges; None where they are unknown."""
        return None if self.charges is None else self.gross - self.charges


@dataclass(frozen=True, slots=True)
class Traded:
    """Of some days.

    Attributes:
        by_decision: Decisions that a fill belongs to.
        strangers: Fills that opened a position without a decision of ours, as from the phone.
    """

    by_decision: Mapping[UUID, DecisionResult] = field(default_factory=dict)
    strangers: int = 0

    @property
    def gross(self) -> Paise:
        """Of all decisions."""
        return Paise(sum(each.gross for each in self.by_decision.values()))

    @property
    def charges(self) -> Paise | None:
        """Of all decisions, to the nearest paisa; None where some are unknown."""
        known = [each.charges for each in self.by_decision.values()]
        return None if None in known else Paise(round(sum(filter(None, known))))

    @property
    def profit_factor(self) -> float | None:
        """Gains by losses after charges, decision by decision; None without a loss."""
        nets = [each.net for each in self.by_decision.values() if each.net is not None]
        losses = -sum(net for net in nets if net < 0)
        return sum(net for net in nets if net > 0) / losses if losses else None


def traded_of(trades: Iterable[Trade], intents: Iterable[OrderIntent], rates: Rates) -> Traded:
    """What the fills of `trades` came to; each once, in whatever order they come."""
    decisions: dict[str, tuple[UUID, Side]] = {
        each.dhan_correlation_id: (each.decision_id, each.side) for each in intents
    }
    results: dict[UUID, DecisionResult] = defaultdict(DecisionResult)
    strangers = set[UUID]()
    for holding, fills in fills_by_holding(trades).items():
        cost = estimated([trade.fill for trade in fills], holding.day, rates)
        whole = sum(trade.fill.quantity * trade.fill.price for trade in fills)
        for trip in round_trips(fills):
            named, side = decisions.get(trip.entry.dhan_correlation_id, (None, None))
            if named is None or side is not trip.side:
                strangers.add(trip.entry.id)
            else:
                _count(results[named], trip, cost, whole)
    return Traded(dict(results), len(strangers))


def _count(result: DecisionResult, trip: RoundTrip[Trade], cost: int | None, whole: int) -> None:
    """Add a trip; `cost` paise are the charges of a turnover of `whole`."""
    result.gross += trip.gross
    result.turnover += trip.turnover
    result.open += 0 if trip.exit else trip.quantity
    if cost is None or result.charges is None:
        result.charges = None
    else:
        result.charges += cost * trip.turnover / whole


def round_trip(day: date, rates: Rates) -> float | None:
    """Basis points that an intraday purchase and sale of one lakh rupees of a share costs on `day`.

    None where the day's rates are unknown.
    """
    share = Security(InstrumentId(Segment.NSE_EQ, 1), Market.CASH)
    price, units = Price(Paise.from_rupees(1_000)), Quantity(SAMPLE_RUPEES // 1_000)
    fills = tuple(Fill(side, share, side, "INTRADAY", units, price) for side in Side)
    try:
        bill = estimate(DayTrades(day, fills), rates)
    except (NoRate, Unreadable):
        return None
    return bill.total / (price * units) * 10_000
