"""The six kinds of day an instrument can have.

A character says how the price travels minute by minute, and how often and how much it prints. It
sees only its own random generator, so an instrument's day depends on the seed, its id and the date
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

# shorter trends never reach the 5-minute averages, longer ones rarely turn in a day
REGIME_MINUTES: Final = (22, 41)
# per minute: a trend of 25 minutes moves one percent or so, as on a lively day
DRIFT: Final = (0.00040, 0.00080)
# standard deviation per minute: below the drift of a few minutes, so that trends can be seen
NOISE: Final = 0.00035
TURN_PROBABILITY: Final = 0.85  # else the trend goes on with a new slope
FENCE: Final = 0.020  # further from the open than this, the next trend leads back
OVERNIGHT_GAP: Final = 0.004  # standard deviation of the open against the previous close
BIG_GAP: Final = (0.03, 0.06)
CRASH_START: Final = (45, 150)  # minutes after the open
CRASH_MINUTES: Final = (20, 60)  # from the first sale to the lower circuit
RUSH_MINUTES: Final = 15
PULL: Final = 0.05  # share of the way back to the open that a calm price goes each minute

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
    noise = rng.normal(0, NOISE, minutes)
    drift = np.empty(minutes)
    start, height, direction = 0, 0.0, rng.choice([-1.0, 1.0])
    while start < minutes:
        end = min(minutes, start + int(rng.integers(*REGIME_MINUTES)))
        if abs(height) > FENCE:
            direction = -np.sign(height)
        elif start and rng.random() < TURN_PROBABILITY:
            direction = -direction
        drift[start:end] = direction * rng.uniform(*DRIFT)
        height += float(drift[start:end].sum() + noise[start:end].sum())
        start = end
    return _course(rng, np.cumsum(drift + noise), rng.normal(0, OVERNIGHT_GAP))


def _calm(rng: np.random.Generator, minutes: int, _: float) -> Course:
    steps, level = rng.normal(0, NOISE / 3, minutes), 0.0
    levels = np.empty(minutes)
    for minute, step in enumerate(steps.tolist()):
        level += step - PULL * level
        levels[minute] = level
    made = _course(rng, levels, rng.normal(0, OVERNIGHT_GAP / 4))
    return Course(made.levels, made.noise / 3, made.least - 4, made.most - 6, made.size, made.gap)


def _gap(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _trending(rng, minutes, band)
    jump = rng.choice([-1.0, 1.0]) * min(rng.uniform(*BIG_GAP), band / 2)
    return Course(
        made.levels, made.noise, made.least, made.most, made.size * 2, float(np.log1p(jump))
    )


def _crash(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _calm(rng, minutes, band)
    start = min(int(rng.integers(*CRASH_START)), minutes // 3)
    length = min(int(rng.integers(*CRASH_MINUTES)), minutes // 3)
    floor = np.log1p(-band) - made.gap
    levels, noise = made.levels.copy(), np.full(minutes, NOISE * 2)
    top = levels[start]
    way = np.linspace(0, 1, length + 1)[1:] ** 1.5  # slow at first, then everybody sells
    levels[start + 1 : start + 1 + length] = (
        top + (floor - top) * way + rng.normal(0, NOISE * 2, length) * (1 - way)
    )
    # a hair below the circuit: clipped, so it prints the circuit
    levels[start + length :] = floor - NOISE
    noise[:start], noise[start + 1 + length :] = NOISE / 3, 0.0
    least, most, size = made.least.copy(), made.most.copy(), made.size.copy()
    least[start : start + length], most[start : start + length] = 20, 40
    size[start : start + length] *= 8
    # sellers only: hardly anything trades
    least[start + length + 1 :], most[start + length + 1 :] = 0, 3
    return Course(made.levels if minutes < 3 else levels, noise, least, most, size, made.gap)


def _illiquid(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _trending(rng, minutes, band)
    steps = made.levels + rng.normal(0, NOISE * 4, minutes)
    none = np.zeros(minutes, np.int64)
    most = np.where(rng.random(minutes) < 0.25, rng.integers(1, 3, minutes), none)
    return Course(
        steps, np.full(minutes, NOISE * 4), np.minimum(most, 1), most, made.size / 40, made.gap
    )


def _opening_rush(rng: np.random.Generator, minutes: int, band: float) -> Course:
    made = _trending(rng, minutes, band)
    fading = np.maximum(0.0, 1 - np.arange(minutes) / RUSH_MINUTES)
    levels = made.levels + np.cumsum(rng.normal(0, NOISE * 5, minutes) * fading)
    least, most = (
        made.least + (32 * fading).astype(np.int64),
        made.most + (45 * fading).astype(np.int64),
    )
    return Course(
        levels, made.noise * (1 + 3 * fading), least, most, made.size * (1 + 5 * fading), made.gap
    )


def _course(rng: np.random.Generator, levels: Floats, gap: float) -> Course:
    """The usual prints: 8 to 15 a minute, with most units near open and close and few at noon."""
    minutes = len(levels)
    place = (np.arange(minutes) + 0.5) / minutes * 2 - 1
    size = rng.uniform(60, 600) * (0.5 + 1.5 * place**2)
    return Course(
        levels,
        np.full(minutes, NOISE),
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
