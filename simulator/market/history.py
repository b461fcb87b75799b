"""The sessions before this one, made up but always the same.

Daily candles lead to the market's previous close; the minutes inside each add up to exactly the
daily candle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.market import Session
from schemas.units import NS_PER_SECOND
from simulator.market.session import market_session
from simulator.market.tape import MINUTE, Listing, Numbers, Prints

CANDLE: Final = np.dtype(
    [
        ("day", "<i8"),  # ordinal, on Indian calendars
        ("start", "<i8"),  # UTC epoch seconds
        ("open", "<i8"),  # paise, as all prices
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),
        ("open_interest", "<i8"),
    ]
)
DRIFT: Final = 0.0020  # standard deviation of a trend's slope per day
TREND_DAYS: Final = 30  # so that 20-day returns differ clearly between shares
NOISE: Final = 0.011  # a usual day of a large Indian share
# share of the way back to the present price each day: five years do not drift off the scale
PULL: Final = 0.004
CONTRACT_DAYS: Final = 30  # sessions since an option was listed
CONTRACT_NOISE: Final = 4  # times a share's
# how far a minute's price leaves the straight line, as a share of the day's range
WANDER: Final = 0.3
DAY: Final = 86_400  # seconds; a whole Indian session lies in one UTC day, from 03:45 to 10:00
IST_AHEAD: Final = 19_800
OPEN_OF_DAY: Final = market_session(date(1970, 1, 1)).open // NS_PER_SECOND % DAY
# keep these streams of random numbers apart from the session's and from each other
_DAILY, _MINUTES = 2, 3

Candles = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]


def daily(listing: Listing, session_day: date, sessions: int, seed: int) -> Candles:
    """The last `sessions` weekdays before `session_day`, oldest first.

    The last closes at the listing's previous close. Asking for more adds older ones and changes
    none.
    """
    # one more, for the oldest open
    count = 1 + (min(sessions, CONTRACT_DAYS) if listing.contract else sessions)
    draws = [_generator(seed, _DAILY, session_day, listing, column) for column in range(6)]
    scale = CONTRACT_NOISE if listing.contract else 1
    slopes = np.repeat(draws[0].normal(0, DRIFT, count // TREND_DAYS + 1), TREND_DAYS)[:count]
    closes = listing.previous_close * np.exp(
        scale * _backwards(draws[1].normal(0, NOISE, count) + slopes)
    )
    opens = np.append(closes[1:], closes[-1:]) * np.exp(
        scale * draws[2].normal(0, NOISE / 3, count)
    )
    spread = np.abs(scale * draws[3].normal(0, NOISE / 2, (count, 2)))
    made = np.zeros(count, CANDLE)
    made["day"] = [day.toordinal() for day in _weekdays_before(session_day, count)]
    made["start"] = [midnight(int(day)) for day in made["day"]]
    made["open"], made["close"] = _steps(opens, listing), _steps(closes, listing)
    made["high"] = np.maximum(
        _steps(np.maximum(opens, closes) * np.exp(spread[:, 0]), listing), made["open"]
    )
    made["low"] = np.minimum(
        _steps(np.minimum(opens, closes) * np.exp(-spread[:, 1]), listing), made["open"]
    )
    volume = (
        draws[4].uniform(5e5, 2e7)
        * np.exp(draws[5].normal(0, 0.4, count))
        * listing.instrument.tradable
    )
    made["volume"] = (
        volume.astype(np.int64) // listing.instrument.lot_size * listing.instrument.lot_size
    )
    return made[-2::-1]


def minutes(listing: Listing, candle: Candles, seed: int) -> Candles:
    """The one-minute candles of one day of `daily`; together they are that day."""
    day = date.fromordinal(int(candle["day"]))
    session, random = market_session(day), _generator(seed, _MINUTES, day, listing)
    count = (session.close - session.open) // NS_PER_SECOND // MINUTE
    low, high = int(candle["low"]), int(candle["high"])
    walk = np.cumsum(random.normal(0, 1, count)) / np.sqrt(count)
    bridge = walk - walk[-1] * np.arange(1, count + 1) / count
    line = np.linspace(int(candle["open"]), int(candle["close"]), count + 1)[1:]
    made = np.zeros(count, CANDLE)
    made["day"], made["start"] = (
        candle["day"],
        session.open // NS_PER_SECOND + MINUTE * np.arange(count),
    )
    made["close"] = np.clip(_steps(line + bridge * (high - low) * WANDER * 2, listing), low, high)
    made["open"] = np.append(candle["open"], made["close"][:-1])
    beyond = np.abs(random.normal(0, (high - low) / 60, (count, 2)))
    upper, lower = np.maximum(made["open"], made["close"]), np.minimum(made["open"], made["close"])
    made["high"] = np.clip(_steps(upper + beyond[:, 0], listing), upper, high)
    made["low"] = np.clip(_steps(lower - beyond[:, 1], listing), low, lower)
    made["high"][np.argmax(upper)], made["low"][np.argmin(lower)] = high, low
    place = np.linspace(-1, 1, count)
    weights = (0.5 + 1.5 * place**2) * np.exp(random.normal(0, 0.5, count))
    lot = int(listing.instrument.lot_size)
    made["volume"] = random.multinomial(int(candle["volume"]) // lot, weights / weights.sum()) * lot
    return made


def today(tape: Prints, session: Session, now: int) -> Candles:
    """One-minute candles of the session's prints up to `now`, the minute in progress included."""
    open_second, close_second = session.open // NS_PER_SECOND, session.close // NS_PER_SECOND
    # the snapshot at the close is no trade
    prints = tape[(tape["second"] <= now) & (tape["second"] < close_second)]
    if not len(prints):
        return np.zeros(0, CANDLE)
    minute = (prints["second"] - open_second) // MINUTE
    first = np.flatnonzero(np.diff(minute, prepend=-1))
    made = np.zeros(len(first), CANDLE)
    last = np.append(first[1:], len(prints)) - 1
    made["day"], made["start"] = session.day.toordinal(), open_second + minute[first] * MINUTE
    made["open"], made["close"] = prints["price"][first], prints["price"][last]
    made["high"], made["low"] = (
        np.maximum.reduceat(prints["price"], first),
        np.minimum.reduceat(prints["price"], first),
    )
    made["volume"] = np.add.reduceat(prints["quantity"], first)
    made["open_interest"] = prints["open_interest"][last]
    return made


