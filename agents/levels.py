"""The levels that the evidence measures the price against, by name. All are prices in paise."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PriceLevel(StrEnum):
    """A level as an analyst names it; `NONE` where it names none."""

    NONE = "none"
    EMA_9 = "ema_9"
    EMA_21 = "ema_21"
    EMA_50 = "ema_50"
    EMA_200 = "ema_200"
    BOLLINGER_UPPER = "bollinger_upper"
    BOLLINGER_LOWER = "bollinger_lower"
    VWAP = "vwap"
    VWAP_UPPER = "vwap_upper"
    VWAP_LOWER = "vwap_lower"
    PIVOT = "pivot"
    PIVOT_R1 = "pivot_r1"
    PIVOT_S1 = "pivot_s1"
    PIVOT_R2 = "pivot_r2"
    PIVOT_S2 = "pivot_s2"
    VALUE_AREA_HIGH = "value_area_high"
    VALUE_AREA_LOW = "value_area_low"
    VOLUME_POC = "volume_poc"
    OPENING_RANGE_HIGH = "opening_range_high"
    OPENING_RANGE_LOW = "opening_range_low"
    DAY_OPEN = "day_open"
    DAY_HIGH = "day_high"
    DAY_LOW = "day_low"
    PREVIOUS_HIGH = "previous_high"
    PREVIOUS_LOW = "previous_low"
    PREVIOUS_CLOSE = "previous_close"

    @property
    def distance(self) -> str:
        """The name in `evidence.distances` of how far the price stands above it."""
        return f"above_{self.value}_atr"


LEVELS: Final = tuple(level for level in PriceLevel if level is not PriceLevel.NONE)
