"""News and daily bars as they were answered: written down first, then used from there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from agents.news import Headline, NewsSource, NotRecorded
from agents.recorded_history import RecordedHistory
from agents.recorded_news import NewsCache, RecordedNews
from agents.scout import DatedBar
from schemas.codec import decode, encode
from schemas.errors import TryLater, Unreadable
from schemas.ids import SignalId
from schemas.inputs import Answered, DailyBars, NewsAnswer
from schemas.market import Instrument
from schemas.units import UtcNs
from tests.agents.factories import (
    AS_OF,
    DAY,
    OPENS,
    RELIANCE,
    FixedNews,
    a_signal,
    an_instrument,
    bars,
)

FIRST, LAST = DAY - timedelta(days=150), DAY - timedelta(days=1)


class Log:
    """Stands where the topic stands; each message goes through its bytes."""

    def __init__(self) -> None:
        self.written: list[NewsAnswer | DailyBars] = []

    async def publish(self, message: NewsAnswer | DailyBars) -> None:
        self.written.append(decode(type(message), encode(message)))

    async def fail(self, message: NewsAnswer | DailyBars) -> None:
        raise TryLater(f"the broker is away, {message.id} was not written")


class AwayNews:
    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:
        raise TryLater(f"nobody knows {symbol} at {as_of}")


class SilentNews:
    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        await asyncio.Event().wait()
        return ()


def news(source: NewsSource, log: Log, cache: NewsCache | None = None) -> RecordedNews:
    return RecordedNews(source, cache or NewsCache(), a_signal(), log.publish, answer_within=0.01)


async def texts(source: RecordedNews) -> list[str]:
    return [each.text for each in await source.headlines("RELIANCE", AS_OF)]


async def test_headlines_are_written_down_as_they_are_seen() -> None:
    log = Log()

    seen = await texts(news(FixedNews(("wins", "loses")), log))

    (written,) = log.written
    assert isinstance(written, NewsAnswer)
    assert [each.text for each in written.headlines] == seen
    assert (written.causation_id, written.outcome, written.answered) == (
        a_signal().id,
        Answered.OK,
        2,
    )


async def test_no_headlines_are_an_answer_too() -> None:
    log = Log()

    assert await texts(news(FixedNews(()), log)) == []

    assert [(each.outcome, each.detail) for each in log.written] == [(Answered.OK, "")]


@pytest.mark.parametrize(
    ("source", "said"), [(AwayNews(), "nobody knows RELIANCE"), (SilentNews(), "in time")]
)
async def test_a_source_that_fails_is_written_down_and_fails(source: NewsSource, said: str) -> None:
    log = Log()

    with pytest.raises(TryLater, match=said):
        await texts(news(source, log))

    (written,) = log.written
    assert written.outcome is Answered.AWAY
    assert said in written.detail


async def test_a_signal_that_is_judged_again_sees_the_news_of_the_first_time() -> None:
    log, cache = Log(), NewsCache()
    first = await texts(news(FixedNews(("wins",)), log, cache))

    again = await texts(news(FixedNews(("loses",)), log, cache))

    assert first == again == ["wins"]
    assert len(log.written) == 1


async def test_a_failure_of_the_first_time_stays_one() -> None:
    log, cache = Log(), NewsCache()
    with pytest.raises(TryLater):
        await texts(news(AwayNews(), log, cache))

    with pytest.raises(TryLater, match="nobody knows"):
        await texts(news(FixedNews(), log, cache))


async def test_news_that_cannot_be_written_down_are_not_used() -> None:
    unwritten = RecordedNews(FixedNews(), NewsCache(), a_signal(), Log().fail)

    with pytest.raises(NotRecorded):
        await texts(unwritten)


def test_the_first_answer_of_a_signal_stands() -> None:
    cache, signal = NewsCache(), a_signal()
    first, second = (
        NewsAnswer(
            id=signal.id,
            event_time=AS_OF,
            signal_id=SignalId(signal.id),
            instrument=RELIANCE,
            symbol="RELIANCE",
            outcome=outcome,
        )
        for outcome in (Answered.OK, Answered.AWAY)
    )

    assert (cache.add(first), cache.add(second)) == (first, first)
    assert cache.of(SignalId(signal.id)) == first


def test_a_full_cache_forgets_the_oldest_answer() -> None:
    cache = NewsCache(limit=1)
    answers = [
        NewsAnswer(
            id=signal.id,
            event_time=AS_OF,
            signal_id=signal.id,  # type: ignore[arg-type]
            instrument=RELIANCE,
            symbol="RELIANCE",
            outcome=Answered.OK,
        )
        for signal in (a_signal(), a_signal(rule="other"))
    ]

    for answer in answers:
        cache.add(answer)

    assert [cache.of(answer.signal_id) for answer in answers] == [None, answers[1]]


class Archive:
    """Gives the bars, or fails; counts how often it is asked."""

    def __init__(self, error: TryLater | Unreadable | None = None) -> None:
        self.error = error
        self.asked = 0

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DatedBar]:
        self.asked += 1
        assert (instrument.id, first, last) == (RELIANCE, FIRST, LAST)
        if self.error:
            raise self.error
        return bars(60)


def history(archive: Archive, log: Log, *known: DailyBars) -> RecordedHistory:
    recorded = {each.instrument: each for each in known}
    return RecordedHistory(archive, DAY, OPENS, recorded, log.publish)


def values(found: Sequence[DatedBar]) -> list[tuple[object, ...]]:
    return [(b.day, b.open, b.high, b.low, b.close, b.volume) for b in found]


async def test_daily_bars_are_written_down_and_used_from_there() -> None:
    log, archive = Log(), Archive()

    seen = await history(archive, log).daily(an_instrument(), FIRST, LAST)

    (written,) = log.written
    assert isinstance(written, DailyBars)
    assert values(seen) == values(bars(60))
    again = await history(archive, log, written).daily(an_instrument(), FIRST, LAST)
    assert values(again) == values(seen)
    assert archive.asked == len(log.written) == 1


async def test_recorded_bars_of_another_span_are_asked_for_anew() -> None:
    log, archive = Log(), Archive()
    await history(archive, log).daily(an_instrument(), FIRST, LAST)
    (written,) = log.written
    assert isinstance(written, DailyBars)
    shorter = written.model_copy(update={"first": FIRST + timedelta(days=1)})

    await history(archive, log, shorter).daily(an_instrument(), FIRST, LAST)

    assert archive.asked == 2


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(TryLater("busy"), Answered.AWAY), (Unreadable("no candles"), Answered.UNREADABLE)],
)
async def test_a_history_that_does_not_come_is_written_down_and_asked_for_again(
    error: TryLater | Unreadable, outcome: Answered
) -> None:
    log, archive = Log(), Archive(error)
    asking = history(archive, log)

    for _ in range(2):
        with pytest.raises(type(error)):
            await asking.daily(an_instrument(), FIRST, LAST)

    assert [each.outcome for each in log.written] == [outcome, outcome]
    assert archive.asked == 2
