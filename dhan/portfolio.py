"""What an account did and has: the day's trades, positions, funds and holdings.

Amounts are rupees as Dhan wrote them, exact; averages are rounded by Dhan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeVar

import httpx

from dhan import fields
from dhan.outcomes import NoAnswer, Rows, Unknown, describe, not_shown, read_list, read_rows, single
from dhan.transport import (
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    OrderUrl,
    Result,
    trading_error,
)
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.units import Quantity, UtcNs

NO_HOLDINGS: Final = "DH-1111"  # measured: with status 500

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One fill.

    Attributes:
        trade_id: The exchange's number; unique within an exchange's segment and day.
        instrument: None for a segment that ATS does not know.
        price: Rupees; currencies have four decimals.
        traded_at: UTC ns, by the exchange; None where it is not told.
    """

    trade_id: str
    order_id: DhanOrderId
    instrument: InstrumentId | None
    side: Side
    product: str
    quantity: Quantity
    price: Decimal
    exchange_order_id: str = ""
    traded_at: UtcNs | None = None


@dataclass(frozen=True, slots=True)
class PositionRow:
    """What the day did to one instrument in one product; also one that is flat again.

    Attributes:
        instrument: None for a segment that ATS does not know.
        net: Units; below zero is short. What was carried over is in it.
        bought, sold: Units, what was carried over included.
        realised, unrealised: Rupees, by Dhan's own count, before charges.
    """

    instrument: InstrumentId | None
    symbol: str
    product: str
    net: int
    bought: Quantity
    sold: Quantity
    buy_average: Decimal | None
    sell_average: Decimal | None
    day_bought: Quantity | None
    day_sold: Quantity | None
    day_buy_value: Decimal | None
    day_sell_value: Decimal | None
    realised: Decimal | None
    unrealised: Decimal | None


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """Shares in the demat account, or on their way there.

    Attributes:
        quantity: Units in all.
        available: Units that may be sold.
        average_cost: Rupees a share.
    """

    symbol: str
    security_id: str
    isin: str
    quantity: Quantity
    available: Quantity | None
    collateral: Quantity | None
    average_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class FundLimits:
    """What the account may still use, in rupees.

    Attributes:
        available: Pledged collateral included.
        start_of_day: What there was before the first order.
    """

    available: Decimal
    start_of_day: Decimal | None
    utilised: Decimal | None
    collateral: Decimal | None
    receivable: Decimal | None
    blocked: Decimal | None
    withdrawable: Decimal | None


TradesResult: TypeAlias = Rows[TradeRow] | NoAnswer
PositionsResult: TypeAlias = Rows[PositionRow] | NoAnswer
HoldingsResult: TypeAlias = Rows[HoldingRow] | NoAnswer
FundsResult: TypeAlias = FundLimits | NoAnswer


class PortfolioClient:
    """One account's trades, positions, funds and holdings."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials
    ) -> None:
        # the SDK's classes add nothing to a GET, and ask for trades at another path (`/trades/`)
        self._transport = DhanTransport(http, base_url, credentials, CallTimeout.LOOKUP)

    async def trades(self) -> TradesResult:
        """Every fill of the account's day, in one call."""
        return await read_list(await self._transport.get("/trades"), classify_trades)

    async def positions(self) -> PositionsResult:
        """Every position of the day, flat ones included."""
        return await read_list(await self._transport.get("/positions"), classify_positions)

    async def holdings(self) -> HoldingsResult:
        """The shares of the demat account."""
        return await read_list(await self._transport.get("/holdings"), classify_holdings)

    async def funds(self) -> FundsResult:
        """What the account may still use."""
        return classify_funds(await self._transport.get("/fundlimit"))


def classify_trades(result: Result) -> TradesResult:
    """What a result of GET /trades says."""
    return _listed(result, _trade)


def classify_positions(result: Result) -> PositionsResult:
    """What a result of GET /positions says."""
    return _listed(result, _position)