def together(candles: Candles, length: int) -> Candles:
    """Join one-minute candles into ones of `length` minutes, counted from each day's open."""
    if length == 1 or not len(candles):
        return candles
    begin = candles["start"] // DAY * DAY + OPEN_OF_DAY
    bucket = begin + (candles["start"] - begin) // (length * MINUTE) * (length * MINUTE)
    first = np.flatnonzero(np.diff(bucket, prepend=-1))
    made = candles[first].copy()
    last = np.append(first[1:], len(candles)) - 1
    made["start"], made["close"] = bucket[first], candles["close"][last]
    made["high"], made["low"] = (
        np.maximum.reduceat(candles["high"], first),
        np.minimum.reduceat(candles["low"], first),
    )
    made["volume"], made["open_interest"] = (
        np.add.reduceat(candles["volume"], first),
        candles["open_interest"][last],
    )
    return made


def midnight(ordinal: int) -> int:
    """The start of an Indian day, UTC epoch seconds."""
    return market_session(date.fromordinal(ordinal)).open // NS_PER_SECOND // DAY * DAY - IST_AHEAD


def _backwards(steps: Floats) -> Floats:
    """Log prices relative to the last close, the newest first, which is 0."""
    levels, level = np.zeros(len(steps)), 0.0
    for at in range(1, len(steps)):
        level += steps[at - 1] - PULL * level
        levels[at] = level
    return levels


def _steps(paise: Floats, listing: Listing) -> Numbers:
    step = int(listing.instrument.tick_size)
    prices: Numbers = np.maximum(np.rint(paise / step), 1).astype(np.int64) * step
    return prices


def _generator(
    seed: int, stream: int, day: date, listing: Listing, column: int = 0
) -> np.random.Generator:
    return np.random.default_rng(
        [seed, stream, day.toordinal(), listing.id.segment.code, listing.id.security_id, column]
    )


def _weekdays_before(day: date, count: int) -> Iterator[date]:
    """Newest first. Holidays are traded: the simulator has no calendar."""
    while count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            count -= 1
            yield day
