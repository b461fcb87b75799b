"""Dhan's order updates: a WebSocket that tells every change of an account's orders as it happens.

It has no sequence numbers, no replay and no snapshot, and tells nothing of what happened while
nobody listened. So what it says is an observation, and whoever listens reads the books again after
each (re)connection, as the hook `connected` asks for. Orders from the phone are told too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from dhan import fields
from dhan.egress import Egress, NoSourceAddress
from dhan.orders import BrokerOrder, LegName
from dhan.transport import Credentials, checked_url, parse_json, text_field
from schemas.errors import Unreadable
from schemas.ids import DhanClientId, Segment
from schemas.units import Quantity

DHAN_ORDER_UPDATES: Final = "wss://api-order-update.dhan.co"
LOGIN: Final = 42  # MsgCode
MAX_FRAME_BYTES: Final = 64 * 1024  # an update is below 2 KiB
MAX_WAITING_FRAMES: Final = 256
# Frames of one account that are read in a second, and at once after a quiet time. An account places
# ten orders a second; whoever sends more waits, and the stops of all others do not.
FRAMES_A_SECOND: Final = 100.0
BURST: Final = 200
HTTP_TOO_MANY: Final = 429

# websockets writes frames, and the login holds the token, to its log at level DEBUG
_MUTE: Final = logging.getLogger("dhan.order_updates.websocket")
_MUTE.setLevel(logging.WARNING)
log = structlog.get_logger(__name__)

_SEGMENTS: Final = {
    ("NSE", "E"): Segment.NSE_EQ,
    ("NSE", "D"): Segment.NSE_FNO,
    ("NSE", "C"): Segment.NSE_CURRENCY,
    ("BSE", "E"): Segment.BSE_EQ,
    ("BSE", "D"): Segment.BSE_FNO,
    ("BSE", "C"): Segment.BSE_CURRENCY,
    ("MCX", "M"): Segment.MCX_COMM,
}
_PRODUCTS: Final = {
    "C": "CNC", "I": "INTRADAY", "M": "MARGIN", "F": "MTF", "V": "CO", "B": "BO",
}  # fmt: skip
_ORDER_TYPES: Final = {
    "LMT": "LIMIT", "MKT": "MARKET", "SL": "STOP_LOSS", "SLM": "STOP_LOSS_MARKET",
}  # fmt: skip
_LEGS: Final = {
    None: LegName.ENTRY, 0: LegName.ENTRY, 1: LegName.ENTRY,
    2: LegName.STOP_LOSS, 3: LegName.TARGET,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UpdatesUrl:
    """Where order updates come from: wss, or ws to this machine itself.

    Attributes:
        loopback: The host is an address of this machine, written as a number.
    """

    url: str
    loopback: bool

    @classmethod
    def parse(cls, text: str) -> UpdatesUrl:
        """Read the address.

        Raises:
            Misconfigured: not a URL, with user name, query or fragment, or ws to another machine.
        """
        return cls(*checked_url(text, "wss", "ws", DHAN_ORDER_UPDATES))


@dataclass(frozen=True, slots=True)
class UpdatesTiming:
    """Seconds.

    Attributes:
        open_timeout: For TCP, TLS and the upgrade together.
        ping_every: Between two pings of ours.
        ping_timeout: After which a connection that answers no ping is given up.
        first_wait: Before the first new attempt; doubled each time, up to `longest_wait`.
        cool_off: Least wait after HTTP 429, which Dhan gives per account for minutes.
        proven_after: A connection that lived so long was a good one.
    """

    open_timeout: float = 10.0
    ping_every: float = 10.0
    ping_timeout: float = 20.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    cool_off: float = 60.0
    proven_after: float = 60.0


@dataclass(slots=True)
class UpdatesMetrics:
    """Plain numbers for whoever exports them from the same event loop.

    Attributes:
        ignored: Frames of another kind, such as an acknowledgement of the login.
        of_others: Updates about another account than ours.
        malformed: Frames that could not be read.
    """

    connected: int = 0
    connections: int = 0
    updates: int = 0
    ignored: int = 0
    of_others: int = 0
    malformed: int = 0


class Skipped(StrEnum):
    """Why a frame is no observation of ours."""

    IGNORED = "ignored"
    OF_OTHERS = "of_others"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class _End:
    """Why a connection ended, or did not come about; never with what we sent."""

    reason: str
    too_many: bool = False


@dataclass(slots=True)
class OrderUpdates:
    """One account's order updates, for as long as somebody iterates `observe`.

    With a dead token Dhan takes the login and resets the connection a moment later: connected is
    not authorised, and only the books' answer tells.

    Attributes:
        credentials: Asked before every connection, so a new token is taken up by itself.
        connected: Called after each login, before any update of that connection is given out: what
            happened before is to be read from the books. It must not wait.
        random: Spreads reconnections.
        egress: From which address the account's connection leaves.
    """

    url: UpdatesUrl
    # no repr of these: that of a bound method shows what it is bound to, which may hold a token
    credentials: Callable[[], Awaitable[Credentials]] = field(repr=False)
    connected: Callable[[], None] = field(repr=False)
    random: Random = field(repr=False)
    timing: UpdatesTiming = field(default_factory=UpdatesTiming)
    metrics: UpdatesMetrics = field(default_factory=UpdatesMetrics)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, repr=False)
    egress: Egress = field(default_factory=Egress, repr=False)
    _failures: int = 0
    _paced_until: float = float("-inf")  # when the frames read so far would have come at that rate

    async def observe(self) -> AsyncGenerator[BrokerOrder, None]:
        """Give out what is told, connecting again and again; close it with `aclose`.

        Who reads too slowly makes Dhan wait, then loses the connection, and is told by `connected`.
        At most `MAX_WAITING_FRAMES` wait, and `FRAMES_A_SECOND` are read after a `BURST`.

        Raises:
            Exception: what `credentials` raises.
        """
        while True:
            credentials = await self.credentials()
            socket = await self._open(credentials)
            if isinstance(socket, _End):
                end = socket
            else:
                self.metrics.connected += 1
                self.metrics.connections += 1
                began = self.monotonic()
                try:
                    self.connected()
                    while not isinstance(frame := await _receive(socket), _End):
                        await self._pace()
                        if order := self._take(frame, credentials.client_id):
                            yield order
                    end = frame
                finally:
                    self.metrics.connected -= 1
                    await socket.close()
                if self.monotonic() - began >= self.timing.proven_after:
                    self._failures = 0
            wait = self._wait(end)
            log.warning("order_updates_disconnected", reason=end.reason, wait=round(wait, 1))
            await self.sleep(wait)

    async def _pace(self) -> None:
        now = self.monotonic()
        quiet_since = now - BURST / FRAMES_A_SECOND
        self._paced_until = max(self._paced_until, quiet_since) + 1 / FRAMES_A_SECOND
        if self._paced_until > now:
            await self.sleep(self._paced_until - now)

    async def _open(self, credentials: Credentials) -> ClientConnection | _End:
        """Connect and log in; the pong to a ping sent after the login shows that it arrived."""
        socket: ClientConnection | None = None
        try:
            source = self.egress.source(credentials.client_id)
            socket = await _Direct(
                self.url.url,
                proxy=None,  # of the environment: it would see the token
                compression=None,
                open_timeout=self.timing.open_timeout,
                close_timeout=2.0,
                ping_interval=self.timing.ping_every,
                ping_timeout=self.timing.ping_timeout,
                max_size=MAX_FRAME_BYTES,
                max_queue=MAX_WAITING_FRAMES,
                logger=_MUTE,
                local_addr=(source, 0) if source else None,
            )
            await socket.send(_login(credentials))
            async with asyncio.timeout(self.timing.ping_timeout):
                await (await socket.ping())
        except NoSourceAddress:
            return _End("no_source_address")
        except (WebSocketException, OSError, TimeoutError) as error:
            if socket is not None:
                await socket.close()
            return _end(error)
        except BaseException:
            if socket is not None:
                await socket.close()
            raise
        return socket

    def _take(self, frame: bytes, account: DhanClientId) -> BrokerOrder | None:
        found = read_update(frame, account)
        match found:
            case Skipped.MALFORMED:
                self.metrics.malformed += 1
            case Skipped.OF_OTHERS:
                self.metrics.of_others += 1
            case Skipped.IGNORED:
                self.metrics.ignored += 1
            case _:
                self._failures = 0
                self.metrics.updates += 1
                return found
        return None

    def _wait(self, end: _End) -> float:
        """Seconds before the next attempt, with jitter so that many accounts do not knock at
        once.
        """
        timing = self.timing
        ceiling = min(timing.longest_wait, timing.first_wait * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return timing.cool_off * end.too_many + ceiling * self.random.uniform(0.5, 1.0)


class _Direct(connect):
    """A connection that follows no redirect: the login goes where we said, or nowhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _login(credentials: Credentials) -> str:
    return json.dumps(
        {
            "LoginReq": {
                "MsgCode": LOGIN,
                "ClientId": credentials.client_id,
                "Token": credentials.access_token.get_secret_value(),
            },
            "UserType": "SELF",
        }
    )


