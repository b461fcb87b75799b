"""Both sides of the made-up book (`simulator.market.depth`) for whole tapes, as many levels deep as
asked.

At a circuit one side is empty: nobody buys at the day's lowest price, nobody sells at its highest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulator.market import depth
from simulator.market.tape import Numbers, Prints


class Ladder(NamedTuple):
    """One side of the book after each print; shapes (prints, levels), best level first.

    An empty level is 0 throughout.

    Attributes:
        prices: Paise.
        quantities: Units.
        orders: How many orders make up the quantity.
    """

    prices: Numbers
    quantities: Numbers
    orders: Numbers


def bids(prints: Prints, levels: int) -> Ladder:
    """The buy side below each print, best level first."""
    return _side(
        prints,
        depth.BID,
        levels,
        lambda level: depth.bid_price(prints["price"], prints["tick_size"], level),
    )


def asks(prints: Prints, levels: int) -> Ladder:
    """The sell side above each print, best level first."""
    return _side(
        prints,
        depth.ASK,
        levels,
        lambda level: depth.ask_price(prints["price"], prints["tick_size"], level),
    )


def _side(
    prints: Prints, side: depth.Side, levels: int, price_at: Callable[[int], Numbers]
) -> Ladder:
    second, last, upper = prints["second"], prints["price"], prints["upper_circuit"]
    there = prints["volume"] > 0  # an index has no orders
    if side is depth.ASK:
        there &= (upper == 0) | (last < upper)
    highest = np.where(upper > 0, upper, np.iinfo(np.int64).max)
    lowest = np.maximum(prints["lower_circuit"], 1)
    ladder = Ladder(*(np.zeros((len(prints), levels), np.int64) for _ in range(3)))
    for level in range(levels):
        price = price_at(level)
        rests = there & (price >= lowest) & (price <= highest)
        ladder.prices[:, level] = np.where(rests, price, 0)
        ladder.quantities[:, level] = np.where(rests, depth.quantity(second, last, side, level), 0)
        ladder.orders[:, level] = np.where(rests, depth.orders(second, last, side, level), 0)
    return ladder
