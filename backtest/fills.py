"""Who says what an order gets."""

from __future__ import annotations

from enum import StrEnum


class Fills(StrEnum):
    """Who says what an order gets.

    Attributes:
        BOOK: As in `ats demo`: the five levels around the last print, one tick apart.
        TAPE: As in `ats paper`: what trades after the order has arrived, and no more of it.
    """

    BOOK = "book"
    TAPE = "tape"
