"""Bills of one client's day, in three states that never take each other's place.

`Estimated` while the day runs, `Computed` by the day-end rules, `Billed` as the broker says. So a
profit after charges can say how certain it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import ClassVar, Final, TypeAlias

from executors.charges.rates import Basis, Charge, Exchange, Market
from schemas.ids import InstrumentId
from schemas.units import Paise

_HALF: Final = Fraction(1, 2)


def rounded(amount: Fraction, step: int = 1) -> int:
    """To the nearest multiple of `step` paise, halves upwards."""
    return floor(amount / step + _HALF) * step


class BillState(StrEnum):
    """How certain a bill is."""

    ESTIMATED = "estimated"
    COMPUTED = "computed"
    BILLED = "billed"


@dataclass(frozen=True, slots=True)
class Line:
    """One charge over the unit that it is rounded over.

    Attributes:
        exact: Paise before rounding.
        amount: As the bill shows it.
        instrument: Where the unit is one order, contract or share; None: a column of the note.
        basis: Where delivery and intraday are rounded apart.
    """

    charge: Charge
    exchange: Exchange
    market: Market
    exact: Fraction
    amount: Paise
    instrument: InstrumentId | None = None
    basis: Basis | None = None


@dataclass(frozen=True, slots=True)
class Estimated:
    """What the fills so far cost; a line's amount is its nearest paisa, for showing only."""

    lines: tuple[Line, ...]
    state: ClassVar = BillState.ESTIMATED

    def of(self, *charges: Charge) -> Paise:
        """The sum of these charges, added exactly, then to the nearest paisa."""
        return Paise(
            rounded(sum((line.exact for line in self.lines if line.charge in charges), Fraction(0)))
        )

    @property
    def total(self) -> Paise:
        """All of it, note and ledger."""
        return self.of(*Charge)


@dataclass(frozen=True, slots=True)
class Computed:
    """The bill of a finished day, each line rounded as the note rounds it."""

    lines: tuple[Line, ...]
    state: ClassVar = BillState.COMPUTED

    def of(self, *charges: Charge) -> Paise:
        """The sum of these charges."""
        return Paise(sum(line.amount for line in self.lines if line.charge in charges))

    @property
    def total(self) -> Paise:
        """All of it, note and ledger."""
        return self.of(*Charge)

    @property
    def note_total(self) -> Paise:
        """What the contract note adds up to: without what only the ledger shows."""
        return self.of(*(charge for charge in Charge if charge.on_note))


@dataclass(frozen=True, slots=True)
class Billed:
    """What the broker says the day cost.

    Attributes:
        amounts: By charge, of the day; a charge that the source does not tell is left out.
        source: Where it stands: contract note, ledger, …
    """

    amounts: Mapping[Charge, Paise]
    source: str
    state: ClassVar = BillState.BILLED

    def of(self, *charges: Charge) -> Paise:
        """The sum of these charges, as far as they were told."""
        return Paise(sum(self.amounts.get(charge, 0) for charge in charges))

    @property
    def total(self) -> Paise:
        """All that was told."""
        return self.of(*Charge)


Bill: TypeAlias = Estimated | Computed | Billed


@dataclass(frozen=True, slots=True)
class DayBills:
    """All that is known of one day's charges: each state in a place of its own."""

    estimated: Estimated | None = None
    computed: Computed | None = None
    billed: Billed | None = None

    def plus(self, bill: Bill) -> DayBills:
        """With `bill` in the place of its state; the other two stay as they are."""
        match bill:
            case Estimated():
                return replace(self, estimated=bill)
            case Computed():
                return replace(self, computed=bill)
            case Billed():
                return replace(self, billed=bill)

    @property
    def most_certain(self) -> Bill | None:
        """The broker's, else the computed, else the estimate."""
        return self.billed or self.computed or self.estimated
