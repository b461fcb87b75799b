"""A market for benchmarks: as many instruments and ticks as asked for, made in pieces, so that no
day need fit in memory.
"""

from __future__ import annotations

import numpy as np

from schemas.binary import Rows
from schemas.market import Session
from schemas.ticks import TICK
from schemas.units import NS_PER_SECOND

QUOTE = 4  # the feed's response code
STEP = 5  # paise, NSE's step for most shares


def speaks(close: int) -> bool:
    """Whether the rule of `benchmarks.pipeline` speaks about a 1-minute bar.

    It does for about half of them, whatever the market does.
    """
    return close % 10 < 5


class Load:
    """Ticks of every instrument in turn; each round has an order of its own.

    Prices walk, volumes grow.
    """

    def __init__(self, session: Session, instruments: int, seed: int = 1) -> None:
        self._chance = np.random.default_rng(seed)
        self._session = session
        self._instruments = instruments
        self._prices = self._chance.integers(2_000, 60_000, instruments) * STEP
        self._volumes = np.zeros(instruments, np.int64)
        self._waiting = np.empty(0, np.int64)

    def take(self, count: int, second: int) -> Rows:
        """The next `count` ticks, all of `second` (market seconds since the open).

        `clock` and `received_at` stay 0.
        """
        parts = []
        while count:
            if not len(self._waiting):
                self._waiting = self._chance.permutation(self._instruments)
            chosen, self._waiting = self._waiting[:count], self._waiting[count:]
            parts.append(self._rows(chosen, second))
            count -= len(chosen)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _rows(self, chosen: np.ndarray[tuple[int], np.dtype[np.int64]], second: int) -> Rows:
        """Of distinct instruments."""
        count = len(chosen)
        self._prices[chosen] = np.maximum(
            self._prices[chosen] + self._chance.integers(-3, 4, count) * STEP, 20 * STEP
        )
        quantities = self._chance.integers(1, 500, count)
        self._volumes[chosen] += quantities
        rows = np.zeros(count, TICK)
        rows["exchange_time"] = self._session.open + second * NS_PER_SECOND
        rows["price"], rows["volume"], rows["last_quantity"] = (
            self._prices[chosen],
            self._volumes[chosen],
            quantities,
        )
        rows["segment"], rows["security_id"], rows["mode"] = 1, 1 + chosen, QUOTE
        return rows
