"""Answers for which the record is read again: a day's chart with its lines, and one order's why."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import date
from typing import Final
from uuid import UUID

from ats.gateway.board import Board
from ats.gateway.lines import point_of
from ats.gateway.lookups import Lookups, RecordAway
from ats.gateway.owners import owners_story
from ats.gateway.series import SeriesKey
from ats.gateway.views import Chart, LinePoint, Why, json_of
from audit.reading import Reader
from bus.reader import read_topics
from bus.records import Record
from bus.stored import Topics
from executors.charges.rates import Rates
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import UserId
from schemas.market import trading_day
from schemas.messages import Indicators, Message
from schemas.topics import (
    BY_NAME,
    CANDLES,
    EXECUTIONS,
    EXITS,
    INDICATORS,
    ORDERS,
    REPORTS,
    SIGNALS,
    TRADES,
    Topic,
)
from schemas.units import UtcNs

_OF_SHARE: Final = (CANDLES, INDICATORS, SIGNALS, REPORTS)
_OF_USER: Final = (ORDERS, EXECUTIONS, TRADES, EXITS)
# clocks differ, and a signal is written before the bar that raised it
BEFORE: Final = UtcNs.minutes(10)
# the Scout's list of a day is made the evening before at the earliest
STORY_BEFORE: Final = UtcNs.minutes(24 * 60)


class RecordAnswers:
    """Asks the board first, and the record for what the board does not hold."""

    def __init__(self, board: Board, record: Topics, lookups: Lookups, rates: Rates) -> None:
        self._board = board
        self._record = record
        self._lookups = lookups
        self._rates = rates

    async def chart(self, user: UserId, key: SeriesKey, day: date | None) -> Chart | None:
        """One day of one instrument; None where no bar of that day is known.

        Raises:
            RecordAway: an earlier day cannot be read now.
        """
        market = self._board.market
        if day is None or day == market.day:
            return await self._newest(user, key)
        first = market.days.get(day)
        if first is None or self._last_bar(key) is None:
            return None
        since = UtcNs(first - BEFORE)

        async def read() -> Chart:
            past = Board("past", self._rates, day)
            past.lines.watch(user, key)
            async for record in self._of_day(user, key, day, since):
                past.apply(record)
            return past.chart(user, key)

        found = await self._lookups.find(user, ("chart", user, key, day), read)
        known = {"days": tuple(sorted(market.days)), "trading_date": day}
        symbol = found.symbol or market.symbol_of(key.instrument)
        return found.model_copy(update=known | {"symbol": symbol})

    async def why(self, user: UserId, order: UUID) -> bytes | None:
        """The story of one order of `user`'s as JSON; None where they have no such order.

        Raises:
            RecordAway: it cannot be read now.
        """
        asked = self._board.asked(user, order)
        person = self._board.person(user)
        if asked is None or person is None:
            return None
        intent = asked.intent
        since = UtcNs(asked.published_at - STORY_BEFORE)

        async def read() -> bytes:
            story = await Reader(self._record, since).story(intent)
            assert story, "an order has a story"
            steps = owners_story(story, self._rates)
            return json_of(
                Why(
                    order=intent.id,
                    instrument=intent.instrument,
                    symbol=intent.symbol,
                    trading_date=trading_day(intent.event_time),
                    steps=steps,
                    missing=story.missing,
                )
            )

        # whatever happens to the user's orders is an event of theirs, and makes it another story
        return await self._lookups.find(user, ("why", user, order, person.ring.last), read)

    async def _newest(self, user: UserId, key: SeriesKey) -> Chart:
        lines, market = self._board.lines, self._board.market
        lines.watch(user, key)
        first = market.days.get(market.day) if market.day else None
        lines_known = True
        last = self._last_bar(key)
        if first is not None and last is not None and not lines.is_whole(key):
            day, since = market.day, UtcNs(first - BEFORE)

            async def read() -> list[LinePoint]:
                return [
                    point_of(row)
                    async for row in self._lines(key, since)
                    if trading_day(row.event_time) == day
                ]

            try:
                points = await self._lookups.find(user, ("lines", key, day, last), read)
            except RecordAway:
                lines_known = False
            else:
                if market.day == day:
                    lines.read_up(key, points)
        return self._board.chart(user, key, lines_known=lines_known)

    def _last_bar(self, key: SeriesKey) -> UtcNs | None:
        bars = self._board.market.candles(key, 1).bars
        return bars[-1].start if bars else None

    async def _lines(self, key: SeriesKey, since: UtcNs) -> AsyncGenerator[Indicators, None]:
        name = str(key.instrument).encode()
        records = self._read((INDICATORS,), since, key, lambda value: name in value)
        async with aclosing(records):
            async for record in records:
                row = _decoded(record)
                if isinstance(row, Indicators) and row.timeframe is key.timeframe:
                    yield row

    async def _of_day(
        self, user: UserId, key: SeriesKey, day: date, since: UtcNs
    ) -> AsyncGenerator[Record, None]:
        """What was public of an instrument on one day, then what the user did in it."""
        name, owner = str(key.instrument).encode(), str(user).encode()
        for topics, series, needles in ((_OF_SHARE, key, [name]), (_OF_USER, None, [name, owner])):
            records = self._read(topics, since, series, _holds(needles))
            async with aclosing(records):
                async for record in records:
                    message = _decoded(record)
                    if message and trading_day(message.event_time) == day:
                        yield record

    async def _read(
        self,
        topics: Iterable[Topic],
        since: UtcNs,
        key: SeriesKey | None,
        wanted: Callable[[bytes], bool],
    ) -> AsyncGenerator[Record, None]:
        about = key.instrument if key else None
        records = read_topics(self._record, tuple(topics), since=since, until_end=True, about=about)
        async with aclosing(records):
            async for record in records:
                if wanted(record.value or b""):
                    yield record


def _holds(needles: list[bytes]) -> Callable[[bytes], bool]:
    return lambda value: all(needle in value for needle in needles)


def _decoded(record: Record) -> Message | None:
    """None of what is no message: it stands in the dead letters."""
    model = BY_NAME[record.topic].message
    assert model, "messages are read"
    try:
        return decode(model, record.value)
    except Unreadable:
        return None
