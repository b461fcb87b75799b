from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from dhan.history import DailyBar, History, read_bars, read_daily
from dhan.transport import BaseUrl
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.dhan.broker import ScriptedDhan, hang_up, json_answer, trading_error
from tests.dhan.factories import credentials

RELIANCE = Instrument(
    InstrumentId(Segment.NSE_EQ, 2885),
    "RELIANCE",
    "Reliance Industries",
    "EQUITY",
    Quantity(1),
    Paise(10),
)
MONDAY = 1752431400  # 2025-07-14 00:00 IST, as true UTC seconds
TUESDAY = MONDAY + 86_400


def candles(**changes: Any) -> dict[str, Any]:
    body = {
        "open": [Decimal("1495.0"), Decimal("1486.10")],
        "high": [Decimal("1500.5"), Decimal(1490)],
        "low": [Decimal(1480), Decimal("1480.000048828125")],
        "close": [Decimal("1484.6"), Decimal("1485.45")],
        "volume": [100, Decimal("200.0")],
        "timestamp": [MONDAY, Decimal(TUESDAY)],
    }
    return body | changes


def test_midnight_in_utc_seconds_names_the_indian_day_and_prices_become_paise() -> None:
    monday, tuesday = read_daily(candles())

    assert monday == DailyBar(
        date(2025, 7, 14), Price(149500), Price(150050), Price(148000), Price(148460), Quantity(100)
    )
    assert (tuesday.day, tuesday.low) == (date(2025, 7, 15), Price(148000))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"open": [Decimal(1)]}, ""),
        ({"volume": None}, "volume"),
        ({"close": "1"}, "close"),
        ({"close": [Decimal(1484), None]}, "close[1]"),
        ({"open": [Decimal(0), Decimal(1486)]}, "open[0]"),
        ({"high": [Decimal(1490), Decimal(1490)]}, "high[0]"),
        ({"volume": [-1, 1]}, "row[0]"),
        ({"timestamp": [TUESDAY, MONDAY]}, "timestamp[1]"),
        ({"timestamp": [True, TUESDAY]}, "timestamp[0]"),
    ],
)
def test_a_broken_table_names_its_column_and_row(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_daily(candles(**changes))

    assert caught.value.field == field


async def test_both_days_are_included_though_dhans_end_is_exclusive(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    rows = {name: [float(value) for value in column] for name, column in candles().items()}
    broker.on("POST", "/v2/charts/historical", json_answer(rows))

    bars = await History(http, BaseUrl.parse(broker.url), credentials()).daily(
        RELIANCE, date(2025, 7, 14), date(2025, 7, 14)
    )

    asked = orjson.loads(broker.seen[0].body)
    assert (asked["fromDate"], asked["toDate"]) == ("2025-07-14", "2025-07-15")
    assert [bar.day for bar in bars] == [date(2025, 7, 14)]


@pytest.mark.parametrize(
    "answer", [hang_up, trading_error("DH-904", status=429)], ids=["lost", "rate limit"]
)
async def test_no_answer_is_asked_for_again_later(
    http: httpx.AsyncClient, broker: ScriptedDhan, answer: Callable[..., Any]
) -> None:
    broker.on("POST", "/v2/charts/historical", answer)

    with pytest.raises(TryLater, match="NSE_EQ:2885"):
        await History(http, BaseUrl.parse(broker.url), credentials()).daily(
            RELIANCE, date(2025, 7, 1), date(2025, 7, 2)
        )


OPEN = MONDAY + 9 * 3_600 + 15 * 60


def minute_candles(*starts: int) -> dict[str, Any]:
    return {name: [10.0] * len(starts) for name in ("open", "high", "low", "close", "volume")} | {
        "timestamp": list(starts)
    }


def test_intraday_stamps_are_the_bars_starts_in_utc() -> None:
    first, second = read_bars(candles(timestamp=[OPEN, OPEN + 60]))

    assert first.start.ist().isoformat() == "2025-07-14T09:15:00+05:30"
    assert (second.low, second.volume) == (148000, 200)


def test_intraday_bars_out_of_order_or_twice_are_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        read_bars(candles(timestamp=[OPEN, OPEN]))

    assert caught.value.field == "timestamp[1]"


async def test_intraday_asks_in_indian_time_and_drops_what_dhan_sends_beyond_the_span(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    answer = minute_candles(OPEN - 300, OPEN, OPEN + 300, OPEN + 600)
    broker.on("POST", "/v2/charts/intraday", json_answer(answer))

    bars = await History(http, BaseUrl.parse(broker.url), credentials()).intraday(
        RELIANCE, 5, UtcNs.seconds(OPEN), UtcNs.seconds(OPEN + 660)
    )

    asked = orjson.loads(broker.seen[0].body)
    assert (asked["fromDate"], asked["toDate"]) == ("2025-07-14 09:15:00", "2025-07-14 09:26:00")
    assert asked["interval"] == 5
    assert [bar.start for bar in bars] == [UtcNs.seconds(OPEN), UtcNs.seconds(OPEN + 300)]


async def test_more_than_ninety_days_are_not_asked_for(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    with pytest.raises(ValueError, match="Dhan gives 90"):
        await History(http, BaseUrl.parse(broker.url), credentials()).intraday(
            RELIANCE, 5, UtcNs.seconds(OPEN), UtcNs.seconds(OPEN + 91 * 86_400)
        )

    assert not broker.seen