async def _receive(socket: ClientConnection) -> bytes | _End:
    try:
        return await socket.recv(decode=False)
    except (WebSocketException, OSError) as error:
        return _end(error)


def _end(error: Exception) -> _End:
    # only classes and numbers: texts may quote what we sent
    match error:
        case InvalidStatus():
            status = error.response.status_code
            return _End(f"http_{status}", too_many=status == HTTP_TOO_MANY)
        case ConnectionClosed():
            frame = error.rcvd or error.sent
            return _End(f"closed_{frame.code}" if frame else "reset")
    return _End(f"no_connection ({type(error).__name__})")


def read_update(frame: bytes, account: DhanClientId) -> BrokerOrder | Skipped:
    """What one frame says of an order of `account`'s. Nothing that Dhan sends raises.

    Documents write keys in PascalCase, life in camelCase or mixed; statuses are in any case.
    """
    try:
        message = _same_case(parse_json(frame))
        if text_field(message, "type").lower() != "order_alert":
            return Skipped.IGNORED
        row = _same_case(message.get("data"))
        if text_field(row, "clientId") not in ("", account):
            return Skipped.OF_OTHERS
        return _order(row)
    except Unreadable:
        return Skipped.MALFORMED


def _same_case(body: object) -> Mapping[str, Any]:
    """`body` with every key's first letter small.

    Raises:
        Unreadable: no object, or two keys become one and differ in what they say.
    """
    if not isinstance(body, Mapping):
        raise Unreadable(f"no object: {type(body).__name__}")
    row: dict[str, Any] = {}
    for key, value in body.items():
        name = key[:1].lower() + key[1:]
        if name in row and row[name] != value:
            raise Unreadable("stands twice and differs", name[: fields.WORD_LENGTH])
        row[name] = value
    return row


