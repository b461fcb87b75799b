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


async def test_the_books_tell_a_silence_and_what_it_leaves_of_a_position_without_stop() -> None:
    async with running() as simulator:
        simulator.faults.add(Fault(FaultKind.SLOW_REPLY, delay=0.05))
        await call(simulator, "POST", "/v2/orders", json=an_order())
        _, books = await call(simulator, "GET", f"/control/books/{USER.client_id}", user=None)

    ((begin, end),) = books["protection"]["silences"]
    assert end - begin >= 0.05
    assert books["protection"]["answering_seconds"].keys() == {"worst", "total"}
