"""What `ats books` knows of one connected account, and who acts on it.

An observer keeps the account's book true (`executors.orders.observer`); a guardian looks at it and
does what must be done: a stop that is missing, a square-off, a halt. Both run beside each other, in
the one process that owns the user's partition of `ats.order-events`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeAlias

from dhan.transport import Credentials
from executors.orders.book import DayBook
from executors.store import TokenVersion
from schemas.ids import UserId
from schemas.messages import OrderEvent
from schemas.units import UtcNs


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account as it is known now.

    Attributes:
        credentials: Of a token that lives as far as anybody knows, kept in memory: they outlast
            a database that is away.
        trading_date: The market's Indian day.
        book: The day's book as recorded and joined so far: look, do not change. None while nothing
            of the day is known.
        read_at: Machine time (monotonic seconds) at which the last whole reading of the broker's
            book began, once all of it is in `book`. None before this process has one: until then
            `book` may be behind, and whoever sends orders should look at the broker's. None also
            while something that was seen does not come into `book`, as while Kafka is away.
    """

    user: UserId
    credentials: Credentials
    token_version: TokenVersion
    trading_date: date
    book: DayBook | None
    read_at: float | None


class BookAccess(Protocol):
    """What a guardian may ask of its account's observer."""

    def read_soon(self) -> None:
        """Have the broker's book read at the next moment that Dhan's limits allow."""

    async def record(self, event: OrderEvent) -> None:
        """Record an observation, such as the reply to an order; returns when it is in Kafka.

        Raises:
            TryLater: Kafka did not take it; the process is about to end.
        """


class Guardian(Protocol):
    """Does for one account what its book, the calendar and the halts ask for."""

    async def step(self, view: AccountView, now: UtcNs) -> None:
        """Look at `view` at market time `now`, and act.

        Called after every change of the book and at least twice a second, one call at a time. What
        it raises is logged, and the next call comes half a second later. It may be cancelled at any
        await: the token was replaced, or another process owns the account.
        """

    async def keep_exit(self, view: AccountView, now: UtcNs) -> None:
        """See that the broker's own exit at a loss is armed.

        Called every few seconds beside `step`, which waits for nothing of it.
        """


OpenGuardian: TypeAlias = Callable[[UserId, BookAccess], Guardian]


class NoGuardian:
    """Acts on nothing."""

    async def step(self, view: AccountView, now: UtcNs) -> None:
        """Leave everything as it is."""

    async def keep_exit(self, view: AccountView, now: UtcNs) -> None:
        """Arm nothing."""


def no_guardian(user: UserId, book: BookAccess) -> Guardian:  # noqa: ARG001  # as OpenGuardian asks
    """Leave the account to its owner."""
    return NoGuardian()
