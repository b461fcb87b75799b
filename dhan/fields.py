"""Reads single fields of Dhan's answers: the border where its JSON becomes our types.

Dhan writes what is absent as null, as "", as "NA", as 0 and as the year 1, and numbers also as
text (`docs/facts/dhan.md`). What a decision rests on (ids, quantities, amounts, sides) is read
strictly: something that cannot be it raises `Unreadable`, and its row is left out. What only
describes (times, words) is left out alone, so that a new way to write a date hides no order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from dhan.transport import text_field
from schemas.errors import Unreadable
from schemas.ids import MAX_SECURITY_ID, DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from schemas.text import clean
from schemas.units import IST, Paise, Price, Quantity, UtcNs

Row = Mapping[str, Any]

WORD_LENGTH: Final = 40  # characters kept of a word of Dhan's, such as a status
MAX_UNITS: Final = 10**12  # of a quantity
MAX_RUPEES: Final = 10**15  # of an amount
_ABSENT: Final = frozenset({"", "NA"})
# It stands in URLs. Digits until now; never cut, for a cut id is another order's.
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_IST_TIME: Final = re.compile(r"(20[0-9]{2}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})\b.*")
_PLAIN_NAME: Final = re.compile(r"[!-~]{0,40}")
_REASONS: Final = ("omsErrorCode", "omsErrorDescription")
# CONFIRMED stands as the reason of an order that nothing is wrong with
NO_REASON: Final = (None, "", "NA", "CONFIRMED")


def order_id(row: Row, name: str) -> DhanOrderId | None:
    """An order's number; None when absent, or when it cannot be one."""
    value = row.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _ORDER_ID.fullmatch(text) or text in _ABSENT:
        return None
    return DhanOrderId(text)


def word(row: Row, name: str) -> str:
    """A word of Dhan's in capitals, its blanks as `_` (`Part Traded`); "" when absent."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= WORD_LENGTH:
        return _word(value)
    return _word(text_field(row, name)[:WORD_LENGTH])


@lru_cache(1_024)  # a day's book says the same few words ten thousand times
def _word(text: str) -> str:
    found = clean(text, WORD_LENGTH).upper().replace(" ", "_")[:WORD_LENGTH]
    return "" if found in _ABSENT else found


def name_of(row: Row, name: str) -> str:
    """A short name as it stands, such as a symbol; "" when absent."""
    value = row.get(name)
    if isinstance(value, str) and _PLAIN_NAME.fullmatch(value):
        text = value
    else:
        text = clean(text_field(row, name), WORD_LENGTH)
    return "" if text in _ABSENT else text


def reason_of(row: Row) -> str:
    """Dhan's explanation of a rejection, else ""."""
    said = [text_field(row, name) for name in _REASONS if row.get(name) not in NO_REASON]
    return " ".join(filter(None, said))


def number(row: Row, name: str) -> Decimal | None:
    """A number, also one written as text; None when absent.

    Raises:
        Unreadable: it is something else.
    """
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and value in _ABSENT:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    raise Unreadable(f"not a number: {type(value).__name__}", name)


def units(row: Row, name: str) -> int | None:
    """A signed number of units; None when absent.

    Raises:
        Unreadable: no whole number, or beyond any quantity.
    """
    value = row.get(name)
    if type(value) is int and abs(value) <= MAX_UNITS:  # as nearly always
        return value
    value = number(row, name)
    if value is None:
        return None
    if abs(value) > MAX_UNITS or value != value.to_integral_value():
        raise Unreadable("not a number of units", name)
    return int(value)


def quantity(row: Row, *names: str) -> Quantity | None:
    """The first of `names` that is there, as a quantity.

    Raises:
        Unreadable: below zero, no whole number, or beyond any quantity.
    """
    for name in names:
        if (value := units(row, name)) is not None:
            if value < 0:
                raise Unreadable("a quantity below zero", name)
            return Quantity(value)
    return None


def rupees(row: Row, name: str) -> Decimal | None:
    """An amount in rupees, exact as Dhan wrote it; None when absent.

    Raises:
        Unreadable: no number, or beyond any amount.
    """
    value = number(row, name)
    if value is not None and abs(value) > MAX_RUPEES:
        raise Unreadable("beyond any amount", name)
    return value


def average(row: Row, name: str) -> Decimal | None:
    """A price in rupees, exact, that need not be whole paise; None when absent or 0.

    Raises:
        Unreadable: no number, below zero, or beyond any amount.
    """
    value = rupees(row, name)
    if value is not None and value < 0:
        raise Unreadable("a price below zero", name)
    return value or None


def price(row: Row, name: str) -> Price | None:
    """A price in paise; None when absent, 0, or finer than a paisa (as currencies' are).

    Raises:
        Unreadable: no number, below zero, or beyond any amount.
    """
    value = average(row, name)
    if value is None:
        return None
    try:
        return Price(Paise.from_rupees(value))
    except ValueError:
        return None


def ist_time(row: Row, name: str) -> UtcNs | None:
    """Dhan's `YYYY-MM-DD HH:MM:SS`, which is Indian time; None when it is no such time."""
    value = row.get(name)
    return _ist_time(value) if isinstance(value, str) and len(value) <= WORD_LENGTH else None


@lru_cache(8_192)  # three of one row are often the same
def _ist_time(text: str) -> UtcNs | None:
    found = _IST_TIME.fullmatch(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{found[1]} {found[2]}")
    except ValueError:
        return None
    return UtcNs.from_datetime(moment.replace(tzinfo=IST))


def instrument(row: Row, segment: str) -> InstrumentId | None:
    """The instrument of `securityId` in `segment`; None when that is a segment we do not know.

    Raises:
        Unreadable: a known segment without a number that could be a security's.
    """
    if segment not in Segment.__members__:
        return None
    value = units(row, "securityId")
    if value is None or not 0 <= value <= MAX_SECURITY_ID:
        raise Unreadable("not a security id", "securityId")
    return InstrumentId(Segment(segment), value)


def side(row: Row, name: str) -> Side | None:
    """BUY or SELL, also by its letter; None when absent.

    Raises:
        Unreadable: another word.
    """
    text = word(row, name)
    if not text:
        return None
    for known in Side:
        if text in (known.value, known.value[0]):
            return known
    raise Unreadable(f"neither BUY nor SELL: {text}", name)


def flag(row: Row, *names: str) -> bool:
    """Whether one of `names` is true, also as text."""
    return any(row.get(name) is True or word(row, name) == "TRUE" for name in names)
