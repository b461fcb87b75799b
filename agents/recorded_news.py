"""News that is written down as it was answered, and seen from there.

A signal that is judged again, after a crash or by another process, meets the headlines of the first
time, or the same failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

from agents.news import Headline, ManySources, NewsSource, NotRecorded, bounded
from agents.recorded import SignalCache, messages_on
from bus.connection import KafkaConnection
from bus.stored import Since
from schemas import topics
from schemas.errors import Misconfigured, TryLater
from schemas.ids import SignalId, derive
from schemas.inputs import Answered, NewsAnswer, RecordedHeadline
from schemas.messages import Signal
from schemas.units import UtcNs

ANSWER_WITHIN: Final = 10.0  # seconds; a quarter of what a committee has

NewsCache: TypeAlias = SignalCache[NewsAnswer]
PublishNews: TypeAlias = Callable[[NewsAnswer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecordedNews:
    """The news of one signal (`agents.news.NewsSource`)."""

    source: NewsSource
    cache: NewsCache
    signal: Signal
    publish: PublishNews
    answer_within: float = ANSWER_WITHIN

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:
        """The recorded headlines; asks the source where none are recorded.

        Raises:
            TryLater: the source did not answer, now or the first time.
            NotRecorded: the answer could not be written down.
        """
        answer = self.cache.of(SignalId(self.signal.id))
        if answer is None:
            answer = await self._asked(symbol, as_of)
            await self._record(answer)
            answer = self.cache.add(answer)
        if answer.outcome is not Answered.OK:
            raise TryLater(answer.detail)
        return [
            Headline(published_at=each.published_at, source=each.source, text=each.text)
            for each in answer.headlines
        ]

    async def _asked(self, symbol: str, as_of: UtcNs) -> NewsAnswer:
        try:
            async with asyncio.timeout(self.answer_within):
                found = await self.source.headlines(symbol, as_of)
        except TimeoutError:
            return self._answer(symbol, Answered.AWAY, "no answer in time")
        except (TryLater, Misconfigured) as error:
            return self._answer(symbol, Answered.AWAY, str(error)[:500])
        seen = tuple(
            RecordedHeadline(published_at=each.published_at, source=each.source, text=each.text)
            for each in bounded(found, as_of)
        )
        answer = self._answer(symbol, Answered.OK)
        return answer.model_copy(update={"answered": len(found), "headlines": seen})

    def _answer(self, symbol: str, outcome: Answered, detail: str = "") -> NewsAnswer:
        signal, source = self.signal, self.source
        return NewsAnswer(
            id=derive("news", signal.id),
            event_time=signal.event_time,
            causation_id=signal.id,
            correlation_id=signal.correlation_id or signal.id,
            signal_id=SignalId(signal.id),
            instrument=signal.instrument,
            symbol=symbol,
            outcome=outcome,
            detail=detail,
            sources=source.sources(symbol, signal.event_time)
            if isinstance(source, ManySources)
            else (),
        )

    async def _record(self, answer: NewsAnswer) -> None:
        try:
            await self.publish(answer)
        except TryLater as error:
            raise NotRecorded(str(error)) from error


async def sync_news(
    connection: KafkaConnection, cache: NewsCache, since: Since, *, until_end: bool = False
) -> None:
    """Keep `cache` up to date with what is recorded; endless unless `until_end`."""
    told = messages_on(connection, topics.NEWS, NewsAnswer, since, until_end=until_end)
    async with aclosing(told) as answers:
        async for answer in answers:
            cache.add(answer)
