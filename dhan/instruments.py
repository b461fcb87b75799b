"""Reads the day's instrument master, Dhan's detailed CSV.

Good rows become instruments; bad rows are listed, each with the reason.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Final

import httpx

from dhan.bodies import read_body
from dhan.transport import CallTimeout
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import CASH, STOCK_DERIVATIVES, Instrument, PriceBand
from schemas.units import PAISE_PER_RUPEE, Paise, Price, Quantity

DETAILED_CSV: Final = "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"
MAX_FILE: Final = 256 * 1024 * 1024  # eight times today's file: more is not the master
COLUMNS: Final = (
    "EXCH_ID", "SEGMENT", "SECURITY_ID", "INSTRUMENT", "UNDERLYING_SYMBOL", "SYMBOL_NAME",
    "DISPLAY_NAME", "SERIES",
    "LOT_SIZE", "TICK_SIZE",
)  # fmt: skip
# limits of orders, in units and rupees; the documents do not name them, the file has them
LIMIT_COLUMNS: Final = ("SM_FREEZE_QTY", "SM_UPPER_LIMIT", "SM_LOWER_LIMIT")
_SEGMENTS: Final = {
    ("NSE", "E"): Segment.NSE_EQ,
    ("NSE", "D"): Segment.NSE_FNO,
    ("NSE", "C"): Segment.NSE_CURRENCY,
    ("BSE", "E"): Segment.BSE_EQ,
    ("BSE", "D"): Segment.BSE_FNO,
    ("BSE", "C"): Segment.BSE_CURRENCY,
    ("MCX", "M"): Segment.MCX_COMM,
}
_NO_CONTRACT: Final = CASH | {Segment.IDX_I}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out; `line` counts from 1, the header included."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Master:
    """One day's instruments.

    Attributes:
        by_id: In the file's order.
        by_symbol: By segment and symbol; where a company's bonds share its symbol, the share
            (series EQ) wins.
        bad: Rows of the wanted segments that could not be read.
        underlyings: Symbols of the shares that have futures or options, on whichever exchange.
    """

    by_id: Mapping[InstrumentId, Instrument]
    by_symbol: Mapping[tuple[Segment, str], Instrument]
    bad: tuple[BadRow, ...]
    underlyings: frozenset[str] = frozenset()

    def auction_shares(self) -> frozenset[InstrumentId] | None:
        """The shares that close in an auction: those with derivatives on either exchange.

        None when the file names no contract on any share, as one that was cut does not: then it
        cannot be told. Source: SEBI circular of 16 January 2026 (closing auction session in stocks
        with derivatives).
        """
        if not self.underlyings:
            return None
        shares = (
            (segment, symbol)
            for symbol in self.underlyings
            for segment in (Segment.NSE_EQ, Segment.BSE_EQ)
        )
        return frozenset(self.by_symbol[share].id for share in shares if share in self.by_symbol)


async def fetch(http: httpx.AsyncClient, url: str = DETAILED_CSV) -> str:
    """Download the file within `CallTimeout.FILE`.

    Raises:
        TryLater: no answer in time, another status than 200, or an absurd size.
    """
    try:
        async with (
            asyncio.timeout(CallTimeout.FILE.value),
            http.stream("GET", url, follow_redirects=False) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise TryLater(
                    f"the instrument master answered {response.status_code}: check its address "
                    f"{url}"
                )
            body = await read_body(response, MAX_FILE)
            if body is None:
                raise TryLater(f"the instrument master at {url} is larger than {MAX_FILE} bytes")
    except (httpx.HTTPError, TimeoutError) as error:
        raise TryLater(
            f"the instrument master at {url} did not come ({type(error).__name__}); try again"
        ) from None
    return body.decode("utf-8-sig", "replace")


def parse(text: str, segments: AbstractSet[Segment]) -> Master:
    """Read the rows of `segments`; rows of others are passed over.

    Each line is read for itself (no field of the file spans lines), so a broken quote spoils one
    row, not the rest. Price limits and freeze quantity that are absent, empty, zero or no numbers
    count as not told: a row without them is still needed to leave a position.

    Raises:
        Unreadable: a column is missing, so that nothing in the file can be trusted.
    """
    lines = text.splitlines()
    header = [name.strip() for name in _split(lines[0])] if lines else []
    if missing := [name for name in COLUMNS if name not in header]:
        raise Unreadable(f"the instrument master lacks {', '.join(missing)}", "header")
    wanted: tuple[str, ...] = (*COLUMNS, *LIMIT_COLUMNS)
    at = {name: header.index(name) for name in wanted if name in header}
    builder = _MasterBuilder()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            row = _cells(_split(line), at)
            segment = _segment(row)
            if row["INSTRUMENT"] in STOCK_DERIVATIVES and row["UNDERLYING_SYMBOL"]:
                builder.underlyings.add(row["UNDERLYING_SYMBOL"])
            if segment is not None and segment in segments:
                builder.add(_instrument(segment, row), is_share=row["SERIES"] == "EQ")
        except Unreadable as error:
            builder.bad.append(BadRow(number, error.field, error.reason))
    return builder.close()


class _MasterBuilder:
    """Collects rows and keeps the better claim to a symbol."""

    def __init__(self) -> None:
        self.bad: list[BadRow] = []
        self.underlyings: set[str] = set()
        self._by_id: dict[InstrumentId, Instrument] = {}
        self._by_symbol: dict[tuple[Segment, str], Instrument] = {}
        self._shares: set[tuple[Segment, str]] = set()

    def add(self, instrument: Instrument, *, is_share: bool) -> None:
        if instrument.id in self._by_id:
            raise Unreadable(f"second row for {instrument.id}", "SECURITY_ID")
        self._by_id[instrument.id] = instrument
        key = (instrument.id.segment, instrument.symbol)
        if key not in self._by_symbol or (is_share and key not in self._shares):
            self._by_symbol[key] = instrument
        if is_share:
            self._shares.add(key)

    def close(self) -> Master:
        for share in [each for each in self._by_symbol.values() if self._is_underlying(each)]:
            told = replace(share, has_derivatives=True)
            self._by_id[share.id] = self._by_symbol[share.id.segment, share.symbol] = told
        return Master(self._by_id, self._by_symbol, tuple(self.bad), frozenset(self.underlyings))

    def _is_underlying(self, instrument: Instrument) -> bool:
        return instrument.id.segment in CASH and instrument.symbol in self.underlyings


def _split(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise Unreadable(f"not CSV: {error}", "line") from None


def _cells(cells: list[str], at: Mapping[str, int]) -> dict[str, str]:
    needed = max(at[name] for name in COLUMNS)
    if len(cells) <= needed:
        raise Unreadable(f"{len(cells)} fields, expected at least {needed + 1}", "line")
    return {name: cells[index].strip() for name, index in at.items() if index < len(cells)}


def _segment(row: Mapping[str, str]) -> Segment | None:
    """The row's segment; None for those ATS does not trade (NSE commodities, for example)."""
    return (
        Segment.IDX_I if row["SEGMENT"] == "I" else _SEGMENTS.get((row["EXCH_ID"], row["SEGMENT"]))
    )


