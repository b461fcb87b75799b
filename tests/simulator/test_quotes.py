from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from dhanhq import DhanContext, dhanhq

from simulator.config import ErrorShape, SimulatedUser
from simulator.server import Simulator
from tests.simulator.factories import NIFTY, RELIANCE, USER, call, feed_client, running

ASKED = {"NSE_EQ": [2885], "IDX_I": [13]}
POOR = SimulatedUser("1100000004", "token-of-four", data_plan=False)


async def ask(
    simulator: Simulator, kind: str, asked: Any = ASKED, user: SimulatedUser = USER
) -> tuple[int, Any]:
    headers = {"client-id": user.client_id}
    return await call(
        simulator, "POST", f"/v2/marketfeed/{kind}", json=asked, user=user, headers=headers
    )


async def test_quotes_tell_what_the_feed_told_last() -> None:
    async with running(quote_rate_limit=None) as simulator, feed_client(simulator) as client:
        await client.subscribe(21, [RELIANCE, NIFTY])
        await client.packets(2)
        await simulator.exchange.step(1_000)
        played = int((simulator.market.prints["second"] <= simulator.exchange.second).sum())
        heard = {
            int.from_bytes(packet[4:8], "little"): packet
            for packet in await client.packets(played + 2)
        }  # two say that the market opened
        _, ltp = await ask(simulator, "ltp")
        _, ohlc = await ask(simulator, "ohlc")
        _, quote = await ask(simulator, "quote")
        listing = simulator.market.listings[simulator.market.by_id[RELIANCE]]

    told, share = full(heard[2885]), quote["data"]["NSE_EQ"]["2885"]
    assert ltp["data"]["NSE_EQ"]["2885"] == {"last_price": told["price"]}
    assert ohlc["data"]["NSE_EQ"]["2885"]["ohlc"] == {
        name: told[name] for name in ("open", "close", "high", "low")
    }
    for name in ("average_price", "volume", "last_quantity", "sell_quantity", "buy_quantity"):
        assert share[name] == told[name], name
    assert share["depth"] == told["depth"]
    assert share["last_trade_time"] == told["time"]
    assert share["net_change"] == pytest.approx(told["price"] - told["close"])
    assert (share["lower_circuit_limit"], share["upper_circuit_limit"]) == (
        listing.lower_circuit / 100,
        listing.upper_circuit / 100,
    )
    assert ltp["data"]["IDX_I"]["13"]["last_price"] == full(heard[13])["price"]
    assert (
        quote["data"]["IDX_I"]["13"]["depth"]["buy"]
        == [{"quantity": 0, "orders": 0, "price": 0.0}] * 5
    )


def full(packet: bytes) -> dict[str, Any]:
    """What a Full packet says, by the layout of Dhan's documents alone."""
    fields = struct.unpack("<BHBIfHIfIIIIIIffff" + "IIHHff" * 5, packet)
    names = (
        "code", "length", "segment", "id", "price", "last_quantity", "time", "average_price",
        "volume", "sell_quantity",
        "buy_quantity", "oi", "high_oi", "low_oi", "open", "close", "high", "low",
    )  # fmt: skip
    told: dict[str, Any] = dict(zip(names, fields, strict=False))
    for name in ("price", "average_price", "open", "close", "high", "low"):
        told[name] = round(told[name], 2)
    told["time"] = f"{datetime.fromtimestamp(told['time'], UTC):%d/%m/%Y %H:%M:%S}"
    levels = [fields[18 + 6 * at : 24 + 6 * at] for at in range(5)]
    told["depth"] = {
        "buy": [
            {"quantity": one[0], "orders": one[2], "price": round(one[4], 2)} for one in levels
        ],
        "sell": [
            {"quantity": one[1], "orders": one[3], "price": round(one[5], 2)} for one in levels
        ],
    }
    return told


async def test_before_the_open_the_last_price_is_the_previous_close_and_nothing_has_traded() -> (
    None
):
    async with running(quote_rate_limit=None) as simulator:
        _, quote = await ask(simulator, "quote")
        listing = simulator.market.listings[simulator.market.by_id[RELIANCE]]

    share = quote["data"]["NSE_EQ"]["2885"]
    assert share["last_price"] == share["ohlc"]["close"] == listing.previous_close / 100
    assert (share["last_trade_time"], share["volume"], share["net_change"]) == (
        "01/01/1980 00:00:00",
        0,
        0,
    )
    assert not any(level["quantity"] for side in share["depth"].values() for level in side)


