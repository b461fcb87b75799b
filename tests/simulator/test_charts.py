from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from schemas.units import IST
from simulator.charts import daily_candles
from simulator.market.generator import generate
from tests.simulator.factories import DAY, call, running


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


async def test_daily_candles_lead_to_the_previous_close_and_are_stamped_at_indian_midnight() -> None:
    async with running() as simulator:
        status, body = await call(simulator, "POST", "/v2/charts/historical", json=a_query())

    listing = simulator.market.listings[1]
    days = [datetime.fromtimestamp(stamp, IST) for stamp in body["timestamp"]]
    assert status == 200
    assert len(days) == len(body["close"]) == 120
    assert days[-1] == datetime(2026, 11, 20, tzinfo=IST)  # the Friday before
    assert all(day.hour == day.minute == 0 and day.weekday() < 5 for day in days)
    assert days == sorted(set(days))
    assert round(body["close"][-1] * 100) == listing.previous_close
    for opened, high, low, close in zip(*(body[name] for name in ("open", "high", "low", "close")), strict=True):
        assert low <= min(opened, close) <= max(opened, close) <= high


async def test_the_last_day_asked_for_is_left_out_and_the_first_is_not() -> None:
    async with running() as simulator:
        query = a_query(fromDate="2026-11-17", toDate="2026-11-20")
        _, body = await call(simulator, "POST", "/v2/charts/historical", json=query)

    days = [datetime.fromtimestamp(stamp, IST).date() for stamp in body["timestamp"]]
    assert days == [date(2026, 11, 17) + timedelta(days=at) for at in range(3)]


@pytest.mark.parametrize(
    "change",
    [{"securityId": "1"}, {"fromDate": "yesterday"}, {"exchangeSegment": None}, {"fromDate": "2027-01-01"}],
)
async def test_a_question_without_candles_is_refused(change: dict[str, Any]) -> None:
    async with running() as simulator:
        status, body = await call(simulator, "POST", "/v2/charts/historical", json=a_query(**change))

    assert (status, body["errorCode"]) == (400, "DH-905")


def test_history_is_the_same_for_the_same_seed_and_differs_between_instruments() -> None:
    one, two = generate(3, DAY, shares=2).listings[1:]

    assert daily_candles(one, DAY, 120, 3) == daily_candles(one, DAY, 120, 3)
    assert daily_candles(one, DAY, 120, 3) != daily_candles(one, DAY, 120, 4)
    ratios = {
        candle.close / listing.previous_close for listing in (one, two) for candle in daily_candles(listing, DAY, 5, 3)
    }
    assert len(ratios) == 9  # both end at one
