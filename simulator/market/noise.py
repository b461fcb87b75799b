"""Random numbers that are a pure function of where they stand.

There is no state, so any minute of any instrument can be made alone. The mixer is SplitMix64
(Steele, Lea, Flood 2014), good enough for a market and quick for millions at once.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_ONE: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_TWO: Final = np.uint64(0x94D049BB133111EB)
# numbers between two streams of one key; a minute needs at most sixty
_STREAM: Final = np.uint64(1 << 20)
_TO_UNIT: Final = 2.0**-53

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]


def key(*parts: object) -> int:
    """64 bits that stand for `parts`."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def mixed(keys: Keys, place: npt.NDArray[np.integer] | int) -> Keys:
    """A key of its own for each place under each key."""
    return _mix(keys + (np.asarray(place).astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def uniform(keys: Keys, stream: int, count: int) -> Floats:
    """For each key a row of `count` numbers from 0 to below 1.

    Each stream is independent of the others.
    """
    places = (np.arange(count, dtype=np.uint64) + np.uint64(stream + 1) * _STREAM) * _GOLDEN
    bits = _mix(keys[:, None] + places[None, :])
    numbers: Floats = (bits >> np.uint64(11)).astype(np.float64) * _TO_UNIT
    return numbers


def normal(keys: Keys, stream: int, count: int) -> Floats:
    """As `uniform`, standard normal (Box and Muller); takes two streams, `stream` and the next."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(keys, stream, count)))
    numbers: Floats = radius * np.cos(2.0 * np.pi * uniform(keys, stream + 1, count))
    return numbers


def _mix(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_ONE
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_TWO
    return bits ^ (bits >> np.uint64(31))
