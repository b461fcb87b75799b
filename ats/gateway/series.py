"""What the folds of the gateway share: the name of a series of bars, and what is told."""

from __future__ import annotations

from typing import NamedTuple

from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId
from schemas.market import Timeframe


class SeriesKey(NamedTuple):
    """Which bars."""

    instrument: InstrumentId
    timeframe: Timeframe


class Told(NamedTuple):
    """One thing to hear.

    Attributes:
        instrument: Told to those who ask for it; None: to all.
    """

    name: str
    view: FrozenModel
    instrument: InstrumentId | None = None
