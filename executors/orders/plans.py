"""Where each entry is given up, and until when it may fill: what its intent said.

Kept in memory from `ats.orders`. What nobody knows any more is derived from the broker's own book:
the trigger of a leg that once stood, else a distance from the price paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from executors.orders.book import DayBook
from executors.orders.exits import ENTRY_PREFIX, Bracket, beyond, brackets, closing_side
from executors.orders.protection import StopPlan
from executors.risk.sizing import STOP
from schemas.ids import InstrumentId
from schemas.market import Instrument, Side
from schemas.messages import Leg, OrderIntent
from schemas.units import Paise, Price, UtcNs

REMEMBERED: Final = 20_000  # intents: more than any day's
# an entry whose intent nobody knows may rest so long (market time), and no longer
ENTRY_AT_MOST: Final = UtcNs.minutes(5)


class Plans:
    """The intents of late, by the names of their orders at Dhan."""

    def __init__(self) -> None:
        self._intents: dict[str, OrderIntent] = {}

    def observe(self, intent: OrderIntent) -> None:
        """Remember one; the oldest are forgotten first."""
        self._intents[intent.dhan_correlation_id] = intent
        while len(self._intents) > REMEMBERED:
            del self._intents[next(iter(self._intents))]

    @property
    def by_name(self) -> Mapping[str, OrderIntent]:
        return self._intents


def is_entry(bracket: Bracket) -> bool:
    """Whether an order worker placed it."""
    return bracket.ours and bracket.name.startswith(ENTRY_PREFIX)


def stop_of(
    book: DayBook,
    instrument: InstrumentId,
    master: Instrument | None,
    intents: Mapping[str, OrderIntent],
) -> StopPlan | None:
    """Where the position is given up; None when ATS has not ordered there today.

    Of several entries the nearest stop counts: it is what the last unit may lose.
    """
    found = brackets(book, instrument)
    held = book.holding(instrument)
    if not held.net or not any(each.ours for each in found) or master is None:
        return None
    side = closing_side(held.net)
    told = [trigger for each in found for trigger in _triggers(each, side, intents)]
    if told:
        nearest = max(told) if side is Side.SELL else min(told)
        trigger = _on_grid(side, nearest, master.tick_size)
        return StopPlan(trigger, master.tick_size, master.band)
    quantity, value = (
        (held.bought, held.bought_value) if held.net > 0 else (held.sold, held.sold_value)
    )
    paid = max(value // quantity, master.tick_size)
    trigger = beyond(side, paid, STOP, master.tick_size)
    return StopPlan(trigger, master.tick_size, master.band)


def expired(
    book: DayBook, instrument: InstrumentId, intents: Mapping[str, OrderIntent], now: UtcNs
) -> Iterable[Bracket]:
    """Entries of ours that may still fill although their decision has expired."""
    for bracket in brackets(book, instrument):
        entry = bracket.entry
        if not is_entry(bracket) or entry is None or entry.status.final:
            continue
        intent = intents.get(bracket.name)
        until = intent.valid_until if intent else entry.terms.updated_at + ENTRY_AT_MOST
        if now >= until:
            yield bracket


def _triggers(bracket: Bracket, side: Side, intents: Mapping[str, OrderIntent]) -> Iterable[int]:
    """Triggers that an entry of ours brought with it, on the side that closes."""
    entry = bracket.entry
    if not is_entry(bracket) or entry is None or not entry.filled:
        return
    if entry.identity.side is side:
        return
    if intent := intents.get(bracket.name):
        yield intent.stop
    else:
        legs = (each for key, each in bracket.exits if key.leg is Leg.STOP_LOSS)
        yield from (each.trigger for each in legs if each.trigger)


def _on_grid(side: Side, trigger: int, tick: Paise) -> Price:
    """Towards the market, where a trigger is off the grid: a stop never gives up later."""
    whole = -(-trigger // tick) if side is Side.SELL else trigger // tick
    return Price(max(whole, 1) * tick)
