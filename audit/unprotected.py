"""How long positions had no stop for all of them, by when their records were written. Pure.

The guardian counts the same from what it sees itself; a little more or less may stand there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from audit.holdings import Holding
from schemas.messages import Position


@dataclass(slots=True)
class UnprotectedTime:
    """Positions as they are told, each with when it was written (UTC ns), in that order."""

    _since: dict[Holding, int] = field(default_factory=dict)

    def note(self, position: Position, at: int) -> int:
        """The span that ends here, in nanoseconds; 0 where none does."""
        holding = Holding(position.user_id, position.instrument, position.trading_date)
        since = self._since.pop(holding, None)
        if abs(position.net) > position.resting_stop:
            self._since[holding] = at
        return 0 if since is None else max(0, at - since)

    def lasting(self, at: int) -> dict[Holding, int]:
        """Of each position that has none now, how long that has lasted since it was told last."""
        return {holding: max(0, at - since) for holding, since in self._since.items()}
