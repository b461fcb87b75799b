"""Carries one request of `dhanhq` to Dhan and says what is known about it afterwards.

That is a reply, or that the reply was lost. The SDK's endpoint classes (`Order`, `HistoricalData`)
build the payload and call `self.dhan_http`; this is that object. It answers at once with an
awaitable, so `await Order(context).place_order(...)` sends exactly what the SDK would send and
returns our result, while the SDK's own transport would report a lost reply as a rejection
(`docs/facts/dhan.md`).

Promise: no request is ever sent twice, no redirect is followed, no exception and no result holds a
token.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias, TypeVar

import httpx
from pydantic import SecretStr

from dhan.bodies import read_body
from dhan.connections import KeepAliveTransport, PlainClient
from dhan.egress import ACCOUNT_HEADER, CONNECTIONS_OF_AN_ACCOUNT, AccountTransport, Egress
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId
from schemas.text import clean

DHAN_API: Final = "https://api.dhan.co/v2"
# a day's order book of 7,000 orders is below 10 MB; more is not an answer to us
MAX_BODY: Final = 16 * 1024 * 1024
TEXT_LENGTH: Final = 500  # characters kept of any text of Dhan's
MAX_DIGITS: Final = 40  # characters and decimal places of a number in JSON
# bytes of a body that is parsed beside the event loop: some 3 ms of work
LONG_BODY: Final = 64 * 1024
# What a day of some thousand orders brings has a thread of its own: nobody else waits behind it.
HUGE_BODY: Final = 1024 * 1024
_LONG_WORK: Final = ThreadPoolExecutor(1, thread_name_prefix="dhan-long-answers")
_HUGE_WORK: Final = ThreadPoolExecutor(1, thread_name_prefix="dhan-huge-answers")
# Objects and lists, and values, in one body: more than twenty thousand rows with their legs have.
# Parsing more of them would stop the interpreter, and with it every account, for seconds.
MAX_PARTS: Final = 100_000
MAX_VALUES: Final = 1_500_000

# Every order that order workers have in flight, every lookup, and some: nobody waits for a
# connection behind accounts that do not answer.
CONNECTIONS: Final = 640

T = TypeVar("T")
_KEPT_HEADERS: Final = {name.encode(): name for name in ("content-type", "date", "retry-after")}
_TOKEN: Final = re.compile(
    r"[!-~]{1,4096}"
)  # what may stand in an HTTP header; httpx quotes anything else in its error
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z]{1,32}")
# What a transport without an `OrderUrl` may ask for. An allow-list: whatever Dhan adds is an
# account's until somebody says that it is not.
_MARKET_DATA: Final = re.compile(
    r"/(charts/(historical|intraday)|marketfeed/\w+|optionchain|profile)"
)


class CallTimeout(Enum):
    """Seconds one call may take from first byte to last, by what waiting costs."""

    ORDER = 3.0  # an order that takes longer missed its price; its fate is then looked up
    LOOKUP = 2.0  # asked again with back-off, so better short and often
    PROFILE = 1.0  # before an order: half of the time it has to leave
    DATA = 10.0  # daily candles: p50 is 1.1 s (`docs/facts/dhan.md`)
    FILE = 60.0  # the instrument master is some 30 MB


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """Where an API lives.

    Built only by `parse`, so a plain-text URL to another machine cannot exist.

    Attributes:
        loopback: The host is an address of this machine itself, written as a number: a name could
            resolve to anything.
    """

    url: str
    loopback: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a base URL.

        Raises:
            Misconfigured: not a URL, with user name, query or fragment, or plain http to another
                machine.
        """
        return cls(*checked_url(text, "https", "http", DHAN_API))

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class OrderUrl(BaseUrl):
    """Where orders go. However it is made, paper money never leaves the machine.

    A transport that was not given one refuses every path that is not market data.

    Attributes:
        paper: Money is play money, and only a loopback address is accepted. Otherwise it is real,
            and only https is.
    """

    paper: bool = True

    def __post_init__(self) -> None:
        if self.paper and not (self.loopback and _is_loopback(httpx.URL(self.url).host)):
            raise Misconfigured(
                f"paper orders never leave the machine, but DHAN_ORDER_URL names {self.url}: start "
                "`ats paper` or `ats simulator` and give its address as http://127.0.0.1:PORT/v2"
            )
        if not self.paper and not self.url.startswith("https://"):
            raise Misconfigured(
                f"real money needs https, but DHAN_ORDER_URL is {self.url}: Dhan's address is "
                f"{DHAN_API}"
            )

    @classmethod
    def of_real_money(cls, text: str) -> OrderUrl:
        """Read the address that real orders go to.

        Raises:
            Misconfigured: as for `parse`, or not https.
        """
        base = BaseUrl.parse(text)
        return cls(base.url, base.loopback, paper=False)


