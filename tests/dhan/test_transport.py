from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dhanhq
import httpx
import pytest
from aiohttp import web

from dhan.transport import (
    LONG_BODY,
    BaseUrl,
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    OrderUrl,
    Reply,
    Unparsed,
    exchange,
    off_loop,
    open_client,
    parse_json,
)
from schemas.errors import Misconfigured
from tests.dhan.broker import ScriptedDhan, half_a_body, hang_up, json_answer, never, text_answer
from tests.dhan.factories import TOKEN, credentials


def transport(
    http: httpx.AsyncClient, broker: ScriptedDhan, who: Credentials | None = None
) -> DhanTransport:
    return DhanTransport(http, OrderUrl.parse(broker.url), who or credentials(), CallTimeout.ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "http://api.dhan.co/v2",
        "http://localhost:9000/v2",
        "http://127.0.0.1@evil.example/v2",
        "https://user:word@api.dhan.co/v2",
        "https://api.dhan.co/v2?token=x",
        "ftp://127.0.0.1/v2",
        "api.dhan.co",
        "https://",
        "",
    ],
)
def test_a_url_that_would_show_a_token_or_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        BaseUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("http://127.0.0.1:8000/v2", True),
        ("http://127.8.9.1/v2/", True),
        ("http://[::1]:80/v2", True),
        ("https://api.dhan.co/v2", False),
        ("https://127.0.0.1.evil.example/v2", False),
    ],
)
def test_loopback_is_a_literal_address_of_this_machine_and_nothing_else(
    text: str, loopback: bool
) -> None:
    assert BaseUrl.parse(text).loopback is loopback


@pytest.mark.parametrize(
    "text", ["https://api.dhan.co/v2", "https://10.0.0.1/v2", "https://localhost/v2"]
)
def test_paper_money_has_no_order_address_beyond_this_machine(text: str) -> None:
    with pytest.raises(Misconfigured, match="never leave the machine"):
        OrderUrl.parse(text)
    with pytest.raises(Misconfigured, match="never leave the machine"):
        OrderUrl(text, loopback=True)  # nor by lying about it


def test_real_money_goes_by_https_only() -> None:
    with pytest.raises(Misconfigured, match="https"):
        OrderUrl.of_real_money("http://127.0.0.1:1/v2")

    assert not OrderUrl.of_real_money("https://api.dhan.co/v2").paper


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/orders"),
        ("put", "/orders/1"),
        ("delete", "/orders/1"),
        ("get", "/orders"),
        ("post", "/super/orders"),
        ("delete", "/positions"),
        ("post", "/killswitch?killSwitchStatus=ACTIVATE"),
        ("post", "/charts/../orders"),
        ("post", "/anything/new"),
    ],
)
async def test_a_data_address_carries_nothing_of_an_accounts_orders(
    http: httpx.AsyncClient, broker: ScriptedDhan, method: str, path: str
) -> None:
    data = DhanTransport(http, BaseUrl.parse(broker.url), credentials(), CallTimeout.DATA)
    payload = ({"a": 1},) if method in ("post", "put") else ()

    answer = await getattr(data, method)(path, *payload)

    assert answer == Lost("not_an_order_address", may_have_arrived=False)
    assert broker.seen == []


async def test_a_client_for_paper_orders_connects_to_this_machine_only(
    broker: ScriptedDhan,
) -> None:
    broker.on("GET", "/v2/orders", json_answer([]))
    async with open_client(leaves_machine=False) as http:
        here = await http.get(f"{broker.url}/orders")
        for url in ("https://api.dhan.co/v2/orders", "http://localhost:1/", "http://192.0.2.1/"):
            with pytest.raises(httpx.ConnectError, match="not an address of this machine"):
                await http.get(url)

    assert here.status_code == 200


