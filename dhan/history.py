"""Reads daily and intraday candles from Dhan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, Literal

import httpx
from dhanhq import HistoricalData

from dhan.transport import (
    BaseUrl,
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    Result,
    trading_error,
)
from schemas.errors import TryLater, Unreadable
from schemas.history import Bar
from schemas.market import Instrument, trading_day
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, Price, Quantity, UtcNs

NOTHING: Final = "DH-905"
MOST_DAYS: Final = 90  # of intraday candles in one answer
_DAY_NS: Final = 86_400 * NS_PER_SECOND
_COLUMNS: Final = ("open", "high", "low", "close", "volume", "timestamp")


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One trading day. `volume` is in units."""

    day: date
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity


class NothingThere(TryLater):
    """Dhan has no candles of these days, or cannot use the question: it says DH-905 of both.

    Next: ask for other days; asked again, it says the same.
    """


class History:
    """Dhan's historical data of one account."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: BaseUrl, credentials: Credentials
    ) -> None:
        self._data = HistoricalData(DhanTransport(http, base_url, credentials, CallTimeout.DATA))

    async def daily(self, instrument: Instrument, first: date, last: date) -> tuple[DailyBar, ...]:
        """The daily bars from `first` to `last`, both included, oldest first.

        Raises:
            TryLater: no answer, or Dhan refused (rate limit, token, server).
            Unreadable: an answer that is no table of candles.
        """
        result: Result = await self._data.historical_daily_data(
            security_id=str(instrument.id.security_id),
            exchange_segment=instrument.id.segment.value,
            instrument_type=instrument.kind,
            from_date=first.isoformat(),
            to_date=(last + timedelta(days=1)).isoformat(),  # Dhan's end is exclusive
        )
        body = _answered(result, f"daily candles of {instrument.id}")
        return tuple(bar for bar in read_daily(body) if first <= bar.day <= last)

    async def intraday(
        self, instrument: Instrument, minutes: Literal[1, 5, 15, 25, 60], first: UtcNs, until: UtcNs
    ) -> tuple[Bar, ...]:
        """The bars of `minutes` that start at `first` or later and end by `until`, oldest first.

        Raises:
            ValueError: more than Dhan's 90 days.
            NothingThere, TryLater, Unreadable: as for `daily`.
        """
        if until - first > MOST_DAYS * _DAY_NS:
            raise ValueError(
                f"{(until - first) / _DAY_NS:.0f} days of candles; Dhan gives {MOST_DAYS} at once"
            )
        result: Result = await self._data.intraday_minute_data(
            security_id=str(instrument.id.security_id),
            exchange_segment=instrument.id.segment.value,
            instrument_type=instrument.kind,
            from_date=_clock_text(first),
            to_date=_clock_text(until),
            interval=minutes,
        )
        body = _answered(result, f"{minutes}-minute candles of {instrument.id}")
        # for the current day Dhan ignores the end we ask for, and the newest bar may still be
        # growing
        length = UtcNs.minutes(minutes)
        return tuple(
            bar for bar in read_bars(body) if first <= bar.start and bar.start + length <= until
        )


def _clock_text(moment: UtcNs) -> str:
    """What Dhan's intraday endpoint understands: `YYYY-MM-DD HH:MM:SS` in IST."""
    return moment.ist().strftime("%Y-%m-%d %H:%M:%S")


def _answered(result: Result, asked: str) -> Any:
    if isinstance(result, Lost):
        raise TryLater(f"{asked}: no answer from Dhan ({result.reason}); ask again")
    if result.status != httpx.codes.OK:
        code, message = trading_error(result.body)
        raise (NothingThere if code == NOTHING else TryLater)(
            f"{asked}: Dhan answered {result.status} {code} {message}".rstrip()
            + "; check the token and the data plan, then ask again"
        )
    return result.body


def read_daily(body: Any) -> tuple[DailyBar, ...]:
    """Read Dhan's table of daily candles strictly.

    Its timestamps are true UTC seconds of IST midnight, unlike the feed's.

    Raises:
        Unreadable: naming the column and the row at fault.
    """
    bars = tuple(DailyBar(trading_day(bar.start), *bar[1:]) for bar in _table(body))
    for at, (earlier, later) in enumerate(pairwise(bars), start=1):
        if later.day <= earlier.day:
            raise Unreadable(f"{later.day} after {earlier.day}", f"timestamp[{at}]")
    return bars


def read_bars(body: Any) -> tuple[Bar, ...]:
    """Read Dhan's table of intraday candles strictly.

    Its timestamps are true UTC seconds of the bar's start.

    Raises:
        Unreadable: naming the column and the row at fault.
    """
    bars = _table(body)
    for at, (earlier, later) in enumerate(pairwise(bars), start=1):
        if later.start <= earlier.start:
            raise Unreadable(f"{later.start.ist()} after {earlier.start.ist()}", f"timestamp[{at}]")
    return bars


def _table(body: Any) -> tuple[Bar, ...]:
    """Dhan's parallel arrays as bars, each possible for itself.

    Prices round to the nearest paisa, because Dhan sends 32-bit floats and adjusted prices.
    """
    if not isinstance(body, Mapping):
        raise Unreadable(f"expected an object of arrays, got {type(body).__name__}")
    columns = [_column(body, name) for name in _COLUMNS]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(
            f"{name} {len(column)}" for name, column in zip(_COLUMNS, columns, strict=True)
        )
        raise Unreadable(f"arrays of different lengths: {lengths}")
    return tuple(_bar(at, row) for at, row in enumerate(zip(*columns, strict=True)))


def _column(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    column = body.get(name)
    if not isinstance(column, list):
        raise Unreadable(
            "missing array"
            if column is None
            else f"expected an array, got {type(column).__name__}",
            name,
        )
    return column


def _bar(at: int, row: tuple[Any, ...]) -> Bar:
    opened, high, low, close = (
        _price(value, f"{name}[{at}]") for name, value in zip(_COLUMNS[:4], row[:4], strict=True)
    )
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise Unreadable(
            f"open {opened}, high {high}, low {low}, close {close} cannot be one bar", f"high[{at}]"
        )
    volume, stamp = _number(row[4], f"volume[{at}]"), _number(row[5], f"timestamp[{at}]")
    if volume < 0 or stamp <= 0:
        raise Unreadable(f"impossible value {volume if volume < 0 else stamp}", f"row[{at}]")
    return Bar(UtcNs.seconds(int(stamp)), opened, high, low, close, Quantity(int(volume)))


def _price(value: Any, name: str) -> Price:
    paise = round(_number(value, name) * PAISE_PER_RUPEE)
    if paise <= 0:
        raise Unreadable(f"not a price: {value}", name)
    return Price(paise)


def _number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable(f"not a number: {value!r}"[:120], name)
    return Decimal(value)
