"""The charges of what stands in a book: observed fills, as the charges see them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from executors.charges.charges import charges, estimate
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Market, NoRate, Rates
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.messages import ObservedFill
from schemas.units import Paise

_CONTRACTS: Final = (Segment.NSE_FNO, Segment.BSE_FNO)


def fills_of(
    fills: Iterable[ObservedFill], kind_of: Mapping[InstrumentId, str] | None = None
) -> tuple[Fill, ...]:
    """Observed fills; every listing of the cash market is taken for a share.

    `kind_of` has Dhan's instrument type of each contract, such as `OPTSTK`.

    Raises:
        Unreadable: nobody knows whether a contract is a future or an option, or there are no
            charges of its segment.
    """
    kinds = kind_of or {}
    return tuple(
        Fill(
            # the legs of a super order may trade under its number
            f"{fill.dhan_order_id} {fill.side}",
            Security(fill.instrument, _market(fill.instrument, kinds.get(fill.instrument, ""))),
            fill.side,
            fill.product,
            fill.quantity,
            fill.price,
        )
        for fill in fills
    )


def estimated(
    fills: Iterable[ObservedFill], day: date, rates: Rates, kind: str = ""
) -> Paise | None:
    """What the fills of one instrument on `day` (India) cost so far; None where nobody knows.

    The sum over instruments may differ from the day's bill by what the bill rounds, and by a DP
    charge that two listings of one ISIN share.
    """
    given = tuple(fills)
    try:
        trades = DayTrades(day, fills_of(given, {fill.instrument: kind for fill in given}))
        return estimate(trades, rates).total
    except (NoRate, Unreadable):
        return None


def billed(fills: Iterable[ObservedFill], day: date, rates: Rates) -> Paise | None:
    """What one account's whole `day` (India) costs; None where nobody knows.

    The bill of the contract note where all is closed, else the estimate so far.
    """
    given, held = tuple(fills), Counter[InstrumentId]()
    for fill in given:
        held[fill.instrument] += fill.quantity if fill.side is Side.BUY else -fill.quantity
    finished = not any(held.values())
    try:
        trades = DayTrades(day, fills_of(given))
        return (charges(trades, rates) if finished else estimate(trades, rates)).total
    except (NoRate, Unreadable):
        return None


def _market(instrument: InstrumentId, kind: str) -> Market:
    if instrument.segment not in _CONTRACTS:
        return Market.CASH
    if kind.startswith("FUT"):
        return Market.FUTURES
    if kind.startswith("OPT"):
        return Market.OPTIONS
    raise Unreadable(f"{instrument} is neither a future nor an option: {kind[:20]!r}", "kind")
