"""What a user holds, may still come to hold, and has made or lost today. Pure.

An order that was accepted and is not seen filled may still fill, so it counts as held. What was
cancelled unfilled is not known here and counts as well until the day ends: a limit on exposure may
bind too early and never too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise

NOTHING: Final = Paise(0)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Accepted orders of one instrument and day.

    Attributes:
        bought: Units of buys.
        sold: Units of sells.
        price: Limit price of the newest, in paise.
    """

    bought: int = 0
    sold: int = 0
    price: int = 0


@dataclass(frozen=True, slots=True)
class Filled:
    """Fills of one instrument and day, whoever placed their orders; values in paise.

    `stop_outs` stops traded, the last at `stopped_out_at` (UTC ns; 0: never).
    """

    bought: int = 0
    bought_value: int = 0
    sold: int = 0
    sold_value: int = 0
    stop_outs: int = 0
    stopped_out_at: int = 0

    @property
    def net(self) -> int:
        return self.bought - self.sold


@dataclass(frozen=True, slots=True)
class Reach:
    """Units that a position may come to: `most` when all buys fill, `least` when all sells do."""

    most: int = 0
    least: int = 0

    @property
    def open(self) -> bool:
        return bool(self.most or self.least)

    @property
    def units(self) -> int:
        """The larger of both, whatever its side."""
        return max(abs(self.most), abs(self.least))

    def after(self, side: Side, quantity: int) -> Reach:
        """With one more order."""
        if side is Side.BUY:
            return Reach(self.most + quantity, self.least)
        return Reach(self.most, self.least - quantity)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a user is exposed to before an order.

    Attributes:
        here: In the order's own instrument.
        elsewhere: Paise, in all others, at their last prices.
        positions: Other instruments in which something is held or may come to be.
    """

    here: Reach = Reach()
    elsewhere: Paise = NOTHING
    positions: int = 0


def reach(ordered: Ordered, filled: Filled | None) -> Reach:
    """Where one position may go. Without fills told, orders are taken for filled."""
    if filled is None:
        net = ordered.bought - ordered.sold
        return Reach(net, net)
    return Reach(
        filled.net + max(0, ordered.bought - filled.bought),
        filled.net - max(0, ordered.sold - filled.sold),
    )


def exposure_to(
    instrument: InstrumentId,
    ordered: Mapping[InstrumentId, Ordered],
    filled: Mapping[InstrumentId, Filled],
    prices: Mapping[InstrumentId, int],
) -> Exposure:
    """All that the user's orders and fills of the day come to, seen from one instrument."""
    here, elsewhere, positions = Reach(), 0, 0
    for each in ordered.keys() | filled.keys():
        orders, fills = ordered.get(each, Ordered()), filled.get(each)
        reached = reach(orders, fills)
        if each == instrument:
            here = reached
        elif reached.open:
            positions += 1
            elsewhere += reached.units * (prices.get(each) or orders.price or _paid(fills))
    return Exposure(here, Paise(elsewhere), positions)


def day_result(filled: Mapping[InstrumentId, Filled], prices: Mapping[InstrumentId, int]) -> int:
    """Paise made (above zero) or lost today, closed and open, before charges.

    What is open counts at its last price; where none is known, as if at what was paid.
    """
    return sum(
        fills.sold_value - fills.bought_value + fills.net * (prices.get(each) or _paid(fills))
        for each, fills in filled.items()
    )


def loss_reached(result: int, most: Paise | None) -> bool:
    """Whether a day's `result` in paise, losses below zero, is as bad as `most`."""
    return most is not None and -result >= most


def _paid(fills: Filled | None) -> int:
    """Mean price of the side that is open, in paise, rounded down."""
    if fills is None or not fills.net:
        return 0
    if fills.net > 0:
        return fills.bought_value // fills.bought
    return fills.sold_value // fills.sold
