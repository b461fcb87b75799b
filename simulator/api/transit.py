"""The way of an order from the broker to the exchange, which takes a moment."""

from __future__ import annotations

import asyncio
from typing import Final

from simulator.exchange import Venue
from simulator.faults import Fault, FaultKind
from simulator.matching.order import Order

HEAD_START: Final = 0.05  # seconds an order update has before the reply it overtakes


class Transit:
    """Brings orders that were placed with `hold` to the exchange.

    `seconds` are of machine time; 0 brings them at once.
    """

    def __init__(self, exchange: Venue, seconds: float) -> None:
        self._exchange = exchange
        self._seconds = seconds

    def carry(self, order: Order) -> None:
        """Let `order` arrive after its time; one that was rejected meanwhile never does."""
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._arrive, order)
        else:
            self._arrive(order)

    async def enter(self, order: Order, fault: Fault | None) -> None:
        """Carry it, or let happen to it what `fault` says; returns when the reply may go."""
        kind = fault.kind if fault else None
        if fault and kind is FaultKind.LATE_REJECT:
            asyncio.get_running_loop().call_later(fault.delay, self._reject, order, fault.message)
            return
        self.carry(order)
        if kind is FaultKind.FILL_BEFORE_REPLY:
            self._exchange.book.fill_now(order, self._exchange.second)
            await asyncio.sleep(HEAD_START)

    def _reject(self, order: Order, reason: str) -> None:
        self._exchange.book.reject(order, reason, self._exchange.second)

    def _arrive(self, order: Order) -> None:
        self._exchange.book.release(order, self._exchange.second)
