"""The made-up order book around a print.

The feed's packets and the orders that trade share its one formula. Best ask at the last price, best
bid one tick below, a tick from level to level. Works on single prints (`int`) and on whole tapes
(arrays of int64) alike, so what a client sees in a Full packet is what its order meets.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

LEVELS: Final = 5
ORDER_SIZE: Final = 50  # units of the average order, to make up how many stand at a level

Number = TypeVar("Number", int, npt.NDArray[np.int64])


class Side(NamedTuple):
    """How one side of the book is made up.

    The salts keep quantities and order counts of all levels apart.
    """

    quantity_salt: int
    orders_salt: int


BID: Final = Side(3, 19)
ASK: Final = Side(11, 27)


def bid_price(last: Number, tick_size: Number, level: int) -> Number:
    """Price of the bid at `level`, 0 the best.

    Not above zero when there is no room for it: such a level is empty.
    """
    return last - tick_size * (level + 1)


def ask_price(last: Number, tick_size: Number, level: int) -> Number:
    """The ask of `level`, 0 the best, in the unit of `last` and `tick_size`."""
    return last + tick_size * level


def quantity(second: Number, last: Number, side: Side, level: int) -> Number:
    """Units at `level`."""
    return resting(second, last, side.quantity_salt + level)


def orders(second: Number, last: Number, side: Side, level: int) -> Number:
    """How many orders stand at `level`."""
    return resting(second, last, side.orders_salt + level) // ORDER_SIZE + 1


def resting(second: Number, last: Number, salt: int) -> Number:
    """A made-up quantity from 50 to 1,049 that depends only on the print."""
    return (second * 31 + last * 17 + salt * 7_919) % 1_000 + 50
