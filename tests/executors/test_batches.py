"""Questions that come together travel together; each asker gets what asking alone would give."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from executors.batches import AT_ONCE, MOST, Batches
from schemas.errors import TryLater, Unreadable


class Database:
    """Answers a question with its own number; remembers what came in one call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.busy: set[int] = set()
        self.unreadable: set[int] = set()
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def one(self, question: dict[str, Any]) -> Any:
        self.calls.append([question["n"]])
        await self.open.wait()
        if question["n"] in self.unreadable:
            raise Unreadable("no such user", "user_id")
        return question["n"]

    async def many(self, questions: Sequence[dict[str, Any]]) -> Sequence[Any]:
        asked = [question["n"] for question in questions]
        self.calls.append(asked)
        await self.open.wait()
        if self.away:
            raise TryLater("away")
        if self.unreadable & set(asked):
            raise Unreadable("no such user", "user_id")
        return [{"status": "busy"} if n in self.busy else n for n in asked]


def asked(batches: Batches, *numbers: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(batches.answer({"n": n})) for n in numbers]


async def test_questions_that_come_together_are_one_call_and_each_gets_its_own_answer() -> None:
    database = Database()

    answers = await asyncio.gather(*asked(Batches(database.one, database.many), 1, 2, 3))

    assert (answers, database.calls) == ([1, 2, 3], [[1, 2, 3]])


async def test_a_question_that_comes_alone_is_asked_alone() -> None:
    database = Database()

    assert await Batches(database.one, database.many).answer({"n": 1}) == 1

    assert database.calls == [[1]]


async def test_while_all_calls_are_on_their_way_questions_gather() -> None:
    database = Database()
    database.open.clear()
    batches = Batches(database.one, database.many)
    waiting = []
    for n in range(AT_ONCE):
        waiting += asked(batches, n)
        await turns()

    waiting += asked(batches, *range(AT_ONCE, 3 * MOST))
    await turns()
    assert len(database.calls) == AT_ONCE
    database.open.set()

    assert await asyncio.gather(*waiting) == list(range(3 * MOST))
    assert max(map(len, database.calls)) == MOST
    assert len(database.calls) == AT_ONCE + 3


async def test_whom_the_batch_found_busy_is_asked_about_alone() -> None:
    database = Database()
    database.busy = {2}

    answers = await asyncio.gather(*asked(Batches(database.one, database.many), 1, 2, 3))

    assert (answers, database.calls) == ([1, 2, 3], [[1, 2, 3], [2]])


async def test_one_that_cannot_be_read_costs_the_others_nothing() -> None:
    database = Database()
    database.unreadable = {2}

    answers = await asyncio.gather(
        *asked(Batches(database.one, database.many), 1, 2, 3), return_exceptions=True
    )

    assert answers[0::2] == [1, 3]
    assert isinstance(answers[1], Unreadable)


async def test_a_database_that_is_away_is_away_for_each() -> None:
    database = Database()
    database.away = True

    answers = await asyncio.gather(
        *asked(Batches(database.one, database.many), 1, 2), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [TryLater, TryLater]


async def test_who_stops_waiting_takes_no_answer_from_the_others() -> None:
    database = Database()
    database.open.clear()
    first, second = asked(Batches(database.one, database.many), 1, 2)
    await turns()

    first.cancel()
    database.open.set()

    assert await second == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_who_stops_waiting_before_the_call_asks_nothing() -> None:
    database = Database()
    database.open.clear()
    batches = Batches(database.one, database.many)
    under_way = []
    for n in range(AT_ONCE):
        under_way += asked(batches, n)
        await turns()
    gone, stays = asked(batches, 100, 101)
    await turns()

    gone.cancel()
    await turns()
    database.open.set()

    assert await stays == 101
    await asyncio.gather(*under_way)
    assert all(100 not in call for call in database.calls)


async def turns() -> None:
    """Let the event loop do all that is to be done now."""
    for _ in range(5):
        await asyncio.sleep(0)
