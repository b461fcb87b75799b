"""What one client's day costs, from its fills and the rates of that day.

Amounts stay exact fractions of paise until the unit over which the law or the note rounds: an
order, a contract, a column of the note. Nothing is rounded by fill. docs/charges.md walks through a
day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from executors.charges.bill import Computed, Estimated, Line, rounded
from executors.charges.day import DayTrades, Fill, Security, SecurityDay, by_security
from executors.charges.rates import (
    FEES,
    Basis,
    Charge,
    Exchange,
    Market,
    RateRow,
    Rates,
    RoundedPer,
    Traded,
)
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise

_ON_TURNOVER: Final = (Charge.TRANSACTION, Charge.IPFT, Charge.SEBI)


def charges(day: DayTrades, rates: Rates) -> Computed:
    """The bill of a finished day, by the rules of the exchange and of the contract note.

    Delivery is the day's net quantity of a security, whatever the products; the rest is intraday.

    Raises:
        NoRate: a rate or a security's group is not known; then there is no total.
    """
    return Computed(_lines(day, rates, final=True))


def estimate(day: DayTrades, rates: Rates) -> Estimated:
    """What the fills so far cost, nothing rounded.

    A quantity still open in a product that is squared off before the end counts as intraday.

    Raises:
        NoRate: as `charges`.
    """
    return Estimated(_lines(day, rates, final=False))


@dataclass(frozen=True, slots=True)
class _Part:
    """One term of a charge's sum, in paise."""

    charge: Charge
    row: RateRow
    exact: Fraction
    exchange: Exchange
    market: Market
    instrument: InstrumentId | None = None
    basis: Basis | None = None
    name: str = ""  # of the order or the ISIN

    def unit(self) -> tuple[object, ...]:
        """Parts of one unit are added before rounding."""
        place = (self.charge, self.exchange, self.market, self.row.step)
        match self.row.rounded_per:
            case RoundedPer.SEGMENT:
                return place
            case RoundedPer.SECURITY:
                return (*place, self.instrument)
            case RoundedPer.BASIS:
                return (*place, self.instrument, self.basis)
            case RoundedPer.ORDER | RoundedPer.ISIN:
                return (*place, self.name)


def _lines(day: DayTrades, rates: Rates, *, final: bool) -> tuple[Line, ...]:
    lines = _added(_parts(day, rates, final=final), final=final)
    lines += _added(_gst(lines, day, rates, final=final), final=final)
    order = list(Charge)
    return tuple(sorted(lines, key=lambda line: (order.index(line.charge), line.exchange)))


def _parts(day: DayTrades, rates: Rates, *, final: bool) -> Iterator[_Part]:
    yield from _brokerage(day, rates)
    sold_isins: dict[str, Security] = {}
    for one in by_security(day.fills):
        yield from _on_turnover(day, rates, one)
        if one.security.market is not Market.CASH:
            yield from _taxes_on_contracts(day, rates, one)
            continue
        net = one.net if final else one.net - one.same_day_net
        yield from _taxes_in_cash(day, rates, one, net, final=final)
        if net < 0:
            sold_isins.setdefault(one.security.isin or str(one.security.instrument), one.security)
    for isin, security in sold_isins.items():
        yield _dp(day, rates, isin, security)


def _brokerage(day: DayTrades, rates: Rates) -> Iterator[_Part]:
    orders: dict[str, list[Fill]] = {}
    for fill in day.fills:
        orders.setdefault(fill.order, []).append(fill)
    for order, fills in sorted(orders.items()):
        security, product = fills[0].security, fills[0].product
        row = rates.find(Charge.BROKERAGE, day.day, _traded(day, security, product=product))
        exact = row.of_order(sum(fill.value for fill in fills))
        yield _part(Charge.BROKERAGE, row, exact, security, name=order)


def _on_turnover(day: DayTrades, rates: Rates, one: SecurityDay) -> Iterator[_Part]:
    for charge in _ON_TURNOVER:
        row = rates.find(charge, day.day, _traded(day, one.security))
        yield _part(charge, row, one.turnover * row.factor, one.security)


