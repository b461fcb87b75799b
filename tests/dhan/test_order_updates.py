from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from random import Random
from typing import Any

import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from dhan.order_updates import (
    MAX_FRAME_BYTES,
    OrderUpdates,
    Skipped,
    UpdatesTiming,
    UpdatesUrl,
    read_update,
)
from dhan.orders import BrokerOrder, LegName
from dhan.transport import Credentials
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId, DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Price, Quantity, UtcNs
from tests.dhan.factories import TOKEN, credentials

ACCOUNT = DhanClientId("1100000001")
Script = Callable[[ServerConnection], Awaitable[None]]


def fields(**changes: Any) -> dict[str, Any]:
    row = {
        "Exchange": "NSE",
        "Segment": "E",
        "Source": "P",
        "SecurityId": "2885",
        "ClientId": ACCOUNT,
        "ExchOrderNo": "1300000000123456",
        "OrderNo": "112111182198",
        "Product": "I",
        "TxnType": "B",
        "OrderType": "LMT",
        "Validity": "DAY",
        "DiscQuantity": 0,
        "DiscQtyRem": 0,
        "RemainingQuantity": 6,
        "Quantity": 10,
        "TradedQty": 4,
        "Price": 1658.55,
        "TriggerPrice": 0.0,
        "TradedPrice": 1658.4,
        "AvgTradedPrice": 1658.4333,
        "AlgoOrdNo": "0",
        "OffMktFlag": "0",
        "OrderDateTime": "2026-11-27 09:20:01",
        "ExchOrderTime": "2026-11-27 09:20:02",
        "LastUpdatedTime": "2026-11-27 09:20:03",
        "Remarks": "",
        "MktType": "NL",
        "ReasonDescription": "CONFIRMED",
        "LegNo": 1,
        "Instrument": "EQUITY",
        "Symbol": "RELIANCE",
        "ProductName": "INTRADAY",
        "Status": "PENDING",
        "CorrelationId": "AT0123456789abcdef",
    }
    return row | changes


def update(**changes: Any) -> bytes:
    return orjson.dumps({"Data": fields(**changes), "Type": "order_alert"})


def numbered(number: int) -> bytes:
    return update(OrderNo=str(number))


def told(frame: bytes) -> BrokerOrder:
    order = read_update(frame, ACCOUNT)
    assert isinstance(order, BrokerOrder)
    return order


# What a frame says


def test_an_update_is_read_as_a_row_of_the_book_is() -> None:
    def at(second: int) -> UtcNs:
        return UtcNs.from_datetime(datetime(2026, 11, 27, 3, 50, second, tzinfo=UTC))

    assert told(update()) == BrokerOrder(
        DhanOrderId("112111182198"),
        "AT0123456789abcdef",
        "PENDING",
        instrument=InstrumentId(Segment.NSE_EQ, 2885),
        side=Side.BUY,
        product="INTRADAY",
        order_type="LIMIT",
        quantity=Quantity(10),
        filled=Quantity(4),
        remaining=Quantity(6),
        average_price=Decimal("1658.4333"),
        price=Price(165_855),
        leg=LegName.ENTRY,
        exchange_order_id="1300000000123456",
        created_at=at(1),
        updated_at=at(3),
        exchange_at=at(2),
    )


def lower(name: str) -> str:
    return name[0].lower() + name[1:]


