"""Who says what an order gets."""

from __future__ import annotations

from enum import StrEnum


class Fills(StrEnum):
    """Who says what an order gets.

    Attributes:
        BOOK: As in `ats demo`: the five levels around the last print, one tick apart.
        TAPE: As in `ats paper`: what trades after the order has arrived, and no more of it.
        PLAIN: As in other backtesters, to compare with them: every order is filled whole by the
            next print, which after a bar's close is the next bar's open.
    """

    BOOK = "book"
    TAPE = "tape"
    PLAIN = "plain"
