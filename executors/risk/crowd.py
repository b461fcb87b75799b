"""How much of a symbol's traded volume all our users together may order. Pure.

Orders of one decision come within seconds, and all on one side: too many of them move the price
against each other. So each decision may have a share of what traded in the last minutes, less what
other decisions were given of it, and every user the same fraction of their own order.

A share, and no reservation in the database: one fraction for all is fair (a reservation serves who
comes first), needs no lock that thousands of claims wait for, and is the same in every process that
has seen the same ticks.

Of two decisions on one symbol in the same second, the second counts what was asked for the first as
taken, until the outcomes are told. Where the guarantee stops: a process that hears of them in the
other order gives its users the other's share. Agents decide once a symbol and bar, so two meet
seldom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.units import BasisPoints, Quantity, UtcNs

WINDOW: Final = UtcNs.minutes(5)
WHOLE: Final = 10_000
ONE_UNIT: Final = Quantity(1)


@dataclass(frozen=True, slots=True)
class Crowd:
    """One user's order among all of its decision.

    Attributes:
        asked: Units of the user's own, before anything cut them.
        ordered: Units of all users' orders of the decision.
        others: Units of other decisions in the symbol that were accepted within `WINDOW`.
        volume: Units that traded in the market within `WINDOW`; 0 where nobody told.
        most: How much of `volume` all of ours may be.
        lot: Units that an order comes in.
    """

    asked: Quantity
    ordered: Quantity
    others: Quantity
    volume: Quantity
    most: BasisPoints
    lot: Quantity = ONE_UNIT

    @property
    def share(self) -> Quantity:
        """The most units that the user's order may have, in whole lots."""
        left = self.volume * self.most // WHOLE - self.others
        if left >= self.ordered:
            return self.asked
        return Quantity(max(0, left) * self.asked // self.ordered // self.lot * self.lot)
