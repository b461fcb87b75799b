"""What trades would have made on the prices of other days. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from backtest.honesty.permutation import Chance, by_days
from backtest.market import DayMarket
from backtest.trade import Trade
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import NS_PER_MINUTE, NS_PER_SECOND

MOST_MINUTES: Final = 25_000_000  # 100 MB: 300 days of 200 shares; of more nothing is said
SECONDS_A_MINUTE: Final = NS_PER_MINUTE // NS_PER_SECOND

Prices = npt.NDArray[np.int32]


@dataclass(slots=True)
class MinuteCloses:
    """The last price at the end of each minute of the session, of every day and instrument."""

    _closes: dict[tuple[date, InstrumentId], Prices] = field(default_factory=dict)
    _opens: dict[date, int] = field(default_factory=dict)
    _minutes: int = 0

    def take(self, market: DayMarket) -> None:
        """Keep a day; beyond `MOST_MINUTES` nothing is kept."""
        session, day = market.session, market.session.day
        ends = np.arange(session.open, session.close, NS_PER_MINUTE) // NS_PER_SECOND
        ends += SECONDS_A_MINUTE
        self._minutes += len(ends) * len(market.listings)
        if self._minutes > MOST_MINUTES:
            self._closes.clear()
            return
        self._opens[day] = int(session.open)
        for instrument, tape in market.tapes.items():
            if len(tape.seconds):
                # before its first trade an instrument is worth that trade's price
                at = np.maximum(np.searchsorted(tape.seconds, ends) - 1, 0)
                self._closes[day, instrument] = tape.prices[at].astype(np.int32)

    def chance(self, trades: Sequence[Trade], seed: int) -> Chance | None:
        """Whether `trades` knew their days; None where no price is kept."""
        days = list(self._opens)
        on_days = np.zeros((len(days), len(days)))
        for trade in trades:
            row = days.index(trade.day) if trade.day in self._opens else -1
            if row >= 0:
                on_days[row] += [self._made(trade, day) for day in days]
        return by_days(on_days, seed) if on_days.any() else None

    def _made(self, trade: Trade, day: date) -> float:
        """What `trade` would have made on `day`, in paise before charges."""
        closes = self._closes.get((day, trade.instrument))
        if closes is None:
            return 0.0
        begun = (trade.entered_at - self._opens[trade.day]) // NS_PER_MINUTE
        held = max(1, round((trade.left_at - trade.entered_at) / NS_PER_MINUTE))
        first, last = (closes[min(at, len(closes) - 1)] for at in (begun, begun + held))
        way = 1 if trade.side is Side.BUY else -1
        return way * trade.entry_value * (float(last) / float(first) - 1)
