"""A demo that came to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ats.demo.accounts import Account
from ats.demo.candles import Comparison
from ats.demo.models import DemoModel
from ats.demo.pauses import SquareOffWait
from ats.demo.tally import Tally
from ats.demo.users import DemoUser, Visitor


@dataclass(frozen=True, slots=True)
class DayEnd:
    """What was held when the market had closed, by our books and by the broker's.

    Attributes:
        day: The trading day (India).
        generated: The market was made up.
        square_off: How the market's wait for it ended; None when the day never came so far.
    """

    day: date
    accounts: Sequence[Account]
    generated: bool
    square_off: SquareOffWait | None = None


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
        end: What the books say; None when `ats books` did not run.
        rules: The person's own rules file, whose rules may have nothing to say all day.
        model: Whom the agents asked; None for the scripted one.
        unsigned: What is not as the ledger signed it; None where nothing is kept, and nothing
            signed.
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
    end: DayEnd | None = None
    model: DemoModel | None = None
    unsigned: Sequence[str] | None = None
    rules: Path | None = None
