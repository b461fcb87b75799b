"""The fills of one user's day in one instrument. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from schemas.ids import InstrumentId, UserId
from schemas.messages import Trade


class Holding(NamedTuple):
    """One user's day in one instrument."""

    user: UserId
    instrument: InstrumentId
    day: date


def fills_by_holding(trades: Iterable[Trade]) -> Mapping[Holding, list[Trade]]:
    """Each fill once, in the order of the exchange's time."""
    found: dict[Holding, list[Trade]] = defaultdict(list)
    for each in {each.id: each for each in trades}.values():
        found[Holding(each.user_id, each.fill.instrument, each.trading_date)].append(each)
    for fills in found.values():
        fills.sort(key=lambda each: (each.fill.traded_at, each.fill.trade_id))
    return found
