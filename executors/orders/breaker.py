"""A circuit breaker for each account: who is not answered waits alone, and places no new entry.

An account whose calls end unclearly (time-outs, 5xx, no connection) several times in a row is
failing: an entry sent there would most likely be one more order whose fate nobody knows. It is
answered again when any call is: the lookups of its unresolved orders, or, before an entry, a look
at its order book. What closes a position is sent all the same.

Where the guarantee stops: what was heard is kept in memory, by each process for itself. A restart
forgets it; the claim still refuses entries while an order is unresolved (`supabase/migrations`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from dhan.orders import DayLookupResult, LookupResult
from dhan.outcomes import NotSent, PlaceResult, Unknown
from executors.clock import MonotonicClock
from executors.metrics import OrderMetrics
from executors.modes import BrokerClient
from schemas.ids import UserId

log = structlog.get_logger(__name__)

FAILURES: Final = 3  # in a row; one lost reply and its first lookups are no sick account
PROBE_EVERY: Final = 5.0  # seconds between two looks at a failing account
_UNREACHED: Final = frozenset({"connect_error", "connect_timeout"})

Heard: TypeAlias = PlaceResult | LookupResult | DayLookupResult


@dataclass(slots=True)
class _Failing:
    """Calls in a row that ended unclearly, and when (machine time) the last did."""

    calls: int = 0
    last: float = float("-inf")


class Breakers:
    """What one process has heard of each account lately."""

    def __init__(self, machine: MonotonicClock, metrics: OrderMetrics) -> None:
        self._machine = machine
        self._metrics = metrics
        self._failing: dict[UserId, _Failing] = {}

    def is_open(self, user: UserId) -> bool:
        """Whether the account of `user` is not answered."""
        failing = self._failing.get(user)
        return failing is not None and failing.calls >= FAILURES

    def heard(self, user: UserId, result: Heard) -> None:
        """Take in how a call for `user` ended. A refusal in words is an answer."""
        if not _unclear(result):
            if self.is_open(user):
                log.info("account_answers", user=str(user))
                self._metrics.accounts_failing -= 1
            self._failing.pop(user, None)
            return
        failing = self._failing.setdefault(user, _Failing())
        failing.calls, failing.last = failing.calls + 1, self._machine.monotonic()
        if failing.calls == FAILURES:
            log.error("account_failing", user=str(user))
            self._metrics.accounts_failing += 1

    async def admits(self, user: UserId, client: BrokerClient) -> bool:
        """Whether an entry of `user` may go out; a failing account is asked anew now and then."""
        if self.must_ask(user):
            self.heard(user, await client.orders_of_the_day())
        return not self.is_open(user)

    def must_ask(self, user: UserId) -> bool:
        """Whether a failing account is due to be asked anew."""
        if not self.is_open(user):
            return False
        return self._machine.monotonic() - self._failing[user].last >= PROBE_EVERY


def _unclear(result: Heard) -> bool:
    return isinstance(result, Unknown) or (
        isinstance(result, NotSent) and result.code in _UNREACHED
    )
