"""Dhan's endpoints of the trader's own controls.

These are kill switch, exit at a profit or loss, profile and registered addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from aiohttp import web

from schemas.units import IST, Paise
from simulator.api import requests as placement
from simulator.api.guard import ApiGuard, Call
from simulator.api.replies import refuse
from simulator.api.requests import Fields, InvalidField
from simulator.config import Quirks
from simulator.exchange import Venue
from simulator.matching.controls import DELIVERY, INTRADAY, Controls, PnlExit
from simulator.refusals import Code, Refusal

FIXED_FOR: Final = timedelta(days=7)  # a registered address may change once in so many days


class IpFlag(StrEnum):
    """Which of a user's two addresses."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"


@dataclass(frozen=True, slots=True)
class _Registered:
    ip: str
    free_from: date


class Addresses:
    """From where each user's orders may come. `today` is the machine's date in India."""

    def __init__(self, today: Callable[[], date], *, required: bool, bad_ip: Code) -> None:
        self._today = today
        self._required = required
        self._bad_ip = bad_ip
        self._registered: dict[tuple[str, IpFlag], _Registered] = {}

    def get(self, client_id: str, flag: IpFlag) -> _Registered | None:
        """The address that the user registered under `flag`, or None."""
        return self._registered.get((client_id, flag))

    def set(self, client_id: str, flag: IpFlag, ip: str, *, again: bool) -> Refusal | None:
        """Register an address, or with `again` another in its place."""
        known = self.get(client_id, flag)
        if again == (known is None):
            return Refusal(
                Code.INPUT,
                f"{flag} IP is {'not set: set it first' if again else 'already set: modify it'}",
            )
        if known and self._today() < known.free_from:
            return Refusal(Code.INPUT, f"{flag} IP cannot be modified before {known.free_from}")
        self._registered[client_id, flag] = _Registered(ip, self._today() + FIXED_FOR)
        return None

    def allows(self, client_id: str, ip: str) -> bool:
        """Whether the user may trade from `ip`.

        Any address does where none is required.
        """
        return not self._required or any(
            known is not None and known.ip == ip
            for known in (self.get(client_id, flag) for flag in IpFlag)
        )

    def objection(self, client_id: str, ip: str) -> Refusal | None:
        """The refusal of an order from `ip`, or None."""
        return None if self.allows(client_id, ip) else Refusal(self._bad_ip, "Invalid IP")