def classify_holdings(result: Result) -> HoldingsResult:
    """What a result of GET /holdings says.

    An account without any is answered with an error that says so.
    """
    if not isinstance(result, Lost):
        code, _ = trading_error(single(result.body))
        if code == NO_HOLDINGS:
            return Rows(())
    return _listed(result, _holding)


def classify_funds(result: Result) -> FundsResult:
    """What a result of GET /fundlimit says."""
    if isinstance(result, Lost) or result.status != httpx.codes.OK:
        return not_shown(result)
    body = single(result.body)
    try:
        if isinstance(body, Mapping):
            return _funds(body)
    except Unreadable:
        pass
    return Unknown(describe(result, trading_error(body)[0]))


def _listed(result: Result, read: Callable[[Mapping[str, Any]], RowT]) -> Rows[RowT] | NoAnswer:
    if (
        isinstance(result, Lost)
        or result.status != httpx.codes.OK
        or not isinstance(result.body, list)
    ):
        return not_shown(result)
    return read_rows(result.body, read)


def _trade(row: fields.Row) -> TradeRow:
    trade_id, order_id = fields.name_of(row, "exchangeTradeId"), fields.order_id(row, "orderId")
    side, quantity = fields.side(row, "transactionType"), fields.quantity(row, "tradedQuantity")
    price = fields.average(row, "tradedPrice")
    if not trade_id or order_id is None or side is None or not quantity or price is None:
        raise Unreadable("a trade without number, order, side, quantity or price")
    return TradeRow(
        trade_id,
        order_id,
        fields.instrument(row, fields.word(row, "exchangeSegment")),
        side,
        fields.word(row, "productType"),
        quantity,
        price,
        fields.name_of(row, "exchangeOrderId"),
        fields.ist_time(row, "exchangeTime"),
    )


def _position(row: fields.Row) -> PositionRow:
    net = fields.units(row, "netQty")
    bought, sold = fields.quantity(row, "buyQty"), fields.quantity(row, "sellQty")
    if net is None or bought is None or sold is None:
        raise Unreadable("a position without its quantities")
    return PositionRow(
        instrument=fields.instrument(row, fields.word(row, "exchangeSegment")),
        symbol=fields.name_of(row, "tradingSymbol"),
        product=fields.word(row, "productType"),
        net=net,
        bought=bought,
        sold=sold,
        buy_average=fields.average(row, "buyAvg"),
        sell_average=fields.average(row, "sellAvg"),
        day_bought=fields.quantity(row, "dayBuyQty"),
        day_sold=fields.quantity(row, "daySellQty"),
        day_buy_value=fields.rupees(row, "dayBuyValue"),
        day_sell_value=fields.rupees(row, "daySellValue"),
        realised=fields.rupees(row, "realizedProfit"),
        unrealised=fields.rupees(row, "unrealizedProfit"),
    )


def _holding(row: fields.Row) -> HoldingRow:
    quantity = fields.quantity(row, "totalQty")
    if quantity is None:
        raise Unreadable("a holding without its quantity")
    return HoldingRow(
        symbol=fields.name_of(row, "tradingSymbol"),
        security_id=fields.name_of(row, "securityId"),
        isin=fields.name_of(row, "isin"),
        quantity=quantity,
        available=fields.quantity(row, "availableQty"),
        collateral=fields.quantity(row, "collateralQty"),
        average_cost=fields.average(row, "avgCostPrice"),
    )


def _funds(body: fields.Row) -> FundLimits:
    available = fields.rupees(body, "availabelBalance")  # Dhan's spelling
    if available is None:
        available = fields.rupees(body, "availableBalance")
    if available is None:
        raise Unreadable("no balance")
    return FundLimits(
        available,
        start_of_day=fields.rupees(body, "sodLimit"),
        utilised=fields.rupees(body, "utilizedAmount"),
        collateral=fields.rupees(body, "collateralAmount"),
        receivable=fields.rupees(body, "receiveableAmount"),
        blocked=fields.rupees(body, "blockedPayoutAmount"),
        withdrawable=fields.rupees(body, "withdrawableBalance"),
    )