@pytest.mark.parametrize(
    "casing",
    [
        lambda row: row,
        lambda row: {lower(name): value for name, value in row.items()},
        lambda row: {
            lower(name) if at % 2 else name: value for at, (name, value) in enumerate(row.items())
        },
    ],
    ids=["PascalCase", "camelCase", "mixed"],
)
@pytest.mark.parametrize("status", ["PENDING", "Pending", "pending"])
def test_keys_and_statuses_are_read_in_every_case(casing: Any, status: str) -> None:
    row = casing(fields(Status=status))

    assert told(orjson.dumps({"Data": row, "Type": "order_alert"})) == told(update())
    assert told(orjson.dumps({"data": row, "type": "Order_Alert"})) == told(update())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Status": "Traded"}, {"status": "PART_TRADED"}),
        ({"Status": "Traded", "TradedQty": 10}, {"status": "TRADED", "filled": 10}),
        ({"Status": "Cancelled"}, {"status": "CANCELLED"}),
        ({"Status": "A new word"}, {"status": "A_NEW_WORD"}),
        ({"LegNo": 2, "AlgoOrdNo": "99"}, {"leg": LegName.STOP_LOSS, "parent_id": "99"}),
        ({"LegNo": "3", "AlgoOrdNo": 99}, {"leg": LegName.TARGET, "parent_id": "99"}),
        ({"LegNo": 0, "AlgoOrdNo": "112111182198"}, {"leg": LegName.ENTRY, "parent_id": None}),
        ({"TxnType": "S"}, {"side": Side.SELL}),
        ({"Product": "C"}, {"product": "CNC"}),
        ({"Product": "", "ProductName": "MTF"}, {"product": "MTF"}),
        ({"OrderType": "SL", "TriggerPrice": 16.6}, {"order_type": "STOP_LOSS", "trigger": 1660}),
        ({"Segment": "D"}, {"instrument": InstrumentId(Segment.NSE_FNO, 2885)}),
        ({"Exchange": "MCX", "Segment": "M"}, {"instrument": (Segment.MCX_COMM, 2885)}),
        ({"Exchange": "NASDAQ"}, {"instrument": None}),
        ({"ReasonDescription": "RMS: no margin"}, {"reason": "RMS: no margin"}),
        ({"LastUpdatedTime": "just now"}, {"updated_at": None}),
        ({"Quantity": "10", "ClientId": 1100000001}, {}),
    ],
)
def test_words_of_updates_become_words_of_the_book(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert told(update(**changes)) == replace(told(update()), **expected)


@pytest.mark.parametrize(
    "odd",
    [
        {"OrderNo": None},
        {"OrderNo": "../orders"},
        {"Status": ["Traded"]},
        {"Quantity": -1},
        {"TradedQty": "four"},
        {"LegNo": 4},
        {"TxnType": "H"},
        {"SecurityId": [2885]},
        {"Price": {"rupees": 1}},
        {"orderNo": "8"},
    ],
)
def test_an_update_that_cannot_be_is_malformed(odd: dict[str, Any]) -> None:
    assert read_update(update(**odd), ACCOUNT) is Skipped.MALFORMED


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b'{"Type": "login", "Data": {"status": "success"}}', Skipped.IGNORED),
        (b"{}", Skipped.IGNORED),
        (b'{"Type": 5}', Skipped.IGNORED),
        (update(ClientId="1100000002"), Skipped.OF_OTHERS),
        (b'{"Type": "order_alert"}', Skipped.MALFORMED),
        (b'{"Type": "order_alert", "Data": []}', Skipped.MALFORMED),
        (b"", Skipped.MALFORMED),
        (b"[]", Skipped.MALFORMED),
        (b"{", Skipped.MALFORMED),
        (b"\xff\x00", Skipped.MALFORMED),
        (update().replace(b"1658.55", b"1e400"), Skipped.MALFORMED),
        (update().replace(b"1658.55", b"9" * 5_000), Skipped.MALFORMED),
    ],
)
def test_what_is_no_update_of_ours_says_why(frame: bytes, why: Skipped) -> None:
    assert read_update(frame, ACCOUNT) is why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    st.lists,
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(fields())), JSON), st.binary())
def test_no_frame_whatever_raises(changes: dict[str, Any], junk: bytes) -> None:
    frame = json.dumps({"Data": fields(**changes), "Type": "order_alert"}).encode()

    assert isinstance(read_update(frame, ACCOUNT), BrokerOrder | Skipped)
    assert isinstance(read_update(junk, ACCOUNT), Skipped)


# The connection


