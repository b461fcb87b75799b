from __future__ import annotations

import asyncio
import math
from datetime import date
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from dhanhq import DhanContext, dhanhq
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import InstrumentId
from schemas.units import Price
from simulator.market import contracts
from simulator.market.contracts import Contract, Right
from simulator.server import Simulator
from tests.simulator.factories import DAY, NIFTY, RELIANCE, USER, call, feed_client, running

ASKED = {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": "2026-11-24"}
HEADERS = {"client-id": USER.client_id}


async def ask(simulator: Simulator, path: str = "", **changed: Any) -> tuple[int, Any]:
    return await call(
        simulator, "POST", f"/v2/optionchain{path}", json=ASKED | changed, headers=HEADERS
    )


def a_contract(strike: int, right: Right) -> Contract:
    return Contract(NIFTY, "NIFTY", date(2026, 11, 24), Price(strike), right, 0.13)


async def test_expiries_are_weeks_tuesdays_and_months_for_an_index_and_months_for_a_share() -> None:
    async with running(options=("NIFTY", "RELIANCE")) as simulator:
        _, index = await ask(simulator, "/expirylist")
        _, share = await ask(simulator, "/expirylist", UnderlyingScrip=2885, UnderlyingSeg="NSE_EQ")

    assert index == {
        "data": ["2026-11-24", "2026-12-01", "2026-12-08", "2026-12-29"],
        "status": "success",
    }
    assert share["data"] == ["2026-11-24", "2026-12-29"]


async def test_the_chain_is_made_of_the_instruments_the_feed_plays() -> None:
    async with (
        running(options=("NIFTY",), chain_every=None) as simulator,
        feed_client(simulator) as client,
    ):
        await simulator.exchange.step(1_800)
        _, body = await ask(simulator)
        strikes = body["data"]["oc"]
        strike = sorted(strikes, key=float)[10]
        call_side = strikes[strike]["ce"]
        identity = InstrumentId.parse(f"NSE_FNO:{call_side['security_id']}")
        await client.subscribe(15, [identity])
        _, previous = (
            await client.packets(1),
            simulator.market.listings[simulator.market.by_id[identity]],
        )
        row = simulator.exchange.board.row(simulator.market.by_id[identity])
        spot = simulator.exchange.board.row(simulator.market.by_id[NIFTY])

    assert len(strikes) == 21
    assert body["data"]["last_price"] == float(np.float32(int(spot["price"]) / 100))
    assert strikes[strike].keys() == {"ce", "pe"}
    assert call_side["last_price"] == int(row["price"]) / 100
    assert call_side["previous_close_price"] == previous.previous_close / 100
    assert (call_side["volume"], call_side["oi"]) == (int(row["volume"]), int(row["open_interest"]))
    assert 0 < call_side["top_bid_price"] < call_side["top_ask_price"]
    # the middle strike is near the money
    assert abs(float(strike) - body["data"]["last_price"]) < 1_000


async def test_calls_fall_and_puts_rise_with_the_strike_and_an_option_is_worth_its_exercise() -> (
    None
):
    async with running(options=("NIFTY",)) as simulator:
        await simulator.exchange.step(3_600)
        _, body = await ask(simulator)

    spot, chain = (
        body["data"]["last_price"],
        sorted(body["data"]["oc"].items(), key=lambda one: float(one[0])),
    )
    calls, puts = ([side[name]["last_price"] for _, side in chain] for name in ("ce", "pe"))
    assert calls == sorted(calls, reverse=True)
    assert puts == sorted(puts)
    for strike, side in chain:
        # the last print may be some seconds old
        assert side["ce"]["last_price"] > spot - float(strike) - 20
        assert 0 <= side["ce"]["greeks"]["delta"] <= 1
        assert -1 <= side["pe"]["greeks"]["delta"] <= 0


@given(
    st.floats(1_000, 40_000), st.floats(0.8, 1.25), st.floats(0.5 / 365, 1), st.floats(0.05, 0.8),
    st.sampled_from(Right),
)  # fmt: skip
def test_worth_and_greeks_are_those_of_black_and_scholes(
    spot: float, moneyness: float, years: float, volatility: float, right: Right
) -> None:
    strike, rate, normal = round(spot * moneyness), contracts.RATE, NormalDist()
    contract = Contract(NIFTY, "NIFTY", DAY, Price(strike), right, volatility)
    sign, spread = contract.sign, volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    exact = sign * (
        spot * normal.cdf(sign * d1)
        - strike * math.exp(-rate * years) * normal.cdf(sign * (d1 - spread))
    )

    def worth(at: float) -> float:
        return float(
            contracts.worth(
                *(np.array([x]) for x in (at, float(strike), years, volatility, float(sign)))
            )[0]
        )

    assert worth(spot) == pytest.approx(exact, abs=1e-6 * spot)
    greeks = contracts.greeks(contract, spot, years)
    assert greeks.delta == pytest.approx(sign * normal.cdf(sign * d1), abs=1e-6)
    assert greeks.gamma >= 0
    assert greeks.vega >= 0


async def test_the_same_chain_is_refused_for_three_seconds_another_is_not() -> None:
    now = [0.0]
    async with running(options=("NIFTY",), monotonic=lambda: now[0]) as simulator:
        first, _ = await ask(simulator)
        again, body = await ask(simulator)
        other, _ = await ask(simulator, Expiry="2026-12-01")
        now[0] = 3.0
        later, _ = await ask(simulator)

    assert (first, again, other, later) == (200, 429, 200, 200)
    assert body["errorCode"] == "DH-904"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Expiry": "2026-11-25"}, "811"),
        ({"Expiry": "24/11/2026"}, "812"),
        ({"UnderlyingScrip": 14}, "813"),
        ({"UnderlyingScrip": "13"}, "813"),
        ({"UnderlyingScrip": 2885, "UnderlyingSeg": "NSE_EQ"}, "813"),
    ],
)
async def test_a_wrong_expiry_date_or_underlying_is_refused_with_its_code(
    change: dict[str, Any], code: str
) -> None:
    async with running(options=("NIFTY",)) as simulator:
        status, body = await ask(simulator, **change)

    assert (status, list(body["data"])) == (400, [code])


async def test_orders_in_options_go_by_their_lot() -> None:
    async with running(options=("NIFTY",), chain_every=None) as simulator:
        await simulator.exchange.step(1_800)
        _, body = await ask(simulator)
        strike = sorted(body["data"]["oc"], key=float)[10]
        contract = body["data"]["oc"][strike]["ce"]["security_id"]
        order = {
            "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY",
            "orderType": "LIMIT",
            "validity": "DAY", "securityId": str(contract),
            "price": body["data"]["oc"][strike]["ce"]["last_price"],
        }  # fmt: skip
        odd, _ = await call(simulator, "POST", "/v2/orders", json=order | {"quantity": 10})
        even, _ = await call(simulator, "POST", "/v2/orders", json=order | {"quantity": 65})

    assert (odd, even) == (400, 200)


async def test_the_sdk_reads_expiries_and_chain() -> None:
    async with running(options=("NIFTY", "RELIANCE")) as simulator:
        context = DhanContext(USER.client_id, USER.token)
        context.get_dhan_http().base_url = f"{simulator.url}/v2"
        dhan = dhanhq(context)
        days = await asyncio.to_thread(dhan.expiry_list, RELIANCE.security_id, "NSE_EQ")
        chain = await asyncio.to_thread(
            dhan.option_chain, RELIANCE.security_id, "NSE_EQ", days["data"]["data"][0]
        )

    assert chain["status"] == "success"
    assert len(chain["data"]["data"]["oc"]) == 21
