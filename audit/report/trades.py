"""The trades of a day: what each entry order bought or sold, and what ended it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from audit.ending import Purpose, purpose_of
from audit.holdings import Holding, fills_by_holding
from audit.report.record import DayRecord
from audit.story import Recorded, Story, Subject, told
from executors.charges.book import billed, estimated
from executors.charges.rates import Rates
from executors.orders.round_trips import RoundTrip, round_trips
from schemas.ids import InstrumentId, OrderId, UserId
from schemas.market import Side
from schemas.messages import (
    Decision,
    Execution,
    ExitOrder,
    Message,
    OrderEvent,
    OrderIntent,
    Signal,
    Trade,
)
from schemas.units import UtcNs

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class TradedPosition:
    """What one entry order opened, and how it ended.

    Attributes:
        quantity: Units that it entered.
        entry, exit: Paise, averages over its fills; no exit while all is held.
        held: Units that nothing closed.
        gross: Paise that its closed units earned, before charges.
        charges: Paise, by its share of the day's turnover in the instrument; None where a rate is
            unknown.
        order: None of one that no decision here made, as from the phone.
        because, left_because: Why it was entered, and what ended it.
        slippage: Basis points that the entry was worse than the decision's price; below zero
            better.
    """

    user: UserId
    instrument: InstrumentId
    symbol: str
    side: Side
    quantity: int
    entered_at: UtcNs
    entry: float
    left_at: UtcNs | None
    exit: float | None
    held: int
    gross: int
    charges: float | None
    order: OrderId | None = None
    decision: UUID | None = None
    rule: str = ""
    because: str = ""
    left_because: str = ""
    slippage: float | None = None

    @property
    def net(self) -> float | None:
        """Paise after charges; None where they are unknown."""
        return None if self.charges is None else self.gross - self.charges


def positions_of(record: DayRecord, rates: Rates) -> list[TradedPosition]:
    """Every entry order that traded, by when it did."""
    book = _Known.of(record)
    holdings = fills_by_holding(record.of(Trade))
    charges = _charges(holdings, rates)
    found = [
        position
        for holding, fills in holdings.items()
        for position in book.positions(holding, fills, charges[holding])
    ]
    return sorted(found, key=lambda each: (each.entered_at, each.symbol, str(each.user)))


def _charges(
    holdings: Mapping[Holding, Sequence[Trade]], rates: Rates
) -> Mapping[Holding, float | None]:
    """Paise of each holding: together what the day's bill of the user comes to.

    A bill rounds once, so the bills of single instruments come to a little more or less.
    """
    alone = {
        holding: estimated([each.fill for each in fills], holding.day, rates)
        for holding, fills in holdings.items()
    }
    by_user: dict[UserId, list[Holding]] = defaultdict(list)
    for holding in holdings:
        by_user[holding.user].append(holding)
    found = dict[Holding, float | None]()
    for own in by_user.values():
        fills = [each.fill for holding in own for each in holdings[holding]]
        bill = billed(fills, own[0].day, rates)
        whole = sum(alone[holding] or 0 for holding in own)
        scale = bill / whole if bill is not None and whole else 1.0
        for holding in own:
            cost = alone[holding]
            found[holding] = None if cost is None else cost * scale
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known beside the fills."""

    symbols: Mapping[InstrumentId, str]
    intents: Mapping[str, OrderIntent]
    decisions: Mapping[UUID, Decision]
    rules: Mapping[UUID, str]
    records: Mapping[tuple[UserId, InstrumentId], list[Recorded]]
    decided: list[Recorded]

    @classmethod
    def of(cls, record: DayRecord) -> _Known:
        intents, decisions = record.of(OrderIntent), record.of(Decision)
        records: dict[tuple[UserId, InstrumentId], list[Recorded]] = defaultdict(list)
        for each in record.records:
            if place := _place(each.message):
                records[place].append(each)
        return cls(
            {each.instrument: each.symbol for each in decisions}
            | {each.instrument: each.symbol for each in intents},
            {each.dhan_correlation_id: each for each in intents},
            {each.id: each for each in decisions},
            {each.id: each.rule for each in record.of(Signal)},
            records,
            [each for each in record.records if isinstance(each.message, Decision)],
        )

    def positions(
        self, holding: Holding, fills: list[Trade], cost: float | None
    ) -> Iterator[TradedPosition]:
        """One for each entry order; `cost` are the charges of all `fills`."""
        whole = sum(each.fill.quantity * each.fill.price for each in fills)
        by_order: dict[tuple[str, Side], list[RoundTrip[Trade]]] = defaultdict(list)
        for trip in round_trips(fills):
            by_order[trip.entry.fill.dhan_order_id, trip.side].append(trip)
        story = self._story(holding)
        for trips in by_order.values():
            charges = None
            if cost is not None:
                charges = cost * sum(trip.turnover for trip in trips) / whole
            yield self._position(holding, trips, charges, story)

    def _story(self, holding: Holding) -> Story:
        records = self.records[holding.user, holding.instrument]
        decisions = frozenset(
            each.message.decision_id for each in records if isinstance(each.message, OrderIntent)
        )
        decided = [each for each in self.decided if each.message.id in decisions]
        subject = Subject(
            decisions=decisions,
            user=holding.user,
            instrument=holding.instrument,
            day=holding.day,
        )
        return told(subject, [*records, *decided])

    def _position(
        self, holding: Holding, trips: list[RoundTrip[Trade]], charges: float | None, story: Story
    ) -> TradedPosition:
        entry = trips[0].entry
        side = trips[0].side
        intent = self.intents.get(entry.dhan_correlation_id)
        if intent is not None and intent.side is not side:
            intent = None  # a leg of a super order has its name
        decision = self.decisions.get(intent.decision_id) if intent else None
        price, quantity = _average((trip.entry, trip.quantity) for trip in trips)
        closed = [(trip.exit, trip.quantity) for trip in trips if trip.exit]
        exit_, units = _average(closed) if closed else (None, 0)
        return TradedPosition(
            user=holding.user,
            instrument=holding.instrument,
            symbol=self.symbols.get(holding.instrument, str(holding.instrument)),
            side=side,
            quantity=quantity,
            entered_at=traded_at(entry),
            entry=price,
            left_at=max((traded_at(each) for each, _ in closed), default=None),
            exit=exit_,
            held=quantity - units,
            gross=sum(trip.gross for trip in trips),
            charges=charges,
            order=intent.id if intent else None,
            decision=decision.id if decision else None,
            rule=self.rules.get(decision.signal_id, "") if decision else "",
            because=decision.reasoning if decision else "",
            left_because="; ".join(dict.fromkeys(_left(each, story) for each, _ in closed)),
            slippage=_slippage(price, side, decision),
        )


