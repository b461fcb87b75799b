"""What the order workers count while they work."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from bus.metrics import AGE, COUNTER, counter_by
from schemas.messages import Execution

OTHER: Final = "other"
# a code may be the broker's own: a scraper must not pay for what it makes up
MAX_SERIES: Final = 200
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(slots=True)
class OrderMetrics:
    """Counters of one process; an outcome that is told again after a crash counts again.

    Attributes:
        orders: By outcome and code; outcome `not_found` is an alarm.
        corrections: Of outcomes recorded before, by what is known now; each one is worth a look.
        unresolved: Orders whose fate is not known, or found and not told yet, of all processes.
        unresolved_age: Seconds for which the oldest of those has been.
        accounts_failing: Accounts that this process gets no answer for: no entry goes there.
        decisions_waiting: Decisions that wait for an operator's yes, of all processes.
        decisions_waiting_age: Seconds for which the oldest of those has.
    """

    orders: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("outcome", "code")
    )
    corrections: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("outcome", "code")
    )

    unresolved: int = 0
    unresolved_age: float = 0.0
    accounts_failing: int = 0
    decisions_waiting: int = 0
    decisions_waiting_age: float = 0.0

    def told(self, execution: Execution) -> None:
        _count(self.orders, execution)

    def corrected(self, execution: Execution) -> None:
        _count(self.corrections, execution)


@dataclass(slots=True)
class BookMetrics:
    """What `ats books` counts.

    Attributes:
        accounts: Connected accounts that are being observed here.
        observations: Recorded, by how they reached us.
        readings: Of the broker's whole book, by result: `whole`, `partial` (a row that could not
            be read) or `failed`.
        gaps: Times that order updates were not heard for a while.
        disagreements: Readings in which the broker counted other positions than its own orders and
            trades add up to, twice in a row; each is worth a look.
        guard_failures: Steps of a guardian that raised.
        rows_refused: Rows that the database refused; the page lacks them.
        oldest_reading: When the account that has waited longest was last read as a whole, or first
            seen here.
    """

    accounts: int = 0
    observations: Counter[str] = field(default_factory=Counter, metadata=counter_by("source"))
    readings: Counter[str] = field(default_factory=Counter, metadata=counter_by("result"))
    gaps: int = field(default=0, metadata=COUNTER)
    disagreements: int = field(default=0, metadata=COUNTER)
    guard_failures: int = field(default=0, metadata=COUNTER)
    rows_refused: int = field(default=0, metadata=COUNTER)
    oldest_reading: float | None = field(default=None, metadata=AGE)


def _count(series: Counter[tuple[str, str]], execution: Execution) -> None:
    key = (execution.outcome.value, execution.reason_code)
    if key not in series and (
        len(series) >= MAX_SERIES or not _CODE.fullmatch(execution.reason_code)
    ):
        key = (execution.outcome.value, OTHER)
    series[key] += 1
