"""The simulator's own switchboard under `/control`.

It starts the market, shows where it stands, and makes things go wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from schemas.errors import Misconfigured
from simulator.accounts import Accounts
from simulator.config import SimulatedUser
from simulator.control_requests import json_object, refuse, refuse_body, text
from simulator.exchange import Exchange
from simulator.faults import Faults, read_script
from simulator.llm.endpoint import ChatApi
from simulator.market.replay import Replay
from simulator.streaming.feed import Feed


class Control:
    """The handlers. Bad requests get 400 and one sentence."""

    def __init__(
        self,
        exchange: Exchange,
        feed: Feed,
        accounts: Accounts,
        faults: Faults,
        model: ChatApi,
        *,
        replay: Replay,
    ) -> None:
        self._exchange = exchange
        self._feed = feed
        self._accounts = accounts
        self._faults = faults
        self._model = model
        self._replay = replay

    def routes(self) -> list[web.RouteDef]:
        """All paths under `/control`."""
        return [
            web.post("/control/start", self.start),
            web.get("/control/state", self.state),
            web.post("/control/feed/drop", self.drop),
            web.post("/control/feed/truncate", self.truncate),
            web.post("/control/faults", self.add_fault),
            web.get("/control/faults", self.waiting_faults),
            web.delete("/control/faults", self.clear_faults),
            web.get("/control/journal", self.journal),
            web.post("/control/users", self.add_user),
            web.post("/control/tokens/kill", self.kill_tokens),
            web.post("/control/clock", self.clock),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Answer `POST /control/start`: open the market."""
        if refusal := await refuse_body(request):
            return refusal
        self._exchange.open_market()
        return web.json_response({"started": True})

    async def state(self, _: web.Request) -> web.Response:
        """Answer `GET /control/state`: market time, progress, connections and orders."""
        exchange, session = self._exchange, self._exchange.market.session
        orders = exchange.book.all()
        return web.json_response(
            {
                "market_time": exchange.now.ist().isoformat(),
                "market_time_ns": exchange.now,
                "session_open_ns": session.open,
                "session_close_ns": session.close,
                "progress": exchange.progress,
                "started": exchange.started,
                "finished": exchange.finished,
                "paused": exchange.paused,
                "broken": exchange.broken,
                "instruments": len(exchange.market.listings),
                "ticks": exchange.prints,
                "ticks_total": exchange.market.source.total,
                "packets_sent": self._feed.packets_sent,
                "connections": self._feed.connections,
                "subscriptions": self._feed.subscriptions,
                "orders": Counter(str(order.status) for order in orders),
                "orders_by_user": Counter(order.request.client_id for order in orders),
                "model_calls": self._model.calls,
                "bad_rows": [str(row) for row in self._replay.bad_rows],
                "file": self._replay.said(),
            }
        )

    async def drop(self, request: web.Request) -> web.Response:
        """Reset every feed connection."""
        if refusal := await refuse_body(request):
            return refusal
        return web.json_response({"dropped": self._feed.drop_all()})

    async def truncate(self, request: web.Request) -> web.Response:
        """Cut the next packet short."""
        if refusal := await refuse_body(request):
            return refusal
        self._feed.truncate_next()
        return web.json_response({"truncating": True})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Set one fault, a list of them, or a whole script; YAML or JSON."""
        try:
            script = read_script((await request.read()).decode())
        except (Misconfigured, UnicodeDecodeError) as error:
            return refuse(f"not a fault: {error}")
        self._faults.add(*script.faults, seed=script.seed)
        return web.json_response({"waiting": len(self._faults.waiting)}, status=201)

    async def waiting_faults(self, _: web.Request) -> web.Response:
        """Answer `GET /control/faults`: those that have not fired yet."""
        return web.json_response(
            [{"kind": fault.kind, "endpoint": fault.where} for fault in self._faults.waiting]
        )

    async def journal(self, _: web.Request) -> web.Response:
        """What fired, oldest first; `total` counts those too that the list no longer holds."""
        journal = self._faults.journal
        return web.json_response(
            {"total": journal.total, "entries": [entry.as_json() for entry in journal]}
        )

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Answer `DELETE /control/faults`: drop those that have not fired yet."""
        self._faults.clear()
        return web.json_response({"waiting": 0})

    async def add_user(self, request: web.Request) -> web.Response:
        """Answer `POST /control/users`: add a user, or give a known one another token."""
        try:
            user = _user(await json_object(request, *_USER))
        except (ValueError, Misconfigured) as error:
            return refuse(f"not a user: {error}")
        self._accounts.add(user)
        return web.json_response({"client_id": user.client_id}, status=201)

    async def kill_tokens(self, request: web.Request) -> web.Response:
        """Forced invalidation in the middle of the day: of `client_id`, or of everybody."""
        try:
            body = await json_object(request, "client_id") if request.can_read_body else {}
            client_id = text(body, "client_id") if "client_id" in body else None
        except ValueError as error:
            return refuse(str(error))
        return web.json_response({"killed": self._accounts.kill(client_id)})

    async def clock(self, request: web.Request) -> web.Response:
        """`{"do": "pause" | "step" | "resume", "from"?, "seconds"?, "speed"?}`.

        Answers when it is done; a pause `from` a market time is done when that is noted.
        """
        try:
            body = await json_object(request, "do", "from", "seconds", "speed")
            if "from" in body:
                self._pause_from(body)
            else:
                await self._turn(body.get("do"), body.get("seconds"), body.get("speed"))
        except ValueError as error:
            return refuse(
                f"{error}: do is pause (maybe from a second), step (with seconds) or resume; speed "
                "is a number above 0 or max"
            )
        exchange = self._exchange
        return web.json_response(
            {
                "market_time": exchange.now.ist().isoformat(),
                "paused": exchange.paused,
                "speed": exchange.speed or "max",
            }
        )

    def _pause_from(self, body: Mapping[str, Any]) -> None:
        second = body["from"]
        if body.keys() != {"do", "from"} or body["do"] != "pause":
            raise ValueError("from is of a pause alone")
        if not isinstance(second, int) or isinstance(second, bool) or second <= 0:
            raise ValueError(f"cannot pause from {second!r}")
        self._exchange.pause_from(second)

    async def _turn(self, do: object, seconds: object, speed: object) -> None:
        """Raises ValueError for what is not understood, before anything moves."""
        if do not in ("pause", "step", "resume", None) or (do is None and speed is None):
            raise ValueError(f"cannot do {do!r}")
        if do == "step" and not (
            isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0
        ):
            raise ValueError(f"cannot step {seconds!r} seconds")
        if (
            speed is not None
            and speed != "max"
            and not (isinstance(speed, int | float) and speed > 0)
        ):
            raise ValueError(f"no speed: {speed!r}")
        if speed is not None:
            self._exchange.speed = None if speed == "max" else float(speed)
        if do == "pause":
            self._exchange.pause()
        elif do == "resume":
            self._exchange.resume()
        elif do == "step":
            assert isinstance(seconds, int)
            await self._exchange.step(seconds)


