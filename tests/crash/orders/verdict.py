"""What was promised, checked from Dhan's own books after a run. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple, Self
from uuid import UUID

from executors.charges.charges import charges
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Market, shipped_rates
from schemas.ids import DecisionId, InstrumentId, OrderId, UserId
from schemas.market import Side
from schemas.messages import Execution, OrderIntent, Outcome, Position, Trade
from schemas.units import Price, Quantity

RATES_OF = date(2026, 11, 27)  # any day of which all rates are known


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order as the simulator's own book has it."""

    client_id: str
    correlation_id: str
    dhan_order_id: str
    rejected: bool


class Held(NamedTuple):
    """What one account did and holds in one instrument; values in paise."""

    bought: int
    bought_value: int
    sold: int
    sold_value: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A position as `/control/books` shows it."""
        values = int(row["bought_paise"]), int(row["sold_paise"])
        return cls(row["bought"], values[0], row["sold"], values[1])


class Traded(NamedTuple):
    """One trade, as both books must tell it; `price` in paise."""

    number: str
    order: str
    instrument: str
    side: str
    quantity: int
    price: Fraction

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A trade as `/control/books` shows it."""
        units = int(row["tradedQuantity"])
        return cls(
            str(row["exchangeTradeId"]),
            str(row["orderId"]),
            f"{row['exchangeSegment']}:{row['securityId']}",
            str(row["transactionType"]),
            units,
            Fraction(int(row["value_paise"]), units),
        )

    @classmethod
    def told(cls, trade: Trade) -> Self:
        """A trade as `ats.trades` tells it."""
        fill = trade.fill
        return cls(
            fill.trade_id,
            fill.dhan_order_id,
            str(fill.instrument),
            fill.side.value,
            fill.quantity,
            Fraction(fill.price),
        )


@dataclass(slots=True)
class Heard:
    """What stands on the topics about one run's decisions.

    Attributes:
        positions: The newest of each user and instrument.
    """

    intents: dict[OrderId, OrderIntent] = field(default_factory=dict)
    executions: dict[UUID, Execution] = field(default_factory=dict)
    other_bytes: set[UUID] = field(default_factory=set)
    positions: dict[tuple[UserId, str], Position] = field(default_factory=dict)
    trades: dict[UUID, Trade] = field(default_factory=dict)

    def final(self) -> dict[OrderId, Execution]:
        """Each order's outcome that no other corrects."""
        replaced = {each.corrects for each in self.executions.values() if each.corrects}
        return {e.order_id: e for e in self.executions.values() if e.id not in replaced}

    def open(self) -> set[OrderId]:
        """Intents without an outcome."""
        return self.intents.keys() - {each.order_id for each in self.executions.values()}


@dataclass(frozen=True, slots=True)
class Known:
    """What the run itself did and saw.

    Attributes:
        decisions: Those that ask for an order.
        accounts: The Dhan account of each user.
        always_on: Users whom nothing was done to.
        switched_off: When the database had taken the switch-off, by its own clock.
        claimed: When each order that may open a position was claimed, by the same clock.
        held: The broker's own positions, by user and instrument.
        traded: The broker's own trades, by user.
    """

    decisions: Collection[DecisionId]
    accounts: Mapping[UserId, str]
    always_on: Collection[UserId]
    switched_off: Mapping[UserId, datetime]
    claimed: Mapping[OrderId, datetime]
    dead_tokens: Collection[UserId] = ()
    held: Mapping[tuple[UserId, str], Held] = field(default_factory=dict)
    traded: Mapping[UserId, Collection[Traded]] = field(default_factory=dict)


def wrong(heard: Heard, booked: Iterable[BookedOrder], known: Known) -> list[str]:
    """Every promise that did not hold, a sentence each."""
    book = list(booked)
    return [
        *_once(heard, book, known),
        *_each_ends(heard, known),
        *_as_booked(heard, book, known),
        *_off_is_off(heard, book, known),
        *_positions_are_the_brokers(heard, known),
    ]


def wrong_results(heard: Heard, known: Known) -> list[str]:
    """Where trades, P&L or charges are not the broker's, once all are flat."""
    complaints = []
    for user, theirs in known.traded.items():
        if user in known.dead_tokens:
            continue
        name = known.accounts[user]
        ours = [Traded.told(each) for each in heard.trades.values() if each.user_id == user]
        for said, more, less in (("only ours", ours, theirs), ("only the broker's", theirs, ours)):
            surplus = Counter(more) - Counter(less)
            complaints += [f"{name}: {said}: {trade}, {n} times" for trade, n in surplus.items()]
        mine, earned = _earned(heard, user), sum(_gains(theirs))
        if mine != earned:
            complaints.append(f"{name} earned {earned} paise; ats.positions says {mine}")
        after, due = mine - _charges(ours), earned - _charges(theirs)
        if after != due:
            complaints.append(f"{name} has {due} paise after charges; by our books {after}")
    return complaints


