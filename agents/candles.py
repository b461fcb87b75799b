"""The engine's final bars as the agents know them: the newest of each timeframe, and the day.

Pure: messages in, a `MarketContext` out. Nothing that ends after the signal is told, however late
the signal is judged.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agents.days_before import days_before
from agents.market_evidence import sector_so_far
from agents.sectors import Sector
from schemas.depth import Book
from schemas.ids import InstrumentId, Segment, SignalId, derive
from schemas.inputs import DailyBars
from schemas.market import Session, Timeframe, trading_day
from schemas.market_context import (
    MAX_BARS,
    MAX_DECISIONS,
    DaySoFar,
    MarketContext,
    PriceSince,
    RecentBars,
    SectorSoFar,
    VolumeSoFar,
)
from schemas.messages import Candle, Indicators, Signal
from schemas.units import Price, Quantity, UtcNs

NIFTY: Final = InstrumentId(Segment.IDX_I, 13)  # Dhan's number of NIFTY 50
# timeframes that are told beside the signal's own
FRAMES: Final = (Timeframe.M5, Timeframe.M15, Timeframe.M60)
USUAL_DAYS: Final = 5  # sessions: each weekday once
# a signal that waits finds the bars of its moment as long as it is worth a question
_KEPT: Final = MAX_BARS + 4
_MINUTE: Final = UtcNs.minutes(1)
# one every five seconds: five minutes, longer than a signal is worth a question
_BOOKS_KEPT: Final = 60
# a share of the same industry whose last trade is older says nothing of this moment
SECTOR_AGE: Final = UtcNs.minutes(5)

# what a higher timeframe is summed up by, and the levels of the signal's own bar
SUMMARY: Final = (
    "ema_9", "ema_21", "ema_50", "rsi_14", "adx_14", "macd_histogram", "supertrend_direction",
)  # fmt: skip
LEVELS: Final = (
    "atr_14", "ema_9", "vwap_upper", "vwap_lower", "pivot_r1", "pivot_s1", "pivot_r2", "pivot_s2",
    "volume_poc", "value_area_high", "value_area_low", "keltner_upper", "keltner_lower",
)  # fmt: skip
_WANTED: Final = frozenset({*SUMMARY, *LEVELS})


@dataclass(slots=True)
class _Day:
    """One instrument's one-minute bars of one day, in the order of their end."""

    day: date
    first: Candle
    end: array[int] = field(default_factory=lambda: array("q"))
    high: array[int] = field(default_factory=lambda: array("q"))
    low: array[int] = field(default_factory=lambda: array("q"))
    close: array[int] = field(default_factory=lambda: array("q"))

    def add(self, bar: Candle) -> None:
        self.end.append(bar.event_time)
        self.high.append(bar.high)
        self.low.append(bar.low)
        self.close.append(bar.close)

    def until(self, moment: int) -> int:
        """How many bars end at `moment` or before."""
        return bisect_right(self.end, moment)

    def close_at(self, moment: int) -> Price | None:
        """The price then; None before the first bar's end."""
        known = self.until(moment)
        return Price(self.close[known - 1]) if known else None


@dataclass(slots=True)
class _Known:
    """What is known of one instrument."""

    bars: dict[Timeframe, deque[Candle]] = field(default_factory=dict)
    values: dict[Timeframe, deque[tuple[UtcNs, Mapping[str, float]]]] = field(default_factory=dict)
    today: _Day | None = None
    books: deque[Book] = field(default_factory=lambda: deque(maxlen=_BOOKS_KEPT))
    # volume of quarters of an hour, by day and end within it
    quarters: dict[date, dict[int, int]] = field(default_factory=dict)


