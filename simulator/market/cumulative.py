"""Adds to bare prints the day's running figures: volume, turnover, open, high and low so far."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.market.tape import PRINT, Numbers, Prints, fill_fixed

_FAR: Final = np.iinfo(np.int64).max


class Block(NamedTuple):
    """Bare prints, one row for each instrument, in time from left to right.

    `there` says which places hold one.
    """

    seconds: Numbers
    prices: Numbers
    quantities: Numbers
    there: npt.NDArray[np.bool_]

    def joined(self, rows: int) -> Block:
        """The same prints in `rows` rows: those that lie one after the other become one."""
        seconds, prices, quantities = (column.reshape(rows, -1) for column in self[:3])
        return Block(seconds, prices, quantities, self.there.reshape(rows, -1))


class Running:
    """Where the day of some instruments stands.

    `fixed` has a row for each (`tape.fixed_figures`).
    """

    def __init__(self, fixed: Prints) -> None:
        self._fixed = fixed
        self._last = fixed.copy()

    def prints(self, places: Numbers, block: Block) -> Prints:
        """The prints of `block`, whose rows belong to `places`; row after row."""
        last, there = self._last[places], block.there
        quantities = np.where(there, block.quantities, 0)
        volumes = last["volume"][:, None] + np.cumsum(quantities, axis=1)
        turnovers = last["turnover"][:, None] + np.cumsum(quantities * block.prices, axis=1)
        opens = np.where(
            last["open"] > 0, last["open"], block.prices[:, 0] if block.prices.shape[1] else 0
        )
        before_low = np.where(last["open"] > 0, last["low"], _FAR)
        highs = np.maximum.accumulate(np.where(there, block.prices, 0), axis=1)
        lows = np.minimum.accumulate(np.where(there, block.prices, _FAR), axis=1)
        row = np.repeat(np.arange(len(places)), there.sum(axis=1))
        made = np.zeros(len(row), PRINT)
        fill_fixed(made, self._fixed[places][row])
        made["open_interest"] = last["open_interest"][row]
        made["second"], made["price"] = block.seconds[there], block.prices[there]
        made["quantity"], made["open"] = block.quantities[there], opens[row]
        made["volume"], made["turnover"] = volumes[there], turnovers[there]
        made["high"] = np.maximum(highs[there], last["high"][row])
        made["low"] = np.minimum(lows[there], before_low[row])
        self._last[places[row]] = made  # the last of each row wins
        return made

    def closing(self, second: int) -> Prints:
        """One snapshot of each instrument at the session's end; it moves nothing but the clock."""
        made = self._last[self._last["open"] > 0].copy()
        made["second"], made["quantity"] = second, 0
        return made


def in_order(prints: Prints) -> Prints:
    """By second; within one, as they came."""
    return prints[np.argsort(prints["second"], kind="stable")]
