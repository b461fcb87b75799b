"""On the way to flat: how long closing orders are tried, and when the market is given time."""

from __future__ import annotations

from executors.orders.leaving import FIRST_REST, LONGEST_REST, STOPS_A_REST, Leaving
from schemas.messages import ExitReason

RUNGS = 7


def leaving() -> Leaving:
    return Leaving(ExitReason.SQUARE_OFF)


def walk(way: Leaving, held: int, now: float) -> None:
    for _ in range(RUNGS):
        way.note_closing(held, held, RUNGS, now)


def rested(way: Leaving, held: int, now: float) -> float:
    """Seconds from `now` for which the market is given time."""
    seconds = 0.0
    while way.rests(held, now + seconds):
        seconds += 0.5
    return seconds


def test_no_time_is_lost_before_the_whole_ladder_was_walked() -> None:
    way = leaving()
    for _ in range(RUNGS - 1):
        way.note_closing(10, 10, RUNGS, 0.0)
    assert not way.rests(10, 0.0)


def test_each_walk_that_finds_nobody_is_followed_by_a_longer_rest() -> None:
    way, now, rests = leaving(), 0.0, []
    for _ in range(9):
        walk(way, 10, now)
        rests.append(rested(way, 10, now))
        now += rests[-1]
    assert rests == [2, 4, 8, 16, 32, 64, 128, 128, 128]
    assert (rests[0], rests[-1]) == (FIRST_REST, LONGEST_REST)


def test_what_trades_ends_the_rest_at_once() -> None:
    way = leaving()
    walk(way, 10, 0.0)
    assert way.rests(10, 1.0)
    assert not way.rests(9, 1.0)


def test_after_a_fill_the_first_rest_is_short_again() -> None:
    way = leaving()
    walk(way, 10, 0.0)
    walk(way, 10, 2.0)
    walk(way, 9, 6.0)
    assert rested(way, 9, 6.0) == FIRST_REST


def test_a_rest_sends_no_stop_after_stop_that_is_refused() -> None:
    way = leaving()
    walk(way, 10, 0.0)
    way.stops = STOPS_A_REST
    assert not way.may_cover(10, 1.0)
    assert way.may_cover(10, FIRST_REST)
