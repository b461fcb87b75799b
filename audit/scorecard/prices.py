"""What the market did after a moment, minute by minute. Pure.

Nothing looks ahead: what is judged is entered at the first price after it went out, the open of the
next minute's bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle
from schemas.units import UtcNs

HORIZONS: Final = (5, 15, 60)  # minutes; the last column of every return is to the close
JUDGED: Final = 1  # the column by which hits are counted: 15 minutes
COLUMNS: Final = (*(f"{minutes} min" for minutes in HORIZONS), "close")
# a share that does not trade for so long after a decision could not have been had for it
PATIENCE: Final = UtcNs.minutes(5)

Floats = npt.NDArray[np.float64]
Moments = npt.NDArray[np.int64]


class MinuteBar(NamedTuple):
    """Of a final bar of a minute what is needed here; times in UTC ns, prices in paise."""

    instrument: InstrumentId
    start: int
    event_time: int
    open: int
    close: int

    @classmethod
    def of(cls, bar: Candle, instrument: InstrumentId) -> MinuteBar:
        """From a candle; `instrument` is its own, given so that all bars share one."""
        return cls(instrument, int(bar.start), int(bar.event_time), int(bar.open), int(bar.close))


class Day(NamedTuple):
    """One instrument's day, a row for each minute that traded.

    Attributes:
        starts: UTC ns, rising.
        returns: What a buyer at the row's open has gained, in basis points, for each of `COLUMNS`;
            NaN where the market closed before.
        whole: From the day's first open to its last close, in basis points.
    """

    starts: Moments
    returns: Floats
    whole: float


class Prices:
    """The one-minute bars of some days, by instrument. Takes them in any order and repeatedly."""

    def __init__(self, candles: Iterable[Candle | MinuteBar]) -> None:
        self._bars: dict[tuple[InstrumentId, date], dict[int, Candle | MinuteBar]] = {}
        self._ends: dict[date, int] = {}
        self._days: dict[tuple[InstrumentId, date], Day] = {}
        for bar in candles:
            if isinstance(bar, Candle) and bar.timeframe is not Timeframe.M1:
                continue
            day = trading_day(bar.start)
            self._bars.setdefault((bar.instrument, day), {}).setdefault(bar.start, bar)
            self._ends[day] = max(self._ends.get(day, 0), bar.event_time)

    @property
    def days(self) -> list[date]:
        """The days that have a bar, oldest first."""
        return sorted(self._ends)

    def day(self, instrument: InstrumentId, day: date) -> Day | None:
        """The instrument's day; None where it did not trade."""
        bars = self._bars.get((instrument, day))
        if bars is None:
            return None
        known = self._days.get((instrument, day))
        if known is None:
            ordered = [bars[start] for start in sorted(bars)]
            known = self._days[instrument, day] = _day_of(ordered, self._ends[day])
        return known

    def after(self, instrument: InstrumentId, moment: int) -> Floats | None:
        """What a buyer has gained who bought at the first price after `moment`, for each column.

        None where there was no price soon enough.
        """
        day = self.day(instrument, trading_day(moment))
        if day is None:
            return None
        row = int(np.searchsorted(day.starts, moment, "left"))
        if row == len(day.starts) or day.starts[row] - moment > PATIENCE:
            return None
        found: Floats = day.returns[row]
        return found


def _day_of(bars: Sequence[Candle | MinuteBar], closes_at: int) -> Day:
    starts, ends = (
        np.array([getattr(bar, name) for bar in bars], np.int64) for name in ("start", "event_time")
    )
    # exact below 2^53 paise; a record can name more than 64 bits hold
    opens, closes = (
        np.array([getattr(bar, name) for bar in bars], np.float64) for name in ("open", "close")
    )
    returns = np.full((len(bars), len(COLUMNS)), np.nan)
    for column, minutes in enumerate(HORIZONS):
        until = starts + UtcNs.minutes(minutes)
        last = np.searchsorted(ends, until, "right") - 1
        inside = until <= closes_at
        returns[inside, column] = (closes[last[inside]] / opens[inside] - 1) * 10_000
    returns[:, -1] = (closes[-1] / opens - 1) * 10_000
    return Day(starts, returns, float(closes[-1] / opens[0] - 1) * 10_000)