def _taxes_in_cash(
    day: DayTrades, rates: Rates, one: SecurityDay, net: int, *, final: bool
) -> Iterator[_Part]:
    """STT at the mean price of all buys and sells, stamp duty at the mean price of the buys."""
    mean = Fraction(one.turnover, one.bought + one.sold)
    if final:
        mean = Fraction(rounded(mean, 1))
    delivered = {Side.BUY: max(net, 0), Side.SELL: max(-net, 0)}
    intraday = {Side.BUY: one.bought - max(net, 0), Side.SELL: one.sold - max(-net, 0)}
    for basis, units in ((Basis.DELIVERY, delivered), (Basis.INTRADAY, intraday)):
        traded = _traded(day, one.security, basis=basis)
        stt = rates.find(Charge.STT, day.day, traded)
        if taxed := sum(units[side] for side in Side if stt.paid_by(side)):
            exact = taxed * mean * stt.factor
            yield _part(Charge.STT, stt, exact, one.security, basis=basis)
        if units[Side.BUY]:
            stamp = rates.find(Charge.STAMP, day.day, traded)
            exact = one.bought_value * units[Side.BUY] * stamp.factor / one.bought
            yield _part(Charge.STAMP, stamp, exact, one.security, basis=basis)


def _taxes_on_contracts(day: DayTrades, rates: Rates, one: SecurityDay) -> Iterator[_Part]:
    for charge in (Charge.STT, Charge.STAMP):
        row = rates.find(charge, day.day, _traded(day, one.security))
        if value := sum(one.value(side) for side in Side if row.paid_by(side)):
            yield _part(charge, row, value * row.factor, one.security)


def _dp(day: DayTrades, rates: Rates, isin: str, security: Security) -> _Part:
    """Once for each ISIN that leaves the demat account, whatever the quantity; with its GST."""
    row = rates.find(Charge.DP, day.day, _traded(day, security))
    tax = sum(rates.find(charge, day.day, _traded(day, security)).factor for charge in day.gst)
    return _part(Charge.DP, row, row.factor * (1 + tax), security, name=isin)


def _gst(lines: list[Line], day: DayTrades, rates: Rates, *, final: bool) -> Iterator[_Part]:
    """On the lines of each column as the note shows them; in an estimate on exact amounts."""
    for line in lines:
        if line.charge in FEES:
            base = Fraction(line.amount) if final else line.exact
            for charge in day.gst:
                row = rates.find(charge, day.day, Traded(line.exchange, line.market, day.plan))
                yield _Part(charge, row, base * row.factor, line.exchange, line.market)


def _traded(
    day: DayTrades, security: Security, *, product: str = "", basis: Basis | None = None
) -> Traded:
    return Traded(
        security.exchange,
        security.market,
        day.plan,
        kind=security.kind,
        group=security.group,
        product=product,
        basis=basis,
    )


def _part(
    charge: Charge,
    row: RateRow,
    exact: Fraction,
    security: Security,
    *,
    basis: Basis | None = None,
    name: str = "",
) -> _Part:
    return _Part(
        charge, row, exact, security.exchange, security.market, security.instrument, basis, name
    )


def _added(parts: Iterator[_Part], *, final: bool) -> list[Line]:
    units: dict[tuple[object, ...], list[_Part]] = {}
    for part in parts:
        units.setdefault(part.unit(), []).append(part)
    return [_line(unit, final=final) for unit in units.values()]


def _line(unit: list[_Part], *, final: bool) -> Line:
    first = unit[0]
    exact = sum((part.exact for part in unit), Fraction(0))
    by = first.row.rounded_per
    return Line(
        charge=first.charge,
        exchange=first.exchange,
        market=first.market,
        exact=exact,
        amount=Paise(rounded(exact, first.row.step if final else 1)),
        instrument=None if by is RoundedPer.SEGMENT else first.instrument,
        basis=first.basis if by is RoundedPer.BASIS else None,
    )