def _instrument(segment: Segment, row: Mapping[str, str]) -> Instrument:
    # cash rows keep the exchange's symbol in UNDERLYING_SYMBOL and the company in SYMBOL_NAME;
    # contracts the contract
    symbol = (row["UNDERLYING_SYMBOL"] if segment in _NO_CONTRACT else "") or row["SYMBOL_NAME"]
    if not symbol:
        raise Unreadable("no symbol in UNDERLYING_SYMBOL or SYMBOL_NAME", "SYMBOL_NAME")
    if not row["INSTRUMENT"]:
        raise Unreadable("empty", "INSTRUMENT")
    return Instrument(
        id=_id(segment, row["SECURITY_ID"]),
        symbol=symbol,
        name=row["DISPLAY_NAME"] or symbol,
        kind=row["INSTRUMENT"],
        lot_size=Quantity(_whole("LOT_SIZE", _decimal("LOT_SIZE", row["LOT_SIZE"]))),
        tick_size=_tick_size(segment, row["TICK_SIZE"]),
        band=_band(row),
        freeze_quantity=_freeze_quantity(row),
        underlying="" if segment in _NO_CONTRACT else row["UNDERLYING_SYMBOL"],
    )


def _id(segment: Segment, text: str) -> InstrumentId:
    try:
        return InstrumentId.parse(f"{segment}:{text}")
    except ValueError as error:
        raise Unreadable(str(error), "SECURITY_ID") from None


def _tick_size(segment: Segment, text: str) -> Paise:
    # the file gives paise (5.0000 for a step of ₹0.05), but rupees on index rows, which nobody
    # trades
    size = _decimal("TICK_SIZE", text)
    if segment is Segment.IDX_I and size < 1:
        size *= PAISE_PER_RUPEE
    return Paise(_whole("TICK_SIZE", size))


def _band(row: Mapping[str, str]) -> PriceBand | None:
    lower, upper = (_told(row, name) for name in ("SM_LOWER_LIMIT", "SM_UPPER_LIMIT"))
    if lower is None or upper is None:
        return None
    # whole paise inside the band
    low = (lower * PAISE_PER_RUPEE).to_integral_value(ROUND_CEILING)
    high = (upper * PAISE_PER_RUPEE).to_integral_value(ROUND_FLOOR)
    return PriceBand(Price(int(low)), Price(int(high))) if low <= high else None


def _freeze_quantity(row: Mapping[str, str]) -> Quantity | None:
    units = _told(row, "SM_FREEZE_QTY")
    return None if units is None or units < 1 else Quantity(int(units))


def _told(row: Mapping[str, str], field: str) -> Decimal | None:
    """A limit above zero; None where the row names none that can be read."""
    try:
        number = _decimal(field, row.get(field, ""))
    except Unreadable:
        return None
    return number if number > 0 else None


def _decimal(field: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unreadable(f"not a number: {text[:40]!r}", field) from None
    if not number.is_finite() or number > 10**9:
        raise Unreadable(f"impossible value {text[:40]!r}", field)
    return number


def _whole(field: str, number: Decimal) -> int:
    if number < 1 or number != number.to_integral_value():
        raise Unreadable(f"expected a whole number above zero, got {number}", field)
    return int(number)
