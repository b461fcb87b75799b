"""Daily candles of the sessions before this one, made up but always the same: they lead to the market's previous close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import orjson
from aiohttp import web

from schemas.ids import InstrumentId
from schemas.market import to_tick
from schemas.units import IST, PAISE_PER_RUPEE, Paise
from simulator.accounts import Accounts
from simulator.market.tape import Listing, Market
from simulator.refusals import BAD_TOKEN, Code, Refusal

DRIFT: Final = 0.0020  # standard deviation of a trend's slope per day
TREND_DAYS: Final = 30  # so that 20-day returns differ clearly between shares
NOISE: Final = 0.011  # a usual day of a large Indian share
_EMPTY: Final = Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc. (no candles)")
_HISTORY: Final = 2  # keeps this stream of random numbers apart from the session's


@dataclass(frozen=True, slots=True)
class DailyCandle:
    """One session; prices in paise."""

    day: date
    open: Paise
    high: Paise
    low: Paise
    close: Paise
    volume: int


def daily_candles(listing: Listing, session_day: date, sessions: int, seed: int) -> list[DailyCandle]:
    """The `sessions` weekdays before `session_day`, oldest first; the last closes at the listing's previous close."""
    rng = np.random.default_rng(
        [seed, _HISTORY, session_day.toordinal(), listing.id.segment.code, listing.id.security_id]
    )
    slopes = np.repeat(rng.normal(0, DRIFT, sessions // TREND_DAYS + 1), TREND_DAYS)[:sessions]
    path = np.cumsum(rng.normal(0, NOISE, sessions) + slopes)
    closes = listing.previous_close * np.exp(path - path[-1])
    opens = np.append(closes[0], closes[:-1]) * np.exp(rng.normal(0, NOISE / 3, sessions))
    highs = np.maximum(opens, closes) * np.exp(np.abs(rng.normal(0, NOISE / 2, sessions)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(rng.normal(0, NOISE / 2, sessions)))
    volumes = rng.lognormal(0, 0.4, sessions) * rng.uniform(5e5, 2e7) * listing.instrument.tradable
    days = _weekdays_before(session_day, sessions)
    step = listing.instrument.tick_size
    rows = zip(days, opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(), volumes.tolist(), strict=True)
    return [
        DailyCandle(day, to_tick(o, step), to_tick(h, step), to_tick(low, step), to_tick(c, step), int(volume))
        for day, o, h, low, c, volume in rows
    ]


class Charts:
    """The handlers under `/v2/charts`."""

    def __init__(self, market: Market, accounts: Accounts, sessions: int, seed: int) -> None:
        self._market = market
        self._accounts = accounts
        self._sessions = sessions
        self._seed = seed

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v2/charts/historical", self.historical)]

    async def historical(self, request: web.Request) -> web.Response:
        if self._accounts.holder(request.headers.get("access-token", "")) is None:
            return BAD_TOKEN.reply()
        try:
            body = orjson.loads(await request.read())
            place = self._market.by_id[InstrumentId.parse(f"{body['exchangeSegment']}:{body['securityId']}")]
            first, end = date.fromisoformat(body["fromDate"]), date.fromisoformat(body["toDate"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc.").reply()
        candles = daily_candles(self._market.listings[place], self._market.session.day, self._sessions, self._seed)
        chosen = [candle for candle in candles if first <= candle.day < end]
        return web.json_response(_columns(chosen)) if chosen else _EMPTY.reply()


def _columns(candles: Sequence[DailyCandle]) -> dict[str, Any]:
    prices = {
        name: [getattr(candle, name) / PAISE_PER_RUPEE for candle in candles]
        for name in ("open", "high", "low", "close")
    }
    stamps = [datetime.combine(candle.day, datetime.min.time(), IST).timestamp() for candle in candles]
    volumes = [float(candle.volume) for candle in candles]
    return prices | {"volume": volumes, "timestamp": stamps, "open_interest": [0.0] * len(candles)}


def _weekdays_before(day: date, count: int) -> list[date]:
    """Oldest first. Holidays are traded: the simulator has no calendar."""
    days: list[date] = []
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days[::-1]