def charges_of(positions: Iterable[TradedPosition]) -> float | None:
    """Paise together; None where one is unknown."""
    given = [each.charges for each in positions]
    known = [each for each in given if each is not None]
    return sum(known) if len(known) == len(given) else None


def traded_at(trade: Trade) -> UtcNs:
    """Exchange time; where it was not told, when the fill was observed."""
    return trade.fill.traded_at or trade.event_time


def _place(message: Message) -> tuple[UserId, InstrumentId] | None:
    match message:
        case OrderIntent() | Execution():
            return message.user_id, message.instrument
        case Trade():
            return message.user_id, message.fill.instrument
        case ExitOrder(instrument=instrument) if instrument:
            return message.user_id, instrument
        case OrderEvent(order=order) if order:
            return message.user_id, order.instrument
    return None


def _average(fills: Iterable[tuple[Trade, int]]) -> tuple[float, int]:
    given = list(fills)
    units = sum(quantity for _, quantity in given)
    return sum(trade.fill.price * quantity for trade, quantity in given) / units, units


def _left(closing: Trade, story: Story) -> str:
    purpose, code = purpose_of(closing.fill, story)
    if purpose is Purpose.ENTRY or purpose is Purpose.OTHER:
        return "an order of the other side"
    return code.replace("_", " ") if code else purpose.value


def _slippage(entry: float, side: Side, decision: Decision | None) -> float | None:
    if decision is None:
        return None
    reference = int(decision.reference_price)
    worse = entry - reference if side is Side.BUY else reference - entry
    return worse / reference * BASIS_POINTS
