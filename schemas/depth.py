"""The order book of instruments, as Dhan's Full packets show its five best levels a side.

`ats.depth` carries at most one book of each instrument and five seconds of market time: it is told
of, never traded on, and what an agent saw of it stands on `ats.market-context`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId
from schemas.messages import Message
from schemas.units import Price, Quantity, UtcNs

MAX_BOOKS = 2_000  # of one message, 0.3 MB


class BookFault(StrEnum):
    """Why a packet's levels are no book."""

    EMPTY = "empty"  # nobody buys and nobody sells, as of an index
    PRICE = "price"  # none, no number, negative, or far from the last trade
    QUANTITY = "quantity"  # none at a price, or what a signed number would call negative
    ORDER = "order"  # a level that is not worse than the one before, or follows an empty one
    CROSSED = "crossed"  # somebody buys at the price at which somebody sells, or above


class Book(FrozenModel):
    """The best bid and ask, and the units at the five best levels of each side.

    With a `fault` nothing else is known of it.
    """

    at: UtcNs = Field(description="market time at which its packet came")
    bid: Price | None = Field(default=None, description="the best; null where nobody buys")
    ask: Price | None = Field(default=None, description="the best; null where nobody sells")
    bid_quantity: Quantity = Quantity(0)
    ask_quantity: Quantity = Quantity(0)
    fault: BookFault | None = Field(default=None, description="null where the book is sound")


class InstrumentBook(FrozenModel):
    """The last book of an instrument within five seconds."""

    instrument: InstrumentId
    book: Book


class Depth(Message):
    """`ats.depth`: the last books of five seconds of market time; `event_time` is the newest's."""

    books: Annotated[tuple[InstrumentBook, ...], Field(max_length=MAX_BOOKS)]
