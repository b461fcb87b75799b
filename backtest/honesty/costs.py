"""What is left as charges and slippage grow. Pure.

The trades stay as they are: a market that takes more would also have filled other orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.units import Paise

CHARGES: Final = (1.0, 1.5, 2.0)  # times what they are
SLIPPAGE: Final = (0.0, 1.0, 2.0, 5.0, 10.0)  # basis points more on each side of a trade

_BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sum:
    """Of all trades.

    Attributes:
        gross: Before charges.
        turnover: Bought and sold, both sides.
    """

    gross: Paise
    charges: Paise
    turnover: Paise

    def net(self, charges: float, slippage: float) -> Paise:
        """With `charges` times what they are, and `slippage` basis points more on each side."""
        worse = self.charges * charges + self.turnover * slippage / _BASIS_POINTS
        return Paise(round(self.gross - worse))

    @property
    def break_even(self) -> float | None:
        """Basis points of slippage on each side at which nothing is left; negative at a loss."""
        if not self.turnover:
            return None
        return (self.gross - self.charges) / self.turnover * _BASIS_POINTS


def grid(total: Sum, charges: Sequence[float] = CHARGES,
         slippage: Sequence[float] = SLIPPAGE) -> list[list[Paise]]:  # fmt: skip
    """Net of each slippage, a row for each factor of `charges`."""
    return [[total.net(factor, more) for more in slippage] for factor in charges]
