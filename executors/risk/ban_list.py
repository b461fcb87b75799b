"""Reads the exchange's list of the shares whose futures and options may only be closed. Pure.

NSE publishes it the evening before, for the day that its first line names. A list of another day,
or one that cannot be read, is no list: then nobody knows what is banned.

Source: `docs/facts/market-rules.md` (F&O ban); format as in `fo_secban.csv` of
nsearchives.nseindia.com.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from executors.risk.listed import Ban
from schemas.errors import Unreadable

MOST_BANNED: Final = 1_000  # five times all shares with contracts
_HEADER: Final = re.compile(
    r"Securities in Ban For Trade Date (\d{1,2})-([A-Z]{3})-(\d{4})\s*:?(.*)", re.IGNORECASE
)
_ROW: Final = re.compile(r"\d{1,4}\s*,\s*([A-Z0-9&_-]{1,30})\s*,?")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")  # fmt: skip
_NOBODY: Final = "NIL"


@dataclass(frozen=True, slots=True)
class BanList:
    """The shares that are banned on one day."""

    day: date
    symbols: frozenset[str]

    def of(self, symbol: str, day: date) -> Ban:
        """Whether `symbol` is banned on `day`."""
        if day != self.day or not symbol:
            return Ban.UNKNOWN
        return Ban.IN_FORCE if symbol in self.symbols else Ban.NONE


def parse(text: str) -> BanList:
    """Read the file.

    Raises:
        Unreadable: its first line names no day, or another is neither a share nor NIL.
    """
    lines = [line for each in text.splitlines() if (line := each.strip())]
    header = _HEADER.fullmatch(lines[0]) if lines else None
    if header is None:
        raise Unreadable("no trade date in the first line", "ban list")
    *written, rest = header.groups()
    rows = [rest.strip()] if rest.strip() else []
    rows += lines[1:]
    if len(rows) > MOST_BANNED:
        raise Unreadable(f"{len(rows)} rows, expected at most {MOST_BANNED}", "ban list")
    if not rows:
        raise Unreadable("neither a share nor NIL: probably half a file", "ban list")
    return BanList(_day(*written), frozenset(_symbol(row) for row in rows if row != _NOBODY))


def _day(day: str, month: str, year: str) -> date:
    try:
        return date(int(year), _MONTHS.index(month.upper()) + 1, int(day))
    except ValueError:
        raise Unreadable(f"no day: {day}-{month}-{year}", "ban list") from None


def _symbol(row: str) -> str:
    if found := _ROW.fullmatch(row):
        return found[1]
    raise Unreadable(f"neither a share nor NIL: {row[:40]!r}", "ban list")
