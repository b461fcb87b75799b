"""Money, moments and spans as a person writes them. Pure."""

from __future__ import annotations

import re
from typing import Final

from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, UtcNs

_LAKHS: Final = re.compile(r"(?<=\d)(?=(?:\d\d)+$)")
_LONG: Final = 900.0  # seconds from which a span is told in minutes


def rupees(paise: float) -> str:
    """Paise as rupees."""
    whole, hundredths = f"{abs(paise) / PAISE_PER_RUPEE:.2f}".split(".")
    return f"{'-' if paise < 0 else ''}₹{grouped(int(whole))}.{hundredths}"


def whole_rupees(paise: float) -> str:
    """Without sign of currency and hundredths, for a column of rupees."""
    return grouped(round(paise / PAISE_PER_RUPEE))


def grouped(number: int) -> str:
    """As India counts: thousands, then lakhs and crores by two digits."""
    digits = f"{abs(number)}"
    groups = _LAKHS.sub(",", digits[:-3]) + "," + digits[-3:] if len(digits) > 3 else digits
    return f"{'-' if number < 0 else ''}{groups}"


def at(moment: UtcNs) -> str:
    """A moment on Indian clocks, to the second."""
    try:
        return f"{moment.ist():%Y-%m-%d %H:%M:%S} IST"
    except (ValueError, OverflowError, OSError):  # before or after what a calendar holds
        return f"{int(moment)} ns"


def clock(moment: UtcNs) -> str:
    """A moment of a day that is told already."""
    told = at(moment)
    return told.split(" ")[1] if told.endswith(" IST") else told


def span(seconds: float) -> str:
    """How much later, with its sign."""
    return f"{seconds:+.3f} s" if abs(seconds) < _LONG else f"{seconds / 60:+,.0f} min"


def passed(nanoseconds: int) -> str:
    """How long something took."""
    seconds = nanoseconds / NS_PER_SECOND
    return f"{seconds * 1_000:,.0f} ms" if abs(seconds) < 10 else f"{seconds:,.1f} s"
