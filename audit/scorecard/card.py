"""The score card: every line with its figures, and what they may be compared with. Pure.

The same records in another order give the same card, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from audit.scorecard.calibration import Bin, brier, claims, reliability
from audit.scorecard.forecasts import Forecasts, Scored, scored
from audit.scorecard.intervals import MIN_COUNT, MIN_GROUPS, Estimate, Floats, ratios
from audit.scorecard.peers import RandomAgents, bought_and_held, random_agents, same_moments
from audit.scorecard.prices import COLUMNS, JUDGED, Prices
from audit.scorecard.traded import Traded

SEED: Final = 7
RULES: Final = "Rules, BUY and SELL"
# days share one market: intervals over instrument-days of fewer days are too narrow
MIN_DAYS: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the card.

    Attributes:
        count: How many were scored.
        days: Instrument-days that they are of.
        hits: Share that came true within 15 minutes (of who holds, to the close); prices that
            stood still are left out.
        returns: Mean gain of the side taken (of a HOLD: declined), for each of `prices.COLUMNS`.
        profit_factor: Gains by losses within the same time; None of what was declined.
        brier: Of the confidence; None where none was claimed.
    """

    name: str
    count: int
    days: int
    hits: Estimate
    returns: tuple[Estimate, ...]
    profit_factor: Estimate
    brier: Estimate

    @property
    def too_few(self) -> bool:
        """Whether nothing can be said."""
        return self.count < MIN_COUNT or self.days < MIN_GROUPS


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of one kind, such as one for each rule."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of some days' decisions.

    Attributes:
        decisions: How many were made; `unpriced` of them met no price in time.
        sections: The whole, then by rule, model, …
        peers: Holding and always buying; the random agents stand in `random`.
        reliability: Of the confidence of BUYs and SELLs.
        base_brier: What always saying the share that came true would have scored.
        cost: Basis points of a round trip; None where the rates are unknown.
        course: Gain in basis points after each BUY or SELL, summed in the order of time, of the
            decisions and of always buying.
    """

    days: tuple[date, ...]
    decisions: int
    unpriced: int
    orphans: int
    acted: Line
    sections: tuple[Section, ...]
    peers: tuple[Line, ...]
    random: RandomAgents | None
    reliability: tuple[Bin, ...]
    base_brier: float | None
    traded: Traded
    cost: float | None
    course: tuple[tuple[float, float], ...]
    seed: int


def card_of(
    forecasts: Forecasts,
    prices: Prices,
    *,
    traded: Traded | None = None,
    cost: float | None = None,
    seed: int = SEED,
) -> Card:
    """The card of `forecasts` in the market of `prices`.

    `cost` is what a round trip costs, in basis points; `seed` makes intervals and random agents.
    """
    decided, opinions = scored(forecasts.decisions, prices), scored(forecasts.opinions, prices)
    acted = [each for each in decided if each.forecast.acted]
    claimed = claims(acted)
    came = sum(right for _, right in claimed) / len(claimed) if claimed else None
    return Card(
        tuple(prices.days),
        len(forecasts.decisions),
        len(forecasts.decisions) - len(decided),
        forecasts.orphans,
        line("BUY and SELL", acted, seed),
        tuple(_sections(decided, opinions, seed)),
        (
            line("always buying, same moments", same_moments(acted), seed),
            line("buy at the open and hold", bought_and_held(acted, prices), seed),
        ),
        random_agents(acted, prices, seed),
        tuple(reliability(claimed)),
        None if came is None else came * (1 - came),
        traded or Traded(),
        cost,
        tuple(_course(acted)),
        seed,
    )


def line(name: str, items: Sequence[Scored], seed: int) -> Line:
    """The figures of `items` under `name`."""
    groups = [(each.forecast.instrument, each.forecast.day) for each in items]
    tops, bottoms, counts = zip(*_measures(items), strict=True)
    hits, *returns, factor, score = ratios(groups, tops, bottoms, counts, (seed, name))
    return Line(name, len(items), len(set(groups)), hits, tuple(returns), factor, score)


def _measures(items: Sequence[Scored]) -> Iterator[tuple[Floats, Floats, int]]:
    """What is divided by what, and how many it rests on.

    Hits, each mean gain, gains by losses, and the Brier score.
    """
    right = [each.right for each in items]
    yield _counted(right)
    for column in range(len(COLUMNS)):
        gains = [float(each.returns[column]) for each in items]
        yield _counted([None if np.isnan(gain) else gain for gain in gains])
    gained = np.nan_to_num([each.gained * each.forecast.acted for each in items])
    moved = sum(each is not None for each in right)
    yield np.maximum(gained, 0), np.maximum(-gained, 0), moved
    yield _counted([brier(claims([each])) for each in items])


def _counted(values: Sequence[float | None]) -> tuple[Floats, Floats, int]:
    """For the mean of those that are known."""
    known = np.array([each is not None for each in values], np.float64)
    return np.array([each or 0 for each in values], np.float64), known, int(known.sum())


def _sections(
    decided: Sequence[Scored], opinions: Sequence[Scored], seed: int
) -> Iterator[Section]:
    acted = [each for each in decided if each.forecast.acted]
    held = [each for each in decided if not each.forecast.acted]
    buys = [each for each in acted if each.forecast.side > 0]
    sells = [each for each in acted if each.forecast.side < 0]
    whole = [("BUY", buys), ("SELL", sells), ("HOLD (the trade declined)", held)]
    yield Section("Decisions", tuple(line(name, own, seed) for name, own in whole if own))
    yield _by(RULES, acted, "rule", seed)
    yield _by("Why it was held", held, "code", seed)
    yield _by("Agents, every opinion", [*opinions, *acted], "agent", seed)
    yield _by("Models, BUY and SELL", acted, "model", seed)
    yield _by("Prompts, BUY and SELL", acted, "prompt", seed)


def _by(title: str, items: Sequence[Scored], name: str, seed: int) -> Section:
    grouped: dict[str, list[Scored]] = {}
    for each in items:
        grouped.setdefault(each.forecast.names[name], []).append(each)
    names = sorted(grouped, key=lambda each: (-len(grouped[each]), each))
    return Section(title, tuple(line(each, grouped[each], seed) for each in names))


def _course(acted: Sequence[Scored]) -> Iterator[tuple[float, float]]:
    own = always = 0.0
    for each in acted:
        gained = each.gained
        if not np.isnan(gained):
            own, always = own + gained, always + gained * each.forecast.side
            yield own, always


def demotions(card: Card) -> list[str]:
    """Rules to mute: what they gained within 15 minutes is below zero with all of its interval."""
    return sorted(
        each.name
        for section in card.sections
        if section.title == RULES
        for each in section.lines
        if (high := each.returns[JUDGED].high) is not None and high < 0
    )


def remarks(card: Card) -> Iterator[str]:
    """What a reader has to know before believing a figure, each in a sentence."""
    acted = card.acted
    if acted.too_few:
        yield (
            f"Too few to say anything: {acted.count:,} BUY and SELL in {acted.days:,} "
            "instrument-days; "
            f"{MIN_COUNT} in {MIN_GROUPS} are the least."
        )
    elif acted.hits.contains(0.5):
        yield "The hit rate cannot be told from a coin's."
    if card.random and card.random.beaten is not None and not acted.too_few:
        yield f"{card.random.beaten * 100:.0f} % of the random agents gained less in 15 minutes."
    if card.cost is not None:
        yield f"A round trip costs about {card.cost:.1f} bp; the gains here are before it."
    if len(card.days) < MIN_DAYS and not acted.too_few:
        yield (
            f"{len(card.days)} days: shares of one day move together, so the true intervals are "
            "wider than these."
        )
    if worst := demotions(card):
        yield (f"{', '.join(worst)} lost beyond chance. To mute: ATS_MUTED_RULES={','.join(worst)}")
    if card.unpriced:
        were = "1 decision" if card.unpriced == 1 else f"{card.unpriced:,} decisions"
        yield f"{were} met no price within five minutes, so not scored."
    if card.orphans:
        were = "1 HOLD is" if card.orphans == 1 else f"{card.orphans:,} HOLDs are"
        yield f"{were} left out: the signal is not recorded."
