from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from dhanhq import DhanContext, dhanhq
from hypothesis import given
from hypothesis import strategies as st

from schemas.units import IST, NS_PER_SECOND
from simulator.config import SimulatedUser
from simulator.faults import Fault, FaultKind
from simulator.market import history
from simulator.market.generator import generate
from simulator.market.history import Candles
from simulator.market.session import market_session
from simulator.market.tape import Listing
from simulator.server import Simulator
from tests.simulator.factories import DAY, NIFTY, RELIANCE, USER, call, running
from tests.simulator.test_replay import candles_of


def a_query(**changed: Any) -> dict[str, Any]:
    return {
        "securityId": "2885",
        "exchangeSegment": "NSE_EQ",
        "instrument": "EQUITY",
        "expiryCode": 0,
        "oi": False,
        "fromDate": "2026-01-01",
        "toDate": DAY.isoformat(),
    } | changed


async def test_daily_candles_lead_to_the_previous_close_and_are_stamped_at_indian_midnight() -> (
    None
):
    async with running() as simulator:
        status, body = await call(simulator, "POST", "/v2/charts/historical", json=a_query())

    listing = simulator.market.listings[1]
    days = [datetime.fromtimestamp(stamp, IST) for stamp in body["timestamp"]]
    assert status == 200
    assert len(days) == len(body["close"]) == np.busday_count("2026-01-01", DAY)
    assert days[-1] == datetime(2026, 11, 20, tzinfo=IST)  # the Friday before
    assert all(day.hour == day.minute == 0 and day.weekday() < 5 for day in days)
    assert days == sorted(set(days))
    assert round(body["close"][-1] * 100) == listing.previous_close
    for opened, high, low, close in zip(
        *(body[name] for name in ("open", "high", "low", "close")), strict=True
    ):
        assert low <= min(opened, close) <= max(opened, close) <= high


async def test_the_last_day_asked_for_is_left_out_and_the_first_is_not() -> None:
    async with running() as simulator:
        query = a_query(fromDate="2026-11-17", toDate="2026-11-20")
        _, body = await call(simulator, "POST", "/v2/charts/historical", json=query)

    days = [datetime.fromtimestamp(stamp, IST).date() for stamp in body["timestamp"]]
    assert days == [date(2026, 11, 17) + timedelta(days=at) for at in range(3)]


@pytest.mark.parametrize(
    "change",
    [
        {"securityId": "1"},
        {"fromDate": "yesterday"},
        {"exchangeSegment": None},
        {"fromDate": "2027-01-01"},
    ],
)
async def test_a_question_without_candles_is_refused(change: dict[str, Any]) -> None:
    async with running() as simulator:
        status, body = await call(
            simulator, "POST", "/v2/charts/historical", json=a_query(**change)
        )

    assert (status, body["errorCode"]) == (400, "DH-905")


LISTINGS = generate(3, DAY, shares=2).listings


def of_day(listing: Listing, sessions: int, seed: int) -> tuple[Candles, Candles]:
    """The oldest of some daily candles, and its minutes."""
    day = history.daily(listing, DAY, sessions, seed)[0]
    return day, history.minutes(listing, day, seed)


def test_history_is_the_same_for_the_same_seed_and_differs_between_seeds_and_instruments() -> None:
    one, two = LISTINGS[1:]

    assert np.array_equal(history.daily(one, DAY, 120, 3), history.daily(one, DAY, 120, 3))
    assert not np.array_equal(history.daily(one, DAY, 120, 3), history.daily(one, DAY, 120, 4))
    ratios = {
        int(candle["close"]) / x.previous_close
        for x in (one, two)
        for candle in history.daily(x, DAY, 5, 3)
    }
    assert len(ratios) == 9  # both end at one


@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 200))
def test_asking_for_more_sessions_adds_older_ones_and_changes_none(
    seed: int, few: int, more: int
) -> None:
    few, more = sorted((few, more))

    assert np.array_equal(
        history.daily(LISTINGS[1], DAY, more, seed)[more - few :],
        history.daily(LISTINGS[1], DAY, few, seed),
    )