class TraderControl:
    """The handlers."""

    def __init__(
        self, exchange: Venue, controls: Controls, addresses: Addresses, door: ApiGuard
    ) -> None:
        self._exchange = exchange
        self._controls = controls
        self._addresses = addresses
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """The paths of kill switch, P&L exit, profile and addresses."""
        reading, trading = self._door.reading, self._door.trading
        return [
            web.post("/v2/killswitch", trading(self.switch)),
            web.get("/v2/killswitch", reading(self.switch_status)),
            web.post("/v2/pnlExit", trading(self.set_exit)),
            web.get("/v2/pnlExit", reading(self.exit_status)),
            web.delete("/v2/pnlExit", trading(self.stop_exit)),
            web.get("/v2/profile", reading(self.profile)),
            web.post("/v2/ip/setIP", reading(self.set_ip)),
            web.put("/v2/ip/modifyIP", reading(self.modify_ip)),
            web.get("/v2/ip/getIP", reading(self.get_ip)),
        ]

    async def switch(self, call: Call) -> web.StreamResponse:
        """The wish comes in the query; the classic page's text says header, its example query."""
        wish = call.request.query.get("killSwitchStatus") or call.request.headers.get(
            "killSwitchStatus"
        )
        if wish not in {"ACTIVATE", "DEACTIVATE"}:
            return refuse(Refusal(Code.INPUT, "killSwitchStatus is ACTIVATE or DEACTIVATE"))
        if wish == "DEACTIVATE":
            self._controls.revive(call.client_id)
        elif refusal := self._controls.kill(call.client_id):
            return refuse(refusal)
        sentence = f"Kill Switch has been successfully {wish.lower()}d"
        return web.json_response({"dhanClientId": call.client_id, "killSwitchStatus": sentence})

    async def switch_status(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/killswitch`."""
        status = "ACTIVATE" if self._controls.is_killed(call.client_id) else "DEACTIVATE"
        return web.json_response({"dhanClientId": call.client_id, "killSwitchStatus": status})

    async def set_exit(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/pnlExit`: exit all positions at a profit or a loss, in rupees."""
        wanted = placement.read(call.body, call.client_id, _pnl_exit)
        if isinstance(wanted, Refusal):
            return refuse(wanted)
        self._controls.set_pnl_exit(call.client_id, wanted, self._exchange.second)
        return web.json_response(
            {"pnlExitStatus": "ACTIVE", "message": "P&L based exit configured successfully"}
        )

    async def exit_status(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/pnlExit`."""
        wanted = self._controls.pnl_exit(call.client_id)
        return web.json_response(
            {
                "pnlExitStatus": "ACTIVE" if wanted else "INACTIVE",
                "profit": f"{wanted.profit.rupees():.2f}" if wanted else "0.00",
                "loss": f"{wanted.loss.rupees():.2f}" if wanted else "0.00",
                "productType": list(wanted.products) if wanted else [],
                "enable_kill_switch": bool(wanted and wanted.then_kill),
            }
        )

    async def stop_exit(self, call: Call) -> web.StreamResponse:
        """Answer `DELETE /v2/pnlExit`."""
        if not self._controls.stop_pnl_exit(call.client_id):
            return refuse(Refusal(Code.NO_DATA, "No P&L based exit is active"))
        return web.json_response(
            {"pnlExitStatus": "DISABLED", "message": "P&L based exit stopped successfully"}
        )

    async def profile(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/profile`: how long the token lives (IST), which segments are active."""
        expiry = (
            call.user.expires_at or self._exchange.now.ist() + timedelta(hours=24)
        ).astimezone(IST)
        return web.json_response(
            {
                "dhanClientId": call.client_id,
                "tokenValidity": f"{expiry:%d/%m/%Y %H:%M}",
                "activeSegment": "Equity, Derivative",
                "ddpi": "Active",
                "mtf": "Deactive",
                "dataPlan": "Active",
                "dataValidity": f"{expiry:%Y-%m-%d %H:%M:%S}.0",
            }
        )

    async def set_ip(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/ip/setIP`: register an address for the first time."""
        return self._register(call, again=False)

    async def modify_ip(self, call: Call) -> web.StreamResponse:
        """Answer `PUT /v2/ip/modifyIP`: replace a registered address, once in seven days."""
        return self._register(call, again=True)

    async def get_ip(self, call: Call) -> web.StreamResponse:
        """The documented fields, and those that only the wire has."""
        remote = call.request.remote or ""
        primary, secondary = (self._addresses.get(call.client_id, flag) for flag in IpFlag)
        allowed = self._addresses.allows(call.client_id, remote)
        return web.json_response(
            {
                "primaryIP": primary.ip if primary else None,
                "secondaryIP": secondary.ip if secondary else None,
                "modifyDatePrimary": str(primary.free_from) if primary else None,
                "modifyDateSecondary": str(secondary.free_from) if secondary else None,
                "detectedIP": remote,
                "ipMatchStatus": _match(remote, primary, secondary),
                "ordersAllowed": allowed,
            }
        )

    def _register(self, call: Call, *, again: bool) -> web.StreamResponse:
        asked = placement.read(call.body, call.client_id, _address)
        if isinstance(asked, Refusal):
            return refuse(asked)
        ip, flag = asked
        if refusal := self._addresses.set(call.client_id, flag, ip, again=again):
            return refuse(refusal)
        return web.json_response({"message": "IP saved successfully", "status": "SUCCESS"})


def bad_ip_code(quirks: Quirks) -> Code:
    """The code that refuses an unknown address; Dhan's documents name two."""
    return Code.named(quirks.bad_ip_code)


def _match(remote: str, primary: _Registered | None, secondary: _Registered | None) -> str:
    for name, known in (("PRIMARY", primary), ("SECONDARY", secondary)):
        if known and known.ip == remote:
            return f"MATCH_{name}"
    return "NO_MATCH"


def _pnl_exit(fields: Fields) -> PnlExit:
    products = fields.raw("productType") or [INTRADAY]
    if not isinstance(products, list) or any(name not in (INTRADAY, DELIVERY) for name in products):
        raise InvalidField(f"productType: {products!r}")
    return PnlExit(
        profit=_amount(fields, "profitValue"),
        loss=_amount(fields, "lossValue"),
        products=tuple(dict.fromkeys(products)),
        then_kill=fields.truth("enableKillSwitch"),
    )


def _amount(fields: Fields, name: str) -> Paise:
    """A number, or a text as in Dhan's example."""
    value = fields.raw(name)
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise InvalidField(f"{name}: {value!r}")
    try:
        amount = Paise.from_rupees(str(value))
    except ValueError as error:
        raise InvalidField(f"{name}: {error}") from None
    if amount <= 0:
        raise InvalidField(f"{name}: {value!r}")
    return amount


def _address(fields: Fields) -> tuple[str, IpFlag]:
    value = fields.raw("ip")
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else "")), fields.choice(
            "ipFlag", IpFlag
        )
    except ValueError:
        raise InvalidField(f"ip: {value!r}") from None