class CandleStore:
    """What `ats.candles`, `ats.indicators` and `ats.daily-bars` said, as far as it is needed.

    A bar that comes again, from a restarted engine, counts once.
    """

    def __init__(self) -> None:
        self._known: defaultdict[InstrumentId, _Known] = defaultdict(_Known)
        self._before: dict[InstrumentId, DailyBars] = {}

    def note_candle(self, bar: Candle) -> None:
        """Take in a final bar; those of a timeframe come in the order of their end."""
        known = self._known[bar.instrument]
        self.note_volume(bar)
        bars = known.bars.setdefault(bar.timeframe, deque(maxlen=_KEPT))
        if bars and bar.event_time <= bars[-1].event_time:
            return
        bars.append(bar)
        if bar.timeframe is Timeframe.M1:
            day = trading_day(bar.start)
            if known.today is None or known.today.day != day:
                known.today = _Day(day, bar)
            known.today.add(bar)

    def note_volume(self, bar: Candle) -> None:
        """Take in the volume of a quarter of an hour, of any day and in any order."""
        if bar.timeframe is not Timeframe.M15 or not bar.complete:
            return
        quarters, day = self._known[bar.instrument].quarters, trading_day(bar.start)
        quarters.setdefault(day, {}).setdefault(_within_day(bar.event_time), bar.volume)
        if len(quarters) > USUAL_DAYS + 1:
            del quarters[min(quarters)]

    def note_indicators(self, told: Indicators) -> None:
        """Take in the values of a final bar, in the same order."""
        frames = self._known[told.instrument].values
        values = frames.setdefault(told.timeframe, deque(maxlen=_KEPT))
        if values and told.event_time <= values[-1][0]:
            return
        known = {name: value for name in _WANTED if (value := told.values.get(name)) is not None}
        values.append((told.event_time, known))

    def note_daily(self, bars: DailyBars) -> None:
        """Take in the daily bars that the Scout of a trading date got; the newest date's count."""
        known = self._before.get(bars.instrument)
        if bars.days and (known is None or bars.trading_date >= known.trading_date):
            self._before[bars.instrument] = bars

    def note_book(self, instrument: InstrumentId, book: Book) -> None:
        """Take in an order book; those of an instrument come in the order of their moment."""
        self._known[instrument].books.append(book)

    def knows(self, instrument: InstrumentId) -> bool:
        """Whether any bar of `instrument` came."""
        known = self._known.get(instrument)
        return known is not None and bool(known.bars)

    def has(self, signal: Signal) -> bool:
        """Whether the signal's own bar and its values are known, and NIFTY's until then."""
        known, index = self._known.get(signal.instrument), self._known.get(NIFTY)
        if known is None:
            return False
        bars, values = known.bars.get(signal.timeframe), known.values.get(signal.timeframe)
        moments = [
            bars[-1].event_time if bars else 0,
            values[-1][0] if values else 0,
            *([index.today.end[-1]] if index and index.today else []),
        ]
        return min(moments) >= signal.event_time

    def context(
        self,
        signal: Signal,
        session: Session | None,
        since: Sequence[UtcNs] = (),
        sector: Sector | None = None,
    ) -> MarketContext:
        """The market around `signal`; `since` are moments of own decisions, newest first."""
        known, now = self._known.get(signal.instrument, _Known()), signal.event_time
        frames = sorted({signal.timeframe, *FRAMES}, key=list(Timeframe).index)
        recent = (_recent(known, each, now, signal.timeframe) for each in frames)
        before = self._before.get(signal.instrument)
        if before is not None and before.trading_date != trading_day(now):
            before = None
        return MarketContext(
            id=derive("market-context", signal.id),
            event_time=now,
            causation_id=signal.id,
            correlation_id=signal.correlation_id or signal.id,
            signal_id=SignalId(signal.id),
            instrument=signal.instrument,
            frames=tuple(each for each in recent if each is not None),
            day=_day_so_far(known, now, session),
            before=None if before is None else days_before(before),
            volume=_volume_so_far(known, now),
            since_decisions=tuple(_prices_since(known, now, since[:MAX_DECISIONS])),
            index=_day_so_far(self._known.get(NIFTY, _Known()), now, session),
            sector=None if sector is None else self._sector(sector, now, session),
            depth=_book_before(known, now),
        )

    def _sector(self, sector: Sector, now: UtcNs, session: Session | None) -> SectorSoFar | None:
        known = (self._known.get(each) for each in sector.others)
        days = [day for each in known if each and (day := _day_so_far(each, now, session))]
        return sector_so_far(sector.name, [day for day in days if now - day.end <= SECTOR_AGE])


def _recent(known: _Known, timeframe: Timeframe, now: UtcNs, own: Timeframe) -> RecentBars | None:
    """Of the signal's own timeframe six bars and the levels, of others the newest summed up."""
    most, names = (MAX_BARS, LEVELS) if timeframe is own else (1, SUMMARY)
    bars = [bar for bar in known.bars.get(timeframe, ()) if bar.event_time <= now][-most:]
    if not bars or trading_day(bars[-1].start) != trading_day(now):
        return None
    end = bars[-1].event_time
    values = next((v for at, v in known.values.get(timeframe, ()) if at == end), {})
    return RecentBars(
        timeframe=timeframe,
        start=tuple(bar.start for bar in bars),
        end=end,
        open=tuple(bar.open for bar in bars),
        high=tuple(bar.high for bar in bars),
        low=tuple(bar.low for bar in bars),
        close=tuple(bar.close for bar in bars),
        volume=tuple(bar.volume for bar in bars),
        values={name: values[name] for name in names if name in values},
    )


def _day_so_far(known: _Known, now: UtcNs, session: Session | None) -> DaySoFar | None:
    today = known.today
    if today is None or today.day != trading_day(now) or not (bars := today.until(now)):
        return None
    end, first = today.end[bars - 1], today.first
    return DaySoFar(
        end=UtcNs(end),
        open=first.open,
        high=Price(max(today.high[:bars])),
        low=Price(min(today.low[:bars])),
        close=Price(today.close[bars - 1]),
        whole=session is not None and first.complete and first.start == session.open,
        close_15m=today.close_at(end - 15 * _MINUTE),
        close_60m=today.close_at(end - 60 * _MINUTE),
    )


def _book_before(known: _Known, now: UtcNs) -> Book | None:
    """The newest of the day. A book of the signal's own moment may have come after it."""
    book = next((book for book in reversed(known.books) if book.at < now), None)
    return book if book is not None and trading_day(book.at) == trading_day(now) else None


def _volume_so_far(known: _Known, now: UtcNs) -> VolumeSoFar | None:
    """The same quarters on both sides: a day without one of them is not compared."""
    day, clock = trading_day(now), _within_day(now)
    today = {end: volume for end, volume in known.quarters.get(day, {}).items() if end <= clock}
    if not today:
        return None
    before = [
        sum(volumes[end] for end in today)
        for other, volumes in known.quarters.items()
        if other < day and today.keys() <= volumes.keys()
    ]
    return VolumeSoFar(
        quarters=len(today),
        volume=Quantity(sum(today.values())),
        usual=sum(before) / len(before) if before else None,
        days=len(before),
    )


def _prices_since(known: _Known, now: UtcNs, since: Iterable[UtcNs]) -> Iterable[PriceSince]:
    today = known.today
    if today is None or today.day != trading_day(now):
        return
    until = today.until(now)
    for moment in since:
        if (begin := today.until(moment)) < until:
            high, low = max(today.high[begin:until]), min(today.low[begin:until])
            yield PriceSince(since=moment, high=Price(high), low=Price(low))


def _within_day(moment: int) -> int:
    """Minutes since the Indian midnight."""
    clock = UtcNs(moment).ist()
    return 60 * clock.hour + clock.minute
