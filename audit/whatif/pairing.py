"""Both sides beside each other, paired by signal: what differs, and what it comes to. Pure.

Two signals are one where instrument, timeframe, rule and moment are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from audit.whatif.books import OrderName
from audit.whatif.decisions import Judged
from audit.whatif.orders import Placed, Standing
from schemas.ids import DecisionId, InstrumentId, UserId
from schemas.market import Action, Direction, Timeframe
from schemas.messages import Decision, Signal
from schemas.units import Paise, UtcNs


class SignalName(NamedTuple):
    """What pairs signals of both sides."""

    moment: UtcNs
    instrument: InstrumentId
    timeframe: Timeframe
    rule: str

    @classmethod
    def of(cls, signal: Signal) -> SignalName:
        """The name of `signal`."""
        return cls(signal.event_time, signal.instrument, signal.timeframe, signal.rule)


class Change(StrEnum):
    """What differs first, causes first."""

    SIGNAL_NEW = "new signal"
    SIGNAL_GONE = "no signal"
    DIRECTION = "other direction"
    NOT_ASKED = "not asked"
    DECISION = "other decision"
    ORDERS = "other orders"
    RESULT = "other result"


@dataclass(frozen=True, slots=True)
class Result:
    """What an order's trades came to, estimated.

    Attributes:
        charges: None where nobody knows the rates.
        ends: Why each of its trades ended.
    """

    gross: Paise
    charges: Paise | None
    ends: tuple[str, ...] = ()

    @property
    def net(self) -> Paise:
        """After charges, as far as they are known."""
        return Paise(self.gross - (self.charges or 0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One signal on one side.

    Attributes:
        decision: None where it is not known: nobody was asked.
        orders: By user.
        results: By user, of orders that traded.
    """

    signal: Signal
    decision: Decision | None
    orders: Mapping[UserId, Placed]
    results: Mapping[UserId, Result]

    @property
    def quantity(self) -> int:
        """Units of all users that left."""
        return sum(each.quantity for each in self.orders.values() if each.standing is Standing.LEFT)

    @property
    def net(self) -> Paise:
        """What all users' trades came to."""
        return Paise(sum(each.net for each in self.results.values()))

    @property
    def words(self) -> str:
        """The decision in short: the action, or why it is a HOLD."""
        if self.decision is None:
            return Change.NOT_ASKED.value
        if self.decision.action is Action.HOLD:
            return f"HOLD {self.decision.reason_code}"
        return self.decision.action.value


@dataclass(frozen=True, slots=True)
class Pair:
    """One signal on both sides; None where a side has none."""

    name: SignalName
    symbol: str
    before: Outcome | None
    after: Outcome | None
    change: Change

    @property
    def direction(self) -> Direction:
        """Of the signal, as it is after the change where it still is."""
        side = self.after or self.before
        assert side is not None, "a pair has a side"
        return side.signal.direction


@dataclass(frozen=True, slots=True)
class Sums:
    """One side in numbers; `orders` are those that left."""

    signals: int
    decided: Mapping[Action, int]
    orders: int
    quantity: int
    net: Paise


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change came to.

    Attributes:
        pairs: Those that differ, by time.
        same: Signals that are alike in everything.
        unasked: Signals whose decision nobody was asked for; they count on neither side.
    """

    pairs: tuple[Pair, ...]
    same: int
    unasked: int
    before: Sums
    after: Sums

    @property
    def none(self) -> bool:
        """Whether nothing differs."""
        return not self.pairs

    def count(self, change: Change) -> int:
        """How many pairs differ so."""
        return sum(pair.change is change for pair in self.pairs)


def outcomes(
    judged: Iterable[Judged],
    placed: Mapping[OrderName, Placed],
    results: Mapping[OrderName, Result],
) -> dict[SignalName, Outcome]:
    """One side by signal."""
    orders: dict[DecisionId, dict[UserId, Placed]] = {}
    for name, order in placed.items():
        orders.setdefault(name.decision, {})[name.user] = order
    made = {}
    for each in judged:
        mine = orders.get(each.decision.id, {}) if each.known else {}
        of_user = {user: results[name] for user in mine
                   if (name := OrderName(each.decision.id, user)) in results}  # fmt: skip
        decision = each.decision if each.known else None
        made[SignalName.of(each.signal)] = Outcome(each.signal, decision, mine, of_user)
    return made


def differ(
    before: Mapping[SignalName, Outcome],
    after: Mapping[SignalName, Outcome],
    symbols: Mapping[InstrumentId, str],
) -> Difference:
    """Pair both sides; what is not known on one is counted on neither."""
    names = sorted(before.keys() | after.keys())
    unasked = {name for name in names if name in after and after[name].decision is None}
    pairs = []
    for name in names:
        one, other = before.get(name), after.get(name)
        if change := change_of(one, other):
            symbol = symbols.get(name.instrument, str(name.instrument))
            pairs.append(Pair(name, symbol, one, other, change))
    return Difference(
        tuple(pairs),
        len(names) - len(pairs),
        len(unasked),
        _sums(before, unasked),
        _sums(after, unasked),
    )


def change_of(before: Outcome | None, after: Outcome | None) -> Change | None:
    """What differs between two sides of a signal; None: nothing."""
    if after is not None and after.decision is None:
        return Change.NOT_ASKED
    if before is None or after is None:
        return Change.SIGNAL_NEW if before is None else Change.SIGNAL_GONE
    if before.signal.direction is not after.signal.direction:
        return Change.DIRECTION
    if _decided(before) != _decided(after):
        return Change.DECISION
    if _ordered(before) != _ordered(after):
        return Change.ORDERS
    return Change.RESULT if before.results != after.results else None


def _decided(side: Outcome) -> tuple[object, ...]:
    """What counts as a decision; words and confidence of another answer do not."""
    decision = side.decision
    return (decision.action, decision.reason_code) if decision else ()


def _ordered(side: Outcome) -> dict[UserId, tuple[object, ...]]:
    return {user: _terms(each) for user, each in side.orders.items()}


def _terms(placed: Placed) -> tuple[object, ...]:
    intent = placed.intent
    prices = (intent.price, intent.stop, intent.target) if intent else ()
    return placed.standing, placed.quantity, placed.reason, *prices


def _sums(side: Mapping[SignalName, Outcome], without: set[SignalName]) -> Sums:
    counted: Sequence[Outcome] = [each for name, each in side.items() if name not in without]
    decided = dict.fromkeys(Action, 0)
    for each in counted:
        if each.decision:
            decided[each.decision.action] += 1
    left = sum(
        placed.standing is Standing.LEFT for each in counted for placed in each.orders.values()
    )
    return Sums(
        len(counted),
        decided,
        left,
        sum(each.quantity for each in counted),
        Paise(sum(each.net for each in counted)),
    )
