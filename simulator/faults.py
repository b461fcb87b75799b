"""What can go wrong with an order on purpose: a fault waits for the next matching order and strikes a number of times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """What the client sees. The first three happen although the order is in the book."""

    ACCEPT_THEN_DROP_REPLY = "accept_then_drop_reply"
    ACCEPT_THEN_500 = "accept_then_500"
    SLOW_REPLY = "slow_reply"
    HTML_429 = "html_429"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        times: How many orders it strikes.
        client_id: Only this account's; None is any.
        delay: Seconds a slow reply takes.
        message: What a rejection says.
    """

    kind: FaultKind
    times: int = 1
    client_id: str | None = None
    delay: float = 10.0
    message: str = "Rejected on request of the test"

    def __post_init__(self) -> None:
        if self.times < 1 or self.delay < 0:
            raise ValueError(f"times {self.times} must be 1 or more, delay {self.delay} 0 or more")


class FaultList:
    """The faults still waiting, first come first served."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._waiting = list(faults)

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def strike(self, client_id: str) -> Fault | None:
        """The fault that hits this account's order, or None; uses one of its times up."""
        for place, fault in enumerate(self._waiting):
            if fault.client_id in (None, client_id):
                if fault.times > 1:
                    self._waiting[place] = replace(fault, times=fault.times - 1)
                else:
                    del self._waiting[place]
                return fault
        return None
