"""The pool of keep-alive connections: one request one connection, and never another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from aiohttp.client_proto import ResponseHandler

from dhan.connections import KEEP_ALIVE, LEAVES, KeepAliveTransport, PlainClient


@dataclass
class Server:
    """Answers each path with itself, once it may.

    Attributes:
        seen: The connection's number and the path of each request.
        heads: Each request up to its body.
        says: Other answers than that, by path, as they travel.
        cut: Paths whose answer ends the connection.
        most: Connections that were open at once.
    """

    url: str = ""
    seen: list[tuple[int, str]] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    says: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    may: dict[str, asyncio.Event] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number, self.open = self.connections, self.open + 1
        self.writers.append(writer)
        self.most = max(self.most, self.open)
        try:
            while head := await _head(reader):
                path = head.split(b" ")[1].decode()
                self.seen.append((number, path))
                self.heads.append(head)
                self.came.set()
                if path in self.may:
                    await self.may[path].wait()
                writer.write(self.says.get(path, _whole(path)))
                await writer.drain()
                if path in self.cut:
                    return
        finally:
            self.open -= 1
            writer.close()

    async def hang_up(self) -> None:
        """Close what is open, as a broker does with connections that are idle for long."""
        for writer in self.writers:
            writer.close()
            await writer.wait_closed()
        self.writers.clear()


def _whole(path: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path.encode())


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def serving(
    most: int = 10, keep_alive: float = KEEP_ALIVE
) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    transport = KeepAliveTransport(httpx.create_ssl_context(), most, keep_alive=keep_alive)
    async with httpx.AsyncClient(base_url=server.url, transport=transport) as client:
        yield server, client
    listening.close()


async def test_a_connection_serves_one_request_after_another() -> None:
    async with serving() as (server, client):
        answers = [(await client.get(f"/{n}")).text for n in range(3)]

    assert answers == ["/0", "/1", "/2"]
    assert {number for number, _ in server.seen} == {1}


async def test_without_keep_alive_each_request_has_a_connection_of_its_own() -> None:
    async with serving(most=1, keep_alive=0) as (server, client):
        answers = [(await client.get(f"/{n}")).text for n in range(3)]

    assert answers == ["/0", "/1", "/2"]
    assert [number for number, _ in server.seen] == [1, 2, 3]


async def test_a_trace_tells_that_a_request_leaves_and_only_then() -> None:
    told: list[str] = []

    async def trace(event: str, _: object) -> None:
        told.append(event)

    async with serving() as (_, client):
        await client.get("/", extensions={"trace": trace})
        assert told == [LEAVES]
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9/", extensions={"trace": trace})

    assert told == [LEAVES]


async def test_requests_at_once_have_a_connection_each() -> None:
    async with serving() as (server, client):
        answers = await asyncio.gather(*(client.get(f"/{n}") for n in range(5)))

    assert [answer.text for answer in answers] == [f"/{n}" for n in range(5)]
    assert server.connections == 5


async def test_no_more_than_the_most_are_open_and_the_others_wait_their_turn() -> None:
    async with serving(most=2) as (server, client):
        answers = await asyncio.gather(*(client.get(f"/{n}") for n in range(7)))

    assert [answer.text for answer in answers] == [f"/{n}" for n in range(7)]
    assert server.most == 2


async def test_who_waits_too_long_for_a_connection_is_told_that_nothing_left() -> None:
    async with serving(most=1) as (server, client):
        server.may["/slow"] = asyncio.Event()
        slow = asyncio.create_task(client.get("/slow"))
        await server.came.wait()

        with pytest.raises(httpx.PoolTimeout):
            await client.get("/other", timeout=httpx.Timeout(5.0, pool=0.01))
        server.may["/slow"].set()

        assert (await slow).text == "/slow"
    assert [path for _, path in server.seen] == ["/slow"]


async def test_an_answer_nobody_waits_for_any_more_is_not_the_next_ones() -> None:
    async with serving(most=1) as (server, client):
        server.may["/first"] = asyncio.Event()
        first = asyncio.create_task(client.get("/first"))
        await server.came.wait()

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        server.may["/first"].set()

        assert (await client.get("/second")).text == "/second"
    assert [number for number, _ in server.seen] == [1, 2]


async def test_a_connection_that_the_other_side_closed_is_not_used_again() -> None:
    async with serving() as (server, client):
        answers = []
        for n in range(3):
            answers.append((await client.get(f"/{n}")).text)
            await server.hang_up()

    assert answers == ["/0", "/1", "/2"]
    assert server.connections == 3


async def test_a_place_whose_connection_failed_is_free_again() -> None:
    transport = KeepAliveTransport(httpx.create_ssl_context(), 1)
    async with httpx.AsyncClient(transport=transport) as client:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await client.get("http://127.0.0.1:1/")


async def test_an_answer_that_is_closed_twice_gives_back_one_place() -> None:
    async with serving(most=1) as (server, client):
        answer = await client.send(client.build_request("GET", "/0"), stream=True)
        body = answer.stream
        assert isinstance(body, httpx.AsyncByteStream)
        for _ in range(2):
            await body.aclose()

        await asyncio.gather(*(client.get(f"/{n}") for n in range(1, 4)))

    assert server.most == 1


async def test_an_answer_that_nobody_asked_for_is_not_the_next_ones() -> None:
    async with serving() as (server, client):
        server.says["/first"] = _whole("/first") + _whole("/forged")

        answers = [(await client.get(path)).text for path in ("/first", "/second")]

    assert answers == ["/first", "/second"]
    assert [number for number, _ in server.seen] == [1, 2]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_request_whose_connection_broke_is_sent_once_whatever_its_method(
    method: str,
) -> None:
    async with serving() as (server, client):
        await client.get("/warm")  # the next request takes a connection that was used before
        server.says["/lost"] = b""
        server.cut.add("/lost")

        with pytest.raises(httpx.RemoteProtocolError):
            await client.request(method, "/lost")

    assert server.seen == [(1, "/warm"), (1, "/lost")]


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nall", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall", False),
    ],
    ids=["in chunks", "until the connection ends", "after a word in between"],
)
async def test_an_answer_is_read_to_its_end_in_each_form_that_it_may_have(
    answer: bytes, ends: bool
) -> None:
    async with serving() as (server, client):
        server.says["/0"] = answer
        server.cut.update({"/0"} if ends else ())

        answers = [(await client.get(f"/{n}")).text for n in range(2)]

    assert answers == ["all", "/1"]
    assert server.connections == (2 if ends else 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
    ],
    ids=["half a body", "half a chunk", "two lengths", "another protocol", "no HTTP"],
)
async def test_half_an_answer_is_none_and_its_place_is_free_again(answer: bytes) -> None:
    async with serving(most=1) as (server, client):
        server.says["/0"] = answer
        server.cut.add("/0")

        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/0")

        assert (await client.get("/1")).text == "/1"


async def test_who_waits_too_long_for_an_answer_does_not_wait_for_ever() -> None:
    async with serving() as (server, client):
        server.may["/never"] = asyncio.Event()

        with pytest.raises(httpx.ReadTimeout):
            await client.get("/never", timeout=httpx.Timeout(5.0, read=0.01))
        server.may["/never"].set()

    assert [path for _, path in server.seen] == ["/never"]


@pytest.mark.parametrize("value", ["a\r\nclient-id: 2", "a\nb", "a\rb", "a\0b"])
async def test_a_header_that_would_be_read_as_two_is_never_sent(value: str) -> None:
    async with serving() as (server, client):
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/0", headers={"access-token": value})

    assert server.seen == []


async def test_what_the_broker_sets_for_one_account_does_not_come_with_anothers_request() -> None:
    async with serving() as (server, client):
        server.says["/first"] = (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: of=one\r\nContent-Length: 0\r\n\r\n"
        )
        shared = PlainClient(client._transport, httpx.Timeout(5.0))

        for path in ("/first", "/second"):
            await shared.get(f"{server.url}{path}")

    assert b"cookie" not in server.heads[1].lower()


async def test_a_reason_in_no_encoding_is_an_answer_like_any_other() -> None:
    """What is raised here and is no error of httpx's would leave an order's fate to nobody."""
    async with serving() as (server, client):
        server.says["/0"] = b"HTTP/1.1 200 \xff\xed\xa0\x80\r\nContent-Length: 2\r\n\r\n{}"

        assert (await client.get("/0")).text == "{}"


async def test_a_connection_that_ends_before_the_request_means_that_nothing_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(*_: object) -> ResponseHandler:
        return ResponseHandler(asyncio.get_running_loop())  # as after `connection_lost`

    async with serving(most=1) as (server, client):
        monkeypatch.setattr(client._transport, "_connect", gone)
        for _ in range(2):  # its place is free again
            with pytest.raises(httpx.ConnectError):
                await client.get("/0")

    assert server.seen == []
