"""A demo that came to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ats.demo.candles import Comparison
from ats.demo.tally import Tally
from ats.demo.users import DemoUser, Visitor


@dataclass(frozen=True, slots=True)
class Played:
    """What the summary is made of.

    Attributes:
        comparisons: One for each file that candles were to be compared with.
        ticks_sent: Ticks the simulator's market made; each must have reached `ats.ticks`.
        bad_rows: Rows of the market file that could not be used, each in words.
        visitors: Who came in by the page.
        kept: Where the data stays; None when it is removed.
        restarts: How often a service was started again.
        seconds: From the first process to the verdict.
    """

    tally: Tally
    users: Sequence[DemoUser]
    comparisons: Sequence[Comparison]
    ticks_sent: int
    bad_rows: Sequence[str]
    restarts: int
    seconds: float
    visitors: Sequence[Visitor] = ()
    kept: Path | None = None
