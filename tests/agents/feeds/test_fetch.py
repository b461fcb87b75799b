"""What leaves for a feed's server, and what is taken from it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from aiohttp import web

from agents.feeds.documents import MAX_BYTES
from agents.feeds.fetch import Document, fetch, open_feed_client
from schemas.errors import TryLater, Unreadable
from tests.agents.feeds.publisher import Answer, Publisher, answer, at_home, endless, silence

ZEROS = b"\x00" * (16 << 20)


@pytest.fixture(name="publisher")
async def _publisher() -> AsyncIterator[Publisher]:
    async with Publisher() as publisher:
        yield publisher


@pytest.fixture(name="http")
async def _http() -> AsyncIterator[httpx.AsyncClient]:
    # as `open_feed_client`, without the certificates that take long to load
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield http


async def test_a_document_comes_with_its_encoding_and_the_name_it_was_asked_by(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    publisher.routes["rss"] = answer("<rss/>", kind="text/xml; charset=windows-1252", etag='"7"')

    document = await fetch(http, publisher.feed(), resolve=at_home)

    assert document == Document(b"<rss/>", "windows-1252", (("if-none-match", '"7"'),))
    assert publisher.asked[0].headers["host"] == f"news.example:{publisher.port}"


async def test_a_document_that_has_not_changed_is_not_sent_again(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    publisher.routes["rss"] = answer("", 304)

    document = await fetch(http, publisher.feed(), (("if-none-match", '"7"'),), resolve=at_home)

    assert document.body is None
    assert publisher.asked[0].headers["if-none-match"] == '"7"'


async def test_a_version_that_cannot_be_sent_back_is_not_kept(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    publisher.routes["rss"] = answer("<rss/>", etag="\u20b97")

    document = await fetch(http, publisher.feed(), resolve=at_home)

    assert document.version == ()


async def test_a_packed_document_is_unpacked(publisher: Publisher, http: httpx.AsyncClient) -> None:
    publisher.routes["rss"] = answer(gzip.compress(b"<rss/>"), content_encoding="gzip")

    assert (await fetch(http, publisher.feed(), resolve=at_home)).body == b"<rss/>"


@pytest.mark.parametrize(
    ("sick", "error", "why"),
    [
        (answer("gone", 404), TryLater, "HTTP 404"),
        (answer("busy", 503), TryLater, "HTTP 503"),
        (silence, TryLater, "no whole answer"),
        (endless, Unreadable, "bytes"),
        (answer(b"x" * (MAX_BYTES + 1)), Unreadable, "bytes"),
        (answer(gzip.compress(ZEROS), content_encoding="gzip"), Unreadable, "bytes"),
        (answer(b"no gzip", content_encoding="gzip"), Unreadable, "no gzip"),
        (answer(gzip.compress(b"<rss/>")[:-4], content_encoding="gzip"), Unreadable, "cut off"),
        (answer("", content_encoding="br"), Unreadable, "packed"),
        (answer("", 302, location="http://news.example:99999/"), Unreadable, "port 99999"),
        (answer("", 302, location="http://127.0.0.1:1/x"), Unreadable, "redirects to 127.0.0.1"),
        (answer("", 302, location="//evil.example/x"), Unreadable, "redirects to evil.example"),
        (answer("", 302, location="file:///etc/passwd"), Unreadable, "redirects to"),
        (answer("", 302, location="http://[::"), TryLater, "no connection"),
        (answer("", 302, location="/rss"), Unreadable, "more than 3 redirects"),
    ],
)
async def test_a_sick_feed_is_given_up_and_says_why(
    publisher: Publisher, http: httpx.AsyncClient, sick: Answer, error: type[Exception], why: str
) -> None:
    publisher.routes["rss"] = sick
    within = 0.2 if sick is silence else 20.0

    with pytest.raises(error, match=why):
        await fetch(http, publisher.feed(), resolve=at_home, within=within)


async def test_a_redirect_to_a_host_that_is_named_is_followed(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    publisher.routes["rss"] = answer("", 302, location=f"http://cdn.example:{publisher.port}/new")
    publisher.routes["new"] = answer("<rss/>")

    feed = publisher.feed(hosts=["cdn.example"])

    assert (await fetch(http, feed, resolve=at_home)).body == b"<rss/>"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "224.0.0.1",
        "64:ff9b::7f00:1",
        "::7f00:1",
        "fec0::1",
    ],
)
async def test_nothing_is_sent_to_an_address_that_is_not_public(
    publisher: Publisher, http: httpx.AsyncClient, address: str
) -> None:
    asked: list[str] = []

    async def inside(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["1.1.1.1", address]  # one of several is enough

    with pytest.raises(Unreadable, match="not public"):
        await fetch(http, publisher.feed(internal=False), resolve=inside)

    assert (asked, publisher.asked) == (["news.example"], [])


async def test_a_name_that_moves_inside_after_a_redirect_is_not_followed(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    publisher.routes["rss"] = answer("", 302, location="/inner")
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def rebinding(_host: str, _port: int) -> Sequence[str]:
        return next(answers)

    feed = publisher.feed(internal=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("agents.feeds.fetch._is_public", lambda address: address == "127.0.0.1")
        with pytest.raises(Unreadable, match=r"10\.0\.0\.1"):
            await fetch(http, feed, resolve=rebinding)


async def test_two_names_at_one_address_share_no_connection(publisher: Publisher) -> None:
    ports = set[int]()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(body=b"<rss/>")

    publisher.routes["rss"] = note
    async with open_feed_client() as http:
        for host in ("news.example", "other.example"):
            await fetch(http, publisher.feed(host=host), resolve=at_home)

    assert len(ports) == 2


async def test_a_name_that_nobody_knows_and_a_closed_port_are_tried_again_later(
    publisher: Publisher, http: httpx.AsyncClient
) -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    with pytest.raises(TryLater, match="address was not found"):
        await fetch(http, publisher.feed(), resolve=unknown)
    closed = publisher.feed().model_copy(update={"url": "http://news.example:1/rss"})
    with pytest.raises(TryLater, match="no connection"):
        await fetch(http, closed, resolve=at_home)
