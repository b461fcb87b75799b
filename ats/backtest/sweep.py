"""`ats sweep`: many settings of one rule on the same days; from its options to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson
from pydantic import JsonValue
from rich.console import Console

from ats.backtest.command import progress
from ats.backtest.named import named
from ats.backtest.playing import PlayOptions
from ats.backtest.pool import pool_of
from ats.backtest.result import warm_up_days
from ats.backtest.sweep_show import show
from ats.demo.steps import Step
from ats.runtime import exit_codes
from ats.runtime.pages import write_page
from ats.services.streams import computed_under
from backtest.market import DayMarket, digest_of
from backtest.setup import Setup
from backtest.sweep.page import page
from backtest.sweep.play import Candidate, Player, candidates_of
from backtest.sweep.results import DayResult, PointResult, ResultsFile
from backtest.sweep.space import Point, Search, Space, space_of
from backtest.sweep.summary import Summary, summary_of
from backtest.sweep.walk_forward import usual_folds
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.manifest import digest_of as digest_of_json
from schemas.manifest import plain
from streams.engine.machine import warm_up
from streams.rules.config import RuleSet

MOST_HELD: Final = 10_000_000  # prints: 1 GB; what is beyond is read again for every few points


USUAL_TRIES: Final = 64  # four engines of points: what TPE is usually given, and minutes of work


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What the command line says; see `ats sweep --help`.

    Attributes:
        play: Days, rules file and how orders are filled, as in `ats backtest`.
        sets: The parameters and their values.
        folds: Of the walk-forward; None: as many as the days allow, four at most.
        results: The file of points.
        search: Whether all points are tried, or those that a search asks for.
        tries: Of the search.
        html: Where the map goes; None writes none.
    """

    play: PlayOptions
    sets: tuple[str, ...]
    folds: int | None
    results: Path
    html: Path | None
    as_json: bool
    search: Search = Search.GRID
    tries: int | None = None


def command(options: SweepOptions) -> int:
    """Play every point that the file of results lacks, and say what they are worth.

    Raises:
        Misconfigured: a parameter, file, day or rule that cannot be used.
        TryLater: another sweep writes the file of results, or the disk is full.
    """
    base, tell = options.play, Console(stderr=True)
    settings = base.settings()
    space, computed = space_of(options.sets), computed_under(settings, EVERY_DAY)
    if options.search is Search.BAYES:
        _check_optuna()
    document, setup = computed.rule_set.document or {}, base.setup(settings)
    of_space = space.points if options.search is Search.GRID else space.corners
    paths, first = base.files(_warm_up(candidates_of(space.rule, of_space, document, {})))
    rests_on = _rests_on(base, setup, paths)
    with Step(tell, "loading the engine") as step:
        warm_up(lambda done: step.now("compiling the engine, once", done.done, done.of))
    with pool_of(base.jobs, len(paths)) as pool, ResultsFile.opened(options.results) as file:
        with progress(tell) as bar:
            task = bar.add_task("points", total=_count(options, space))
            days = HeldDays(
                lambda: base.markets_of(paths, pool),
                lambda day: bar.update(task, description=f"points, {day}"),
            )
            player = Player(space.rule, days, setup, first, computed.rule_set.window, pool)

            def play(points: Sequence[Point]) -> list[PointResult]:
                some = candidates_of(space.rule, points, document, rests_on)
                return player.play(some, file, lambda count: bar.advance(task, count))

            results = _results(options, space, play)
        tries = file.tries
    folds = _folds(options, _days_of(results))
    _tell(options, space, summary_of(results, folds, tries), rests_on)
    return exit_codes.DONE


def _count(options: SweepOptions, space: Space) -> int:
    if options.search is Search.BAYES:
        return options.tries or USUAL_TRIES
    return len(space.points)


def _check_optuna() -> None:
    if find_spec("optuna") is None:
        raise Misconfigured(
            "--search bayes needs optuna, which is not installed: run `make setup-search` in a "
            "clone, else `pip install 'optuna>=5,<6'` into the environment of ATS"
        )


def _warm_up(candidates: Sequence[Candidate]) -> int:
    """The most days that one of them warms up."""
    rules = [each.rule for each in candidates if each.rule]
    if not rules:
        raise Misconfigured(candidates[0].refused)
    return max(map(warm_up_days, rules))


def _results(
    options: SweepOptions, space: Space, play: Callable[[Sequence[Point]], list[PointResult]]
) -> list[PointResult]:
    if options.search is Search.GRID:
        return play(space.points)
    # optuna is not everywhere
    from backtest.sweep.search import search, worth_before  # noqa: PLC0415

    def worth(result: PointResult) -> float | None:
        return worth_before(result.days, _folds(options, result.days))

    return search(space, _count(options, space), options.play.seed, play, worth)


def _days_of(results: Sequence[PointResult]) -> Sequence[DayResult]:
    played = [each.days for each in results if not each.refused]
    if not played:
        raise Misconfigured(results[0].refused)
    if not played[0]:
        raise Misconfigured("the files hold none of the days of --days: nothing was traded")
    return played[0]


def _folds(options: SweepOptions, days: Sequence[DayResult]) -> int:
    return usual_folds(len(days)) if options.folds is None else options.folds


@dataclass(slots=True)
class HeldDays:
    """Days that are gone through many times: read once, as far as memory goes.

    Attributes:
        read: Reads them, oldest first.
        tell: Hears of each day as it is given.
    """

    read: Callable[[], Iterator[DayMarket]]
    tell: Callable[[date], None] = lambda _: None
    most: int = MOST_HELD
    _held: list[DayMarket] = field(default_factory=list)
    _whole: bool = False

    def __iter__(self) -> Iterator[DayMarket]:
        for market in self._held if self._whole else self._reading():
            self.tell(market.session.day)
            yield market

    def _reading(self) -> Iterator[DayMarket]:
        self._held, prints = [], 0
        for market in self.read():
            prints += len(market.prints)
            if prints <= self.most:
                self._held.append(market)
            yield market
        self._whole = prints <= self.most
        if not self._whole:
            self._held = []


def _rests_on(options: PlayOptions, setup: Setup, paths: Sequence[Path]) -> dict[str, JsonValue]:
    """All that decides the result of every point: code, configuration, data."""
    told = named((), RuleSet((), {}), setup, seed=options.seed, charged_by=None,
                 actions=options.actions_digest)  # fmt: skip
    first, last = options.span
    return {
        **{name: value for name, value in told.items() if name not in {"id", "rules"}},
        "data": [digest_of(path) for path in paths],
        "days": [f"{first}", f"{last}"],
        "symbols": plain(options.symbols),
    }


def _tell(
    options: SweepOptions, space: Space, made: Summary, rests_on: dict[str, JsonValue]
) -> None:
    name = digest_of_json(rests_on)
    if options.as_json:
        body = {"sweep": made, "rests_on": {"id": name, **rests_on}}
        sys.stdout.buffer.write(orjson.dumps(body, default=lambda each: each.model_dump()) + b"\n")
    else:
        show(Console(), made)
    if html := options.html:
        title = f"Sweep of {space.rule}"
        rested = f"Data, code and configuration: {name}; points in {options.results.name}"
        write_page(html, page(made, space, title, rested))
