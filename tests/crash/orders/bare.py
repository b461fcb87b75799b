"""How long positions had no stop, by the simulator's own record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.matching.protection import Span, left_of


@dataclass(frozen=True, slots=True)
class Bare:
    """Seconds of machine time, of the worst stretch. What is left out of one is not its end.

    Attributes:
        at_all: Whatever the reason.
        answered: While the broker answered the account, and had no exit of it in TRANSIT.
        guarded: Of these, while a process that guards it was neither killed, frozen nor handed over
            by us, and its token was alive. This is what ATS promises two seconds for.
    """

    at_all: float = 0.0
    answered: float = 0.0
    guarded: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.at_all:.1f} s at all, {self.answered:.1f} s while answered, "
            f"{self.guarded:.1f} s while guarded"
        )

    def worse(self, other: Bare) -> Bare:
        """The longer of each."""
        return Bare(
            max(self.at_all, other.at_all),
            max(self.answered, other.answered),
            max(self.guarded, other.guarded),
        )


def bare(protection: Mapping[str, Any], away: Iterable[Span]) -> Bare:
    """What `protection` of `/control/books` says; `away` is on its clock."""
    away, worst = list(away), Bare()
    silences = [(begin, end) for begin, end in protection["silences"]]
    for spell in protection["unprotected"]:
        whole = spell["machine_from"], spell["machine_to"]
        silent = [*silences, *((begin, end) for begin, end in spell["on_their_way"])]
        worst = worst.worse(
            Bare(whole[1] - whole[0], left_of(whole, silent), left_of(whole, [*silent, *away]))
        )
    return worst
