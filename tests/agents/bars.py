"""Final bars as the engine writes them; prices in paise."""

from __future__ import annotations

from datetime import date, timedelta

from schemas.ids import InstrumentId, derive
from schemas.inputs import Answered, DailyBars
from schemas.market import Timeframe
from schemas.messages import Candle, Indicators
from schemas.units import Price, Quantity, UtcNs
from tests.agents.factories import DAY, OPENS, RELIANCE, bars

_DAY_NS = UtcNs.minutes(24 * 60)


def a_bar(
    minutes: int,
    close: int = 285_000,
    timeframe: Timeframe = Timeframe.M1,
    instrument: InstrumentId = RELIANCE,
    *,
    reach: int = 100,
    volume: int = 1_000,
    days_ago: int = 0,
) -> Candle:
    """A bar that ends so many minutes after the open and rises by 50.

    It reaches `reach` below and above its close.
    """
    end = UtcNs(OPENS + UtcNs.minutes(minutes) - days_ago * _DAY_NS)
    return Candle(
        id=derive("candle", instrument, timeframe, end),
        event_time=end,
        instrument=instrument,
        timeframe=timeframe,
        start=UtcNs(end - timeframe.ns),
        open=Price(close - 50),
        high=Price(close + reach),
        low=Price(close - reach),
        close=Price(close),
        volume=Quantity(volume),
        ticks=9,
        complete=True,
    )


def values_of(bar: Candle, **values: float | None) -> Indicators:
    """The indicators of `bar`."""
    return Indicators(
        id=derive("indicators", bar.instrument, bar.timeframe, bar.event_time),
        event_time=bar.event_time,
        instrument=bar.instrument,
        timeframe=bar.timeframe,
        start=bar.start,
        close=bar.close,
        values=dict(values),
    )


def daily_bars(count: int = 100, day: date = DAY) -> DailyBars:
    """What the Scout of `day` got."""
    known = bars(count, until=day)
    return DailyBars(
        id=derive("daily-bars", day.isoformat(), RELIANCE),
        event_time=OPENS,
        trading_date=day,
        instrument=RELIANCE,
        first=day - timedelta(days=count),
        last=day - timedelta(days=1),
        outcome=Answered.OK,
        days=tuple(bar.day for bar in known),
        open=tuple(Price(bar.open) for bar in known),
        high=tuple(Price(bar.high) for bar in known),
        low=tuple(Price(bar.low) for bar in known),
        close=tuple(Price(bar.close) for bar in known),
        volume=tuple(bar.volume for bar in known),
    )
