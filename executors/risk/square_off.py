"""When positions are closed for the day, and so until when one may be opened. Pure.

Before the closing auction, before the broker squares off (at its price and for a fee, in batches,
without a promise), and on special days a quarter of an hour before the last session ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from schemas.calendar import Calendar
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import trading_day
from schemas.units import IST, UtcNs

BEFORE_CLOSE: Final = UtcNs.minutes(15)
"""On days with hours of their own, of which no broker says when it squares off."""
OTHERS_BEFORE_CLOSE: Final = UtcNs.minutes(20)
"""In currencies and commodities: Dhan squares off a quarter of an hour before their close."""
LEAST_BEFORE_CLOSE: Final = UtcNs.minutes(5)
"""However the times are set: so long before continuous trading ends at the latest."""

_CASH: Final = frozenset({Segment.NSE_EQ, Segment.BSE_EQ})
_FNO: Final = frozenset({Segment.NSE_FNO, Segment.BSE_FNO})


class BrokerTime(NamedTuple):
    """From `since` on Dhan closes intraday positions at these Indian times.

    Before the first row it is not known to be earlier.
    """

    since: date
    cash: time
    fno: time
    source: str


BROKER_TIMES: Final = (
    BrokerTime(
        date.min, time(15, 20), time(15, 20), "knowledge.dhan.co 82000832236, before August 2026"
    ),
    BrokerTime(
        date(2026, 8, 3),
        time(15, 10),
        time(15, 25),
        "dhan.co/support/general/market-session-status-and-timing, as quoted in October 2026",
    ),
)


@dataclass(frozen=True, slots=True)
class SquareOff:
    """Our own times on a regular day, on Indian clocks.

    Raises:
        Misconfigured: a time is not before the one at which Dhan squares off.
    """

    cash: time = time(15, 5)
    fno: time = time(15, 20)

    def __post_init__(self) -> None:
        last = BROKER_TIMES[-1]
        for name, own, broker in (
            ("ATS_SQUARE_OFF_CASH", self.cash, last.cash),
            ("ATS_SQUARE_OFF_FNO", self.fno, last.fno),
        ):
            if own >= broker:
                raise Misconfigured(
                    f"{name}={own:%H:%M} is not before {broker:%H:%M}, when Dhan closes positions "
                    "by itself; set an earlier time"
                )

    def at(self, calendar: Calendar, day: date, instrument: InstrumentId) -> UtcNs | None:
        """When the instrument's positions of `day` are closed; None when it does not trade."""
        sessions = calendar.sessions(day, instrument)
        if not sessions:
            return None
        last = sessions[-1]
        if instrument.segment not in _CASH | _FNO:
            return UtcNs(max(last.open, last.close - OTHERS_BEFORE_CLOSE))
        own = _moment(day, min(self._own(instrument), self._broker(day, instrument)))
        if last.open < own < last.close:
            return UtcNs(min(own, last.close - LEAST_BEFORE_CLOSE))
        return UtcNs(max(last.open, last.close - BEFORE_CLOSE))

    def due(self, calendar: Calendar, now: UtcNs, instrument: InstrumentId) -> bool:
        """Whether positions are closed by now, and no entry may leave any more."""
        at = self.at(calendar, trading_day(now), instrument)
        return at is not None and now >= at

    def _own(self, instrument: InstrumentId) -> time:
        return self.cash if instrument.segment in _CASH else self.fno

    def _broker(self, day: date, instrument: InstrumentId) -> time:
        """A little before the broker's own time: it starts at the time, in batches."""
        row = max((row for row in BROKER_TIMES if row.since <= day), key=lambda row: row.since)
        broker = row.cash if instrument.segment in _CASH else row.fno
        return (datetime.combine(day, broker) - timedelta(minutes=2)).time()


def _moment(day: date, at: time) -> UtcNs:
    return UtcNs.from_datetime(datetime.combine(day, at, tzinfo=IST))
