"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.units import UtcNs

Verdicts: TypeAlias = npt.NDArray[np.int8]


class Columns(Protocol):
    """Closed bars, any number of instruments: one array per name, all equally long. Prices are paise."""

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]: ...


Look: TypeAlias = Callable[[Columns], Verdicts]

COOLDOWN: Final = UtcNs.minutes(15)  # a committee's opinion on one instrument is not asked again sooner


@dataclass(frozen=True, slots=True)
class Rule:
    """A named question about closed bars.

    Attributes:
        timeframe: Which bars it looks at.
        look: From bars to 1 bullish, -1 bearish, 0 nothing for each. Pure: it remembers nothing between calls.
        needs: The columns it looks at: `close`, `ema_9`, `previous_ema_9` (at the bar before), `ema_50@15m` (the last closed
            bar of a longer timeframe). It is asked about a bar only when none of them is NaN (in warm-up), and a signal's
            features are these.
        cooldown: Market time after a signal in which the rule stays silent on that instrument.
        instruments: The only ones it is asked about; None: all.
    """

    name: str
    timeframe: Timeframe
    look: Look
    needs: tuple[str, ...]
    cooldown: UtcNs = COOLDOWN
    instruments: frozenset[InstrumentId] | None = None

    @property
    def key(self) -> str:
        """Its name in snapshots."""
        return f"{self.name}@{self.timeframe}"


def verdicts(*, bullish: npt.NDArray[np.bool_], bearish: npt.NDArray[np.bool_]) -> Verdicts:
    return bullish.astype(np.int8) - bearish.astype(np.int8)
