"""Fills matched first in, first out: what was entered, and what left it again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from schemas.market import Side
from schemas.messages import ObservedFill


class Filled(Protocol):
    """Whatever tells of one fill."""

    @property
    def fill(self) -> ObservedFill: ...


F = TypeVar("F", bound=Filled)


@dataclass(frozen=True, slots=True)
class RoundTrip(Generic[F]):
    """Units of one fill that one other fill closed, or that are still held.

    Attributes:
        exit: None while held.
    """

    entry: F
    exit: F | None
    quantity: int

    @property
    def side(self) -> Side:
        """Of the entry."""
        return self.entry.fill.side

    @property
    def gross(self) -> int:
        """Paise that it earned, before charges; nothing while held."""
        if self.exit is None:
            return 0
        sign = 1 if self.side is Side.BUY else -1
        return sign * (self.exit.fill.price - self.entry.fill.price) * self.quantity

    @property
    def turnover(self) -> int:
        """Paise bought and sold."""
        closed = self.exit.fill.price if self.exit else 0
        return (self.entry.fill.price + closed) * self.quantity


def round_trips(fills: Iterable[F]) -> list[RoundTrip[F]]:
    """Of the fills of one holding, in their order; what is still held comes last."""
    found: list[RoundTrip[F]] = []
    lots = deque[tuple[F, int]]()
    for each in fills:
        left = int(each.fill.quantity)
        while left and lots and lots[0][0].fill.side is not each.fill.side:
            entry, units = lots.popleft()
            closed = min(left, units)
            found.append(RoundTrip(entry, each, closed))
            left -= closed
            if units > closed:
                lots.appendleft((entry, units - closed))
        if left:
            lots.append((each, left))
    return found + [RoundTrip(entry, None, units) for entry, units in lots]
