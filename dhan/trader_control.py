"""Dhan's own controls of an account: exit at a profit or a loss, kill switch, exit of everything.

They act at the broker and need none of our processes. What was set is read back: an answer in words
is not the setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

import httpx
from dhanhq import Portfolio, TraderControl

from dhan import fields
from dhan.orders import as_float
from dhan.outcomes import (
    NoAnswer,
    NotSent,
    Rejected,
    Unknown,
    describe,
    not_shown,
    refused,
    single,
)
from dhan.transport import (
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    OrderUrl,
    Result,
    text_field,
    trading_error,
)
from schemas.errors import Unreadable
from schemas.units import Paise


class ExitProduct(StrEnum):
    """Whose profit and loss counts, and which positions an exit closes."""

    INTRADAY = "INTRADAY"
    DELIVERY = "DELIVERY"  # CNC and MTF


@dataclass(frozen=True, slots=True)
class PnlExit:
    """Leave everything once the day's profit or loss reaches a bound. Dhan forgets it overnight.

    Attributes:
        profit, loss: Above zero, both; it acts at once when one is reached already.
        kill_switch: Stop trading for the day afterwards.

    Raises:
        ValueError: a bound of zero or below, or no product.
    """

    profit: Paise
    loss: Paise
    products: frozenset[ExitProduct] = frozenset({ExitProduct.INTRADAY})
    kill_switch: bool = False

    def __post_init__(self) -> None:
        if self.profit <= 0 or self.loss <= 0:
            raise ValueError(f"bounds of a P&L exit are above zero: {self.profit}, {self.loss}")
        if not self.products:
            raise ValueError("a P&L exit needs a product")


@dataclass(frozen=True, slots=True)
class PnlExitState:
    """The exit as Dhan shows it.

    Attributes:
        profit, loss: Rupees without a sign.
        products: Dhan's words in capitals.
    """

    active: bool
    profit: Decimal
    loss: Decimal
    products: frozenset[str]
    kill_switch: bool

    def is_set_as(self, wanted: PnlExit) -> bool:
        """Whether Dhan holds exactly what was asked for."""
        return (
            self.active
            and (self.profit, self.loss) == (wanted.profit.rupees(), wanted.loss.rupees())
            and self.products == {product.value for product in wanted.products}
            and self.kill_switch == wanted.kill_switch
        )


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """Whether Dhan refuses the account's new orders for the rest of the day."""

    active: bool


@dataclass(frozen=True, slots=True)
class Done:
    """Dhan says that it did what was asked.

    Attributes:
        message: Its words; "" when it answered without any.
    """

    message: str


ControlResult: TypeAlias = Done | Rejected | NotSent | Unknown
PnlExitResult: TypeAlias = PnlExitState | NoAnswer
KillSwitchResult: TypeAlias = KillSwitchState | NoAnswer

_OFF: Final = frozenset({"DISABLED", "INACTIVE"})


class TraderControlClient:
    """One account's controls. All may be repeated: they name a state, not a step."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials
    ) -> None:
        changes = DhanTransport(http, base_url, credentials, CallTimeout.ORDER)
        self._controls = TraderControl(changes)
        self._portfolio = Portfolio(changes)
        self._lookup_client = TraderControl(
            DhanTransport(http, base_url, credentials, CallTimeout.LOOKUP)
        )

    async def set_pnl_exit(self, wanted: PnlExit) -> ControlResult:
        """Arm the exit for today; read it back with `pnl_exit`."""
        result: Result = await self._controls.set_pnl_exit(
            profit_value=as_float(wanted.profit),
            loss_value=as_float(wanted.loss),
            product_type=sorted(product.value for product in wanted.products),
            enable_kill_switch=wanted.kill_switch,
        )
        return _done(result, lambda body: fields.word(body, "pnlExitStatus") == "ACTIVE")

    async def pnl_exit(self) -> PnlExitResult:
        """The exit as it stands."""
        return classify_pnl_exit(await self._lookup_client.get_pnl_exit())

    async def delete_pnl_exit(self) -> ControlResult:
        """Disarm the exit. Where none is armed Dhan rejects that in words."""
        result: Result = await self._controls.stop_pnl_exit()
        return _done(result, lambda body: fields.word(body, "pnlExitStatus") in _OFF)

    async def activate_kill_switch(self) -> ControlResult:
        """Stop trading for the day; rejected while orders wait or positions are open."""
        return _done(await self._controls.kill_switch("ACTIVATE"), _says_activated)

    async def kill_switch(self) -> KillSwitchResult:
        """Whether trading is stopped."""
        return classify_kill_switch(await self._lookup_client.status_kill_switch())

    async def exit_all(self) -> ControlResult:
        """Close all positions at the market and cancel all orders; the book proves it, later."""
        result: Result = await self._portfolio.exit_all_positions()
        return _done(result, lambda body: fields.word(body, "status") == "SUCCESS")


def classify_pnl_exit(result: Result) -> PnlExitResult:
    """What a result of GET /pnlExit says."""
    if isinstance(result, Lost) or result.status != httpx.codes.OK:
        return not_shown(result)
    body = single(result.body)
    try:
        if isinstance(body, Mapping) and (status := fields.word(body, "pnlExitStatus")):
            return PnlExitState(
                status == "ACTIVE",
                abs(fields.rupees(body, "profit") or Decimal(0)),
                abs(fields.rupees(body, "loss") or Decimal(0)),
                _products(body),
                fields.flag(body, "enable_kill_switch", "enableKillSwitch"),
            )
    except Unreadable:
        pass
    return Unknown(describe(result, trading_error(body)[0]))


def classify_kill_switch(result: Result) -> KillSwitchResult:
    """What a result of GET /killswitch says."""
    if isinstance(result, Lost) or result.status != httpx.codes.OK:
        return not_shown(result)
    body = single(result.body)
    if isinstance(body, Mapping):
        status = fields.word(body, "killSwitchStatus")
        if status in {"ACTIVATE", "ACTIVATED", "ACTIVE"}:
            return KillSwitchState(active=True)
        if status in {"DEACTIVATE", "DEACTIVATED", *_OFF}:
            return KillSwitchState(active=False)
    return Unknown(describe(result, trading_error(body)[0]))


def _done(result: Result, confirms: Callable[[fields.Row], bool]) -> ControlResult:
    if isinstance(result, Lost):
        if result.may_have_arrived:
            return Unknown(result.reason)
        return NotSent(result.reason, "the request did not leave")
    if result.status == httpx.codes.ACCEPTED and result.body is None:
        return Done("")
    if not 200 <= result.status < 300:
        return refused(result)
    body = single(result.body)
    if isinstance(body, Mapping) and confirms(body):
        return Done(text_field(body, "message"))
    return Unknown(describe(result, trading_error(body)[0]))


def _says_activated(body: fields.Row) -> bool:
    said = text_field(body, "killSwitchStatus").lower()  # a sentence
    return "activate" in said and "deactivate" not in said and " not " not in f" {said} "


def _products(body: fields.Row) -> frozenset[str]:
    listed = body.get("productType")
    if listed is None:
        return frozenset()
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed[:10]):
        raise Unreadable("no list of products", "productType")
    return frozenset(fields.word({"product": each}, "product") for each in listed[:10])
