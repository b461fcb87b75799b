"""How people write market data: names of columns, times, whole numbers, and whose the rows are.

Also what a file's rows say about how long its bars are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from schemas.units import IST, NS_PER_SECOND, UtcNs
from simulator.market.universe import INDICES

# as `_spelt` has them, the plainest first: it wins where a file has several
SYMBOL: Final = ("symbol", "tradingsymbol", "ticker", "scrip", "stock")
TIME: Final = ("timestamp", "datetime", "date", "time", "recvtimeist", "")  # "": pandas' index
NAMES: Final[Mapping[str, Sequence[str]]] = {
    "symbol": SYMBOL,
    "timestamp": TIME,
    "clock": ("time",),  # beside a column of dates
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}
SPELLINGS: Final = "case and blanks do not matter; o, h, l, c, v, datetime and date are known too"

FIRST: Final = UtcNs.from_datetime(datetime(1990, 1, 1, tzinfo=IST))  # no exchange feed is older
LAST: Final = UtcNs.from_datetime(datetime(2100, 1, 1, tzinfo=IST))
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}")
# behind a symbol in a file's name: the length of its bars, a year, or the number of a copy
_BEHIND: Final = re.compile(
    r"[_.]|\s(?=[0-9]+ ?m(in(ute)?s?)?\b|(19|20)[0-9]{2}\b|\()", re.IGNORECASE
)
_EPOCH: Final = re.compile(r"[0-9]{9,19}(\.[0-9]{1,9})?")
# below which number an epoch counts seconds, milliseconds, microseconds; each holds FIRST to LAST
_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
_WHOLE: Final = re.compile(r"([0-9]+)(?:\.0*)?")

MINUTE: Final = UtcNs.minutes(1)
DAY: Final = UtcNs.minutes(24 * 60)
_IST_AHEAD: Final = UtcNs.minutes(330)
_SESSION_MINUTES: Final = 375
_REGULAR: Final = 0.99  # of the steps: a stray row does not change how long the others are
# how often bars of one minute with gaps may look like longer ones: never, in a life of files
_CHANCE: Final = 1e-9
_FEW_DAYS: Final = 4  # bars, each the only one of its day, that are daily bars


def places_of(header: str, names: Mapping[str, Sequence[str]] = NAMES) -> dict[str, int]:
    """Where each column of `names` stands in a first line; the answer lacks those that it lacks."""
    try:
        spelt = [_spelt(name) for name in next(csv.reader([header]), [])]
    except csv.Error:  # a cell longer than csv takes: no header of anybody's
        return {}
    found = {name: [each for each in choices if each in spelt] for name, choices in names.items()}
    return {name: spelt.index(choices[0]) for name, choices in found.items() if choices}


def symbol_of(path: Path) -> str:
    """Whose a file without a column for it is, by its name: `TCS_1min.csv`, `NIFTY BANK.csv`.

    An index comes by its symbol.
    """
    name = " ".join(_BEHIND.split(path.name, maxsplit=1)[0].upper().split())
    return next((each.symbol for each in INDICES if each.name.upper() == name), name)


def moment_text(cells: Mapping[str, str]) -> str:
    """The time of one row, whose time of day may stand in a column of its own."""
    text = cells["timestamp"]
    return f"{text} {cells['clock']}" if "clock" in cells and _DATE.fullmatch(text) else text


def moment_of(text: str) -> UtcNs:
    """Read a time: as ISO 8601 or pandas write it, IST unless it says else, or an epoch.

    An epoch tells by its size whether it counts s, ms, µs or ns.

    Raises:
        ValueError: another form, or not of the years 1990 to 2099.
    """
    if _EPOCH.fullmatch(text):
        number = Decimal(text)
        exact = number * next(ns for below, ns in _UNITS if number < below)
        moment = UtcNs(int(exact))
    else:
        at = datetime.fromisoformat(text)
        moment = UtcNs.from_datetime(at if at.tzinfo else at.replace(tzinfo=IST))
    if not FIRST <= moment < LAST:
        raise ValueError(f"not of the years 1990 to 2099: {text[:40]!r}")
    return moment


def whole_of(text: str) -> int:
    """Read a whole number that is not negative, also as pandas writes it after a gap: `1200.0`.

    Raises:
        ValueError: another form, or more digits than Python reads at once.
    """
    found = _WHOLE.fullmatch(text) if text.isascii() else None
    if not found:
        raise ValueError(f"not a whole number: {text[:40]!r}")
    return int(found[1])


def length_of(starts: Sequence[int]) -> UtcNs | None:
    """How long the bars of one symbol are, by the steps between their starts within a day.

    None when there are too few to tell bars of one minute with gaps from longer ones.
    """
    ordered = np.unique(np.array(starts, np.int64))
    days = (ordered + _IST_AHEAD) // DAY
    steps = np.diff(ordered)[np.diff(days) == 0]
    if not len(steps):
        return DAY if len(ordered) >= _FEW_DAYS else None
    if np.median(steps) < MINUTE:
        return UtcNs(np.median(steps))
    if np.mean(steps == MINUTE) > 1 - _REGULAR:
        return MINUTE
    for minutes in range(_SESSION_MINUTES, 1, -1):
        if np.mean(steps % UtcNs.minutes(minutes) == 0) >= _REGULAR:
            sure = len(steps) * np.log(1 / minutes) < np.log(_CHANCE)
            return UtcNs.minutes(minutes) if sure else None
    return MINUTE


def in_words(length: UtcNs) -> str:
    """A length of bars for a person, such as `30 minutes`."""
    if length == DAY:
        return "1 day"
    minutes, seconds = divmod(length / NS_PER_SECOND, 60)
    number, unit = (minutes, "minute") if minutes else (seconds, "second")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _spelt(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).casefold()
