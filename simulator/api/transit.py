"""The way of an order from the broker to the exchange, which takes a moment."""

from __future__ import annotations

import asyncio

from simulator.exchange import Venue
from simulator.matching.order import Order


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

    def _arrive(self, order: Order) -> None:
        self._exchange.book.release(order, self._exchange.second)
