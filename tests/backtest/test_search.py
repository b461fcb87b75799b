"""A Bayesian search: the same points again, better ones in time, and days held out from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from pydantic import JsonValue

from backtest.sweep.results import DayResult, PointResult
from backtest.sweep.search import search, worth_before
from backtest.sweep.space import Point, space_of

SPACE = space_of(["rules.mine.fast=1..60", "rules.mine.slow=1..60", "rules.mine.side=long,short"])


def asked(tries: int = 24, seed: int = 7, *, refuses: bool = False) -> list[PointResult]:
    """Each point is worth how near it is to fast=40, slow=20, long; those above are refused."""

    def play(points: Sequence[Point]) -> list[PointResult]:
        return [PointResult(key=f"{point}", rule="mine", values=dict(point)) for point in points]

    def worth(result: PointResult) -> float | None:
        fast, slow = (int(str(result.values[name])) for name in ("fast", "slow"))
        if refuses and fast > 40:
            return None
        return -abs(fast - 40) - abs(slow - 20) - 30.0 * (result.values["side"] == "short")

    return search(SPACE, tries, seed, play, worth)


def test_a_search_asks_for_the_same_points_again_and_for_others_with_another_seed() -> None:
    assert asked() == asked()
    assert asked(seed=8) != asked()


def test_a_search_comes_nearer_than_chance() -> None:
    found = [each.values for each in asked(64, refuses=True)]

    def off(values: dict[str, JsonValue]) -> int:
        return abs(int(str(values["fast"])) - 40) + abs(int(str(values["slow"])) - 20)

    first, last = (sum(map(off, some)) / 16 for some in (found[:16], found[-16:]))
    assert last < first / 2
    assert sum(each["side"] == "long" for each in found[-16:]) > 12


def test_days_that_are_held_out_say_nothing_to_the_search() -> None:
    nets = [100, 300, -50, 200, 1_000_000, -7]
    days = [DayResult(day=date(2016, 8, 1) + timedelta(n), gross=net) for n, net in enumerate(nets)]
    others = [*days[:3], *(day.model_copy(update={"gross": -5}) for day in days[3:])]

    assert worth_before(days, 1) == worth_before(others, 1) is not None
    assert worth_before(days, 0) != worth_before(others, 0)
