"""What can be bought and sold right now.

The levels of one print, used up by the orders that trade against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.market import Side
from schemas.units import Paise, Price, Quantity
from simulator.market import depth
from simulator.matching.rules import Circuits


class Level(NamedTuple):
    """So many units at one price."""

    price: Price
    quantity: Quantity


class Ladder:
    """Both sides of the market, best level first.

    Whoever takes from it leaves less to the next, until the next print.
    """

    def __init__(self, bids: Iterable[Level], asks: Iterable[Level], lot: int = 1) -> None:
        self._lot = lot
        self._to_take = {Side.SELL: list(bids), Side.BUY: list(asks)}

    @classmethod
    def around(
        cls,
        last: Price,
        second: int,
        tick_size: Paise,
        circuits: Circuits | None = None,
        *,
        lot: int = 1,
    ) -> Ladder:
        """The five levels a Full packet shows after a print at `last`.

        Of each, multiples of `lot` trade. There are none beyond a circuit, and nobody sells at the
        upper one.
        """
        price, tick = int(last), int(tick_size)
        lowest, highest = (
            (circuits.lower, circuits.upper) if circuits else (1, price + depth.LEVELS * tick + 1)
        )
        bids = [
            Level(Price(at), Quantity(depth.quantity(second, price, depth.BID, level)))
            for level in range(depth.LEVELS)
            if (at := depth.bid_price(price, tick, level)) >= lowest
        ]
        asks = [
            Level(Price(at), Quantity(depth.quantity(second, price, depth.ASK, level)))
            for level in range(depth.LEVELS)
            if price < highest and (at := depth.ask_price(price, tick, level)) <= highest
        ]
        return cls(bids, asks, lot)

    def take(self, side: Side, limit: int | None, quantity: int) -> list[Level]:
        """Trade up to `quantity` at `limit` or better; a `limit` of None takes any price.

        Returns the fills, best price first.
        """
        levels, fills = self._to_take[side], []
        while quantity and levels and _acceptable(side, levels[0].price, limit):
            price, there = levels[0]
            taken = min(quantity, there) // self._lot * self._lot
            if taken:
                fills.append(Level(price, Quantity(taken)))
                quantity -= taken
            if there - taken < self._lot:
                del levels[0]
            else:
                levels[0] = Level(price, Quantity(there - taken))
        return fills


def _acceptable(side: Side, price: int, limit: int | None) -> bool:
    if limit is None:
        return True
    return price <= limit if side is Side.BUY else price >= limit
