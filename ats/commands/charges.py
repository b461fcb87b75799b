"""`ats charges`: what a day's trades in one instrument cost, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table

from executors.charges.bill import Computed
from executors.charges.charges import charges
from executors.charges.day import DayTrades, Fill, Security
from executors.charges.rates import Charge, Kind, Market, shipped_rates
from executors.charges.result import net_result
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Price, Quantity

LABELS: Final = {
    Charge.BROKERAGE: "brokerage",
    Charge.STT: "securities transaction tax (STT)",
    Charge.TRANSACTION: "exchange's transaction charge",
    Charge.IPFT: "investor protection fund (IPFT)",
    Charge.SEBI: "SEBI fee",
    Charge.STAMP: "stamp duty",
    Charge.IGST: "GST",
    Charge.CGST: "CGST",
    Charge.SGST: "SGST",
    Charge.DP: "DP charge with GST, on the ledger",
}
_Enum = TypeVar("_Enum", bound=StrEnum)
_ORDER: Final = re.compile(r"(\d{1,9})@(\d{1,9}(?:\.\d{1,2})?)")
_CASH: Final = frozenset({Segment.NSE_EQ, Segment.BSE_EQ})


@dataclass(frozen=True, slots=True)
class ChargesOptions:
    """What was asked, as typed; `day` is the trading day (India)."""

    buy: Sequence[str]
    sell: Sequence[str]
    segment: str
    market: str
    product: str
    kind: str
    group: str
    plan: str
    day: date


def show(console: Console, options: ChargesOptions) -> None:
    """Print the bill of the orders, and what is left when all that was bought was sold.

    Raises:
        Misconfigured: an option cannot be used, or no rate is known.
    """
    try:
        fills = tuple(_fills(options))
        bill = charges(DayTrades(options.day, fills, options.plan), shipped_rates())
    except Unreadable as error:
        raise Misconfigured(str(error)) from None
    table = Table("charge", title=f"{options.segment}, {options.product}, {options.day}")
    table.add_column("rupees", justify="right")
    for charge in Charge:
        if any(line.charge is charge for line in bill.lines):
            table.add_row(LABELS[charge], _rupees(bill.of(charge)))
    table.add_section()
    table.add_row("total", _rupees(bill.total))
    console.print(table)
    for line in _result(fills, bill):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        "Computed by the rules of a finished day; your contract note decides.",
        style="dim",
        soft_wrap=True,
    )


def _fills(options: ChargesOptions) -> Iterator[Fill]:
    if not options.buy and not options.sell:
        raise Misconfigured("nothing was traded: give --buy or --sell, such as --buy 100@1500")
    security = _security(options)
    typed = [*((Side.BUY, text) for text in options.buy)]
    typed += [(Side.SELL, text) for text in options.sell]
    for number, (side, text) in enumerate(typed):
        quantity, price = _order(f"--{side.lower()}", text)
        yield Fill(str(number), security, side, options.product.upper(), quantity, price)


def _order(option: str, text: str) -> tuple[Quantity, Price]:
    found = _ORDER.fullmatch(text)
    if not found or not int(found[1]) or not Paise.from_rupees(found[2]):
        raise Misconfigured(
            f"{option} {text!r} is not usable: give quantity@price in rupees, such as 100@1510.50"
        )
    return Quantity(int(found[1])), Price.from_rupees(found[2])


def _security(options: ChargesOptions) -> Security:
    segment = _one_of("--segment", options.segment.upper(), Segment)
    if not options.market and segment not in _CASH:
        raise Misconfigured(f"{segment} has two markets: give --market futures or options")
    market = _one_of("--market", options.market.lower() or Market.CASH, Market)
    kind = _one_of("--kind", options.kind.lower(), Kind)
    # the charges of an instrument do not depend on its number
    return Security(InstrumentId(segment, 0), market, kind, options.group.upper())


def _one_of(option: str, text: str, known: type[_Enum]) -> _Enum:
    try:
        return known(text)
    except ValueError:
        raise Misconfigured(
            f"{option} {text!r} is not usable: give one of {', '.join(known)}"
        ) from None


def _result(fills: Sequence[Fill], bill: Computed) -> Iterator[str]:
    bought, sold = (sum(one.quantity for one in fills if one.side is side) for side in Side)
    if bought != sold:
        yield f"{abs(bought - sold)} were not closed again that day, so there is no result yet."
        return
    gross = Paise(sum(one.value if one.side is Side.SELL else -one.value for one in fills))
    result = net_result(gross, bill, Paise(0))
    yield f"earned {gross}, after charges {result.after_charges}"
    yield f"The price must move by {Paise(-(-bill.total // bought))} to pay for the charges."


def _rupees(amount: Paise) -> str:
    return f"{amount.rupees():,.2f}"