@given(st.sampled_from(LISTINGS), st.integers(0, 2**32), st.integers(1, 60))
def test_the_minutes_of_any_day_add_up_to_its_daily_candle(
    listing: Listing, seed: int, sessions: int
) -> None:
    day, minutes = of_day(listing, sessions, seed)

    assert len(minutes) == 375
    assert (minutes["open"][0], minutes["close"][-1]) == (day["open"], day["close"])
    assert (minutes["high"].max(), minutes["low"].min()) == (day["high"], day["low"])
    assert minutes["volume"].sum() == day["volume"]
    assert (minutes["low"] <= np.minimum(minutes["open"], minutes["close"])).all()
    assert (minutes["high"] >= np.maximum(minutes["open"], minutes["close"])).all()
    for name in ("open", "high", "low", "close"):
        assert not (minutes[name] % 5).any()
    assert np.array_equal(of_day(listing, sessions, seed)[1], minutes)


@given(st.sampled_from([5, 15, 25, 60]), st.integers(0, 1_000))
def test_longer_candles_are_the_minutes_joined_from_each_days_open(length: int, seed: int) -> None:
    days = [
        history.minutes(LISTINGS[1], day, seed) for day in history.daily(LISTINGS[1], DAY, 2, seed)
    ]

    joined = history.together(np.concatenate(days), length)

    assert len(joined) == 2 * -(-375 // length)
    for day in days:
        for start in range(0, 375, length):
            part = day[start : start + length]
            (candle,) = joined[joined["start"] == part["start"][0]]
            assert (candle["open"], candle["close"]) == (part["open"][0], part["close"][-1])
            assert (candle["high"], candle["low"]) == (part["high"].max(), part["low"].min())
            assert candle["volume"] == part["volume"].sum()


def intraday(**changed: Any) -> dict[str, Any]:
    return a_query(
        **({"interval": "1", "fromDate": "2026-11-23", "toDate": "2026-11-23"} | changed)
    )


async def ask(simulator: Simulator, **changed: Any) -> tuple[int, Any]:
    return await call(simulator, "POST", "/v2/charts/intraday", json=intraday(**changed))


@pytest.mark.parametrize("identity", [RELIANCE, NIFTY])
async def test_todays_minutes_are_those_of_the_feeds_prints_up_to_now(identity: Any) -> None:
    async with running() as simulator:
        # the second 10:16:29 has been played, 10:16 is growing
        await simulator.exchange.step(3_600 + 90)
        _, body = await ask(
            simulator, securityId=str(identity.security_id), exchangeSegment=identity.segment.value
        )

        candles = candles_of(simulator.market).loc[
            simulator.market.listings[simulator.market.by_id[identity]].instrument.symbol
        ]
        mine = simulator.market.source.tape(simulator.market.by_id[identity])
        growing = mine[
            (mine["second"] // 60 == simulator.exchange.second // 60)
            & (mine["second"] <= simulator.exchange.second)
        ]
    open_second = market_session(DAY).open // NS_PER_SECOND
    done = candles[candles.index < open_second + 3_660]
    assert body["timestamp"] == [float(open_second + 60 * at) for at in range(62)]
    for name in ("open", "high", "low", "close"):
        assert [round(price * 100) for price in body[name][:61]] == done[name].tolist()
    assert body["volume"][:61] == done["volume"].tolist()
    assert round(body["close"][61] * 100) == growing["price"][-1]
    assert body["volume"][61] == growing["quantity"].sum()


async def test_yesterdays_minutes_add_up_to_yesterdays_daily_candle_whatever_the_market_does() -> (
    None
):
    async with running() as simulator:
        _, before = await ask(simulator, fromDate="2026-11-20", toDate="2026-11-20")
        _, daily = await call(
            simulator, "POST", "/v2/charts/historical", json=a_query(fromDate="2026-11-20")
        )
        await simulator.exchange.step(600)
        _, after = await ask(simulator, fromDate="2026-11-20", toDate="2026-11-20")
        listing = simulator.market.listings[1]

    assert before == after
    assert len(before["open"]) == 375
    assert (before["open"][0], before["close"][-1]) == (daily["open"][0], daily["close"][0])
    assert (max(before["high"]), min(before["low"])) == (daily["high"][0], daily["low"][0])
    assert sum(before["volume"]) == daily["volume"][0]
    # what the feed's previous-close packet says
    assert round(before["close"][-1] * 100) == listing.previous_close


async def test_a_clock_time_cuts_the_days_before_but_todays_end_does_not_count() -> None:
    async with running() as simulator:
        await simulator.exchange.step(1_800)
        asked = {"fromDate": "2026-11-20 15:00:00", "toDate": "2026-11-23 09:16:00", "interval": 15}
        _, body = await ask(simulator, **asked)

    stamps = [f"{datetime.fromtimestamp(stamp, IST):%d %H:%M}" for stamp in body["timestamp"]]
    assert stamps == ["20 15:00", "20 15:15", "23 09:15", "23 09:30"]


async def test_before_the_open_today_is_empty_and_late_candles_can_be_switched_on() -> None:
    async with running() as simulator:
        status, body = await ask(simulator)
    async with running(candle_delay=120) as simulator:
        await simulator.exchange.step(600)
        _, late = await ask(simulator)

    assert (status, body["open"], body["timestamp"]) == (200, [], [])
    assert len(late["open"]) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"interval": "3"}, {"interval": None}, {"fromDate": "2026-08-01"},
        {"fromDate": "2026-11-24"}, {"toDate": "later"},
        {"securityId": "1"}, {"fromDate": "2010-01-04", "toDate": "2010-01-05"},
    ],
)  # fmt: skip
async def test_a_bad_interval_more_than_ninety_days_or_nothing_to_show_is_refused(
    change: dict[str, Any],
) -> None:
    async with running() as simulator:
        status, body = await ask(simulator, **change)

    assert (status, body["errorCode"]) == (400, "DH-905")


