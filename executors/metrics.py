"""What the order workers count while they work."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from bus.metrics import counter_by
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
    """

    orders: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("outcome", "code")
    )
    corrections: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("outcome", "code")
    )

    def told(self, execution: Execution) -> None:
        _count(self.orders, execution)

    def corrected(self, execution: Execution) -> None:
        _count(self.corrections, execution)


def _count(series: Counter[tuple[str, str]], execution: Execution) -> None:
    key = (execution.outcome.value, execution.reason_code)
    if key not in series and (
        len(series) >= MAX_SERIES or not _CODE.fullmatch(execution.reason_code)
    ):
        key = (execution.outcome.value, OTHER)
    series[key] += 1