SDK_CALLS: list[tuple[str, Callable[[Any], Any]]] = [
    (
        "place",
        lambda sdk: dhanhq.Order(sdk).place_order(
            "2885", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 1658.55, validity="IOC", tag="AT1"
        ),
    ),
    (
        "modify",
        lambda sdk: dhanhq.Order(sdk).modify_order("1", "LIMIT", None, 5, 10.05, 0, 0, "DAY"),
    ),
    ("cancel", lambda sdk: dhanhq.Order(sdk).cancel_order("1")),
    ("book", lambda sdk: dhanhq.Order(sdk).get_order_list()),
    ("find", lambda sdk: dhanhq.Order(sdk).get_order_by_correlationID("AT1")),
    (
        "history",
        lambda sdk: dhanhq.HistoricalData(sdk).historical_daily_data(
            "2885", "NSE_EQ", "EQUITY", "2026-01-01", "2026-02-01"
        ),
    ),
]


@pytest.mark.parametrize(
    "call", [call for _, call in SDK_CALLS], ids=[name for name, _ in SDK_CALLS]
)
async def test_each_request_is_byte_for_byte_what_the_unmodified_sdk_sends(
    http: httpx.AsyncClient, broker: ScriptedDhan, call: Callable[[Any], Any]
) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        broker.on(method, "/v2/", json_answer({"orderId": "1"}))
    sdk = dhanhq.DhanContext("1100000001", TOKEN)
    sdk.get_dhan_http().base_url = broker.url

    await asyncio.to_thread(call, sdk)
    await call(transport(http, broker))

    theirs, ours = broker.seen
    named = ("access-token", "client-id", "content-type", "accept")
    assert (ours.method, ours.path, ours.body) == (theirs.method, theirs.path, theirs.body)
    assert {name: ours.headers[name] for name in named} == {
        name: theirs.headers[name] for name in named
    }


async def test_a_reply_keeps_its_status_its_exact_numbers_and_the_headers_that_help(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/orders", text_answer('{"price": 1658.55}', status=429))

    reply = await transport(http, broker).get("/orders")

    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (429, {"price": Decimal("1658.55")})
    assert set(reply.headers) <= {"content-type", "date", "retry-after"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hang_up, "remote_protocol_error"),
        (half_a_body, "remote_protocol_error"),
        (never, "deadline"),
    ],
    ids=["hang up", "half a body", "never"],
)
async def test_a_request_without_a_whole_answer_may_have_arrived(
    http: httpx.AsyncClient, broker: ScriptedDhan, answer: Any, reason: str
) -> None:
    broker.on("POST", "/v2/orders", answer)
    request = http.build_request("POST", f"{broker.url}/orders", content=b"{}")

    lost = await exchange(http, request, 0.3, secret=TOKEN)

    assert isinstance(lost, Lost)
    assert lost.may_have_arrived
    assert lost.reason in (reason, "read_error")
    assert len(broker.seen) == 1


async def test_a_refused_connection_means_that_nothing_was_sent(
    http: httpx.AsyncClient, free_port: Callable[[], int]
) -> None:
    nobody = DhanTransport(
        http, OrderUrl.parse(f"http://127.0.0.1:{free_port()}/v2"), credentials(), CallTimeout.ORDER
    )

    assert await nobody.get("/orders") == Lost("connect_error", may_have_arrived=False)


