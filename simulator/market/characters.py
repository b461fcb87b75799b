"""The six kinds of day an instrument can have.

A character says how the price travels minute by minute, and how often and how much it prints. It
sees only its own random generator, so an instrument's day depends on the seed, its id and the date
alone. But for a crash, which is staged, the price is a fair game: no rule can foretell its way, so
a score card on such a day says what chance does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

# standard deviation of a minute's step: 1.1 percent in a day, as of a large share without its gap
NOISE: Final = 0.00055
CALM: Final = 0.15  # of it, on a day without news
# how much of it a spell of lively or quiet trading has, and how many minutes it lasts: how far the
# price goes can be guessed from the last minutes, which way never
SPELL: Final = (0.6, 1.4)
SPELL_MINUTES: Final = (22, 41)
OVERNIGHT_GAP: Final = 0.004  # standard deviation of the open against the previous close
BIG_GAP: Final = (0.03, 0.06)
CRASH_START: Final = (45, 150)  # minutes after the open
CRASH_MINUTES: Final = (20, 60)  # from the first sale to the lower circuit
CRASH_NOISE: Final = 0.0007  # standard deviation of a minute of it
RUSH_MINUTES: Final = 15

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class DayProfile(StrEnum):
    """What kind of day."""

    CALM = "calm"
    TRENDING = "trending"
    GAP = "gap"
    CRASH = "crash"
    ILLIQUID = "illiquid"
    OPENING_RUSH = "opening_rush"


@dataclass(frozen=True, slots=True)
class Course:
    """One instrument's day in minutes; a row of the market.

    Attributes:
        levels: Log price relative to the open at the minutes' borders: one more than there are
            minutes.
        noise: Standard deviation inside each minute.
        least, most: How many prints each minute has, both included.
        size: Typical units of a print, by minute.
        gap: Log of the open relative to the previous close.
    """

    levels: Floats
    noise: Floats
    least: Counts
    most: Counts
    size: Floats
    gap: float


def course(
    character: DayProfile,
    rng: np.random.Generator,
    minutes: int,
    *,
    band: float,
    scale: float = 1.0,
) -> Course:
    """Make the day of one instrument.

    `band` is its circuit as a share of the previous close, `scale` tames an index.
    """
    made = _COURSES[character](rng, minutes, band)
    return Course(
        made.levels * scale, made.noise * scale, made.least, made.most, made.size, made.gap
    )


def _trending(rng: np.random.Generator, minutes: int, _: float) -> Course:
    spread = np.empty(minutes)
    start = 0
    while start < minutes:
        end = min(minutes, start + int(rng.integers(*SPELL_MINUTES)))
        spread[start:end] = NOISE * rng.uniform(*SPELL)
        start = end
    return _course(rng, spread, rng.normal(0, OVERNIGHT_GAP))


def _calm(rng: np.random.Generator, minutes: int, _: float) -> Course:
    made = _course(rng, np.full(minutes, NOISE * CALM), rng.normal(0, OVERNIGHT_GAP / 4))
    return replace(made, least=made.least - 4, most=made.most - 6)


def _gap(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _trending(rng, minutes, band)
    jump = rng.choice([-1.0, 1.0]) * min(rng.uniform(*BIG_GAP), band / 2)
    return replace(made, size=made.size * 2, gap=float(np.log1p(jump)))


def _crash(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _calm(rng, minutes, band)
    start = min(int(rng.integers(*CRASH_START)), minutes // 3)
    length = min(int(rng.integers(*CRASH_MINUTES)), minutes // 3)
    floor = np.log1p(-band) - made.gap
    levels, noise = made.levels.copy(), np.full(minutes, CRASH_NOISE)
    top = levels[start]
    way = np.linspace(0, 1, length + 1)[1:] ** 1.5  # slow at first, then everybody sells
    levels[start + 1 : start + 1 + length] = (
        top + (floor - top) * way + rng.normal(0, CRASH_NOISE, length) * (1 - way)
    )
    # a hair below the circuit: clipped, so it prints the circuit
    levels[start + length :] = floor - NOISE
    noise[:start], noise[start + length :] = made.noise[:start], 0.0
    least, most, size = made.least.copy(), made.most.copy(), made.size.copy()
    least[start : start + length], most[start : start + length] = 20, 40
    size[start : start + length] *= 8
    # sellers only: hardly anything trades
    least[start + length + 1 :], most[start + length + 1 :] = 0, 3
    return Course(made.levels if minutes < 3 else levels, noise, least, most, size, made.gap)


def _illiquid(rng: np.random.Generator, minutes: int, _: float) -> Course:
    made = _course(rng, np.full(minutes, NOISE * 2), rng.normal(0, OVERNIGHT_GAP))
    none = np.zeros(minutes, np.int64)
    most = np.where(rng.random(minutes) < 0.25, rng.integers(1, 3, minutes), none)
    return replace(made, least=np.minimum(most, 1), most=most, size=made.size / 40)


def _opening_rush(rng: np.random.Generator, minutes: int, _: float) -> Course:
    fading = np.maximum(0.0, 1 - np.arange(minutes) / RUSH_MINUTES)
    made = _course(rng, NOISE * (1 + 4 * fading), rng.normal(0, OVERNIGHT_GAP))
    least, most = (
        made.least + (32 * fading).astype(np.int64),
        made.most + (45 * fading).astype(np.int64),
    )
    return replace(made, least=least, most=most, size=made.size * (1 + 5 * fading))


def _course(rng: np.random.Generator, spread: Floats, gap: float) -> Course:
    """A fair game in steps of `spread`: whatever was seen, the best guess is the price there is.

    The usual prints: 8 to 15 a minute, with most units near open and close and few at noon.
    """
    minutes = len(spread)
    place = (np.arange(minutes) + 0.5) / minutes * 2 - 1
    size = rng.uniform(60, 600) * (0.5 + 1.5 * place**2)
    # less half the variance: the price is the fair game, not its logarithm
    levels = np.cumsum(rng.normal(0, 1, minutes) * spread - spread**2 / 2)
    return Course(
        levels,
        spread,
        np.full(minutes, 8, np.int64),
        np.full(minutes, 15, np.int64),
        size,
        gap,
    )


_COURSES: Final[Mapping[DayProfile, Callable[[np.random.Generator, int, float], Course]]] = {
    DayProfile.CALM: _calm,
    DayProfile.TRENDING: _trending,
    DayProfile.GAP: _gap,
    DayProfile.CRASH: _crash,
    DayProfile.ILLIQUID: _illiquid,
    DayProfile.OPENING_RUSH: _opening_rush,
}
