"""The way to flat: cancel what may trade, then limit orders walked towards the market. Pure.

A closing order is sent only when nothing else can close or open: then it can never go beyond flat,
whatever fills in the meantime. Finished is only what the broker's own positions and its order book
both say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.orders.book import DayBook
from executors.orders.exits import (
    Bracket,
    ExitKind,
    PlaceClose,
    Step,
    beyond,
    brackets,
    closing_side,
)
from executors.orders.protection import take_away
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import BasisPoints, Paise, Price, Quantity

# Beyond the last trade, rung by rung. The exchange refuses what is outside its price band, which
# may be as narrow as 2 % and moves: so the ladder starts again after its last rung.
LADDER: Final = tuple(BasisPoints(step) for step in (10, 25, 50, 100, 200, 300, 500))


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of an instrument's price.

    Attributes:
        last: The last trade, else the best guess there is.
        lower, upper: The day's price limits; None where nobody told them.
    """

    last: Price
    tick: Paise
    lower: Price | None = None
    upper: Price | None = None


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
) -> Flatten:
    """The next steps to flat.

    `net` is the broker's own count, read after the orders of `book` were: so what trades between
    the two readings is counted as still working, never as nothing. With `insist` orders that could
    not be cancelled are waited for no longer: what they may close is left to them.
    """
    live = [each for each in brackets(book, instrument) if each.live()]
    others = [each for each in live if not _closes(each)]
    if others and not insist:
        return Flatten(tuple(step for each in others for step in take_away(each)))
    if not net:
        return Flatten(flat=not live)
    side = closing_side(net)
    units = abs(net) - sum(each.closing(side) for each in live)
    if units <= 0 or len(others) < len(live):
        return Flatten()
    return Flatten((PlaceClose(side, Quantity(units), ladder_price(side, market, rung)),))


def ladder_price(side: Side, market: Market, rung: int) -> Price:
    """The limit of the n-th try: on the tick grid and within the day's limits."""
    price = beyond(side, market.last, LADDER[rung % len(LADDER)], market.tick)
    if side is Side.SELL and market.lower is not None:
        return max(price, market.lower)
    if side is Side.BUY and market.upper is not None:
        return min(price, market.upper)
    return price


def _closes(bracket: Bracket) -> bool:
    """Whether it is a closing order of our own, which ends by itself."""
    return bracket.name.startswith(ExitKind.CLOSE)