def checked_url(text: str, secure: str, plain: str, example: str) -> tuple[str, bool]:
    """An address to which a token may go, without its last slash, and whether it is this machine.

    `secure` and `plain` are its schemes; `plain` goes to an address of this machine alone.

    Raises:
        Misconfigured: not a URL, with user name, query or fragment, or plain to another machine.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise Misconfigured(f"the Dhan address is not a URL: write for example {example}") from None
    if (
        url.scheme not in (secure, plain)
        or not url.host
        or url.userinfo
        or url.query
        or url.fragment
    ):
        raise Misconfigured(
            f"the Dhan address needs the form {secure}://host/path, without user, query or "
            f"fragment: {url.host!r}"
        )
    loopback = _is_loopback(url.host)
    if url.scheme == plain and not loopback:
        raise Misconfigured(
            f"plain {plain} to {url.host!r} would show tokens to the network: use {secure} or "
            "127.0.0.1"
        )
    return str(url).rstrip("/"), loopback


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose account a call is for."""

    client_id: DhanClientId
    access_token: SecretStr


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A body that is not JSON, or a number in one that no amount has; `start` is its beginning, for
    a person.
    """

    start: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Dhan, or something in front of it, answered.

    Attributes:
        body: Parsed JSON with numbers as `int` and `Decimal`; None when empty.
        headers: Lower-case subset that helps a person: content type, date, retry-after.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply.

    Attributes:
        reason: A word for logs and people, never the text of a library's exception.
        may_have_arrived: False only when it is certain that not one byte of the request left.
    """

    reason: str
    may_have_arrived: bool


Result: TypeAlias = Reply | Lost


class _ThisMachineOnly(KeepAliveTransport):
    """Connects to loopback addresses and to nothing else."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not _is_loopback(request.url.host):
            raise httpx.ConnectError("not an address of this machine")
        return await super().handle_async_request(request)


def open_client(
    max_connections: int = CONNECTIONS, *, leaves_machine: bool = True, egress: Egress | None = None
) -> httpx.AsyncClient:
    """The HTTP client to share: keep-alive, no environment proxies (a proxy would carry paper
    orders off the machine), no redirects, no retries. The caller closes it.

    Without `leaves_machine` it reaches loopback addresses only: anything else is
    `httpx.ConnectError` before a byte is sent. With `egress` each account has connections of its
    own, which begin at its address.
    """
    certificates = httpx.create_ssl_context(trust_env=False)

    def open_pool(source: str | None) -> httpx.AsyncBaseTransport:
        most = max_connections if source is None else CONNECTIONS_OF_AN_ACCOUNT
        kind = KeepAliveTransport if leaves_machine else _ThisMachineOnly
        return kind(certificates, most, source)

    transport = open_pool(None) if egress is None else AccountTransport(egress, open_pool)
    return PlainClient(transport, httpx.Timeout(10.0, connect=2.0))


class DhanTransport:
    """What `dhanhq` calls `dhan_http`, for one account and one kind of call."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: BaseUrl,
        credentials: Credentials,
        timeout: CallTimeout,
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._credentials = credentials
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"DhanTransport({self._base_url}, {self._timeout.name})"

    def get_dhan_http(self) -> DhanTransport:
        """The SDK asks its context for this; the transport is its own context."""
        return self

    def get(self, endpoint: str) -> Awaitable[Result]:
        """Send a GET, as the SDK's endpoint classes ask for it."""
        return self._send("GET", endpoint)

    def delete(self, endpoint: str) -> Awaitable[Result]:
        """Send a DELETE, as the SDK's endpoint classes ask for it."""
        return self._send("DELETE", endpoint)

    def post(self, endpoint: str, payload: Mapping[str, Any]) -> Awaitable[Result]:
        """Send a POST with `payload` as JSON, as the SDK's endpoint classes ask for it."""
        return self._send("POST", endpoint, payload)

    def put(self, endpoint: str, payload: Mapping[str, Any]) -> Awaitable[Result]:
        """Send a PUT with `payload` as JSON, as the SDK's endpoint classes ask for it."""
        return self._send("PUT", endpoint, payload)

    async def _send(
        self, method: str, endpoint: str, payload: Mapping[str, Any] | None = None
    ) -> Result:
        client_id, token = (
            self._credentials.client_id,
            self._credentials.access_token.get_secret_value(),
        )
        if not _TOKEN.fullmatch(token) or not _CLIENT_ID.fullmatch(client_id):
            return Lost("credentials_malformed", may_have_arrived=False)
        if not isinstance(self._base_url, OrderUrl) and not _MARKET_DATA.fullmatch(endpoint):
            return Lost("not_an_order_address", may_have_arrived=False)
        headers = {
            "access-token": token,
            ACCOUNT_HEADER: client_id,
            "Content-type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",  # a day's book is megabytes
        }
        # as the SDK does it: a body only when there is a payload, with the client id last
        content = json.dumps({**payload, "dhanClientId": client_id}).encode() if payload else None
        url = _parsed(f"{self._base_url}{endpoint}")
        # not by the client's `build_request`, which merges all this with what it has none of
        timeouts = {"timeout": self._http.timeout.as_dict()}
        request = httpx.Request(method, url, headers=headers, content=content, extensions=timeouts)
        reply = await exchange(self._http, request, self._timeout.value, secret=token)
        # whose profile it is decides who asks for it
        if isinstance(reply, Reply) and endpoint != "/profile" and _of_another(reply, client_id):
            return Lost("answer_of_another_account", may_have_arrived=True)
        return reply


