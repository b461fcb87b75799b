"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.market import Timeframe
from schemas.units import UtcNs

Verdicts: TypeAlias = npt.NDArray[np.int8]
Look: TypeAlias = Callable[[npt.NDArray[np.void]], Verdicts]

COOLDOWN: Final = UtcNs.minutes(15)  # a committee's opinion on one instrument is not asked again sooner


@dataclass(frozen=True, slots=True)
class Rule:
    """A named question about closed bars.

    Attributes:
        timeframe: Which bars it looks at.
        look: From bars (`CLOSED`, any number of instruments) to 1 bullish, -1 bearish, 0 nothing for each. Readings are NaN
            during warm-up, and a comparison with NaN is False: written as comparisons that must hold, a rule is silent then.
        cooldown: Market time after a signal in which the rule stays silent on that instrument.
    """

    name: str
    timeframe: Timeframe
    look: Look
    cooldown: UtcNs = COOLDOWN

    @property
    def key(self) -> str:
        """Its name in snapshots."""
        return f"{self.name}@{self.timeframe}"


def verdicts(*, bullish: npt.NDArray[np.bool_], bearish: npt.NDArray[np.bool_]) -> Verdicts:
    return bullish.astype(np.int8) - bearish.astype(np.int8)
