"""Everything that has to do with orders, as one.

Orders, observers and endpoints are put together from the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog
from aiohttp import web

from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, Side
from schemas.units import IST, Paise, Quantity
from simulator.accounts import Accounts
from simulator.api.brackets import Brackets
from simulator.api.guard import ApiGuard
from simulator.api.orders import Rest
from simulator.api.portfolio import Portfolio
from simulator.api.rate_limit import DAY, HOUR, MINUTE, SECOND, Allowance, RateLimit
from simulator.api.silences import Silences
from simulator.api.trader_control import Addresses, TraderControl, bad_ip_code
from simulator.api.transit import Transit
from simulator.config import SimulatorConfig
from simulator.exchange import Exchange
from simulator.faults import Fault, Faults, Place, Target
from simulator.market.tape import Market
from simulator.matching.controls import Controls
from simulator.matching.enums import OrderType, Product, Source, Validity
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.ledger import Account, Holding
from simulator.matching.order import OrderRequest
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Circuits, Rules
from simulator.matching.square_off import SquareOff
from simulator.matching.super_orders import SuperOrders
from simulator.refusals import Refusal

MARKET: Final = "/market"  # the endpoint of faults that the market's steps bring

log = structlog.get_logger(__name__)


class Trading:
    """The order side of one simulator.

    Attributes:
        book: For the exchange, which shows it the market.
    """

    def __init__(
        self, config: SimulatorConfig, market: Market, accounts: Accounts, faults: Faults
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._faults = faults
        instruments = {listing.id: listing.instrument for listing in market.listings}
        self._tradable = [instrument for instrument in instruments.values() if instrument.tradable]
        self.book = OrderManager(
            market.session.day,
            instruments,
            circuits=_circuits(market),
            contracts={one.id: one.contract for one in market.listings if one.contract},
            rules=_rules(config),
            purses=self._purse,
        )
        self.super_orders = SuperOrders(self.book)
        self.forever_orders = ForeverOrders(self.book)
        self.controls = Controls(self.book, self.super_orders, self.forever_orders)
        self._square_off = SquareOff(self.book, self.controls)

    def routes(
        self,
        exchange: Exchange,
        silences: Silences,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> list[web.RouteDef]:
        """The endpoints. `now` is the wall clock, `monotonic` machine time."""
        config, quirks = self._config, self._config.quirks
        addresses = Addresses(
            lambda: now().astimezone(IST).date(),
            required=config.static_ip,
            bad_ip=bad_ip_code(quirks),
        )
        clock = (lambda: float(exchange.second)) if config.rate_by_market_time else monotonic
        door = ApiGuard(
            self._accounts,
            self._faults,
            orders=RateLimit(order_allowances(config), clock),
            reads=RateLimit(read_allowances(config), clock),
            address=addresses.objection,
            silences=silences,
        )
        transit = Transit(exchange, config.transit)
        desks = (
            Rest(exchange, transit, door, quirks),
            Brackets(
                exchange,
                self.super_orders,
                self.forever_orders,
                door,
                quirks,
                transit=transit,
            ),
            Portfolio(exchange, self.controls, door, quirks),
            TraderControl(exchange, self.controls, addresses, door),
        )
        return [route for desk in desks for route in desk.routes()]

    def market_moved(self, second: int) -> None:
        """The market made a step: the broker squares off, perhaps somebody orders by phone."""
        self._square_off.at(second)
        usual = self._config.users[0].client_id if self._config.users else ""
        waiting = {
            fault.client_id or usual
            for fault in self._faults.waiting
            if fault.place is Place.MARKET
        }
        for client_id in sorted(waiting):
            if strike := self._faults.next_hit(Place.MARKET, Target(client_id, MARKET)):
                self._order_from_the_phone(client_id, strike.fault, second)

    def _order_from_the_phone(self, client_id: str, fault: Fault, second: int) -> None:
        """A market order without a correlation id, in the first share that has a price."""
        share = next((one for one in self._tradable if self.book.last(one.id) is not None), None)
        if share is None:
            log.warning("fault.no_share_for_the_phone", client_id=client_id)
            return
        placed = self.book.place(_phone_order(client_id, share, fault.quantity), second)
        if isinstance(placed, Refusal):
            log.warning("fault.phone_order_refused", client_id=client_id, reason=placed.message)

    def _purse(self, client_id: str) -> Account:
        user = self._accounts.get(client_id)
        if user is None:
            return Account(None)
        holdings = {
            InstrumentId(Segment.NSE_EQ, held.security_id): Holding(
                Quantity(held.quantity),
                Paise.from_rupees(held.average_cost),
                Quantity(held.pledged),
            )
            for held in user.holdings
        }
        return Account(Paise.from_rupees(user.funds), holdings)


def order_allowances(config: SimulatorConfig) -> tuple[Allowance, ...]:
    """How many orders a user may send; none at all is without limit."""
    if config.order_rate_limit is None:
        return ()
    return (
        Allowance(config.order_rate_limit, SECOND),
        Allowance(config.orders_per_minute, MINUTE),
        Allowance(config.orders_per_hour, HOUR),
        Allowance(config.orders_per_day, DAY),
    )


def read_allowances(config: SimulatorConfig) -> tuple[Allowance, ...]:
    """How many reads of orders and positions a user has a second; none without order limits."""
    return () if config.order_rate_limit is None else (Allowance(config.reads_per_second, SECOND),)


def _rules(config: SimulatorConfig) -> Rules:
    """The rules of this market.

    At full speed it is closed before anybody could order, so its hours are not enforced there
    unless asked for.
    """
    enforced = config.rules.market_hours
    return replace(
        config.rules, market_hours=config.speed is not None if enforced is None else enforced
    )


def _circuits(market: Market) -> Mapping[InstrumentId, Circuits]:
    return {
        listing.id: Circuits(listing.lower_circuit, listing.upper_circuit)
        for listing in market.listings
        if listing.instrument.tradable
    }


def _phone_order(client_id: str, share: Instrument, quantity: int) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        correlation_id="",
        side=Side.BUY,
        instrument=share.id,
        product=Product.INTRADAY,
        order_type=OrderType.MARKET,
        validity=Validity.DAY,
        quantity=Quantity(quantity * share.lot_size),
        price=Paise(0),
        source=Source.PHONE,
    )
