"""The volume profile: point of control and value area."""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.engine.compiled import FloatArray, IntArray, inner
from streams.engine.layout import AT_HIGH, AT_LOW, AT_PROFILE, AT_VOLUME, BINS, HIGHS, LOWS, RING

# Dalton, Jones and Dalton (1990), Mind Over Markets: about one standard deviation
_VALUE_AREA: Final = 0.7


@inner
def volume_profile(
    n: int, prices: IntArray, volumes: FloatArray, out: FloatArray, bins: FloatArray
) -> None:
    """Volume profile of the last 20 bars: point of control and value area.

    Each bar's volume is spread evenly over its range, in 24 steps from the lowest low to the
    highest high. The value area grows from the fullest step (the lowest of equals) to the fuller
    neighbour (upward when equal) until it holds 70%. Source: Steidlmayer and Koy (1986), Markets
    and Market Logic; Dalton, Jones and Dalton (1990), Mind Over Markets.
    """
    out[AT_PROFILE] = out[AT_PROFILE + 1] = out[AT_PROFILE + 2] = np.nan
    if n < RING - 1:
        return
    top, bottom, total = out[AT_HIGH], out[AT_LOW], out[AT_VOLUME]
    for back in range(1, RING):
        at = (n - back) % RING
        top, bottom = max(top, prices[HIGHS + at]), min(bottom, prices[LOWS + at])
        total += volumes[at]
    if total <= 0:
        return
    step = (top - bottom) / BINS
    for nth in range(BINS):
        bins[nth] = 0.0
    distribute_volume(bins, out[AT_HIGH], out[AT_LOW], out[AT_VOLUME], bottom, step)
    for back in range(1, RING):
        at = (n - back) % RING
        distribute_volume(
            bins, float(prices[HIGHS + at]), float(prices[LOWS + at]), volumes[at], bottom, step
        )
    fullest = 0
    for nth in range(1, BINS):
        if bins[nth] > bins[fullest]:
            fullest = nth
    first, last, held = fullest, fullest, bins[fullest]
    while held < _VALUE_AREA * total and last - first < BINS - 1:
        below = bins[first - 1] if first > 0 else -1.0
        above = bins[last + 1] if last < BINS - 1 else -1.0
        if above >= below:
            last += 1
            held += above
        else:
            first -= 1
            held += below
    out[AT_PROFILE] = bottom + (fullest + 0.5) * step
    out[AT_PROFILE + 1], out[AT_PROFILE + 2] = bottom + (last + 1) * step, bottom + first * step


@inner
def distribute_volume(  # noqa: PLR0917 (kernels take no names)
    bins: FloatArray, high: float, low: float, volume: float, bottom: float, step: float
) -> None:
    """Add a bar's volume to the steps its range touches."""
    if step <= 0.0:
        bins[0] += volume
        return
    first, last = (
        min(int((low - bottom) / step), BINS - 1),
        min(int((high - bottom) / step), BINS - 1),
    )
    share = volume / (last - first + 1)
    for nth in range(first, last + 1):
        bins[nth] += share