def _earned(heard: Heard, user: UserId) -> int:
    return sum(each.realised for key, each in heard.positions.items() if key[0] == user)


def _gains(trades: Iterable[Traded]) -> Iterable[Fraction]:
    for each in trades:
        value = each.quantity * each.price
        yield value if each.side == Side.SELL else -value


def _charges(trades: Iterable[Traded]) -> int:
    """Paise that one day's trades cost by the dated rates; on no broker's bill."""
    fills = tuple(
        Fill(
            f"{each.order} {each.side}",
            Security(InstrumentId.parse(each.instrument), Market.CASH),
            Side(each.side),
            "INTRADAY",
            Quantity(each.quantity),
            Price(int(each.price)),
        )
        for each in trades
    )
    return charges(DayTrades(RATES_OF, fills), shipped_rates()).total


def _once(heard: Heard, book: list[BookedOrder], known: Known) -> Iterable[str]:
    names = Counter(order.correlation_id for order in book if order.correlation_id)
    for intent in heard.intents.values():
        if names[intent.dhan_correlation_id] > 1:
            yield (
                f"order {intent.id} of {known.accounts[intent.user_id]} stands "
                f"{names[intent.dhan_correlation_id]} times in Dhan's book"
            )
    wanted = Counter((intent.user_id, intent.decision_id) for intent in heard.intents.values())
    yield from (
        f"{user} has {n} orders of decision {d}" for (user, d), n in wanted.items() if n > 1
    )


def _each_ends(heard: Heard, known: Known) -> Iterable[str]:
    yield from (f"order {order} has no outcome" for order in sorted(heard.open()))
    finals = Counter(
        each.order_id
        for each in heard.executions.values()
        if each.id not in {e.corrects for e in heard.executions.values()}
    )
    yield from (f"order {order} has {n} final outcomes" for order, n in finals.items() if n > 1)
    yield from (f"execution {each} came again with other bytes" for each in heard.other_bytes)
    asked = defaultdict(set)
    for intent in heard.intents.values():
        asked[intent.decision_id].add(intent.user_id)
    for decision in known.decisions:
        for user in known.always_on:
            if user not in asked[decision]:
                yield f"{known.accounts[user]} was on all the time and got no order of {decision}"


def _as_booked(heard: Heard, book: list[BookedOrder], known: Known) -> Iterable[str]:
    of_name = {order.correlation_id: order for order in book}
    for order, outcome in heard.final().items():
        intent = heard.intents.get(order)
        if intent is None:
            yield f"outcome of {order}, which nobody wanted"
            continue
        booked = of_name.get(intent.dhan_correlation_id)
        standing = booked is not None and not booked.rejected
        if intent.user_id in known.dead_tokens and _unseen(outcome, booked):
            continue  # nobody can look into that account any more
        if standing != (outcome.outcome is Outcome.ACCEPTED):
            yield (
                f"order {order} ended {outcome.outcome} ({outcome.reason_code}); Dhan's book has "
                f"{'it' if standing else 'it rejected' if booked else 'none'}"
            )


def _unseen(outcome: Execution, booked: BookedOrder | None) -> bool:
    """Whether the outcome is what was to be seen until the token died."""
    if outcome.outcome is Outcome.NOT_FOUND:
        return True
    rejected_later = booked is not None and booked.rejected
    return outcome.outcome is Outcome.ACCEPTED and rejected_later


def _off_is_off(heard: Heard, book: list[BookedOrder], known: Known) -> Iterable[str]:
    names = {order.correlation_id for order in book}
    for intent in heard.intents.values():
        off, claimed = known.switched_off.get(intent.user_id), known.claimed.get(intent.id)
        if off and claimed and claimed > off and intent.dhan_correlation_id in names:
            yield f"order {intent.id} was claimed {claimed - off} after the switch went off"


def _positions_are_the_brokers(heard: Heard, known: Known) -> Iterable[str]:
    wanted = {
        key: Held(each.bought, each.bought_value, each.sold, each.sold_value)
        for key, each in heard.positions.items()
    }
    for key in known.held.keys() | wanted.keys():
        user, instrument = key
        if user in known.dead_tokens or user not in known.accounts:
            continue  # nobody can look into that account any more
        nothing = Held(0, 0, 0, 0)
        told, true = wanted.get(key, nothing), known.held.get(key, nothing)
        if told != true:
            yield f"{known.accounts[user]} holds {true} of {instrument}; ats.positions says {told}"
        elif true != nothing and not heard.positions[key].agrees:
            yield f"{known.accounts[user]}: nobody saw the broker agree about {instrument}"
