"""What a replayed day came to, by its positions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from schemas.ids import InstrumentId, UserId
from schemas.messages import Position
from schemas.units import Paise


@dataclass(frozen=True, slots=True)
class DayResult:
    """One user's day.

    Attributes:
        instruments: How many were traded.
        open: How many of them are still held.
        realised: Paise that the closed part earned, before charges.
    """

    user: UserId
    day: date
    instruments: int
    open: int
    realised: Paise


def day_results(positions: Iterable[Position]) -> list[DayResult]:
    """By user and day; of each instrument its last position counts, as its partition has them."""
    last: dict[tuple[UserId, date], dict[InstrumentId, Position]] = {}
    for each in positions:
        last.setdefault((each.user_id, each.trading_date), {})[each.instrument] = each
    return [
        DayResult(
            user,
            day,
            sum(1 for each in held.values() if each.bought or each.sold),
            sum(1 for each in held.values() if each.net),
            Paise(sum(each.realised for each in held.values())),
        )
        for (user, day), held in sorted(last.items())
    ]
