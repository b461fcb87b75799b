"""The last print of every instrument.

Quotes, option chains and orders look at it when they look at the market.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.market.tape import Listing, Prints, fixed_figures


class LastPrices:
    """One row of `tape.PRINT` for each listing, by its place.

    The price is 0 until the instrument has printed.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._rows = fixed_figures(listings)

    def show(self, prints: Prints) -> None:
        """Take prints in, in their order."""
        # where one instrument printed twice, the later one stays
        self._rows[prints["instrument"]] = prints

    def row(self, place: int) -> Prints:
        """The last print of the instrument at `place`."""
        row: Prints = self._rows[place]
        return row
