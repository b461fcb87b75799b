"""What `ats status` makes of the topics, and how `ats top` draws it. Pure."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from rich.console import Console

from ats.gateway.platform import RATE_OVER, PlatformFold
from ats.gateway.platform_views import Person, Status
from ats.gateway.views import json_of
from ats.status.show import screen
from bus.records import Record
from executors.charges.rates import shipped_rates
from schemas import ticks
from schemas.lineage import HEADER, Cause
from schemas.messages import (
    CallOutcome,
    DeadLetter,
    Decision,
    ExitOrder,
    ExitReason,
    FeedEvent,
    FeedState,
    LlmCall,
    Message,
    Origin,
    Position,
    Preflight,
    UserSession,
)
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from tests.executors.factories import RELIANCE, a_decision, an_intent, some_ticks
from tests.gateway.filled import NOW, Marks, filled
from tests.gateway.gate import ASHA, BIMAL, record_of
from tests.schemas.factories import a_candle

MARKS = Marks("x", 1)
WALL = UtcNs.seconds(1_796_000_000)


def at(message: Message, seconds: float = 0.0, **changes: Any) -> Record:
    published = UtcNs(WALL + round(seconds * NS_PER_SECOND))
    return replace(record_of(message), published_at=published, **changes)


def ticks_at(seconds: float, offset: int, rows: int = 1) -> Record:
    left = UtcNs(WALL + round(seconds * NS_PER_SECOND))
    batch = replace(some_ticks(*[(RELIANCE, NOW, 150_000)] * rows), sent_at=left)
    return Record(TICKS.name, 0, offset, None, ticks.encode(batch), left)


def status_of(*records: Record, after: float = 0.0, lags: dict[str, int] | None = None) -> Status:
    fold = PlatformFold(shipped_rates())
    for record in records:
        fold.apply(record)
    return fold.status(UtcNs(WALL + round(after * NS_PER_SECOND)), lags or {})


def a_position(**changes: Any) -> Position:
    named = {"instrument": RELIANCE.id, "net": 10, "resting_stop": 10, "agrees": True}
    return filled(Position, MARKS, user_id=str(ASHA)).model_copy(update=named | changes)


def the_person(status: Status) -> Person:
    (person,) = status.users
    return person


def test_ticks_a_second_are_of_the_newest_whole_seconds() -> None:
    records = [ticks_at(second, second + 60, rows=30) for second in range(-60, 0)]

    assert status_of(*records).pipeline.ticks_per_second == 30
    assert status_of(*records, after=RATE_OVER / 2).pipeline.ticks_per_second == 15
    assert status_of(*records, after=60).pipeline.ticks_per_second == 0


def test_a_bars_latency_counts_from_the_ticks_that_closed_it() -> None:
    bar = a_candle(event_time=NOW)
    headers = {HEADER: Cause(7, 0).encode()}

    status = status_of(
        ticks_at(0, 6), ticks_at(1, 7), at(bar, 1.25, headers=headers), at(bar, 9.0, headers={})
    )

    assert status.pipeline.bar_latency
    assert status.pipeline.bar_latency.model_dump() == {"bars": 1, "p50_ms": 250, "p99_ms": 250}


def test_decisions_and_thinking_of_the_day_are_counted_once_each() -> None:
    decisions = [
        a_decision(signal=UUID(int=n), origin=Origin.FAILSAFE if n == 1 else Origin.COMMITTEE)
        for n in range(1, 5)
    ]
    call = filled(LlmCall, MARKS, cost=250, outcome=CallOutcome.OK.value)

    pipeline = status_of(*map(at, [*decisions, *decisions, call, call])).pipeline

    assert pipeline.decisions == {"BUY": 4}
    assert pipeline.failsafe_percent == 25
    assert pipeline.thinking == 250


def test_time_without_a_stop_is_added_up_and_goes_on_while_it_lasts() -> None:
    bare, covered = a_position(resting_stop=0), a_position()
    spell = [at(bare, 0), at(covered, 2)]

    over = the_person(status_of(*spell, after=60))
    again = the_person(status_of(*spell, at(a_position(resting_stop=4), 10), after=13.5))

    assert (over.unprotected_seconds, over.unprotected_now) == (2.0, False)
    assert (again.unprotected_seconds, again.unprotected_now) == (5.5, True)


def test_a_user_is_told_with_state_preflight_profit_and_what_is_at_stake() -> None:
    session = filled(UserSession, MARKS, user_id=str(ASHA), active=True, reason="active")
    look = filled(Preflight, MARKS, user_id=str(ASHA), green=False, reds=["token_expired"])
    records = [at(each) for each in (session, look, an_intent(ASHA), a_position())]

    unpriced, person = (
        the_person(status_of(*records)),
        the_person(status_of(*records, ticks_at(0, 0))),
    )

    assert (person.active, person.green, person.reds) == (True, False, ("token_expired",))
    assert (person.exposure, person.orders) == (10 * 150_000, 1)
    assert unpriced.exposure > 0


def test_incidents_are_the_newest_first_with_their_user() -> None:
    exit_ = filled(ExitOrder, MARKS, user_id=str(ASHA), action="place_close", outcome="accepted")
    exit_ = exit_.model_copy(update={"reason_code": ExitReason.UNPROTECTED})
    mute = filled(FeedEvent, MARKS, state=FeedState.STALE.value, reason="no packet for 5 s")
    calm = filled(FeedEvent, MARKS, state=FeedState.CONNECTED.value)
    letter = filled(DeadLetter, MARKS, topic="ats.signals", reason="not JSON")
    other = a_position(user_id=BIMAL, agrees=False)

    status = status_of(
        *(at(each, n) for n, each in enumerate((mute, calm, exit_, letter, letter, other)))
    )

    told = [(each.kind, each.user_id, each.words) for each in status.incidents]
    assert told == [
        ("position", BIMAL, "NSE_EQ:2885 differs at Dhan"),
        *[("dead letter", None, "ats.signals: not JSON")] * 2,
        ("exit", ASHA, "no stop could be placed in time: place_close accepted"),
        ("feed", None, "the feed is mute: no packet for 5 s"),
    ]
    (letters,) = status.pipeline.dead_letters
    assert (letters.topic, letters.reason, letters.count) == ("ats.signals", "not JSON", 2)


def drawn(status: Status) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(screen(status))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_screen_shows_rupees_indian_time_and_who_is_in_trouble_first() -> None:
    calm = a_position(user_id=ASHA)
    bare = a_position(user_id=BIMAL, resting_stop=0)

    text = drawn(
        status_of(ticks_at(-1, 0), at(calm), at(bare), after=3, lags={"ats-agents": 5_000})
    )

    assert "market 10:00:00 IST" in text
    assert "₹15,000.00" in text
    assert "ats-agents 5,000" in text
    assert text.index(str(BIMAL)[:8]) < text.index(str(ASHA)[:8])
    assert "3.0 s now" in text


def test_an_empty_platform_is_drawn_and_told() -> None:
    status = status_of()

    assert "no trading day yet" in drawn(status)
    assert orjson.loads(json_of(status))["users"] == []
    assert Decision.__name__ not in drawn(status)


def test_incidents_and_dead_letters_are_of_the_last_day_by_time_not_by_reading() -> None:
    def lost(seconds: float) -> Record:
        return at(filled(DeadLetter, MARKS, topic="ats.ticks", reason="torn"), seconds)

    day = 24 * 3_600
    status = status_of(*[lost(second) for second in (5, 3, 4)], lost(-day), after=6)

    assert [each.at for each in status.incidents] == [WALL + s * NS_PER_SECOND for s in (5, 4, 3)]
    assert [each.count for each in status.pipeline.dead_letters] == [3]


def test_what_an_earlier_day_decided_and_thought_is_not_of_this_day() -> None:
    yesterday = NOW - 24 * 3_600 * NS_PER_SECOND
    call = filled(LlmCall, MARKS, cost=250)
    old = call.model_copy(update={"event_time": UtcNs(yesterday), "id": UUID(int=9)})
    before = a_decision(signal=UUID(int=5)).model_copy(update={"event_time": UtcNs(yesterday)})

    pipeline = status_of(*map(at, [a_decision(), call, old, before])).pipeline

    assert pipeline.decisions == {"BUY": 1}
    assert pipeline.thinking == 250
