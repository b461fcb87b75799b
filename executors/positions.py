"""What users hold by their fills, as `ats.positions` says last."""

from __future__ import annotations

from datetime import date

from schemas.ids import InstrumentId, UserId
from schemas.messages import Position


class FilledPositions:
    """The newest net of each user and instrument. Of an earlier day nothing is said."""

    def __init__(self) -> None:
        self._nets: dict[tuple[UserId, InstrumentId], tuple[date, int]] = {}

    def observe(self, position: Position) -> None:
        """Take in what was told; messages of one user come in order."""
        key = (position.user_id, position.instrument)
        day, _ = self._nets.get(key, (date.min, 0))
        if position.trading_date >= day:
            self._nets[key] = (position.trading_date, position.net)

    def net(self, user: UserId, instrument: InstrumentId, day: date) -> int | None:
        """Units held, below zero short; None when nothing was told of `day`."""
        told, net = self._nets.get((user, instrument), (date.min, 0))
        return net if told == day else None