async def test_a_redirect_is_an_answer_and_is_never_followed(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("/v2/elsewhere")

    broker.on("POST", "/v2/orders", elsewhere)

    reply = await transport(http, broker).post("/orders", {"a": 1})

    assert isinstance(reply, Reply)
    assert reply.status == 307
    assert len(broker.seen) == 1


def test_the_shared_client_ignores_proxies_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    client = open_client()

    assert not client._mounts


@pytest.mark.parametrize("token", ["", "two words", "new\nline", "töken"])
async def test_a_token_that_cannot_stand_in_a_header_is_never_sent(
    http: httpx.AsyncClient, broker: ScriptedDhan, token: str
) -> None:
    lost = await transport(http, broker, credentials(token)).get("/orders")

    assert lost == Lost("credentials_malformed", may_have_arrived=False)
    assert broker.seen == []


async def test_the_token_shows_in_no_representation_log_or_answer(
    http: httpx.AsyncClient, broker: ScriptedDhan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker.on(
        "GET",
        "/v2/orders",
        json_answer({"errorCode": "DH-901", "errorMessage": f"bad token {TOKEN}"}, 401),
    )
    broker.on("GET", "/v2/lost", hang_up)
    dhan = transport(http, broker)

    answers = [await dhan.get("/orders"), await dhan.get("/lost")]

    shown = " ".join(map(repr, [dhan, credentials(), *answers]))
    # hpack/httpcore debug lines are not ours to print, and httpcore's would hold headers: ATS never
    # turns them on
    logged = " ".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")
    )
    assert TOKEN not in shown + logged
    assert "bad token [token]" in shown


@pytest.mark.parametrize("body", [b"<html>", b"{", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_not_json_is_kept_as_text_and_never_raises(body: bytes) -> None:
    assert isinstance(parse_json(body), Unparsed)


@pytest.mark.parametrize(
    "number", ["9" * 5_000, "1e400", "1e99999999999999999999", "0." + "1" * 99]
)
def test_a_number_that_no_amount_has_leaves_the_rest_readable(number: str) -> None:
    body = parse_json(f'{{"odd": {number}, "price": 1658.55}}'.encode())

    assert isinstance(body.pop("odd"), Unparsed)
    assert body == {"price": Decimal("1658.55")}


def test_an_object_that_says_two_things_of_one_field_is_none_and_leaves_the_rest_readable() -> None:
    body = parse_json(b'[{"orderId": "1", "orderId": "2"}, {"orderId": "3", "orderId": "3"}]')

    assert isinstance(body[0], Unparsed)
    assert body[1] == {"orderId": "3"}


async def test_a_long_body_is_parsed_beside_the_event_loop_and_a_short_one_on_it(
    http: httpx.AsyncClient, broker: ScriptedDhan, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def watched(body: bytes) -> Any:
        threads.append(threading.current_thread())
        return parse_json(body)

    monkeypatch.setattr("dhan.transport.parse_json", watched)
    broker.on("GET", "/v2/short", json_answer([1]))
    broker.on("GET", "/v2/long", json_answer([{"a": "b" * LONG_BODY}]))
    dhan = transport(http, broker)

    short, long = await dhan.get("/short"), await dhan.get("/long")

    assert isinstance(short, Reply)
    assert isinstance(long, Reply)
    assert (short.body, long.body) == ([1], [{"a": "b" * LONG_BODY}])
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


async def test_the_event_loop_takes_turns_while_long_bodies_are_parsed() -> None:
    body = b"[" + b",".join([b'{"orderId": "1", "price": 1658.55, "quantity": 10}'] * 50_000) + b"]"
    loop = asyncio.get_running_loop()
    turns = 0

    parsing = [loop.run_in_executor(None, parse_json, body)]
    while not parsing[0].done():
        turns += 1
        await asyncio.sleep(0.001)

    assert len(await parsing[0]) == 50_000
    assert turns > 3


def test_an_empty_body_is_none() -> None:
    assert parse_json(b" \n") is None


@pytest.mark.parametrize("part", [b"[]", b"{}", b"1"])
async def test_a_body_of_more_values_than_any_book_is_not_parsed(
    http: httpx.AsyncClient, broker: ScriptedDhan, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millions of empty lists in sixteen megabytes stopped the interpreter for a quarter minute."""
    monkeypatch.setattr("dhan.transport.MAX_VALUES", 200_000)
    body = b"[" + b",".join([part] * 210_000) + b"]"

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    broker.on("GET", "/v2/orders", answer)
    reply = await transport(http, broker).get("/orders")

    assert isinstance(reply, Reply)
    assert isinstance(reply.body, Unparsed)


async def test_nobody_waits_behind_the_huge_book_of_another() -> None:
    done = threading.Event()
    huge = asyncio.ensure_future(off_loop(done.wait, huge=True))
    await asyncio.sleep(0)  # it is at work

    try:
        async with asyncio.timeout(5):
            assert await off_loop(lambda: "read") == "read"
    finally:
        done.set()
        await huge


@pytest.mark.parametrize("body", [[{}, {"dhanClientId": "1100000009"}], {"dhanClientId": 1}])
async def test_an_answer_about_another_account_is_none(
    http: httpx.AsyncClient, broker: ScriptedDhan, body: Any
) -> None:
    """Else we would close somebody else's position in this account."""
    broker.on("GET", "/v2/positions", json_answer(body))

    lost = await transport(http, broker).get("/positions")

    assert lost == Lost("answer_of_another_account", may_have_arrived=True)
