"""What users hold by their fills, as `ats.positions` says last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from executors.risk.exposure import Filled
from schemas.ids import InstrumentId, UserId
from schemas.messages import Position


class FilledPositions:
    """The newest day of each user. Of an earlier day nothing is said."""

    def __init__(self) -> None:
        self._days: dict[UserId, tuple[date, dict[InstrumentId, Filled]]] = {}

    def observe(self, position: Position) -> None:
        """Take in what was told; messages of one user come in order."""
        day, fills = self._days.get(position.user_id, (date.min, {}))
        if position.trading_date < day:
            return
        if position.trading_date > day:
            fills = {}
            self._days[position.user_id] = (position.trading_date, fills)
        fills[position.instrument] = Filled(
            position.bought,
            position.bought_value,
            position.sold,
            position.sold_value,
            position.stop_outs,
            # where nobody told when, the position's own time is the latest it can have been
            position.stopped_out_at or (position.event_time if position.stop_outs else 0),
        )

    def of(self, user: UserId, day: date) -> Mapping[InstrumentId, Filled]:
        """The fills of `day` by instrument, as far as they were told."""
        told, fills = self._days.get(user, (date.min, {}))
        return fills if told == day else {}

    def net(self, user: UserId, instrument: InstrumentId, day: date) -> int | None:
        """Units held, below zero short; None when nothing was told of `day`."""
        fills = self.of(user, day).get(instrument)
        return fills.net if fills else None
