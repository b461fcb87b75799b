"""What each user's account can still pay for, as Dhan said last, less what has been sent since.

Nobody waits for it: no order asks Dhan. The preflight's sweep does, each morning, every ten
minutes, and soon after each fill. Where the guarantee stops: what a user does by hand at Dhan is
seen at the next look; Dhan itself refuses an order that it has no funds for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from executors.risk.situation import NOT_ASKED, Funds
from schemas.ids import OrderId, UserId
from schemas.messages import OrderIntent, Position
from schemas.units import Paise

# Seconds. Half as long again as the preflight leaves a green account alone: a look that fails once
# stops no entry, and one that keeps failing does.
HOLDS_FOR: Final = 900.0
AGAIN_AFTER: Final = 5.0  # seconds between two looks at one account's funds, whatever fills
# Seconds after which Dhan's funds have an order in them: ten times the 0.1 s of its exchange.
BLOCKED_WITHIN: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """What Dhan said: of which day, asked at which machine time."""

    available: Paise
    day: date
    asked_at: float


@dataclass(slots=True)
class _Account:
    reading: _Reading | None = None
    sent: dict[OrderId, tuple[int, float]] = field(default_factory=dict)
    asked_at: float = float("-inf")
    changed: bool = False


class FundsBoard:
    """The funds of this process's users."""

    def __init__(self, monotonic: Callable[[], float], *, required: bool) -> None:
        """`required`: without known funds nothing is entered."""
        self._monotonic, self._required = monotonic, required
        self._accounts: dict[UserId, _Account] = {}

    def of(self, user: UserId, day: date, apart_from: OrderId) -> Funds:
        """What `user` may still enter for on `day`; unknown without a reading that holds.

        An earlier try of the order `apart_from` is not counted.
        """
        if not self._required:
            return NOT_ASKED
        account = self._accounts.get(user)
        if account is None or (reading := account.reading) is None or reading.day != day:
            return Funds(known=False)
        if self._monotonic() - reading.asked_at > HOLDS_FOR:
            return Funds(known=False)
        sent = sum(value for order, (value, _) in account.sent.items() if order != apart_from)
        return Funds(known=True, free=Paise(max(0, reading.available - sent)))

    def note(self, user: UserId, day: date, available: Paise | None, asked_at: float) -> None:
        """Take a look that began at machine time `asked_at`; one without an answer changes nothing.

        What was sent shortly before it began may not be in it, and is still counted.
        """
        account = self._accounts.setdefault(user, _Account())
        account.asked_at = asked_at
        if available is None:
            return
        account.reading = _Reading(available, day, asked_at)
        account.sent = {
            order: (value, at)
            for order, (value, at) in account.sent.items()
            if at > asked_at - BLOCKED_WITHIN
        }
        account.changed = bool(account.sent)

    def sent(self, order: OrderIntent) -> None:
        """Count an entry that leaves now; another try of it counts once."""
        account = self._accounts.setdefault(order.user_id, _Account())
        account.sent[order.id] = (order.quantity * order.price, self._monotonic())
        account.changed = True

    def observe(self, position: Position) -> None:
        """A fill, or a reading of the book, asks for another look."""
        if account := self._accounts.get(position.user_id):
            account.changed = True

    def is_due(self, user: UserId) -> bool:
        """Whether something changed since the last look, which is a while ago."""
        account = self._accounts.get(user)
        if not self._required or account is None or not account.changed:
            return False
        return self._monotonic() - account.asked_at >= AGAIN_AFTER