async def test_ninety_days_come_in_one_answer() -> None:
    async with running() as simulator:
        status, body = await ask(
            simulator, fromDate="2026-08-25", toDate="2026-11-23", interval="60"
        )

    assert status == 200
    assert len(body["open"]) == 64 * 7


async def test_the_sixth_question_within_a_second_is_refused_for_this_user_only() -> None:
    other = SimulatedUser("1100000003", "token-of-three")
    async with running(monotonic=lambda: 0.0, users=(USER, other)) as simulator:
        seen = [(await ask(simulator, fromDate="2026-11-20"))[0] for _ in range(6)]
        _, body = await ask(simulator)
        theirs, _ = await call(
            simulator, "POST", "/v2/charts/intraday", json=intraday(), user=other
        )

    assert seen == [200] * 5 + [429]
    assert (body["errorCode"], theirs) == ("DH-904", 200)


async def test_a_day_has_its_limit_too() -> None:
    now = iter(range(1_000))
    async with running(monotonic=lambda: float(next(now)), data_per_day=3) as simulator:
        seen = [(await ask(simulator, fromDate="2026-11-20"))[0] for _ in range(5)]

    assert seen == [200] * 3 + [429] * 2


async def test_a_script_can_spoil_candles_like_any_other_reply() -> None:
    fault = Fault(FaultKind.ERROR, code="DH-909", endpoint="POST /v2/charts/intraday")
    async with running(faults=(fault,)) as simulator:
        spoiled, body = await ask(simulator, fromDate="2026-11-20")
        whole, _ = await ask(simulator, fromDate="2026-11-20")

    assert (spoiled, body["errorCode"], whole) == (502, "DH-909", 200)


async def test_a_bad_token_is_dh_901_or_as_recorded_dh_906_and_no_data_plan_is_dh_902() -> None:
    nobody, poor = (
        SimulatedUser("1", "dead"),
        SimulatedUser("1100000004", "token-of-four", data_plan=False),
    )
    seen = []
    for recorded in (False, True):
        async with running(charts_refuse_as_906=recorded, users=(poor,)) as simulator:
            status, body = await call(
                simulator, "POST", "/v2/charts/historical", json=a_query(), user=nobody
            )
            seen.append((status, body["errorCode"], body["errorMessage"]))
            plan, refused = await call(
                simulator, "POST", "/v2/charts/historical", json=a_query(), user=poor
            )

    assert seen[0][:2] == (401, "DH-901")
    assert seen[1] == (400, "DH-906", "Invalid Token")
    assert (plan, refused["errorCode"]) == (403, "DH-902")


async def test_the_sdk_reads_both_kinds_of_candles() -> None:
    async with running() as simulator:
        await simulator.exchange.step(300)
        context = DhanContext(USER.client_id, USER.token)
        context.get_dhan_http().base_url = f"{simulator.url}/v2"
        dhan = dhanhq(context)
        asked = ("2885", "NSE_EQ", "EQUITY", "2026-11-20", "2026-11-23")
        daily = await asyncio.to_thread(dhan.historical_daily_data, *asked)
        minutes = await asyncio.to_thread(dhan.intraday_minute_data, *asked, interval=5)

    assert daily["status"] == minutes["status"] == "success"
    assert len(daily["data"]["close"]) == 1
    assert len(minutes["data"]["close"]) == 75 + 1