_USER: Final = (
    "client_id",
    "token",
    "name",
    "expires_at",
    "funds",
    "pin",
    "totp_secret",
    "data_plan",
    "postback_url",
)


def _user(body: Mapping[str, Any]) -> SimulatedUser:
    """A user of the fields of `_USER`; all but the first two may be left away.

    Raises:
        ValueError, Misconfigured: naming the field; the text shows no token and no secret.
    """
    usual = SimulatedUser(text(body, "client_id"), text(body, "token"))
    funds, data_plan = body.get("funds", usual.funds), body.get("data_plan", usual.data_plan)
    if not isinstance(funds, int) or isinstance(funds, bool) or funds < 0:
        raise ValueError("funds: whole rupees, 0 or more")
    if not isinstance(data_plan, bool):
        raise ValueError("data_plan: true or false")
    url = body.get("postback_url")
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise ValueError("postback_url: no URL")
    return replace(
        usual,
        name=text(body, "name") if "name" in body else usual.client_id,
        expires_at=_moment(body, "expires_at"),
        funds=funds,
        pin=text(body, "pin") if "pin" in body else usual.pin,
        totp_secret=text(body, "totp_secret") if "totp_secret" in body else usual.totp_secret,
        data_plan=data_plan,
        postback_url=url,
    )


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    if body.get(name) is None:
        return None
    try:
        moment = datetime.fromisoformat(text(body, name))
    except ValueError:
        raise ValueError(f"{name}: a moment such as 2026-11-23T15:30:00+05:30") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name}: without time zone")
    return moment