async def test_what_the_market_does_not_have_is_left_out_without_a_word() -> None:
    async with running(quote_rate_limit=None) as simulator:
        answers = [
            await ask(simulator, "ltp", asked)
            for asked in (
                {"NSE_EQ": [1, 2885], "BSE_EQ": [2885]},
                {"instruments": ["NSE:INFY"]},
                {},
            )
        ]

    assert [status for status, _ in answers] == [200] * 3
    assert answers[0][1]["data"].keys() == {"NSE_EQ", "BSE_EQ"}
    assert (answers[0][1]["data"]["NSE_EQ"].keys(), answers[0][1]["data"]["BSE_EQ"]) == (
        {"2885"},
        {},
    )
    assert answers[1][1] == answers[2][1] == {"data": {}, "status": "success"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"NSE_EQ": list(range(1_001))}, "804"),
        ({"NSE_EQ": ["2885"]}, "813"),
        ({"NSE_EQ": 2885}, "814"),
        ([], "814"),
    ],
)
async def test_too_many_instruments_text_ids_and_other_shapes_are_refused(
    asked: Any, code: str
) -> None:
    async with running(quote_rate_limit=None) as simulator:
        status, body = await ask(simulator, "ohlc", asked)

    assert (status, body["status"], list(body["data"])) == (400, "failed", [code])


async def test_a_thousand_instruments_are_answered() -> None:
    async with running(quote_rate_limit=None) as simulator:
        status, _ = await ask(simulator, "ltp", {"NSE_EQ": list(range(2_000, 3_000))})

    assert status == 200


async def test_one_question_a_second_over_all_three_kinds() -> None:
    now = [0.0]
    async with running(monotonic=lambda: now[0]) as simulator:
        first, _ = await ask(simulator, "ltp")
        second, body = await ask(simulator, "quote")
        now[0] = 1.0
        third, _ = await ask(simulator, "ohlc")
    async with running(monotonic=lambda: 0.0, data_rate_error=None) as simulator:
        await ask(simulator, "ltp")
        _, wrapped = await ask(simulator, "ltp")

    assert (first, second, third) == (200, 429, 200)
    assert body["errorCode"] == "DH-904"
    assert list(wrapped["data"]) == ["805"]


@pytest.mark.parametrize(
    ("shape", "token", "plan"),
    [
        (ErrorShape.WRAPPED, (401, ["status", "data"]), (403, ["status", "data"])),
        (
            ErrorShape.BARE,
            (200, ["errorCode", "errorMessage"]),
            (200, ["errorCode", "errorMessage"]),
        ),
        (
            ErrorShape.TRADING,
            (401, ["errorType", "errorCode", "errorMessage"]),
            (403, ["errorType", "errorCode", "errorMessage"]),
        ),
    ],
)
async def test_refusals_have_the_shape_that_is_switched_on(
    shape: ErrorShape, token: Any, plan: Any
) -> None:
    nobody = SimulatedUser(USER.client_id, "dead")
    async with running(data_errors=shape, users=(USER, POOR)) as simulator:
        bad_token = await ask(simulator, "ltp", user=nobody)
        no_plan = await ask(simulator, "ltp", user=POOR)

    assert (bad_token[0], list(bad_token[1])) == token
    assert (no_plan[0], list(no_plan[1])) == plan


async def test_the_client_id_header_must_be_the_tokens() -> None:
    async with running() as simulator:
        status, body = await call(
            simulator, "POST", "/v2/marketfeed/ltp", json=ASKED, headers={"client-id": "1"}
        )

    assert (status, list(body["data"])) == (401, ["810"])


async def test_the_sdk_reads_all_three_kinds() -> None:
    async with running(quote_rate_limit=None) as simulator:
        await simulator.exchange.step(60)
        context = DhanContext(USER.client_id, USER.token)
        context.get_dhan_http().base_url = f"{simulator.url}/v2"
        dhan = dhanhq(context)
        answers = [
            await asyncio.to_thread(method, dict(ASKED))
            for method in (dhan.ticker_data, dhan.ohlc_data, dhan.quote_data)
        ]

    assert [answer["status"] for answer in answers] == ["success"] * 3
    prices = {answer["data"]["data"]["NSE_EQ"]["2885"]["last_price"] for answer in answers}
    assert len(prices) == 1
