"""A backtest with its figures, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from math import ceil
from typing import Any, Final

import orjson
from pydantic import JsonValue

from ats.backtest.figures import BY, Part, part_of, parts_of
from backtest.fills import Fills
from backtest.honesty.evidence import Evidence, evidence_by_rule
from backtest.honesty.other_days import MinuteCloses
from backtest.run import DayPlayed, Result
from backtest.trades import rates_day
from executors.charges.rates import Rates
from schemas.history import MINUTES
from schemas.market import Timeframe
from streams.rules import Rule
from streams.rules.rule import warm_up

SESSION_MINUTES: Final = 375
ID_DIGITS: Final = 12  # of the digest, as a person compares it


@dataclass(frozen=True)
class Backtest:
    """What was made, and what it rests on.

    Attributes:
        named: Data, code and configuration (`ats.backtest.named`).
        charged_by: The day whose rates were taken for days of which none are known.
        cold: Of each rule that never spoke, why.
        closes: Prices of each minute, for what the trades would have made on other days.
    """

    result: Result
    named: Mapping[str, JsonValue]
    charged_by: date | None
    cold: Sequence[str]
    closes: MinuteCloses = field(default_factory=MinuteCloses)

    @property
    def id(self) -> str:
        """Names the result: the same data, code and configuration have the same one."""
        return str(self.named["id"])[:ID_DIGITS]

    @property
    def fills(self) -> Fills:
        """Who said what an order gets."""
        return Fills(str(self.named["fills"]))

    @property
    def days(self) -> list[DayPlayed]:
        """Those that were traded."""
        return [each for each in self.result.days if not each.warm_up]

    @cached_property
    def total(self) -> Part:
        """All trades."""
        return part_of("all", self.result.trades)

    @cached_property
    def by(self) -> Mapping[str, list[Part]]:
        """The trades parted by each of `BY`."""
        rules = {"rule": self.result.outcomes}
        return {
            name: parts_of(self.result.trades, key, rules.get(name, ())) for name, key in BY.items()
        }

    @cached_property
    def evidence(self) -> Mapping[str, Evidence]:
        """How far the figures of each rule can be trusted."""
        days = [each.day for each in self.days]
        return evidence_by_rule(self.result.trades, list(self.result.outcomes), days, self.closes)

    def as_json(self) -> str:
        """Figures in paise, outcomes of signals, and what the result rests on."""
        body: dict[str, Any] = {
            "total": self.total,
            **{f"by_{name}": parts for name, parts in self.by.items()},
            "evidence": self.evidence,
            "outcomes": {name: dict(counts) for name, counts in self.result.outcomes.items()},
            "remarks": list(self.cold),
            "rests_on": self.named,
        }
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS).decode()


def warm_up_days(rule: Rule) -> int:
    """Whole days before the first on which a rule may fire from the open on."""
    return max(
        (_days(timeframe, bars) for timeframe, bars in warm_up(rule).items()),
        default=0,
    )


def _days(timeframe: Timeframe, bars: int) -> int:
    if timeframe is Timeframe.D1:
        return bars
    return ceil(bars / ceil(SESSION_MINUTES / MINUTES[timeframe]))


def charged_by(result: Result, rates: Rates) -> date | None:
    """The day whose rates were taken instead, of the first day of which none are known."""
    for each in result.trades:
        rated = rates_day(each.day, each.instrument, rates)
        if rated != each.day:
            return rated
    return None


def cold(result: Result, rules: Sequence[Rule]) -> list[str]:
    """Of each rule that never spoke, and had too few days for it, how many it needs."""
    days = len(result.days)
    return [
        f"{rule.name} never spoke: it needs {warm_up_days(rule)} days before it may, "
        f"and {days} were played in all"
        for rule in rules
        if not result.outcomes[rule.name] and warm_up_days(rule) >= days
    ]
