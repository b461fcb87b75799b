"""In which mode ATS runs, and so whose orders may go where (`docs/facts/market-rules.md`).

Modes are refused by code: with paper money no address but this machine's own can be reached, and
with real money only the operator's own account, or those of the declared members of their family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

import httpx

from dhan.egress import Egress
from dhan.order_updates import DHAN_ORDER_UPDATES, UpdatesUrl
from dhan.orders import DayLookupResult, LookupResult, NewOrder, OrderClient
from dhan.outcomes import PlaceResult
from dhan.super_orders import NewSuperOrder, SuperOrderClient
from dhan.transport import Credentials, OrderUrl, open_client
from schemas.errors import Misconfigured
from schemas.ids import CorrelationId, DhanClientId
from schemas.strategy import StrategyMode


class Mode(StrEnum):
    """How orders are meant."""

    PAPER = "paper"
    SELF = "self"
    FAMILY = "family"
    EMPANELLED = "empanelled"


class BrokerClient(Protocol):
    """One account's order entry."""

    async def place(self, order: NewOrder | NewSuperOrder) -> PlaceResult: ...

    async def find(self, correlation_id: CorrelationId) -> LookupResult: ...

    async def orders_of_the_day(self) -> DayLookupResult: ...


class AccountOrders(OrderClient):
    """Order entry that takes an entry together with its stop and target as well."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials
    ) -> None:
        super().__init__(http, base_url, credentials)
        self._super_orders = SuperOrderClient(http, base_url, credentials)

    async def place(self, order: NewOrder | NewSuperOrder) -> PlaceResult:
        """Send `order` once. Either is looked up by its name in the same way."""
        if isinstance(order, NewSuperOrder):
            return await self._super_orders.place(order)
        return await super().place(order)


BrokerFactory: TypeAlias = Callable[[Credentials], BrokerClient]


@dataclass(frozen=True, slots=True)
class ModeRules:
    """What the mode permits. Built only by `rules_of`.

    Attributes:
        own_client_id: The one account that may trade; None admits all (paper), or those with an
            address of their own (family).
        egress: From which address of this machine each account's requests leave.
    """

    mode: Mode
    base_url: OrderUrl
    own_client_id: DhanClientId | None
    egress: Egress = field(default_factory=Egress)

    @property
    def family(self) -> bool:
        """Whether only declared members trade (`executors.members`)."""
        return self.mode is Mode.FAMILY

    @property
    def platform(self) -> StrategyMode:
        """How far orders go in this mode, whatever a strategy says."""
        return StrategyMode.PAPER if self.mode is Mode.PAPER else StrategyMode.LIVE

    def allows(self, client_id: DhanClientId | None) -> bool:
        if self.own_client_id is None:
            return self.egress.admits(client_id)
        return client_id == self.own_client_id

    def must_be_whose(self, client_id: DhanClientId) -> bool:
        """Whether Dhan is to say that a token is of this account before it trades."""
        return self.family or client_id == self.own_client_id

    @property
    def updates_url(self) -> UpdatesUrl:
        """Where the orders' updates come from: of paper orders from where they were placed."""
        if not self.base_url.paper:
            return UpdatesUrl.parse(DHAN_ORDER_UPDATES)
        scheme, _, rest = self.base_url.url.partition("://")
        socket = {"http": "ws", "https": "wss"}[scheme]
        return UpdatesUrl.parse(f"{socket}://{rest.partition('/')[0]}/orderupdate")

    def open_client(self) -> httpx.AsyncClient:
        """The HTTP client for orders. With paper money it cannot leave the machine."""
        return open_client(leaves_machine=not self.base_url.paper, egress=self.egress)

    def broker(self, http: httpx.AsyncClient) -> BrokerFactory:
        """Opens order entry at the only address this mode may reach."""
        return lambda credentials: AccountOrders(http, self.base_url, credentials)


def validate_mode(
    mode: Mode, order_url: str, own_client_id: str = "", egress: Iterable[str] = ()
) -> ModeRules:
    """Check that `mode` may run as configured; `egress` has the entries of ATS_EGRESS.

    Raises:
        Misconfigured: a mode that is not built, paper orders that would leave the machine, live
            orders without https, without the operator's own client id (self) or without addresses
            (family), or entries of ATS_EGRESS that are no accounts and addresses.
    """
    sources = Egress.parse(egress, named_only=mode is Mode.FAMILY)
    if mode is Mode.PAPER:
        return ModeRules(mode, OrderUrl.parse(order_url), None, sources)
    if mode is Mode.EMPANELLED:
        raise Misconfigured(
            "mode empanelled is refused: orders for others than your family need an empanelment "
            "with the exchanges, which ATS does not have (docs/executors.md); "
            "use ATS_MODE=paper, ATS_MODE=self or ATS_MODE=family"
        )
    base_url = OrderUrl.of_real_money(order_url)
    if mode is Mode.FAMILY:
        if not sources.addresses:
            raise Misconfigured(
                "mode family sends each member's orders from their own address: set ATS_EGRESS, "
                "such as ATS_EGRESS=1100000001=10.0.0.11"
            )
        return ModeRules(mode, base_url, None, sources)
    if not own_client_id:
        raise Misconfigured(
            "mode self trades exactly one account: set ADMIN_DHAN_CLIENT_ID to its Dhan client id"
        )
    return ModeRules(mode, base_url, DhanClientId(own_client_id), sources)
