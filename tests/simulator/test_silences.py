"""When the broker did not answer an account."""

from __future__ import annotations

from simulator.api.silences import Silences
from simulator.faults import Fault, FaultKind
from tests.simulator.factories import USER, an_order, call, running


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_silence_lasts_until_the_reply_that_was_withheld() -> None:
    clock = Clock()
    silences = Silences(clock)
    clock.now = 4.0
    silences.spoiled("a", arrived=1.0)

    assert silences.of("a") == [(1.0, 4.0)]
    assert silences.of("b") == []


def test_bad_answers_without_a_good_one_between_are_one_silence() -> None:
    clock = Clock()
    silences = Silences(clock)
    for second in (1.0, 2.0, 3.5):
        clock.now = second
        silences.spoiled("a", arrived=second)

    assert silences.of("a") == [(1.0, 3.5)]


def test_a_good_answer_ends_a_silence() -> None:
    clock = Clock()
    silences = Silences(clock)
    for second in (1.0, 3.0):
        clock.now = second
        silences.spoiled("a", arrived=second)
        silences.answered("a")

    assert silences.of("a") == [(1.0, 1.0), (3.0, 3.0)]


def test_no_answered_reading_ends_a_silence_of_orders_that_a_page_turned_away() -> None:
    clock = Clock()
    silences = Silences(clock)
    for second in (1.0, 1.5, 2.5):
        clock.now = second
        silences.turned_away("a", arrived=second)
        silences.answered("a")

    assert silences.of("a") == [(1.0, 2.5)]


def test_pages_more_than_a_second_apart_or_with_an_order_between_are_two_silences() -> None:
    clock = Clock()
    silences = Silences(clock)
    for second in (1.0, 2.1, 2.2):
        clock.now = second
        silences.turned_away("a", arrived=second)
    silences.answered("a", orders=True)
    clock.now = 2.4
    silences.turned_away("a", arrived=2.4)

    assert silences.of("a") == [(1.0, 1.0), (2.1, 2.2), (2.4, 2.4)]


async def test_a_page_in_answer_to_an_order_is_a_silence_of_orders_too() -> None:
    async with running() as simulator:
        simulator.faults.add(Fault(FaultKind.HTML_429))
        await call(simulator, "POST", "/v2/orders", json=an_order())
        await call(simulator, "GET", "/v2/orders")
        _, books = await call(simulator, "GET", f"/control/books/{USER.client_id}", user=None)

    assert len(books["protection"]["silences"]) == 2


async def test_the_books_tell_a_silence_and_what_it_leaves_of_a_position_without_stop() -> None:
    async with running() as simulator:
        simulator.faults.add(Fault(FaultKind.SLOW_REPLY, delay=0.05))
        await call(simulator, "POST", "/v2/orders", json=an_order())
        _, books = await call(simulator, "GET", f"/control/books/{USER.client_id}", user=None)

    ((begin, end),) = books["protection"]["silences"]
    assert end - begin >= 0.05
    assert books["protection"]["answering_seconds"].keys() == {"worst", "total"}
