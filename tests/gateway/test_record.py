"""What is answered from the record: a day's chart with its lines, and why an order was made."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from ats.gateway.board import FOLLOWED
from ats.gateway.lines import MOST_WATCHED, OF_ONE_USER, LinesFold
from ats.gateway.lookups import OF_ONE_USER as READS_OF_ONE_USER
from ats.gateway.lookups import Lookups, RecordAway
from ats.gateway.owners import owners_story
from ats.gateway.series import SeriesKey
from audit.reading import Reader
from audit.sentences import sentences
from audit.story import Story
from executors.charges.rates import shipped_rates
from schemas.errors import TryLater
from schemas.ids import InstrumentId, Segment, UserId
from schemas.market import Timeframe
from schemas.messages import (
    Candle,
    Decision,
    FanOut,
    Indicators,
    Message,
    Signal,
    Trade,
    UserSession,
)
from schemas.units import Price, UtcNs
from tests.ats.factories import ASHA as HER
from tests.audit.test_story import CHAIN, INTENT, OTHERS, OURS
from tests.gateway.filled import INSTRUMENT, NOW, Marks, filled
from tests.gateway.gate import ASHA, BIMAL, TOPIC_OF, Gate, StoredRecords, gate
from tests.schemas.factories import a_candle

MARKS = Marks("x", 1)
RATES = shipped_rates()
MINUTE = UtcNs.minutes(1)
A_DAY = UtcNs.minutes(24 * 60)
KEY = SeriesKey(InstrumentId.parse(INSTRUMENT), Timeframe.M1)
TOLD = [each for each in (*CHAIN, *OURS) if TOPIC_OF[type(each)] in FOLLOWED]
CHART = f"/v1/chart/{INSTRUMENT}"


def a_bar(minute: int, at: int = NOW) -> Candle:
    start = at + minute * MINUTE
    changes = {"instrument": KEY.instrument, "start": start, "event_time": start + MINUTE}
    return a_candle().model_copy(update=changes)


def a_row(minute: int, at: int = NOW, **values: float | None) -> Indicators:
    start = UtcNs(at + minute * MINUTE)
    return Indicators(
        id=UUID(int=start), event_time=UtcNs(start + MINUTE), instrument=KEY.instrument,
        timeframe=KEY.timeframe, start=start, close=Price(100_00), values=values or {"vwap": 100.5},
    )  # fmt: skip


def a_signal(at: int = NOW) -> Signal:
    return filled(Signal, MARKS, event_time=at, timeframe="1m")


async def error_of(made: Gate, path: str) -> tuple[int, str]:
    status, body, _ = await made.get(path)
    return status, orjson.loads(body)["error"]


# --- the chart


async def test_a_chart_shows_the_days_bars_with_lines_that_are_read_up_once() -> None:
    record = StoredRecords(a_row(0, vwap=100.004, ema_9=None, rsi_14=55.0), a_row(1))
    async with gate(record=record) as made:
        made.tell(a_bar(0), a_bar(1), a_signal())

        first, second = [await made.json(CHART) for _ in range(2)]

    assert [each["start"] for each in first["bars"]] == [NOW, NOW + MINUTE]
    assert [each["values"] for each in first["lines"]] == [{"vwap": 100.0}, {"vwap": 100.5}]
    assert len(first["signals"]) == 1
    assert (first, record.reads) == (second, 1)


async def test_new_points_of_a_chart_come_over_the_stream_once_somebody_looks_at_it() -> None:
    async with gate() as made:
        made.tell(a_bar(0), a_row(0))
        async with made.stream(path=f"/v1/stream?instrument={INSTRUMENT}") as opened:
            await opened.until("snapshot")
            await made.json(CHART)
            made.tell(a_row(1), a_row(1))
            lines = (await opened.until("lines")).data

        assert [each["start"] for each in lines["points"]] == [NOW + MINUTE]
        assert len((await made.json(CHART))["lines"]) == 1
    assert opened.raw.count(b"event: lines") == 1


async def test_an_earlier_days_chart_comes_from_the_record_with_what_the_asker_did_then() -> None:
    before = NOW - A_DAY
    own, his = (
        filled(Trade, Marks(user.hex, 7), user_id=str(user), event_time=before)
        for user in (ASHA, BIMAL)
    )
    own = own.model_copy(update={"trading_date": own.trading_date.replace(day=13)})
    past = (a_bar(0, before), a_row(0, before), a_signal(before), own, his)
    record = StoredRecords(*past, a_bar(0), a_row(0))
    async with gate(record=record) as made:
        made.tell(a_bar(0, before), a_bar(0))

        chart = await made.json(f"{CHART}?day=2026-07-13")
        again = await made.json(f"{CHART}?day=2026-07-13")

    assert [each["start"] for each in chart["bars"]] == [before]
    assert [each["start"] for each in chart["lines"]] == [before]
    assert [each["id"] for each in chart["own"]["trades"]] == [str(own.id)]
    assert len(chart["signals"]) == 1
    assert (chart["trading_date"], chart["days"]) == ("2026-07-13", ["2026-07-13", "2026-07-14"])
    assert (chart, record.reads) == (again, 2)


async def test_a_day_without_a_known_bar_is_not_looked_for() -> None:
    record = StoredRecords()
    async with gate(record=record) as made:
        made.tell(a_bar(0))

        assert await error_of(made, f"{CHART}?day=2026-07-10") == (404, "unknown")
    assert record.reads == 0


async def test_while_kafka_is_away_today_is_shown_without_lines_and_earlier_days_are_not() -> None:
    record = StoredRecords()
    record.away = TryLater("no broker answers")
    async with gate(record=record) as made:
        made.tell(a_bar(0, NOW - A_DAY), a_bar(0))
        today = await made.json(CHART)
        earlier = await error_of(made, f"{CHART}?day=2026-07-13")
        record.away = None
        record.add(a_row(0))
        later = await made.json(CHART)

    assert (len(today["bars"]), today["lines_known"]) == (1, False)
    assert earlier == (503, "record_away")
    assert (len(later["lines"]), later["lines_known"]) == (1, True)


def test_of_instruments_that_nobody_looks_at_no_line_is_kept() -> None:
    lines = LinesFold()
    keys = [
        SeriesKey(InstrumentId(Segment.NSE_EQ, n), Timeframe.M1)
        for n in range(1, MOST_WATCHED + 100)
    ]
    users = [UserId(UUID(int=1 + at // OF_ONE_USER)) for at in range(len(keys))]
    for user, key in zip(users, keys, strict=True):
        lines.watch(user, key)

    kept = [key for key in keys if lines.is_watched(str(key.instrument).encode())]
    assert kept == keys[-MOST_WATCHED:]


def test_who_looks_at_many_instruments_takes_no_lines_from_others() -> None:
    lines = LinesFold()
    keys = [SeriesKey(InstrumentId(Segment.NSE_EQ, n), Timeframe.M1) for n in range(1, 50)]
    lines.watch(BIMAL, keys[0])
    for key in keys:
        lines.watch(ASHA, key)

    kept = [key for key in keys if lines.is_watched(str(key.instrument).encode())]
    assert kept == [keys[0], *keys[-OF_ONE_USER:]]


async def test_of_an_instrument_without_a_bar_nothing_is_read() -> None:
    record = StoredRecords()
    async with gate(record=record) as made:
        made.tell(a_bar(0))
        chart = await made.json("/v1/chart/NSE_EQ:77")
        made.tell(a_bar(0, NOW - A_DAY))
        earlier = await error_of(made, "/v1/chart/NSE_EQ:77?day=2026-07-13")

    assert (chart["bars"], chart["lines"], record.reads) == ([], [], 0)
    assert earlier == (404, "unknown")


# --- decisions


async def test_decisions_are_paged_from_the_newest_on() -> None:
    made_of = [filled(Decision, Marks(f"d{n}", n * 1_000)) for n in range(1, 4)]
    async with gate() as made:
        made.tell(*made_of)
        first = await made.json("/v1/decisions?most=2")
        last = first["decisions"][-1]["decision"]["id"]
        rest = await made.json(f"/v1/decisions?before={last}")
        unknown = await error_of(made, f"/v1/decisions?before={UUID(int=7)}")

    ids = [each["decision"]["id"] for each in (*first["decisions"], *rest["decisions"])]
    assert ids == [str(each.id) for each in reversed(made_of)]
    assert (first["more"], rest["more"]) == (True, False)
    assert unknown == (404, "unknown")


# --- why


async def the_story(*more: Message) -> Story:
    story = await Reader(StoredRecords(*CHAIN, *OURS, *more), "start").story(INTENT)
    assert story
    return story


async def test_an_order_is_told_to_its_owner_in_the_sentences_of_ats_why() -> None:
    record = StoredRecords(*OTHERS, *CHAIN, *OURS)
    async with gate(record=record) as made:
        made.tell(*TOLD)
        why = await made.json(f"/v1/why/{INTENT.id}", HER)

    whole = await the_story()
    steps = owners_story(whole, RATES)
    assert [each["role"] for each in why["steps"]] == [each.role for each in steps]
    spoken = {each["text"] for each in why["steps"]}
    assert spoken <= {each.text for each in sentences(whole, RATES)}
    assert {"signal", "report", "decision", "order", "outcome", "trade"} <= {
        each["role"] for each in why["steps"]
    }
    assert (why["symbol"], why["missing"]) == (INTENT.symbol, [])


async def test_another_users_order_is_unknown_and_nothing_is_read_for_it() -> None:
    record = StoredRecords(*CHAIN, *OURS)
    async with gate(record=record) as made:
        made.tell(*TOLD, filled(UserSession, MARKS, user_id=str(ASHA)))

        assert await error_of(made, f"/v1/why/{INTENT.id}") == (404, "unknown")
        assert await error_of(made, f"/v1/why/{UUID(int=7)}") == (404, "unknown")
    assert record.reads == 0


async def test_a_story_is_read_again_only_when_something_happened_to_its_user() -> None:
    record = StoredRecords(*CHAIN, *OURS[:-1])
    async with gate(record=record) as made:
        made.tell(*TOLD[:-1])
        path = f"/v1/why/{INTENT.id}"
        first, same = [await made.json(path, HER) for _ in range(2)]
        reads = record.reads
        record.add(OURS[-1])
        made.tell(OURS[-1])
        later = await made.json(path, HER)

    assert first == same
    assert record.reads > reads
    assert later != first


async def test_of_an_order_of_an_earlier_day_its_owner_is_told_too() -> None:
    record = StoredRecords(*CHAIN, *OURS)
    async with gate(record=record) as made:
        made.tell(a_bar(0, INTENT.event_time + 3 * A_DAY), *TOLD)

        assert (await made.json(f"/v1/why/{INTENT.id}", HER))["order"] == str(INTENT.id)


async def test_an_owner_is_not_told_what_others_got_or_ordered_or_what_models_were_asked() -> None:
    whole = await the_story(filled(FanOut, MARKS, decision_id=str(INTENT.decision_id)))
    steps = owners_story(whole, RATES)

    assert "fan-out" in {each.role for each in sentences(whole, RATES)}
    assert not {"fan-out", "made under"} & {each.role for each in steps}
    assert all(not each.details and not each.sections for each in steps if each.role == "model")
    checks = [line for each in steps for part in each.sections for line in part.lines]
    assert not [line for line in checks if "all users" in line]


# --- reading beside the streams


async def test_a_read_that_takes_too_long_is_given_up_and_cancelled() -> None:
    given_up = asyncio.Event()
    here = asyncio.get_running_loop()

    async def read() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            here.call_soon_threadsafe(given_up.set)

    lookups = Lookups(within=0.01)
    with pytest.raises(RecordAway, match="too_long"):
        await lookups.find(ASHA, "key", read)
    await given_up.wait()
    await lookups.close()


async def test_one_users_reads_are_few_and_others_still_get_theirs() -> None:
    lookups = Lookups()
    waiting = [
        asyncio.create_task(lookups.find(ASHA, number, asyncio.Event().wait))
        for number in range(READS_OF_ONE_USER)
    ]
    await asyncio.sleep(0)

    with pytest.raises(RecordAway, match="busy"):
        await lookups.find(ASHA, "one more", asyncio.Event().wait)
    theirs = asyncio.create_task(lookups.find(BIMAL, "theirs", asyncio.Event().wait))
    await asyncio.sleep(0)
    assert not theirs.done()
    await lookups.close()
    assert all(each.cancelled() for each in await settled(*waiting, theirs))


async def settled(*tasks: asyncio.Task[Any]) -> tuple[asyncio.Task[Any], ...]:
    await asyncio.gather(*tasks, return_exceptions=True)
    return tasks
