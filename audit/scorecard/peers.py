"""Whom the decisions are compared with: who buys and holds, and who throws coins. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from audit.scorecard.forecasts import Forecast, Scored
from audit.scorecard.intervals import LEVEL, Estimate
from audit.scorecard.prices import COLUMNS, JUDGED, Floats, Moments, Prices
from schemas.units import UtcNs

AGENTS: Final = 1_000  # random ones
AT_ONCE: Final = 500  # entries of each: 16 MB of returns
# the hours in which ATS enters by default (`ATS_NO_ENTRY_…`), so that hours are no advantage
AFTER_OPEN: Final = UtcNs.minutes(5)
BEFORE_CLOSE: Final = UtcNs.minutes(30)


@dataclass(frozen=True, slots=True)
class RandomAgents:
    """Agents that enter as often, in the same instruments on the same days, at moments and on
    sides of chance.

    Attributes:
        hits: Share of entries that were right: the mean over agents, and the middle 95 % of them.
        returns: Basis points for each of `prices.COLUMNS`, likewise.
        beaten: Share of random agents whose mean gain is below that of the judged one, within the
            judged time; None where nothing is judged.
    """

    hits: Estimate
    returns: tuple[Estimate, ...]
    beaten: float | None


def same_moments(acted: Sequence[Scored]) -> list[Scored]:
    """Somebody who buys whenever there was a BUY or SELL: what the market did by itself."""
    return [
        Scored(
            Forecast(each.forecast.id, each.forecast.instrument, each.forecast.at, 1, acted=True),
            each.returns * each.forecast.side,
        )
        for each in acted
    ]


def bought_and_held(acted: Sequence[Scored], prices: Prices) -> list[Scored]:
    """Somebody who bought at the open what was traded that day, and held it to the close."""
    made: dict[tuple[object, ...], Scored] = {}
    for each in acted:
        forecast = each.forecast
        day = prices.day(forecast.instrument, forecast.day)
        if day is None:
            continue
        returns = np.full(len(COLUMNS), np.nan)
        returns[-1] = day.whole
        opens = Forecast(forecast.id, forecast.instrument, UtcNs(int(day.starts[0])), 1, acted=True)
        made.setdefault((forecast.instrument, forecast.day), Scored(opens, returns, -1))
    return list(made.values())


def random_agents(acted: Sequence[Scored], prices: Prices, seed: int) -> RandomAgents | None:
    """A thousand of them; None where nobody acted. Every agent is a function of `seed`."""
    turnover = Counter((each.forecast.instrument, each.forecast.day) for each in acted)
    random = np.random.default_rng([seed, AGENTS])
    sums = _Sums()
    for (instrument, on), entries in sorted(turnover.items()):
        day = prices.day(instrument, on)
        assert day is not None, "what is scored has prices"
        rows = _enterable(day.starts)
        for count in _drawn_together(entries):
            places = rows[random.integers(0, len(rows), (AGENTS, count))]
            sides = random.choice([-1.0, 1.0], (AGENTS, count))
            sums.add(day.returns[places] * sides[:, :, None])
    return _told(sums, acted) if turnover else None


def _drawn_together(entries: int) -> Iterator[int]:
    """So many at a time that a share's busiest day does not fill the memory."""
    for drawn in range(0, entries, AT_ONCE):
        yield min(AT_ONCE, entries - drawn)


class _Sums:
    """What each random agent's entries came to; the entries themselves would fill the memory."""

    def __init__(self) -> None:
        self.gained = np.zeros((AGENTS, len(COLUMNS)))
        self.counts = np.zeros((AGENTS, len(COLUMNS)))
        self.hits = np.zeros(AGENTS)
        self.moved = np.zeros(AGENTS)

    def add(self, returns: Floats) -> None:
        """Take in entries: by agent, entry and column."""
        self.gained += np.nansum(returns, axis=1)
        self.counts += (~np.isnan(returns)).sum(1)
        judged = returns[:, :, JUDGED]
        self.hits += (judged > 0).sum(1)
        self.moved += ((judged != 0) & ~np.isnan(judged)).sum(1)


def _told(sums: _Sums, acted: Sequence[Scored]) -> RandomAgents:
    with np.errstate(divide="ignore", invalid="ignore"):
        hits, means = sums.hits / sums.moved, sums.gained / sums.counts
    own = np.array([each.gained for each in acted])
    own = own[~np.isnan(own)]
    known = means[:, JUDGED][np.isfinite(means[:, JUDGED])]
    beaten = float((known < own.mean()).mean()) if len(own) and len(known) else None
    returns = tuple(_band(means[:, column], len(acted)) for column in range(len(COLUMNS)))
    return RandomAgents(_band(hits, len(acted)), returns, beaten)


def _enterable(starts: Moments) -> Moments:
    """The minutes that may be entered; of a day that is too short, all."""
    inside = (starts >= starts[0] + AFTER_OPEN) & (starts < starts[-1] - BEFORE_CLOSE)
    found: Moments = np.flatnonzero(inside)
    return found if len(found) else np.arange(len(starts))


def _band(values: Floats, count: int) -> Estimate:
    values = values[np.isfinite(values)]
    if not len(values):
        return Estimate(count=count)
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return Estimate(float(values.mean()), float(low), float(high), count)