@lru_cache(maxsize=256)  # one for each kind of call; lookups by name come and go
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _of_another(reply: Reply, client_id: str) -> bool:
    """Whether any row names another account: a cache or a mix-up on the way shows it to us."""
    rows = reply.body if isinstance(reply.body, list) else [reply.body]
    named = (row.get("dhanClientId") for row in rows if isinstance(row, Mapping))
    return any(
        type(name) in (str, int) and str(name) not in ("", "NA", client_id) for name in named
    )


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, deadline: float, *, secret: str
) -> Result:
    """Send once and read the whole answer within `deadline` seconds.

    An answer that quotes `secret` comes without it.
    """
    try:
        async with asyncio.timeout(deadline):
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                body = await read_body(response, MAX_BODY)
            finally:
                await response.aclose()
    except TimeoutError:
        return Lost("deadline", may_have_arrived=True)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return Lost(_word(error), may_have_arrived=False)
    except (httpx.HTTPError, httpx.StreamError) as error:
        return Lost(_word(error), may_have_arrived=True)
    if body is None:
        return Lost("body_too_large", may_have_arrived=True)
    named = ((name.lower(), value) for name, value in response.headers.raw)
    headers = {
        _KEPT_HEADERS[name]: value.decode("latin-1")
        for name, value in named
        if name in _KEPT_HEADERS
    }
    if len(body) > LONG_BODY:
        parsed = await off_loop(partial(_parse, body, secret), huge=len(body) > HUGE_BODY)
    else:
        parsed = _parse(body, secret)
    return Reply(response.status_code, parsed, MappingProxyType(headers))


async def off_loop(work: Callable[[], T], *, huge: bool = False) -> T:
    """The result of long work on a long answer, while the event loop goes on.

    One thread does all of it, and one what is `huge`, so that the loop has two rivals for the
    interpreter and not many, and no account waits behind another's huge book.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_HUGE_WORK if huge else _LONG_WORK, work)


def _parse(body: bytes, secret: str) -> Any:
    if body.count(b"{") + body.count(b"[") > MAX_PARTS or body.count(b",") > MAX_VALUES:
        return Unparsed("too many values")
    return parse_json(body.replace(secret.encode(), b"[token]"))


def parse_json(body: bytes) -> Any:
    """JSON with exact numbers, None when empty, `Unparsed` when it is something else (an HTML page,
    half a body, NaN).

    A number of more than `MAX_DIGITS` digits becomes `Unparsed` alone, and so does an object in
    which a field stands twice and differs.
    """
    if not body.strip():
        return None
    try:
        return json.loads(
            body,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        return Unparsed(clean(body[:200].decode("utf-8", "replace"), 200))


def _integer(text: str) -> int | Unparsed:
    return int(text) if len(text) <= MAX_DIGITS else Unparsed(text[:MAX_DIGITS])


def _decimal(text: str) -> Decimal | Unparsed:
    if len(text) <= MAX_DIGITS:
        try:
            value = Decimal(text)
        except InvalidOperation:  # an exponent beyond any
            return Unparsed(text)
        if -MAX_DIGITS <= value.adjusted() <= MAX_DIGITS:
            return value
    return Unparsed(text[:MAX_DIGITS])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unparsed:
    """One object; one that names a field twice and differs is none.

    Which of two order ids is meant nobody knows, so the answer proves nothing. This call of Python
    also lets other threads run between C code that never does, so a long body that is parsed in a
    thread does not hold the event loop up.
    """
    row = dict(pairs)
    if len(row) < len(pairs) and any(row[name] != value for name, value in pairs):
        return Unparsed("a field stands twice and differs")
    return row


def trading_error(body: object) -> tuple[str, str]:
    """Code and message of Dhan's trading error shape.

    Both are empty when `body` is something else.
    """
    if not isinstance(body, Mapping):
        return "", ""
    return text_field(body, "errorCode"), text_field(body, "errorMessage")


def text_field(body: Mapping[str, Any], name: str) -> str:
    """A string or number of Dhan's answer as text; "" when absent or of another type.

    Here Dhan's text becomes ours: one line, cut to what a log line bears, without anything that
    Postgres, Kafka or a log could not take (`schemas.text`).
    """
    value = body.get(name)
    return (
        clean(str(value), TEXT_LENGTH)
        if isinstance(value, str | int) and not isinstance(value, bool)
        else ""
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _word(error: Exception) -> str:
    # only the class: texts of httpx and h11 can quote headers, and a header holds the token
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
