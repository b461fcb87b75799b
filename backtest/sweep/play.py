"""Points through one engine: each is a rule of its own name, in an account of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from pydantic import JsonValue

from backtest.honesty.lookahead import Tape, refuse_lookahead
from backtest.market import DayMarket
from backtest.run import run
from backtest.setup import Setup
from backtest.sweep.results import DayResult, PointResult, ResultsFile, days_of, key_of
from backtest.sweep.space import Point
from backtest.trade import Trade
from schemas.errors import Misconfigured
from schemas.manifest import plain
from streams.engine.config import EngineConfig
from streams.rules import Rule
from streams.rules.config import RuleSet, parameters_of, rule_set_of

AT_ONCE: Final = 16  # points in one engine: ticks are read once for all, and a kill loses these


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point, and the rule that it makes.

    Attributes:
        key: Of all that decides its result.
        rule: None where the rule refuses such parameters.
        refused: Why.
    """

    key: str
    point: Point
    rule: Rule | None = None
    refused: str = ""


def candidates_of(
    rule: str,
    points: Iterable[Point],
    document: Mapping[str, Any],
    rests_on: Mapping[str, JsonValue],
) -> list[Candidate]:
    """Each of `points` as a rule of `document`, a parsed rules file.

    `rests_on` is what decides a result besides the point: data, code, configuration.
    A rule that cannot have some of the parameters, such as an average that is not the faster one,
    refuses those points only.
    """
    section = {**document.get("rules", {}).get(rule, {}), "enabled": True}
    talib = {name: document[name] for name in ("talib",) if name in document}
    return [_candidate(rule, point, section, talib, dict(rests_on)) for point in points]


def _candidate(
    name: str,
    point: Point,
    section: Mapping[str, Any],
    talib: Mapping[str, Any],
    rests_on: dict[str, JsonValue],
) -> Candidate:
    try:
        made = rule_set_of({"rules": {name: {**section, **point}}, **talib})
    except Misconfigured as error:
        key = key_of({**rests_on, "rule": name, "point": plain(point)})
        return Candidate(key, point, refused=str(error))
    return Candidate(key_of({**rests_on, "rule": _told(made)}), point, made.rules[0])


def _told(made: RuleSet) -> JsonValue:
    """The rule with every parameter, whether it was given or is a default."""
    (rule,) = made.rules
    return {
        "plugin": made.origins[rule.name],
        "parameters": plain(parameters_of(made)[rule.name]),
        "cooldown_ns": int(rule.cooldown),
        "instruments": plain(rule.instruments),
        "talib_window": made.window,
    }


@dataclass(frozen=True, slots=True)
class Player:
    """What every point is played on.

    Attributes:
        rule: The rule's name in the rules file.
        markets: Days, oldest first; gone through once for every `AT_ONCE` points.
        first: The first day that is traded; those before it warm up.
        talib_window: Of the rules file.
        pool: Other processes, for the accounts.
    """

    rule: str
    markets: Iterable[DayMarket]
    setup: Setup
    first: date
    talib_window: int
    pool: Executor | None = None

    def play(
        self,
        candidates: Sequence[Candidate],
        file: ResultsFile,
        tell: Callable[[int], None] = lambda _: None,
    ) -> list[PointResult]:
        """The results of all, in their order; what `file` holds is not played again.

        `tell` hears how many points more are done.

        Raises:
            Misconfigured: a day cannot be played, or the rule looks ahead.
            TryLater: the file takes no more.
        """
        missing = [each for each in candidates if each.key not in file.known]
        file.keep(self._result(each) for each in missing if each.refused)
        wanted = [each for each in missing if not each.refused]
        tell(len(candidates) - len(wanted))
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            file.keep(self._played(some))
            tell(len(some))
        return [file.known[each.key] for each in candidates]

    def _played(self, candidates: Sequence[Candidate]) -> list[PointResult]:
        rules = tuple(
            replace(each.rule, name=f"point_{nth}")
            for nth, each in enumerate(candidates)
            if each.rule
        )
        config = EngineConfig.needed_by(rules, self.setup.calendar)
        config = replace(config, talib_window=self.talib_window)
        # the points are one function with other numbers: one of them answers for all
        tape = Tape(rules[0])
        result = run(self.markets, rules, config, self.setup, first=self.first, pool=self.pool,
                     tapes=[tape])  # fmt: skip
        tape.rule = replace(rules[0], name=self.rule)  # as its author knows it
        refuse_lookahead([tape], {})
        days = [each.day for each in result.days if not each.warm_up]
        own: dict[str, list[Trade]] = defaultdict(list)
        for trade in result.trades:
            own[trade.account].append(trade)
        return [
            self._result(each, days_of(own[rule.name], days))
            for each, rule in zip(candidates, rules, strict=True)
        ]

    def _result(self, candidate: Candidate, days: tuple[DayResult, ...] = ()) -> PointResult:
        return PointResult(
            key=candidate.key,
            rule=self.rule,
            values=dict(candidate.point),
            days=days,
            refused=candidate.refused,
        )
