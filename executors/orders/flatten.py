"""The way to flat: cancel what may trade, then limit orders walked towards the market. Pure.

A closing order is sent only when nothing can open, and only for what nothing else can close: then
it can never go beyond flat, whatever fills in the meantime. Stops go last, a few at a time, and
what they covered is closed before the next ones go. Finished is only what the broker's own
positions and its order book both say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.orders.book import DayBook
from executors.orders.exits import (
    Bracket,
    Cancel,
    ExitKind,
    PlaceClose,
    Step,
    beyond,
    brackets,
    closing_side,
    within,
)
from executors.orders.protection import take_away
from schemas.ids import InstrumentId
from schemas.market import PriceBand, Side
from schemas.messages import Leg
from schemas.units import BasisPoints, Paise, Price, Quantity

# Beyond the last trade, rung by rung, and no further than the day's price band, which may be as
# narrow as 2 %. Where that moved, the exchange refuses: so after its last rung it starts again.
LADDER: Final = tuple(BasisPoints(step) for step in (10, 25, 50, 100, 200, 300, 500))
# Where nobody knows a trade, the market may have gone farther; the best price is had all the same.
BLIND_LADDER: Final = (*LADDER, BasisPoints(1_000), BasisPoints(2_000))


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of an instrument's price.

    Attributes:
        last: The last trade, else the best guess there is.
        band: The day's price limits; None where nobody told them.
        guessed: `last` is no trade.
    """

    last: Price
    tick: Paise
    band: PriceBand | None = None
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Flatten:
    """What is due for one instrument.

    Attributes:
        steps: To be sent now. None while something is on its way, and when it is flat.
        flat: Nothing is held, and no order can change that.
    """

    steps: tuple[Step, ...] = ()
    flat: bool = False


def flatten(
    book: DayBook,
    instrument: InstrumentId,
    net: int,
    market: Market,
    *,
    rung: int = 0,
    insist: bool = False,
    rests: bool = False,
) -> Flatten:
    """The next steps to flat.

    `net` is the broker's own count, read after the orders of `book` were: so what trades between
    the two readings is counted as still working, never as nothing. With `insist` orders that could
    not be cancelled are waited for no longer: what they may close is left to them. While it `rests`
    nothing closes, and stops stay: the market is given time.
    """
    live = [each for each in brackets(book, instrument) if each.live()]
    others = [each for each in live if not _closes(each)]
    side = closing_side(net) if net else None
    first = [each for each in others if not _only_stops(each, side)]
    if first and not insist:
        return Flatten(tuple(step for each in first for step in _spare_stop(each, side)))
    if side is None:
        return Flatten(flat=not live)
    if rests or len(others) < len(live):
        return Flatten()
    units = abs(net) - sum(each.closing(side) for each in live)
    if units > 0:
        return Flatten((PlaceClose(side, Quantity(units), ladder_price(side, market, rung)),))
    return Flatten(tuple(step for each in others for step in take_away(each)))


def _only_stops(bracket: Bracket, side: Side | None) -> bool:
    """Whether nothing of it may trade but a stop of the position."""
    return all(each.identity.side is side and each.is_stop(leg) for leg, each in bracket.live())


def _spare_stop(bracket: Bracket, side: Side | None) -> list[Step]:
    """Take away what may still trade, but not yet the position's stop."""
    steps = take_away(bracket)
    legs = dict(bracket.live())
    stop = legs.get(Leg.STOP_LOSS)
    if stop is None or stop.identity.side is not side or Leg.ENTRY in legs:
        return steps
    return [each for each in steps if not isinstance(each, Cancel) or each.leg is Leg.TARGET]


def ladder_of(market: Market) -> tuple[BasisPoints, ...]:
    """How far beyond the last trade each try goes."""
    return BLIND_LADDER if market.guessed else LADDER


def ladder_price(side: Side, market: Market, rung: int) -> Price:
    """The limit of the n-th try: on the tick grid and within the day's limits."""
    ladder = ladder_of(market)
    price = beyond(side, market.last, ladder[rung % len(ladder)], market.tick)
    return within(side, price, market.last, market.band)


def _closes(bracket: Bracket) -> bool:
    """Whether it is a closing order of our own, which ends by itself."""
    return bracket.name.startswith(ExitKind.CLOSE)
