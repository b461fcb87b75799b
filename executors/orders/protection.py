"""What must be sent so that a stop of exactly the open size rests at the broker. Pure.

Asked again after each observation, it says only the next steps: what is missing first, then what no
position needs. A stop that could open a position is never asked for: all stops together, those on
their way included, never exceed the position. A stop that covers too much goes last and alone, so
that nothing but its replacement follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from executors.orders.book import DayBook, KnownOrder
from executors.orders.exits import (
    Bracket,
    Cancel,
    ChangeStop,
    PlaceStop,
    Step,
    beyond,
    brackets,
    closing_side,
    within,
)
from schemas.ids import DhanOrderId, InstrumentId
from schemas.market import PriceBand, Side
from schemas.messages import Leg, OrderStatus
from schemas.units import NS_PER_SECOND, BasisPoints, Paise, Price, Quantity, UtcNs

# How far beyond its trigger a stop may trade. A market that jumps further is the ladder's affair.
STOP_COLLAR: Final = BasisPoints(100)


@dataclass(frozen=True, slots=True)
class StopPlan:
    """Where the position is given up: paise, on the instrument's tick grid.

    Attributes:
        band: The day's price limits; None where nobody told them.
    """

    trigger: Price
    tick: Paise
    band: PriceBand | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """What is due for one instrument.

    Attributes:
        steps: To be sent now, in this order.
        uncovered: Units of the position for which no stop rests, nor is on its way.
        excess: Units of stops that no position stands behind.
        passed: The market is beyond the stop already: none can rest, the position must go.
    """

    steps: tuple[Step, ...] = ()
    uncovered: int = 0
    excess: int = 0
    passed: bool = False


@dataclass(frozen=True, slots=True)
class RestingStop:
    """One stop that may trade: a plain order, or the stop leg of a super order.

    Attributes:
        covers: Units that it would close.
    """

    of: Bracket
    order: KnownOrder
    covers: int


def protect(
    book: DayBook,
    instrument: InstrumentId,
    plan: StopPlan | None,
    *,
    now: UtcNs,
    last: Price | None = None,
    unchangeable: AbstractSet[DhanOrderId] = frozenset(),
    net: int | None = None,
) -> Protection:
    """The next steps towards a stop of exactly the open size.

    Without a plan nothing new is placed. `last` is the last trade, where known; `unchangeable` are
    orders of which Dhan refused a change. `now` is market time. `net` are the units to protect,
    where they are other than orders and fills add up to.
    """
    net = book.holding(instrument).net if net is None else net
    found = brackets(book, instrument)
    needed, steps, excess = closing_side(net), list[Step](), 0
    for side in Side:
        if side is not needed or not net:
            useless = resting_stops(found, side)
            too_much = sum(stop.covers for stop in useless)
            excess += too_much
            steps += _reduce(useless, too_much, now)
    if not net:
        return Protection(tuple(steps), excess=excess)
    stops = resting_stops(found, needed)
    uncovered = abs(net) - sum(stop.covers for stop in stops)
    if uncovered <= 0:
        if not _on_its_way(found, needed):  # nothing could follow a stop that went now
            steps += _one_by_one(_reduce(stops, -uncovered, now))
        return Protection(tuple(steps), excess=excess - uncovered)
    if plan is not None and last is not None and _passed(needed, plan.trigger, last):
        return Protection(tuple(steps), uncovered, excess, passed=True)
    if plan is not None and not _on_its_way(found, needed):
        steps.insert(0, _cover(stops, needed, uncovered, plan, unchangeable))
    return Protection(tuple(steps), uncovered, excess)


def _one_by_one(steps: list[Step]) -> Sequence[Step]:
    """Targets protect nothing and go together. A stop goes alone, once they have gone."""
    targets = [step for step in steps if isinstance(step, Cancel) and step.leg is Leg.TARGET]
    return targets or steps[:1]


def resting_stops(found: list[Bracket], side: Side) -> list[RestingStop]:
    """Of each number the stop that may still trade on `side`.

    The leg of a super order covers what its entry has traded and no exit has closed.
    """
    stops = []
    for bracket in found:
        for leg, order in bracket.live():
            if order.identity.side is side and order.is_stop(leg):
                covers = order.remaining if leg is Leg.ENTRY else max(0, bracket.open)
                stops.append(RestingStop(bracket, order, covers))
                break
    return stops


def _reduce(stops: list[RestingStop], too_much: int, now: UtcNs) -> list[Step]:
    """Take `too_much` away from our own stops; those placed by hand are not ours to touch."""
    steps: list[Step] = []
    plain_first = sorted(stops, key=lambda stop: stop.of.super_order)
    for stop in (each for each in plain_first if each.of.ours and each.covers):
        if too_much <= 0:
            break
        steps += _reduce_one(stop, min(too_much, stop.covers), now)
        too_much -= stop.covers
    return steps


def _reduce_one(stop: RestingStop, units: int, now: UtcNs) -> list[Step]:
    order, bracket = stop.order, stop.of
    if order.status is OrderStatus.TRANSIT:
        return []  # it can neither be cancelled nor told apart from its next state
    if bracket.super_order:
        return take_away(bracket)
    # Dhan's times are seconds: of two sizes within one nobody can tell the later
    if units == order.remaining or now // NS_PER_SECOND <= order.terms.updated_at // NS_PER_SECOND:
        return [Cancel(bracket.number, Leg.ENTRY, super_order=False)]
    left = Quantity(order.quantity - units)
    return [ChangeStop(bracket.number, left, Price(order.trigger), Price(order.price))]


def take_away(bracket: Bracket) -> list[Step]:
    """Cancel what may still trade under one number. An order in TRANSIT cannot be reached yet."""
    live = bracket.live()
    if any(each.status is OrderStatus.TRANSIT for _, each in live):
        return []
    legs = sorted({leg for leg, _ in live})
    if Leg.ENTRY in legs:
        return [Cancel(bracket.number, Leg.ENTRY, bracket.super_order)]
    return [Cancel(bracket.number, leg, super_order=True) for leg in legs]


def _passed(side: Side, trigger: Price, last: Price) -> bool:
    return last <= trigger if side is Side.SELL else last >= trigger


def _on_its_way(found: list[Bracket], side: Side) -> bool:
    """Something of ours that would close is not at the exchange yet, or trades at this moment."""
    return any(
        order.identity.side is side
        and bracket.ours
        and (order.status is OrderStatus.TRANSIT or not (bracket.super_order or order.is_stop(leg)))
        for bracket in found
        for leg, order in bracket.live()
    )


def _cover(
    stops: list[RestingStop],
    side: Side,
    units: int,
    plan: StopPlan,
    unchangeable: AbstractSet[DhanOrderId],
) -> Step:
    """Enlarge a stop of ours that rests at the plan's trigger, else place one."""
    collared = beyond(side, plan.trigger, STOP_COLLAR, plan.tick)
    price = within(side, collared, plan.trigger, plan.band)
    for stop in stops:
        order, number = stop.order, stop.of.number
        if (
            stop.of.ours
            and not stop.of.super_order
            and order.status in {OrderStatus.PENDING, OrderStatus.PART_TRADED}
            and order.trigger == plan.trigger
            and number not in unchangeable
        ):
            size = Quantity(order.quantity + units)
            return ChangeStop(number, size, plan.trigger, Price(order.price))
    return PlaceStop(side, Quantity(units), plan.trigger, price)
