"""Fetches one document of a feed.

A feed's server is a stranger: it may send without end, unpack to more, or point at a machine behind
our walls. So every address is looked up here and checked before anything is sent to it, and
connections go to the address that was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from agents.feeds.config import Feed
from agents.feeds.documents import MAX_BYTES
from schemas.errors import TryLater, Unreadable

FETCH_WITHIN: Final = 10.0  # seconds, redirects included
MAX_REDIRECTS: Final = 3
_PIECE: Final = 64 << 10  # bytes
_MAX_PORT: Final = 65_535
# Their last 32 bits are an IPv4 address: NAT64 (RFC 6052), and two old ways to write one.
_CARRIES_IPV4: Final = tuple(
    ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)
_HEADERS: Final = {
    "accept": "application/rss+xml, application/atom+xml, application/json, text/csv, */*;q=0.1",
    "accept-encoding": "gzip",
    "user-agent": "ats-news/1",
}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Document:
    """What came.

    Attributes:
        body: None when nothing has changed since `version`.
        charset: What its sender says it is written in.
        version: What to send the next time, header by header.
    """

    body: bytes | None
    charset: str = ""
    version: tuple[tuple[str, str], ...] = ()


def open_feed_client() -> httpx.AsyncClient:
    """A client for `fetch`: it follows nothing and takes no proxy from the environment.

    It keeps no connection. One is known by its address, and two names at one address would share
    what only the first one's certificate was checked for.
    """
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=FETCH_WITHIN,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def fetch(
    http: httpx.AsyncClient,
    feed: Feed,
    version: tuple[tuple[str, str], ...] = (),
    *,
    resolve: Resolve = resolved,
    within: float = FETCH_WITHIN,
) -> Document:
    """The document at `feed.url`.

    Raises:
        TryLater: nobody answered in time, or with an error.
        Unreadable: too long, a redirect elsewhere, or an address that is not public.
    """
    try:
        async with asyncio.timeout(within):
            return await _followed(http, feed, version, resolve)
    except TimeoutError:
        raise TryLater(f"no whole answer within {within:g} s") from None
    except httpx.TransportError as error:
        raise TryLater(f"no connection ({type(error).__name__})") from None
    except (httpx.InvalidURL, UnicodeError):
        raise Unreadable("it leads to an address that is none") from None
    except OSError as error:
        raise TryLater(f"its address was not found ({type(error).__name__})") from None


async def _followed(
    http: httpx.AsyncClient, feed: Feed, version: tuple[tuple[str, str], ...], resolve: Resolve
) -> Document:
    url = httpx.URL(feed.url)
    for _ in range(MAX_REDIRECTS + 1):
        response = await http.send(await _request(http, feed, url, version, resolve), stream=True)
        try:
            if not response.has_redirect_location:
                return await _document_of(response)
        finally:
            await response.aclose()
        url = _target(feed, url.join(response.headers["location"]))
    raise Unreadable(f"more than {MAX_REDIRECTS} redirects")


def _target(feed: Feed, url: httpx.URL) -> httpx.URL:
    if url.scheme not in ("http", "https") or url.host not in (feed.host, *feed.hosts):
        raise Unreadable(
            f"it redirects to {url.host[:100] or 'nowhere'}: if that is right, name it in `hosts`"
        )
    if url.port is not None and not 0 < url.port <= _MAX_PORT:
        raise Unreadable(f"it redirects to port {url.port}, which is none")
    if feed.url.startswith("https:") and url.scheme != "https":
        raise Unreadable("it redirects from https to http")
    return url


async def _request(
    http: httpx.AsyncClient,
    feed: Feed,
    url: httpx.URL,
    version: tuple[tuple[str, str], ...],
    resolve: Resolve,
) -> httpx.Request:
    """A request to the very address that was checked; certificate and Host are the name's."""
    addresses = await resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
    if not addresses:
        raise OSError("no address")
    if not feed.internal and (private := [each for each in addresses if not _is_public(each)]):
        raise Unreadable(f"{url.host} is at {private[0]}, which is not public")
    headers = {**_HEADERS, **dict(version), "host": url.netloc.decode("ascii")}
    named = {"sni_hostname": url.host} if url.scheme == "https" else {}
    return http.build_request(
        "GET", url.copy_with(host=addresses[0]), headers=headers, extensions=named
    )


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast
    if found.is_site_local or not found.is_global or found.is_multicast:
        return False
    inner = found.ipv4_mapped or found.sixtofour or _carried(found)
    return inner is None or (inner.is_global and not inner.is_multicast)


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if not any(address in network for network in _CARRIES_IPV4):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


async def _document_of(response: httpx.Response) -> Document:
    if response.status_code == httpx.codes.NOT_MODIFIED:
        return Document(None)
    if not response.is_success:
        raise TryLater(f"HTTP {response.status_code}")
    sent = (("if-none-match", "etag"), ("if-modified-since", "last-modified"))
    version = tuple(
        (back, value[:200])
        for back, name in sent
        # what cannot be sent back is not kept
        if (value := response.headers.get(name)) and value.isascii() and value.isprintable()
    )
    return Document(await _body_of(response), response.charset_encoding or "", version)


async def _body_of(response: httpx.Response) -> bytes:
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity", "gzip"):
        raise Unreadable(f"packed as {packed[:40]!r}, which was not asked for")
    unpack = zlib.decompressobj(wbits=31) if packed == "gzip" else None
    body = bytearray()
    async for piece in response.aiter_raw(_PIECE):
        try:
            body += unpack.decompress(piece, MAX_BYTES + 1 - len(body)) if unpack else piece
        except zlib.error:
            raise Unreadable("no gzip") from None
        if len(body) > MAX_BYTES:
            raise Unreadable(f"more than {MAX_BYTES:,} bytes")
    if unpack is not None and not unpack.eof:
        raise Unreadable("cut off")
    return bytes(body)
