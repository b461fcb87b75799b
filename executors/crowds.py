"""What all users order together, by decision and symbol, as far as this process has heard."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bus.records import Record
from executors.quotes import QuoteCache
from executors.risk.crowd import WHOLE, WINDOW, Crowd
from schemas.errors import Unreadable
from schemas.ids import DecisionId, InstrumentId, OrderId
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import BasisPoints, Quantity, UtcNs

# Units of all orders of the decision: a header and no field, as `executors.fanout.DECIDED_AT`.
CROWD: Final = "ats-crowd"
# After its first order was looked at, a decision's outcomes are told: an order leaves within two
# seconds of its claim, or not at all.
TOLD_WITHIN: Final = UtcNs.seconds(10)
REMEMBERED: Final = 20_000  # orders on their way: forty times what a process works on at once


class _Asked(NamedTuple):
    own: Quantity
    all: Quantity


@dataclass(slots=True)
class _Given:
    """What one decision's accepted orders come to.

    Attributes:
        asked: Units of all its orders, as far as one of them was heard of.
        begun: When the first of them was looked at.
    """

    at: UtcNs
    asked: int = 0
    begun: UtcNs | None = None
    units: int = 0
    orders: set[OrderId] = field(default_factory=set)


class Crowds:
    """Fed from the intents that are worked on and from `ats.executions` of every process."""

    def __init__(self, most: BasisPoints | None, book: QuoteCache) -> None:
        """`most` of the volume is all of ours together; None: nobody asks."""
        self._most, self._book = most, book
        self._asked: OrderedDict[OrderId, _Asked] = OrderedDict()
        self._given: defaultdict[InstrumentId, dict[DecisionId, _Given]] = defaultdict(dict)

    def note(self, intent: OrderIntent, record: Record) -> None:
        """One is worked on.

        Raises:
            Unreadable: the header is no number.
        """
        if self._most is None:
            return
        # of an older process, which names none: the order alone
        told = record.headers.get(CROWD, b"%d" % intent.quantity)
        if not told.isdigit():
            raise Unreadable(f"not a number of units: {told[:40]!r}", CROWD)
        self._asked[intent.id] = _Asked(intent.quantity, Quantity(max(int(told), intent.quantity)))
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        given = self._decision(intent.instrument, intent.decision_id, intent.event_time)
        given.asked = max(given.asked, self._asked[intent.id].all)

    def observe(self, execution: Execution) -> None:
        """Take in an outcome of any process. Seen twice, it counts once."""
        if self._most is None or execution.outcome is not Outcome.ACCEPTED:
            return
        given = self._decision(execution.instrument, execution.decision_id, execution.event_time)
        if execution.order_id not in given.orders:
            given.orders.add(execution.order_id)
            given.units += execution.quantity

    def of(self, intent: OrderIntent, now: UtcNs, lot: Quantity) -> Crowd | None:
        """How `intent` stands among the others; None where nobody asks."""
        if self._most is None:
            return None
        asked = self._asked.get(intent.id, _Asked(intent.quantity, intent.quantity))
        volume = self._book.volume(intent.instrument, now, WINDOW)
        others = self._others(intent, now, volume * self._most // WHOLE)
        return Crowd(asked.own, asked.all, Quantity(others), Quantity(volume), self._most, lot)

    def _others(self, intent: OrderIntent, now: UtcNs, cap: int) -> int:
        """Units of other decisions: accepted, or promised to one that was heard of before.

        Of two decisions of the same second the first has its share, and the other what is left.
        """
        own = self._decision(intent.instrument, intent.decision_id, intent.event_time)
        own.begun = own.begun or now
        units, before = 0, True
        for each in self._given[intent.instrument].values():
            if each is own:
                before = False
            elif abs(now - each.at) < WINDOW:
                untold = each.begun is None or abs(now - each.begun) < TOLD_WITHIN
                units += max(each.units, min(each.asked, cap) if before and untold else 0)
        return units

    def _decision(self, instrument: InstrumentId, decision: DecisionId, at: UtcNs) -> _Given:
        """What is known of it; those of long ago are forgotten when a new one comes."""
        decisions = self._given[instrument]
        if decision not in decisions:
            for old in [key for key, each in decisions.items() if at - each.at >= WINDOW]:
                del decisions[old]
            decisions[decision] = _Given(at)
        return decisions[decision]
