"""Sweeps: what is swept, what is kept through a kill, and that nothing is chosen by its future."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from backtest.market import DayMarket
from backtest.run import run
from backtest.setup import Setup
from backtest.sweep.page import page
from backtest.sweep.play import Candidate, Player, candidates_of
from backtest.sweep.results import DayResult, PointResult, ResultsFile, days_of
from backtest.sweep.space import Axis, Space, space_of
from backtest.sweep.summary import summary_of
from backtest.sweep.walk_forward import best_of, usual_folds, walk_forward
from backtest.sweep.wording import remarks
from schemas.errors import Misconfigured, TryLater
from schemas.units import Paise, UtcNs
from simulator.market.generator import generate
from streams.engine.config import EngineConfig
from streams.rules import ema_cross
from tests.backtest.factories import ENTERED, a_trade

FIRST = date(2016, 8, 16)
DAYS = [FIRST + timedelta(days=n) for n in range(12)]


def a_point(key: str, nets: list[int], **values: int) -> PointResult:
    days = tuple(DayResult(day=day, trades=1, gross=net + 10, charges=10, turnover=10_000)
                 for day, net in zip(DAYS, nets, strict=False))  # fmt: skip
    return PointResult(key=key, rule="ema_cross", values=dict(values) or {"fast": 5}, days=days)


# What is swept


def test_ranges_steps_and_lists_become_every_combination_the_last_changing_first() -> None:
    space = space_of(["rules.mine.fast=5..15:5", "rules.mine.timeframe=5m,15m"])

    assert space.rule == "mine"
    assert space.points[:3] == (
        {"fast": 5, "timeframe": "5m"},
        {"fast": 5, "timeframe": "15m"},
        {"fast": 10, "timeframe": "5m"},
    )
    assert len(space.points) == 6


def test_numbers_stay_what_they_are() -> None:
    assert space_of(["rules.mine.low=0.1..0.3:0.1"]).axes == (Axis("low", (0.1, 0.2, 0.3)),)
    assert repr(space_of(["rules.mine.low=-2..0"]).axes[0].values) == "(-2, -1, 0)"
    assert space_of(["rules.mine.on=true,2.5,5,5"]).axes == (Axis("on", (True, 2.5, 5)),)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ([], "nothing is swept: give --set"),
        (["fast=5..20"], r"'fast=5..20' is not usable: write rules.ema_cross.fast=5..20"),
        (["rules.ema_cross.fast"], "is not usable"),
        (["rules.ema_cross.fast=20..5"], "is not usable"),
        (["rules.ema_cross.fast=5..20:0"], "is not usable"),
        (["rules.ema_cross.fast=5..2.0.0"], "is not usable"),
        (["rules.a.fast=1..9", "rules.b.low=1..9"], "names a and b: each rule has an account"),
        (["rules.a.fast=1..9", "rules.a.fast=20"], "names one parameter twice"),
        (["rules.a.fast=1..100", "rules.a.slow=1..100"], "10,000 points are too many"),
        (["rules.a.fast=1..100000000"], "100,000,000 values, at most 5,000"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_what_to_write(sets: list[str], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        _ = space_of(sets).points


# What is kept


def test_a_kill_at_any_byte_leaves_the_whole_points_readable_and_the_file_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sweep.jsonl"
    points = [a_point("a", [1, 2]), a_point("b", [3, 4], fast=6)]
    with ResultsFile.opened(path) as file:
        file.keep(points)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1

    for end in {*range(0, len(whole), 9), second - 1, second, second + 1, len(whole)}:
        path.write_bytes(whole[:end])
        with ResultsFile.opened(path) as file:
            kept = list(file.known)
            file.keep([a_point("c", [5], fast=7)])
        with ResultsFile.opened(path) as file:
            assert [*file.known] == [*kept, "c"]
        assert kept == ["a"] * (end >= second) + ["b"] * (end == len(whole))


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    for text in ("dear diary", "dear diary\n", '{"day": 1}\n'):
        notes.write_text(text)

        with pytest.raises(Misconfigured, match="name another"), ResultsFile.opened(notes):
            pass

        assert notes.read_text() == text


def test_two_sweeps_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"

    with (
        ResultsFile.opened(path),
        pytest.raises(TryLater, match="another sweep"),
        ResultsFile.opened(path),
    ):
        pass


def test_every_setting_that_was_looked_at_is_a_try_whatever_the_days_and_the_code(
    tmp_path: Path,
) -> None:
    with ResultsFile.opened(tmp_path / "sweep.jsonl") as file:
        refused = PointResult(key="d", rule="ema_cross", values={"fast": 30}, refused="no")
        file.keep([a_point("a", [1]), a_point("b", [2]), a_point("c", [3], fast=6), refused])

        assert file.tries == 2


def test_a_day_s_sums_are_those_of_its_trades_and_a_day_without_any_is_there() -> None:
    some = [a_trade(), a_trade(exit_value=Paise(99_000)),
            a_trade(entered_at=UtcNs(ENTERED + UtcNs.minutes(24 * 60)))]  # fmt: skip

    assert days_of(some, DAYS[:3]) == (
        DayResult(day=DAYS[0], trades=2, gross=0, charges=300, turnover=400_000),
        DayResult(day=DAYS[1], trades=1, gross=1_000, charges=150, turnover=201_000),
        DayResult(day=DAYS[2]),
    )


# Chosen before, judged after


def test_a_point_is_chosen_by_the_days_before_only() -> None:
    random = np.random.default_rng(1)
    net = random.normal(0, 100, (8, 12))
    changed = net.copy()
    changed[:, 9:] = random.normal(0, 900, (8, 3))

    before, after = (walk_forward(each, DAYS, 3) for each in (net, changed))

    assert [each.chosen for each in before.folds] == [each.chosen for each in after.folds]
    assert before.net != after.net


def test_each_block_counts_the_chosen_point_s_days_in_it_and_no_other() -> None:
    net = np.array([[9.0, 8, 9, 1, 1, 2, 7, 7, 6, 4, 4, 5], [1.0, 1, 2, 9, 9, 8, 1, 1, 0, 1, 2, 2]])

    made = walk_forward(net, DAYS, 3)

    assert [(each.first, each.last) for each in made.folds] == [
        (DAYS[3], DAYS[5]),
        (DAYS[6], DAYS[8]),
        (DAYS[9], DAYS[11]),
    ]
    assert made.net == sum(
        round(net[each.chosen, at : at + 3].sum())
        for each, at in zip(made.folds, (3, 6, 9), strict=True)
        if each.chosen is not None
    )
    assert made.folds[0].chosen == 0


def test_the_best_of_rules_without_an_edge_shines_in_sample_and_not_out_of_it() -> None:
    days = [FIRST + timedelta(days=n) for n in range(400)]
    net = np.random.default_rng(2).normal(0, 1_000, (300, 400))

    made = walk_forward(net, days, 4)

    assert np.mean([each.before for each in made.folds]) > 80
    assert abs(np.mean([each.after for each in made.folds])) < 80


def test_too_few_days_hold_nothing_out_and_too_many_folds_are_refused() -> None:
    assert [usual_folds(days) for days in (0, 3, 5, 6, 14, 15, 300)] == [0, 0, 0, 1, 3, 4, 4]
    with pytest.raises(Misconfigured, match="--walk-forward 4 needs 15 days or more, there are 12"):
        walk_forward(np.zeros((1, 12)), DAYS, 4)


def test_nothing_is_chosen_where_nobody_traded() -> None:
    assert best_of(np.zeros((3, 5))) is None
    made = walk_forward(np.zeros((3, 12)), DAYS, 3)
    assert (made.net, made.sure) == (0, None)


# What it says


def summarised(folds: int = 3) -> tuple[Space, list[PointResult]]:
    random = np.random.default_rng(folds)
    space = space_of(["rules.ema_cross.fast=5..7", "rules.ema_cross.slow=20,30"])
    return space, [
        a_point(f"{nth}", [int(each) for each in random.normal(50, 100, 12)], **values)  # type: ignore[arg-type]
        for nth, values in enumerate(space.points)
    ]


def test_points_stand_by_their_sharpe_ratio_each_deflated_by_all_tries() -> None:
    _, points = summarised()

    few, many = (summary_of(points, 3, tries) for tries in (6, 600))

    ratios = [line.sharpe.ratio for line in few.lines if line.sharpe]
    assert ratios == sorted(ratios, reverse=True)
    assert many.by_chance > few.by_chance
    assert (many.lines[0].deflated or 1) < (few.lines[0].deflated or 0)


def test_the_words_begin_with_what_was_held_out_and_say_when_nothing_was() -> None:
    _, points = summarised()

    assert next(remarks(summary_of(points, 3, 6))).startswith("Out of sample, chosen anew before")
    assert next(remarks(summary_of(points, 0, 6))).startswith("Nothing is held out of 12 days")


def test_the_page_shows_what_was_held_out_before_the_map_and_asks_no_host() -> None:
    space, points = summarised()

    made = page(summary_of(points, 3, 6), space, "Sweep of <mine>", "abc")

    assert made.index("Out of sample</h2>") < made.index("Map:") < made.index("in sample</h2>")
    assert "<mine>" not in made
    assert made.count("class=gain") + made.count("class=loss") == 6
    assert "<script" not in made
    assert "http" not in made.replace("http-equiv", "")


# Through the engine


class Days:
    """Two generated days of few shares; counts how often they are gone through."""

    def __init__(self) -> None:
        self.times = 0
        self._markets = [
            DayMarket.of(generate(5, date(2026, 11, 19) + timedelta(days=day), 3))
            for day in range(2)
        ]

    def __iter__(self) -> Iterator[DayMarket]:
        self.times += 1
        return iter(self._markets)


@pytest.fixture(scope="module")
def days() -> Days:
    return Days()


def played(path: Path, candidates: list[Candidate], days: Days) -> list[PointResult]:
    with ResultsFile.opened(path) as file:
        return Player("ema_cross", days, Setup(), date.min, 250).play(candidates, file)


def test_points_in_one_engine_get_what_each_gets_alone_and_are_not_played_twice(
    tmp_path: Path, days: Days
) -> None:
    path = tmp_path / "sweep.jsonl"
    space = space_of(["rules.ema_cross.fast=5,9,30"])
    candidates = candidates_of(space.rule, space.points, {}, {"data": "these"})
    alone = run(days, (ema_cross(),), EngineConfig.needed_by([ema_cross()], Setup().calendar))

    first = played(path, candidates, days)
    times, second = days.times, played(path, candidates, days)

    assert first == second
    assert days.times == times
    assert [each.values for each in first if "must be less" in each.refused] == [{"fast": 30}]
    nine = next(each for each in first if each.values == {"fast": 9})
    assert nine.days == days_of(alone.trades, [each.day for each in alone.days])
    assert sum(each.trades for each in nine.days) > 5


def test_other_data_code_or_parameters_have_another_key_and_a_spelt_out_default_has_not() -> None:
    space = space_of(["rules.ema_cross.fast=9"])

    def key(document: dict[str, object], **rests_on: str) -> str:
        return candidates_of(space.rule, space.points, document, {"data": "these"} | rests_on)[
            0
        ].key

    same = [key({}), key({"rules": {"ema_cross": {"slow": 21, "enabled": False}}})]
    others = [key({}, data="others"), key({}, code="new"),
              key({"rules": {"ema_cross": {"slow": 22}}}),
              key({"rules": {"ema_cross": {"cooldown_minutes": 5}}})]  # fmt: skip
    assert len({*same}) == 1
    assert len({*same, *others}) == 5
