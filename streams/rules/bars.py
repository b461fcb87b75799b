"""What a rule is given: columns of closed bars, and the bars before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from streams.columns.names import lagged

Flags: TypeAlias = npt.NDArray[np.bool_]
Values: TypeAlias = npt.NDArray[np.float64]

LONGEST_LOOKBACK: Final = 375
"""Bars: a session of 1-minute bars. More belongs into a longer timeframe or a `talib.` column."""


class Arrays(Protocol):
    """Where columns come from: an array per name, all equally long.

    The value of `close` three bars before stands under `close[3]`.
    """

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Columns:
    """Closed bars, any number of instruments: one array per name, all equally long.

    Prices are paise. Arrays cannot be written to, because they become the features of signals; a
    rule that wants to change values copies them first.

    Attributes:
        needs: The names there are.
        lookback: How many bars before its own the rule may look at.
    """

    _arrays: Arrays
    needs: tuple[str, ...]
    lookback: int = 0
    _back: int = 0

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        """The values of one column.

        Raises:
            KeyError: the rule does not need it.
        """
        if name not in self.needs:
            raise KeyError(name)
        column = self._arrays[lagged(name, self._back)].view()
        column.flags.writeable = False
        return column

    def lag(self, bars: int) -> Columns:
        """The same columns `bars` bars before, of each instrument its own; NaN where unknown.

        Raises:
            ValueError: that is further back than the rule's `lookback`.
        """
        back = self._back + bars
        if bars < 0:
            raise ValueError(f"lag({bars}) is in the future: give 0 or more bars")
        if back > self.lookback:
            raise ValueError(
                f"it looks {back} bars back and said {self.lookback}: write "
                f"Rule(..., lookback={back}), at most {LONGEST_LOOKBACK}"
            )
        return Columns(self._arrays, self.needs, self.lookback, back)

    def highest(self, name: str, bars: int) -> Values:
        """The highest of the last `bars` values of a column, this bar's included.

        NaN where one of them is unknown.

        Raises:
            ValueError: as `lag`.
        """
        return self._folded(np.maximum, name, bars)

    def lowest(self, name: str, bars: int) -> Values:
        """The lowest of the last `bars` values of a column, as `highest`."""
        return self._folded(np.minimum, name, bars)

    def since(self, event: Callable[[Columns], Flags], bars: int) -> Values:
        """How many bars ago `event` was true last: 0 at this bar.

        NaN where it was not within the last `bars` bars. It is asked about `bars` lags, so keep it
        to a comparison.

        Raises:
            ValueError: as `lag`.
        """
        _check_count("since", bars)
        self.lag(bars)
        ago = np.full(len(self[self.needs[0]]), np.nan)
        for back in range(bars, -1, -1):
            ago = np.where(event(self.lag(back)), float(back), ago)
        return ago

    def _folded(self, fold: np.ufunc, name: str, bars: int) -> Values:
        _check_count("highest and lowest", bars)
        self.lag(bars - 1)
        found: Values = self[name].astype(np.float64)
        for back in range(1, bars):
            found = fold(found, self.lag(back)[name])
        return found


def _check_count(what: str, bars: int) -> None:
    if bars < 1:
        raise ValueError(f"{what} look at 1 bar or more, not at {bars}")


def consecutive(columns: Arrays, needs: tuple[str, ...], lookback: int) -> dict[str, Values]:
    """Columns of bars that follow each other, one instrument's, with what stood before each.

    Before the first bar nothing is known.
    """
    found: dict[str, Values] = {}
    for name in needs:
        values = np.asarray(columns[name], float)
        found[name] = values
        for back in range(1, lookback + 1):
            before = np.full(len(values), np.nan)
            before[back:] = values[:-back]
            found[lagged(name, back)] = before
    return found
