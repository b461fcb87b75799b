"""The broker leaves what was to be left by the day's end, at its own times."""

from __future__ import annotations

from schemas.ids import InstrumentId
from schemas.units import UtcNs
from simulator.matching.controls import Controls
from simulator.matching.enums import Product
from simulator.matching.order_manager import OrderManager


class SquareOff:
    """Closes intraday positions of all accounts from the times of `Rules` on, until they are flat.

    Nothing happens unless market hours are enforced.
    """

    def __init__(self, book: OrderManager, controls: Controls) -> None:
        self._orders = book
        self._controls = controls

    def at(self, second: int) -> None:
        """The market stands at `second`: cancel and close what is due.

        An exit that has not traded is sent again at the market of now.
        """
        rules = self._orders.rules
        if not rules.market_hours:
            return
        clock = UtcNs.seconds(second).ist().time()
        cash, derivatives = (
            limit is not None and clock >= limit
            for limit in (rules.square_off_cash, rules.square_off_derivatives)
        )
        if not (cash or derivatives):
            return

        def due(instrument: InstrumentId, product: Product) -> bool:
            in_cash = instrument.segment.endswith("_EQ")
            return product is Product.INTRADAY and (cash if in_cash else derivatives)

        for client_id in self._orders.clients():
            self._controls.leave(client_id, due, second)