@dataclass
class ScriptedUpdates:
    """Dhan's side: each connection logs in and then hears its script; the last one repeats."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    logins: list[Any] = field(default_factory=list)
    refusals: list[HTTPStatus] = field(default_factory=list)
    location: str = ""
    paths: list[str] = field(default_factory=list)

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        if not self.refusals:
            return None
        response = connection.respond(self.refusals.pop(0), "")
        response.headers["Location"] = self.location or self.url
        return response

    async def handle(self, connection: ServerConnection) -> None:
        self.logins.append(json.loads(await connection.recv()))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(connection)


def say(*frames: bytes | str) -> Script:
    async def script(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame.decode() if isinstance(frame, bytes) else frame)
        await connection.wait_closed()

    return script


def say_and_reset(*frames: bytes) -> Script:
    async def script(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame.decode())
        await (await connection.ping())  # all of it has arrived
        connection.transport.abort()

    return script


@pytest_asyncio.fixture
async def dhan() -> AsyncIterator[ScriptedUpdates]:
    scripted = ScriptedUpdates()
    async with serve(
        scripted.handle, "127.0.0.1", 0, process_request=scripted.refuse, close_timeout=0.1
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scripted.url = f"ws://127.0.0.1:{port}"
        yield scripted


@dataclass
class Listener:
    """A caller of `OrderUpdates` whose clock stands still and whose sleep is noted."""

    url: str
    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    waits: list[float] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    clock: float = 0.0

    async def credentials(self) -> Credentials:
        return credentials(self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0])

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def updates(self, **timing: float) -> OrderUpdates:
        return OrderUpdates(
            UpdatesUrl.parse(self.url),
            self.credentials,
            lambda: self.heard.append("connected"),
            Random(7),
            UpdatesTiming(**timing),
            monotonic=lambda: self.clock,
            sleep=self.sleep,
        )

    async def hear(self, updates: OrderUpdates, count: int) -> None:
        async with aclosing(updates.observe()) as stream:
            async for order in stream:
                self.heard.append(order.order_id)
                if self.heard.count("connected") + count == len(self.heard):
                    return


async def test_a_login_is_sent_and_the_hook_called_before_the_first_update(
    dhan: ScriptedUpdates,
) -> None:
    dhan.scripts = [say(numbered(1), numbered(2))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 2)

    assert listener.heard == ["connected", "1", "2"]
    assert dhan.logins == [
        {
            "LoginReq": {"MsgCode": 42, "ClientId": ACCOUNT, "Token": TOKEN},
            "UserType": "SELF",
        }
    ]
    assert dhan.paths == ["/"]


async def test_bad_frames_are_counted_and_end_nothing(dhan: ScriptedUpdates) -> None:
    bad = [b"{", b"[]", update(OrderNo=None), b'{"Type": "login"}', update(ClientId="9")]
    dhan.scripts = [say(*bad, numbered(1))]
    listener = Listener(dhan.url)
    updates = listener.updates()

    await listener.hear(updates, 1)

    counts = updates.metrics
    assert (counts.malformed, counts.ignored, counts.of_others, counts.updates) == (3, 1, 1, 1)
    assert (counts.connections, counts.connected) == (1, 0)


async def test_after_a_reset_it_connects_anew_with_the_token_of_then_and_says_so(
    dhan: ScriptedUpdates,
) -> None:
    dhan.scripts = [say_and_reset(numbered(1)), say(numbered(2))]
    listener = Listener(dhan.url, tokens=["token-of-the-morning", "token-of-noon"])

    await listener.hear(listener.updates(), 2)

    assert listener.heard == ["connected", "1", "connected", "2"]
    tokens = [login["LoginReq"]["Token"] for login in dhan.logins]
    assert tokens == ["token-of-the-morning", "token-of-noon"]
    assert len(listener.waits) == 1


async def test_a_frame_beyond_any_update_costs_the_connection_not_the_stream(
    dhan: ScriptedUpdates,
) -> None:
    dhan.scripts = [say("x" * (MAX_FRAME_BYTES + 1)), say(numbered(1))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 1)

    assert listener.heard == ["connected", "connected", "1"]


async def test_after_429_it_waits_a_minute_at_least(dhan: ScriptedUpdates) -> None:
    dhan.refusals = [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY]
    dhan.scripts = [say(numbered(1))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 1)

    after_429, after_502 = listener.waits
    assert after_429 >= 60
    assert after_502 < 60


async def test_waits_double_up_to_the_longest_and_an_update_begins_them_anew(
    dhan: ScriptedUpdates,
) -> None:
    refusals = [HTTPStatus.BAD_GATEWAY] * 9
    dhan.refusals = list(refusals)

    async def tell_and_refuse(connection: ServerConnection) -> None:
        dhan.refusals = list(refusals[:1])
        await say_and_reset(numbered(1))(connection)

    dhan.scripts = [tell_and_refuse, say(numbered(2))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 2)

    ceilings = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5, 1]
    assert len(listener.waits) == len(ceilings)
    for wait, ceiling in zip(listener.waits, ceilings, strict=True):
        assert ceiling / 2 <= wait <= ceiling


async def test_a_quiet_connection_that_lived_long_was_a_good_one(dhan: ScriptedUpdates) -> None:
    dhan.refusals = [HTTPStatus.BAD_GATEWAY] * 5
    listener = Listener(dhan.url)

    async def a_quiet_minute(connection: ServerConnection) -> None:
        await (await connection.ping())
        listener.clock += 60
        connection.transport.abort()

    dhan.scripts = [a_quiet_minute, say(numbered(1))]

    await listener.hear(listener.updates(), 1)

    assert listener.waits[4] >= 4
    assert listener.waits[5] <= 0.5


async def test_logins_that_are_reset_at_once_wait_longer_and_longer(dhan: ScriptedUpdates) -> None:
    dhan.scripts = [*[say_and_reset()] * 4, say(numbered(1))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 1)

    assert listener.waits == sorted(listener.waits)
    assert listener.waits[-1] >= 2


async def test_a_connection_that_answers_no_ping_is_given_up(dhan: ScriptedUpdates) -> None:
    given_up = asyncio.Event()

    async def go_silent(connection: ServerConnection) -> None:
        await connection.send(numbered(1).decode())
        connection.transport.pause_reading()
        await given_up.wait()
        connection.transport.abort()

    async def answer(connection: ServerConnection) -> None:
        given_up.set()
        await say(numbered(2))(connection)

    dhan.scripts = [go_silent, answer]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(ping_every=0.1, ping_timeout=0.3), 2)

    assert listener.heard == ["connected", "1", "connected", "2"]


async def test_a_redirect_is_not_followed_for_the_login_holds_the_token(
    dhan: ScriptedUpdates,
) -> None:
    elsewhere = ScriptedUpdates(scripts=[say()])
    async with serve(elsewhere.handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        dhan.location = f"ws://127.0.0.1:{port}"
        dhan.refusals = [HTTPStatus.TEMPORARY_REDIRECT]
        dhan.scripts = [say(numbered(1))]
        listener = Listener(dhan.url)

        await listener.hear(listener.updates(), 1)

    assert elsewhere.logins == []
    assert len(listener.waits) == 1


async def test_the_environments_proxy_is_not_used(
    dhan: ScriptedUpdates, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    dhan.scripts = [say(numbered(1))]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 1)

    assert listener.waits == []


async def test_the_token_shows_in_no_log_and_no_representation(
    dhan: ScriptedUpdates, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    dhan.refusals = [HTTPStatus.UNAUTHORIZED]
    dhan.scripts = [say_and_reset(), say(numbered(1))]
    listener = Listener(dhan.url)
    updates = listener.updates()

    await listener.hear(updates, 1)

    ours = [record for record in caplog.records if record.name != "websockets.server"]
    shown = " ".join([repr(updates), *(record.getMessage() for record in ours)])
    assert TOKEN not in shown + "".join(capsys.readouterr())


async def test_closing_the_stream_closes_the_connection(dhan: ScriptedUpdates) -> None:
    closed = asyncio.Event()

    async def watch(connection: ServerConnection) -> None:
        await connection.send(numbered(1).decode())
        await connection.wait_closed()
        closed.set()

    dhan.scripts = [watch]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 1)

    await asyncio.wait_for(closed.wait(), 10)


@pytest.mark.parametrize(
    "text",
    [
        "ws://api-order-update.dhan.co",
        "https://api-order-update.dhan.co",
        "wss://user:word@api-order-update.dhan.co",
        "wss://api-order-update.dhan.co?token=x",
        "ws://localhost:9000",
        "",
    ],
)
def test_an_address_that_would_show_a_token_or_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        UpdatesUrl.parse(text)


def test_a_plain_socket_goes_to_this_machine_alone() -> None:
    assert UpdatesUrl.parse("ws://127.0.0.1:9000/orderupdate").loopback
    assert not UpdatesUrl.parse("wss://api-order-update.dhan.co").loopback


async def test_a_flood_of_updates_is_read_no_faster_than_an_account_can_trade(
    dhan: ScriptedUpdates,
) -> None:
    """Else one account's repeats take the event loop from all others."""
    dhan.scripts = [say(*[numbered(1)] * 260)]
    listener = Listener(dhan.url)

    await listener.hear(listener.updates(), 260)

    assert listener.waits[-1] == pytest.approx(60 / 100)
