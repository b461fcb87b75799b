"""Makes up one session: U-shaped volume, and trends that turn often enough for moving averages to cross.

Deterministic: an instrument's day depends only on the seed, its own id and the date, not on which others exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.market import Instrument, Session, session_of, to_tick
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, Paise
from simulator.market import universe
from simulator.market.tape import Listing, Market, Numbers, Tape, assemble

TICK_SIZE: Final = Paise(5)  # NSE's step for most shares
MINUTE: Final = 60
REGIME_MINUTES: Final = (22, 41)  # shorter trends never reach the 5-minute averages, longer ones rarely turn in a day
DRIFT: Final = (0.00040, 0.00080)  # per minute: a trend of 25 minutes moves one percent or so, as on a lively day
NOISE: Final = 0.00035  # standard deviation per minute: below the drift of a few minutes, so that trends can be seen
TURN_PROBABILITY: Final = 0.85  # else the trend goes on with a new slope
FENCE: Final = 0.020  # further from the open than this, the next trend leads back
PRINTS_A_MINUTE: Final = (8, 16)  # at least, below
OVERNIGHT_GAP: Final = 0.004  # standard deviation

Floats = npt.NDArray[np.float64]


def generate(seed: int, day: date, shares: int = 20) -> Market:
    """A session of `shares` shares and the NIFTY index, which has no volume."""
    session = session_of(day)
    return assemble(session, _tapes(seed, session, shares))


def _tapes(seed: int, session: Session, shares: int) -> Iterator[Tape]:
    nifty = universe.INDICES[0]
    yield _tape(seed, session, universe.index(nifty.symbol, TICK_SIZE), nifty.rupees, calm=0.5)
    for place in range(shares):
        if place < len(universe.SHARES):
            known = universe.SHARES[place]
            yield _tape(seed, session, universe.share(known.symbol, TICK_SIZE), known.rupees)
        else:
            yield _tape(seed, session, universe.share(f"SIM{place:04d}", TICK_SIZE), 100 + place % 1_900)


def _tape(seed: int, session: Session, instrument: Instrument, rupees: int, calm: float = 1.0) -> Tape:
    rng = np.random.default_rng([seed, session.day.toordinal(), instrument.id.segment.code, instrument.id.security_id])
    minutes = (session.close - session.open) // NS_PER_SECOND // MINUTE
    at = _print_seconds(rng, minutes)
    path = _path(rng, minutes * MINUTE, calm)[at]
    base = rupees * PAISE_PER_RUPEE * rng.uniform(0.95, 1.05)
    prices = np.maximum(np.rint(base * np.exp(path) / TICK_SIZE), 1).astype(np.int64) * int(TICK_SIZE)
    quantities = _quantities(rng, at, minutes) if instrument.tradable else np.zeros(len(at), np.int64)
    gap = 1 + rng.normal(0, OVERNIGHT_GAP)
    listing = Listing(instrument, to_tick(float(prices[0]) * gap, TICK_SIZE))
    return Tape(listing, at + session.open // NS_PER_SECOND, prices, quantities)


def _print_seconds(rng: np.random.Generator, minutes: int) -> Numbers:
    """Distinct seconds of the session in rising order, 8 to 15 of each minute."""
    rank = rng.random((minutes, MINUTE)).argsort(axis=1).argsort(axis=1)
    chosen = rank < rng.integers(*PRINTS_A_MINUTE, size=(minutes, 1))
    return np.flatnonzero(chosen.ravel()).astype(np.int64)


def _path(rng: np.random.Generator, seconds: int, calm: float) -> Floats:
    """Log price relative to the open, second by second."""
    noise = rng.normal(0, NOISE / np.sqrt(MINUTE), seconds)
    drift = np.empty(seconds)
    start, height, direction = 0, 0.0, rng.choice([-1.0, 1.0])
    while start < seconds:
        end = min(seconds, start + int(rng.integers(*REGIME_MINUTES) * MINUTE))
        if abs(height) > FENCE:
            direction = -np.sign(height)
        elif start and rng.random() < TURN_PROBABILITY:
            direction = -direction
        drift[start:end] = direction * rng.uniform(*DRIFT) / MINUTE
        height += float(drift[start:end].sum() + noise[start:end].sum())
        start = end
    path: Floats = np.cumsum(drift + noise) * calm
    return path


def _quantities(rng: np.random.Generator, at: Numbers, minutes: int) -> Numbers:
    """Units of each print: many near open and close, few at noon."""
    place = at / (minutes * MINUTE) * 2 - 1
    u_shape = 0.5 + 1.5 * place**2
    daily = rng.uniform(60, 600)
    return np.maximum(1, rng.lognormal(0, 0.8, len(at)) * daily * u_shape).astype(np.int64)
