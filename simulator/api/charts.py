"""Dhan's candles: of the days before from `market.history`, of today from the very prints that the
feed plays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson
from aiohttp import web

from schemas.ids import InstrumentId
from schemas.units import IST, PAISE_PER_RUPEE
from simulator.api.data_guard import DataGuard, object_of
from simulator.api.guard import Call
from simulator.api.replies import refuse
from simulator.config import SimulatorConfig
from simulator.exchange import Exchange
from simulator.market import history
from simulator.market.history import Candles
from simulator.refusals import Code, Refusal

INTERVALS: Final = (1, 5, 15, 25, 60)  # minutes
MOST_DAYS: Final = timedelta(days=90)  # of intraday candles in one answer
_INPUT: Final = Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc.")
_EMPTY: Final = Refusal(
    Code.INPUT, "Missing required fields, bad values for parameters etc. (no candles)"
)


class _Wrong(Exception):
    """The question cannot be understood."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Wanted moments, UTC epoch seconds; `end` is outside."""

    begin: int
    end: int


class Charts:
    """The handlers under `/v2/charts`."""

    def __init__(self, exchange: Exchange, config: SimulatorConfig, door: DataGuard) -> None:
        self._exchange = exchange
        self._door = door
        self._market = exchange.market
        self._config = config
        # a client asks for many stretches of one instrument: its days are worth keeping
        self._daily = lru_cache(maxsize=64)(self._make_daily)

    def routes(self) -> list[web.RouteDef]:
        """The paths of daily and intraday candles."""
        return [
            web.post("/v2/charts/historical", self._door.charts(self.historical)),
            web.post("/v2/charts/intraday", self._door.charts(self.intraday)),
        ]

    async def historical(self, call: Call) -> web.Response:
        """Daily candles of the sessions before this one; the last day asked for is left out."""
        try:
            body = _object(call.body)
            place = self._place(body)
            first, end = (_day(body.get(name)) for name in ("fromDate", "toDate"))
        except _Wrong:
            return refuse(_INPUT)
        candles = self._daily(place)
        chosen = candles[(candles["day"] >= first.toordinal()) & (candles["day"] < end.toordinal())]
        return _table(chosen, body) if len(chosen) else refuse(_EMPTY)

    async def intraday(self, call: Call) -> web.Response:
        """Candles of some minutes.

        For today the end does not count: they reach up to the market's now, as Dhan's do.
        """
        try:
            body = _object(call.body)
            place, length, span = self._place(body), _interval(body.get("interval")), _span(body)
        except _Wrong:
            return refuse(_INPUT)
        session = self._market.session
        today = history.midnight(session.day.toordinal())
        parts = [self._past(place, span)]
        if span.begin < today + history.DAY and span.end > today:
            parts.append(self._today(place, span.begin))
        candles = history.together(np.concatenate(parts), length)
        if not len(candles) and span.end <= today:
            return refuse(_EMPTY)
        return _table(candles, body)

    def _past(self, place: int, span: _Span) -> Candles:
        listing, daily = self._market.listings[place], self._daily(place)
        days = daily[(daily["start"] + history.DAY > span.begin) & (daily["start"] < span.end)]
        parts = [history.minutes(listing, day, self._config.seed) for day in days]
        made = np.concatenate([np.zeros(0, history.CANDLE), *parts])
        chosen: Candles = made[(made["start"] >= span.begin) & (made["start"] < span.end)]
        return chosen

    def _today(self, place: int, begin: int) -> Candles:
        now = self._exchange.second
        candles = history.today(self._market.source.tape(place), self._market.session, now)
        late = now - self._config.candle_delay
        candles = candles[(candles["start"] >= begin) & (candles["start"] <= late)]
        return candles if self._exchange.started else candles[:0]

    def _make_daily(self, place: int) -> Candles:
        day = self._market.session.day
        return history.daily(
            self._market.listings[place], day, self._config.history_sessions, self._config.seed
        )

    def _place(self, body: dict[str, Any]) -> int:
        try:
            return self._market.by_id[
                InstrumentId.parse(f"{body['exchangeSegment']}:{body['securityId']}")
            ]
        except (KeyError, ValueError):
            raise _Wrong from None


def _object(body: bytes) -> dict[str, Any]:
    parsed = object_of(body)
    if parsed is None:
        raise _Wrong
    return parsed


def _interval(value: object) -> int:
    """Dhan documents strings; its SDK sends numbers."""
    if isinstance(value, str | int) and str(value) in map(str, INTERVALS):
        return int(value)
    raise _Wrong


def _span(body: dict[str, Any]) -> _Span:
    """A day without a time of day is meant whole, also as the end (recorded in 2026)."""
    begin, end = body.get("fromDate"), body.get("toDate")
    first, last = _moment(begin), _moment(end)
    if isinstance(end, str) and len(end) <= len("2026-11-23"):
        last += timedelta(days=1)
    if not first < last or last - first > MOST_DAYS + timedelta(days=1):
        raise _Wrong
    return _Span(int(first.timestamp()), int(last.timestamp()))


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise _Wrong from None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise _Wrong from None


def _table(candles: Candles, asked: dict[str, Any]) -> web.Response:
    """Parallel columns of floats; open interest only for who asks for it, as recorded."""
    columns: dict[str, list[float]] = {
        name: (candles[name] / PAISE_PER_RUPEE).tolist()
        for name in ("open", "high", "low", "close")
    }
    more = {"volume": "volume", "timestamp": "start"} | (
        {"open_interest": "open_interest"} if asked.get("oi") else {}
    )
    for name, column in more.items():
        columns[name] = candles[column].astype(np.float64).tolist()
    return web.Response(body=orjson.dumps(columns), content_type="application/json")
