"""The levels of Full packets to order books. Pure; levels that are no book say why not.

Only the best price and the units of each side are kept: what an analyst is told.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.binary import Rows
from schemas.depth import BookFault
from schemas.units import PAISE_PER_RUPEE

# what a signed number of 32 bits holds: what is above would be negative there
MAX_LEVEL_QUANTITY: Final = 2**31 - 1
# times the last trade, or that part of it: even an option at five paise is bid nearer
FAR: Final = 100

BOOK: Final[np.dtype[Any]] = np.dtype(
    [
        ("bid", "<i8"),  # paise, 0 where nobody buys
        ("ask", "<i8"),
        ("bid_quantity", "<i8"),  # units of all levels
        ("ask_quantity", "<i8"),
        ("fault", "u1"),  # 0, or the place in `FAULTS` from 1
    ]
)
# the first that is found is named
FAULTS: Final = tuple(BookFault)


class _Side(NamedTuple):
    """One side of many books; shapes (books, levels) and (books,)."""

    paise: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    there: npt.NDArray[np.bool_]
    bad_price: npt.NDArray[np.bool_]
    bad_quantity: npt.NDArray[np.bool_]
    bad_order: npt.NDArray[np.bool_]


def books_of(
    levels: npt.NDArray[np.void], last: npt.NDArray[np.int64], tick_sizes: npt.NDArray[np.int64]
) -> Rows:
    """The books (`BOOK`) of `levels`, shape (n, `LEVELS`) of `streams.feed.packets.LEVEL`.

    `last` are the trade prices of the same packets and `tick_sizes` their steps, both in paise; a
    price is rounded to its step, as 32 bits do not hold it exactly.
    """
    bid = _side(levels, "bid", last, tick_sizes, better=-1)
    ask = _side(levels, "ask", last, tick_sizes, better=1)
    best_bid, best_ask = bid.paise[:, 0], ask.paise[:, 0]
    wrong = (
        ~(bid.there.any(axis=1) | ask.there.any(axis=1)),
        bid.bad_price | ask.bad_price,
        bid.bad_quantity | ask.bad_quantity,
        bid.bad_order | ask.bad_order,
        (best_bid > 0) & (best_ask > 0) & (best_bid >= best_ask),
    )
    books = np.zeros(len(levels), BOOK)
    books["fault"] = np.select(wrong, range(1, len(wrong) + 1), 0)
    sound = books["fault"] == 0
    books["bid"], books["ask"] = np.where(sound, best_bid, 0), np.where(sound, best_ask, 0)
    books["bid_quantity"] = np.where(sound, bid.units.sum(axis=1), 0)
    books["ask_quantity"] = np.where(sound, ask.units.sum(axis=1), 0)
    return books


def bad(books: Rows) -> npt.NDArray[np.bool_]:
    """Which of `books` were sent and say nothing; an empty one says that there is none."""
    faulty: npt.NDArray[np.bool_] = books["fault"] > FAULTS.index(BookFault.EMPTY) + 1
    return faulty


def _side(
    levels: npt.NDArray[np.void],
    name: str,
    last: npt.NDArray[np.int64],
    tick_sizes: npt.NDArray[np.int64],
    *,
    better: int,
) -> _Side:
    """`better` is 1 where a higher price is a worse one, as of asks; else -1."""
    with np.errstate(invalid="ignore"):  # some patterns of bits that are no number
        rupees = levels[f"{name}_price"].astype(np.float64)
    units = levels[f"{name}_quantity"].astype(np.int64)
    there = (rupees != 0) | (units != 0)
    traded, step = last[:, None] / PAISE_PER_RUPEE, tick_sizes[:, None]
    near = (rupees * FAR >= traded) & (rupees <= traded * FAR)  # never of what is no number
    steps = np.rint(np.where(near, rupees, 0) * PAISE_PER_RUPEE / step).astype(np.int64)
    paise = np.where(there & near, np.maximum(steps, 1) * step, 0)
    worse = better * np.diff(paise, axis=1) > 0
    return _Side(
        paise,
        units,
        there,
        (there & ~near).any(axis=1),
        (there & ((units == 0) | (units > MAX_LEVEL_QUANTITY))).any(axis=1),
        (there[:, 1:] & ~(there[:, :-1] & worse)).any(axis=1),
    )