def _order(row: fields.Row) -> BrokerOrder:
    order_id, status = fields.order_id(row, "orderNo"), fields.word(row, "status")
    if order_id is None or not status:
        raise Unreadable("an update without order number or status")
    quantity, filled = fields.quantity(row, "quantity"), fields.quantity(row, "tradedQty")
    parent = fields.order_id(row, "algoOrdNo")
    return BrokerOrder(
        order_id,
        fields.name_of(row, "correlationId"),
        _status(status, quantity, filled),
        _reason(row),
        instrument=fields.instrument(row, _segment(row)),
        side=fields.side(row, "txnType"),
        product=_product(row),
        order_type=_full(_ORDER_TYPES, fields.word(row, "orderType")),
        quantity=quantity,
        filled=filled,
        remaining=fields.quantity(row, "remainingQuantity"),
        average_price=fields.average(row, "avgTradedPrice"),
        price=fields.price(row, "price"),
        trigger=fields.price(row, "triggerPrice"),
        leg=_leg(row),
        exchange_order_id=fields.name_of(row, "exchOrderNo"),
        parent_id=None if parent in ("0", order_id) else parent,
        created_at=fields.ist_time(row, "orderDateTime"),
        updated_at=fields.ist_time(row, "lastUpdatedTime"),
        exchange_at=fields.ist_time(row, "exchOrderTime"),
    )


def _status(word: str, quantity: Quantity | None, filled: Quantity | None) -> str:
    """A partial fill has no word of its own here: it says TRADED, and the quantities tell."""
    partly = word == "TRADED" and quantity is not None and filled is not None and filled < quantity
    return "PART_TRADED" if partly else word


def _reason(row: fields.Row) -> str:
    said = text_field(row, "reasonDescription")
    return "" if said in fields.NO_REASON else said


def _segment(row: fields.Row) -> str:
    segment = _SEGMENTS.get((fields.word(row, "exchange"), fields.word(row, "segment")))
    return "" if segment is None else segment.value


def _product(row: fields.Row) -> str:
    return _full(_PRODUCTS, fields.word(row, "product")) or fields.word(row, "productName")


def _full(words: Mapping[str, str], short: str) -> str:
    return words.get(short, short)


def _leg(row: fields.Row) -> LegName:
    number = fields.units(row, "legNo")
    if number not in _LEGS:
        raise Unreadable(f"no leg of a super order: {number}", "legNo")
    return _LEGS[number]
