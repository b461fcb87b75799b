"""What model calls cost and may cost in a day.

Pure. The most a call can cost is reserved before it is made and released when what it did cost is
counted, so that calls in flight together cannot overspend. Reservations are noted before the call
(`agents.open_spend`): what a killed process had under way counts as spent. Where the guarantee
stops: each process keeps its own ledger; it learns what other processes spend from `ats.llm`, a
moment later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from schemas.units import Paise

MILLION: Final = 1_000_000
# JSON of numbers runs at 2.5 to 4 bytes a token; the reservation must not be short
BYTES_PER_TOKEN: Final = 2


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """The provider's price in paise per million tokens."""

    input_per_million: Paise
    output_per_million: Paise

    def cost(self, input_tokens: int, output_tokens: int) -> Paise:
        """The cost of one call, rounded up to the paisa."""
        total = input_tokens * self.input_per_million + output_tokens * self.output_per_million
        return Paise(-(-total // MILLION))

    def max_cost(self, prompt_bytes: int, max_tokens: int) -> Paise:
        """The most a call can cost before it is made."""
        return self.cost(prompt_bytes // BYTES_PER_TOKEN, max_tokens)


# the simulator's endpoint, or a model on one's own machine
FREE: Final = TokenPrice(Paise(0), Paise(0))


@dataclass(slots=True)
class SpendLedger:
    """Spent and reserved by day of market time, under one daily cap.

    Attributes:
        a_user: What a day may cost for each user whom it serves; None for no such cap.
        users: How many those are (`agents.served`); nobody, until they are counted.
        setting: Where the cap comes from, if it is not the day's own.
        note: Told of each change of what is reserved, in paise, before a call can be made.
    """

    cap: Paise
    note: Callable[[date, int], None] = lambda _day, _change: None
    a_user: Paise | None = None
    users: int = 0
    setting: str = ""
    _spent: dict[date, int] = field(default_factory=dict)
    _reserved: dict[date, int] = field(default_factory=dict)

    @property
    def limit(self) -> Paise:
        """What a day may cost as things are."""
        return self.cap if self.a_user is None else min(self.cap, Paise(self.a_user * self.users))

    @property
    def named(self) -> str:
        """The setting that `limit` comes from, for a person; `""` for the day's own."""
        if self.limit == self.cap:
            return self.setting
        return f"ATS_MODEL_BUDGET_RUPEES_PER_USER, users with trading switched on: {self.users}"

    def reserve(self, day: date, amount: Paise, percent_of_cap: int = 100) -> bool:
        """Set `amount` aside if the day then stays within `percent_of_cap` of the limit."""
        committed = self._spent.get(day, 0) + self._reserved.get(day, 0)
        if (committed + amount) * 100 > self.limit * percent_of_cap:
            return False
        self.note(day, amount)
        self._reserved[day] = self._reserved.get(day, 0) + amount
        return True

    def release(self, day: date, amount: Paise) -> None:
        """End a reservation; what the call did cost is counted by `spend`."""
        self._reserved[day] = self._reserved.get(day, 0) - amount
        self.note(day, -amount)

    def spend(self, day: date, amount: Paise) -> None:
        """Count what a call did cost."""
        self._spent[day] = self._spent.get(day, 0) + amount

    def spent(self, day: date) -> Paise:
        """What the calls of `day` cost so far."""
        return Paise(self._spent.get(day, 0))
