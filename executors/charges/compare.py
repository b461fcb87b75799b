"""Compares the computed bill of a day with the broker's, charge by charge.

By day only: the broker's rows of single trades are laid out differently and do not add up to the
contract note (docs/facts/charges.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.charges.bill import Billed, Computed
from executors.charges.rates import GST, Charge
from schemas.units import Paise

# The exchange's file of the day's end is final, and its mean price may differ from ours by a paisa.
BY_CONTRACT: Final = Paise(100)
BY_LINE: Final = Paise(2)  # lines of two decimals, of which the note may show two as one
_RUPEE_CHARGES: Final = frozenset({Charge.STT, Charge.STAMP})
# What a broker may show as one figure.
_GROUPS: Final = (
    *((charge,) for charge in Charge if charge not in GST),
    GST,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One charge of a day, or GST in one.

    Attributes:
        billed: None: the broker's figures do not tell it.
        tolerance: How far the two may differ: one rupee for each contract for STT and stamp duty,
            two paise for each other line.
    """

    charges: tuple[Charge, ...]
    computed: Paise
    billed: Paise | None
    tolerance: Paise

    @property
    def agrees(self) -> bool | None:
        """Within the tolerance; None: nothing to compare with."""
        return None if self.billed is None else abs(self.billed - self.computed) <= self.tolerance


def compare(computed: Computed, billed: Billed) -> tuple[Comparison, ...]:
    """Every charge that either of the two has, in the order of a bill.

    A broker that tells no IPFT may have it inside the transaction charge: the nearer one counts.
    """
    compared = (_comparison(group, computed, billed) for group in _GROUPS)
    return tuple(one for one in compared if one is not None)


def _comparison(group: tuple[Charge, ...], computed: Computed, billed: Billed) -> Comparison | None:
    told = [charge for charge in group if charge in billed.amounts]
    lines = [line for line in computed.lines if line.charge in group]
    if not told and not lines:
        return None
    ours = computed.of(*group)
    theirs = billed.of(*group) if told else None
    if group == (Charge.TRANSACTION,) and theirs is not None and not _tells_ipft(billed):
        both = computed.of(Charge.TRANSACTION, Charge.IPFT)
        ours = min(ours, both, key=lambda amount: abs(amount - theirs))
    each = BY_CONTRACT if group[0] in _RUPEE_CHARGES else BY_LINE
    return Comparison(group, ours, theirs, Paise(each * max(1, len(lines))))


def _tells_ipft(billed: Billed) -> bool:
    return Charge.IPFT in billed.amounts
