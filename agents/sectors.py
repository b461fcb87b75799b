"""Which shares are of one industry, as NSE's lists of constituents say it.

NSE publishes a list for each index (`ind_nifty500list.csv` and others) with the columns `Company
Name,Industry,Symbol,Series,ISIN Code`. Of any such file the columns `Symbol` and `Industry` are
read.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.messages import ScanEntry

MAX_FILE: Final = 2 << 20  # bytes; NSE's list of 750 shares has 60 KB
MAX_NAME: Final = 60  # characters; NSE's longest has 34
_SYMBOL: Final = "Symbol"
_INDUSTRY: Final = "Industry"


class Sector(NamedTuple):
    """An industry's name, and its shares besides the one that was asked about."""

    name: str
    others: tuple[InstrumentId, ...]


class Sectors:
    """The industries of the instruments that a scan names.

    Args:
        by_symbol: Industry by symbol; empty where nobody said.
    """

    def __init__(self, by_symbol: Mapping[str, str]) -> None:
        self._by_symbol = by_symbol
        self._names: dict[InstrumentId, str] = {}
        self._shares: dict[str, tuple[InstrumentId, ...]] = {}
        self._watched: frozenset[InstrumentId] = frozenset()

    def learn(self, entries: Iterable[ScanEntry]) -> None:
        """Know the instruments of a day's scan; those of the day before are forgotten."""
        shares: defaultdict[str, list[InstrumentId]] = defaultdict(list)
        watched = set[str]()
        for entry in sorted(entries, key=lambda each: each.instrument):
            if name := self._by_symbol.get(entry.symbol):
                shares[name].append(entry.instrument)
                if entry.rank is not None:
                    watched.add(name)
        self._shares = {name: tuple(own) for name, own in shares.items()}
        self._names = {each: name for name, own in shares.items() for each in own}
        self._watched = frozenset(each for name in watched for each in shares[name])

    def of(self, instrument: InstrumentId) -> Sector | None:
        """The industry of `instrument`; None where it is not known."""
        name = self._names.get(instrument)
        if name is None:
            return None
        return Sector(name, tuple(each for each in self._shares[name] if each != instrument))

    def watches(self, instrument: InstrumentId) -> bool:
        """Whether a share of the short list is of the same industry."""
        return instrument in self._watched


def read_sectors(path: Path) -> dict[str, str]:
    """Industry by symbol.

    Raises:
        Misconfigured: the file cannot be read, or is no such list.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise Misconfigured(f"ATS_SECTORS={path}: more than {MAX_FILE:,} bytes")
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise Misconfigured(
            f"ATS_SECTORS={path}: {error.strerror}; name NSE's list of an index, such as "
            "ind_nifty500list.csv"
        ) from None
    except UnicodeDecodeError:
        raise Misconfigured(f"ATS_SECTORS={path}: it is no text in UTF-8") from None
    rows = csv.DictReader(lines, skipinitialspace=True)
    names = [name.strip() for name in rows.fieldnames or ()]
    if _SYMBOL not in names or _INDUSTRY not in names:
        raise Misconfigured(
            f"ATS_SECTORS={path}: its first line names no columns {_SYMBOL} and {_INDUSTRY}"
        )
    rows.fieldnames = names
    try:
        found = {
            symbol: industry
            for row in rows
            if (symbol := (row[_SYMBOL] or "").strip()) and (industry := _plain(row[_INDUSTRY]))
        }
    except csv.Error as error:
        raise Misconfigured(f"ATS_SECTORS={path}: no CSV: {error}") from None
    if not found:
        raise Misconfigured(f"ATS_SECTORS={path}: no row has a {_SYMBOL} and an {_INDUSTRY}")
    return found


def _plain(industry: str | None) -> str:
    """One line of what shows: models read it."""
    shown = "".join(each if each.isprintable() else " " for each in industry or "")
    return " ".join(shown.split())[:MAX_NAME]
