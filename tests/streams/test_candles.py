"""Bars from ticks: alignment, prices, volumes, lateness, days."""

from __future__ import annotations

import csv
import gzip
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from schemas.binary import Rows
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.ticks import TICK
from schemas.units import IST, Paise, UtcNs
from streams.engine import layout
from tests.streams.factories import (
    INFY,
    NIFTY,
    RELIANCE,
    TCS,
    at,
    batch_of,
    candles,
    heartbeat,
    machine,
    markets,
    rows_of,
    run,
    tick,
)  # fmt: skip

END = heartbeat(at("15:31:00"))
TOMORROW = date(2024, 1, 3)


def minutes(*ticks: Rows, frame: Timeframe = Timeframe.M1) -> list[Candle]:
    """The day's bars of one timeframe, every bar closed."""
    watching = heartbeat(at("09:00:00"))
    return [
        bar for bar in candles(run([watching, batch_of(*ticks), END])) if bar.timeframe is frame
    ]


def test_a_bar_holds_open_high_low_close_and_the_volume_traded_in_it() -> None:
    first, second = minutes(
        tick(at("09:15:00"), 1000, 10),
        tick(at("09:15:20"), 1010, 30),
        tick(at("09:15:40"), 990, 60),
        tick(at("09:15:59"), 1005, 100),
        tick(at("09:16:00"), 1006, 130),
    )

    assert (first.open, first.high, first.low, first.close, first.volume, first.ticks) == (
        1000,
        1010,
        990,
        1005,
        100,
        4,
    )
    assert (first.start, first.event_time, first.complete) == (at("09:15:00"), at("09:16:00"), True)
    assert (second.open, second.volume) == (1006, 30)


def test_bars_are_aligned_to_the_session_open() -> None:
    bars = minutes(
        tick(at("09:19:59"), 100),
        tick(at("09:20:00"), 101),
        tick(at("15:29:59"), 102),
        frame=Timeframe.M5,
    )

    assert [bar.start for bar in bars] == [at("09:15:00"), at("09:20:00"), at("15:25:00")]


def test_a_bar_closes_when_a_tick_of_a_later_bar_arrives() -> None:
    early = batch_of(tick(at("09:15:10"), 100), tick(at("09:16:00"), 101))

    assert [(bar.timeframe, bar.start) for bar in candles(run([early]))] == [("1m", at("09:15:00"))]


@pytest.mark.parametrize(("clock", "closed"), [("09:16:01.999999", 0), ("09:16:02", 1)])
def test_a_quiet_bar_closes_when_the_clock_passes_its_end_and_the_allowed_lateness(
    clock: str, closed: int
) -> None:
    outputs = run([batch_of(tick(at("09:15:10"), 100)), heartbeat(at(clock))])

    assert len(candles(outputs)) == closed


def test_a_sweep_closes_bars_by_end_then_instrument_the_longest_first() -> None:
    ticks = [tick(at("09:29:30"), 100, of=of) for of in (TCS, NIFTY, INFY, RELIANCE)]

    bars = candles(run([batch_of(*ticks), heartbeat(at("09:46:00"))]))

    assert [(str(bar.instrument), bar.timeframe) for bar in bars] == [
        *(
            (str(of), frame)
            for of in (NIFTY, INFY, RELIANCE, TCS)
            for frame in ("15m", "5m", "3m", "1m")
        ),
        *((str(of), "30m") for of in (NIFTY, INFY, RELIANCE, TCS)),
    ]


def test_bars_that_end_one_after_another_close_in_that_order_even_at_one_tick() -> None:
    bars = candles(run([batch_of(tick(at("09:15:10"), 100), tick(at("09:31:00"), 101))]))

    assert [bar.timeframe for bar in bars] == ["1m", "3m", "5m", "15m"]
    assert [bar.event_time for bar in bars] == sorted(bar.event_time for bar in bars)


def test_a_minute_without_trades_has_no_bar() -> None:
    bars = minutes(tick(at("09:15:00"), 100), tick(at("09:18:00"), 101))

    assert [bar.start for bar in bars] == [at("09:15:00"), at("09:18:00")]


def test_an_overtaken_tick_counts_but_is_neither_open_nor_close_nor_a_fallen_counter() -> None:
    (bar,) = minutes(
        tick(at("09:15:10"), 100, 50),
        tick(at("09:15:30"), 110, 80),
        tick(at("09:15:20"), 120, 60, clock=at("09:15:30")),
        tick(at("09:15:05"), 105, 20, clock=at("09:15:31")),
        tick(at("09:15:40"), 108, 90, clock=at("09:15:40")),
    )

    assert (bar.open, bar.high, bar.close, bar.volume, bar.ticks, bar.complete) == (
        105,
        120,
        108,
        90,
        5,
        True,
    )


def test_a_late_tick_is_counted_and_changes_no_bar_yet_its_volume_reaches_the_next() -> None:
    engine = machine()
    outputs = run(
        [
            heartbeat(at("09:00:00")),
            batch_of(
                tick(at("09:15:50"), 100, 50),
                tick(at("09:15:55"), 999, 70, clock=at("09:16:02")),
                tick(at("09:16:10"), 101, 90),
            ),
            END,
        ],
        engine,
    )

    first, second = (bar for bar in candles(outputs) if bar.timeframe is Timeframe.M1)
    assert (first.high, first.volume, second.volume) == (100, 50, 40)
    assert engine.engine.tables.market[layout.LATE] == 1


@pytest.mark.parametrize(("clock", "bars"), [("09:16:01", 1), ("09:16:02", 0)])
def test_a_first_tick_is_late_when_its_clock_is_past_the_bars_end_by_the_allowed_lateness(
    clock: str, bars: int
) -> None:
    assert len(minutes(tick(at("09:15:59"), 100, clock=at(clock)))) == bars


def test_within_one_second_the_first_tick_opens_and_the_last_closes() -> None:
    (bar,) = minutes(*(tick(at("09:15:30"), price) for price in (100, 103, 97, 101)))

    assert (bar.open, bar.close) == (100, 101)


def test_a_tick_of_an_earlier_bar_than_the_open_one_is_late_even_within_the_allowed_lateness() -> (
    None
):
    bars = minutes(
        tick(at("09:15:50"), 100),
        tick(at("09:16:00"), 101),
        tick(at("09:15:59"), 500, clock=at("09:16:01")),
    )

    assert [bar.high for bar in bars] == [100, 101]


def test_a_tick_within_the_allowed_lateness_is_merged() -> None:
    (bar,) = minutes(tick(at("09:15:50"), 100), tick(at("09:15:59"), 500, clock=at("09:16:01")))

    assert bar.high == 500


def test_an_index_has_bars_without_volume() -> None:
    (bar,) = minutes(tick(at("09:15:50"), 2_150_000, of=NIFTY))

    assert (bar.volume, bar.complete) == (0, True)


def test_an_engine_that_started_in_mid_session_does_not_count_the_morning_into_one_bar() -> None:
    outputs = run(
        [batch_of(tick(at("11:00:10"), 100, 50_000), tick(at("11:00:20"), 101, 50_040)), END]
    )

    bars = candles(outputs)
    assert len(bars) == len(Timeframe)
    assert {(bar.volume, bar.complete) for bar in bars} == {(40, False)}


def test_an_engine_that_watched_from_the_open_counts_all_of_a_quiet_first_trade() -> None:
    (bar,) = minutes(tick(at("11:00:10"), 100, 50_000))

    assert (bar.volume, bar.complete) == (50_000, True)


@pytest.mark.parametrize(
    ("joined", "counted"), [("09:14:59", True), ("09:15:59", True), ("09:16:00", False)]
)
def test_an_instrument_that_its_gateway_joined_after_the_first_minute_counts_from_its_first_tick(
    joined: str, counted: bool
) -> None:
    rows = rows_of(tick(at("11:00:10"), 100, 50_000), tick(at("11:00:20"), 101, 50_040))
    rows["joined"] = int(joined[:2]) * 60 + int(joined[3:5]) + 1

    (bar,) = minutes(rows)

    assert (bar.volume, bar.complete) == ((50_040, True) if counted else (40, False))


def test_a_published_longer_bar_is_not_published_again_after_an_earlier_clock() -> None:
    seen = [
        heartbeat(at("09:00:00")),
        batch_of(tick(at("10:15:30"), 130_000, 100)),
        heartbeat(at("10:31:00")),
    ]
    again = batch_of(tick(at("10:21:40"), 140_000, 200))

    outputs = run([*seen, again, heartbeat(at("10:44:00"))])

    assert len(candles(outputs)) == len({bar.id for bar in candles(outputs)})
    assert {bar.close for bar in candles(outputs) if bar.timeframe is Timeframe.M15} == {130_000}


def test_the_volume_of_the_pre_open_auction_belongs_to_no_bar() -> None:
    outputs = run(
        [batch_of(tick(at("09:08:00"), 100, 7_000), tick(at("09:15:01"), 101, 7_100)), END]
    )

    assert {(bar.volume, bar.complete) for bar in candles(outputs)} == {(100, True)}


def test_ticks_before_the_open_and_from_the_close_on_make_no_bar() -> None:
    assert not minutes(
        tick(at("09:14:59"), 100, 5), tick(at("15:30:00"), 101, 9), tick(at("15:45:00"), 102, 11)
    )


def test_the_snapshot_at_the_close_ends_the_last_bars_of_its_instrument() -> None:
    outputs = run(
        [
            batch_of(
                tick(at("15:29:58"), 100, 5),
                tick(at("15:29:59"), 50, 5, of=TCS),
                tick(at("15:30:00"), 100, 5),
            )
        ]
    )

    assert [(bar.instrument, bar.timeframe, bar.start) for bar in candles(outputs)] == [
        (RELIANCE, "1d", at("09:15:00")),
        (RELIANCE, "60m", at("15:15:00")),
        (RELIANCE, "30m", at("15:15:00")),
        (RELIANCE, "15m", at("15:15:00")),
        (RELIANCE, "5m", at("15:25:00")),
        (RELIANCE, "3m", at("15:27:00")),
        (RELIANCE, "1m", at("15:29:00")),
    ]
    assert {bar.event_time for bar in candles(outputs)} == {at("15:30:00")}


def test_a_fallen_counter_is_a_new_baseline_and_the_bar_says_so() -> None:
    first, second = minutes(
        tick(at("09:15:10"), 100, 500),
        tick(at("09:15:20"), 100, 20),
        tick(at("09:15:30"), 100, 50),
        tick(at("09:16:30"), 100, 60),
    )

    assert (first.volume, first.complete) == (530, False)
    assert (second.volume, second.complete) == (10, True)


def test_a_new_day_starts_its_volume_from_zero() -> None:
    ticks = [
        batch_of(tick(at("09:15:10"), 100, 500), tick(at("15:29:50"), 100, 900)),
        heartbeat(at("09:00:00", TOMORROW)),
        batch_of(tick(at("09:15:10", TOMORROW), 100, 70)),
        heartbeat(at("09:30:00", TOMORROW)),
    ]

    bars = [bar for bar in candles(run(ticks)) if bar.timeframe is Timeframe.M1]

    assert [bar.volume for bar in bars] == [500, 400, 70]


def test_an_old_snapshot_sent_on_subscription_makes_no_bar_and_spoils_no_volume() -> None:
    yesterdays = tick(at("15:29:59"), 100, 90_000, clock=at("09:15:01", TOMORROW))
    outputs = run(
        [
            heartbeat(at("09:14:00", TOMORROW)),
            batch_of(yesterdays, tick(at("09:15:02", TOMORROW), 101, 30)),
            heartbeat(at("09:30:00", TOMORROW)),
        ]
    )

    assert {(bar.open, bar.volume) for bar in candles(outputs)} == {(101, 30)}


@given(markets())
@settings(deadline=None, max_examples=60)
def test_longer_bars_are_the_sum_of_their_one_minute_bars(rows: Rows) -> None:
    bars = candles(run([batch_of(rows), heartbeat(int(rows["clock"][-1]) + 86_400 * 10**9)]))

    for long in (bar for bar in bars if bar.timeframe is not Timeframe.M1):
        parts = sorted(
            (
                bar for bar in bars
                if bar.timeframe is Timeframe.M1
                and bar.instrument == long.instrument
                and long.start <= bar.start < long.event_time
            ),
            key=lambda bar: bar.start,
        )  # fmt: skip
        assert (long.open, long.close) == (parts[0].open, parts[-1].close)
        assert (long.high, long.low) == (
            max(bar.high for bar in parts),
            min(bar.low for bar in parts),
        )
        assert (long.volume, long.ticks) == (
            sum(bar.volume for bar in parts),
            sum(bar.ticks for bar in parts),
        )
        assert long.complete == all(bar.complete for bar in parts)


def test_bars_of_an_orderly_market_equal_pandas() -> None:
    chance = np.random.default_rng(11)
    rows = np.zeros(20_000, TICK)
    rows["exchange_time"] = rows["clock"] = np.sort(
        chance.integers(at("09:15:00"), at("15:30:00"), len(rows))
    )
    rows["price"], rows["segment"], rows["security_id"] = (
        chance.integers(900, 1_100, len(rows)),
        1,
        7,
    )
    quantity = chance.integers(0, 90, len(rows))
    rows["volume"] = np.cumsum(quantity)
    ours = candles(
        run([heartbeat(at("09:00:00")), batch_of(rows[:9_000]), batch_of(rows[9_000:]), END])
    )
    times = pd.to_datetime(rows["exchange_time"], utc=True).tz_convert("Asia/Kolkata")
    ticks = pd.DataFrame({"price": rows["price"], "quantity": quantity}, index=times)

    for timeframe in Timeframe:
        span = pd.Timedelta(timeframe.ns) if timeframe is not Timeframe.D1 else pd.Timedelta(days=1)
        groups = ticks.resample(span, origin=pd.Timestamp("2024-01-02 09:15", tz="Asia/Kolkata"))
        theirs = groups["price"].ohlc().assign(volume=groups["quantity"].sum()).dropna()

        mine = [
            (b.open, b.high, b.low, b.close, b.volume) for b in ours if b.timeframe is timeframe
        ]

        assert mine == [tuple(map(int, values)) for values in theirs.itertuples(index=False)]


@pytest.mark.market_data
def test_candles_of_a_real_day_come_back_from_their_ticks_to_the_paisa(market_data: Path) -> None:
    bars = _real_day(market_data / "nse_1min" / "equity_2016" / "2016-08-16.csv.gz")
    rows, expected = _as_ticks(bars)

    outputs = run(
        [
            heartbeat(int(rows["clock"][0]) - 10**9),
            *(batch_of(rows[k : k + 997]) for k in range(0, len(rows), 997)),
            heartbeat(int(rows["clock"][-1]) + 3_600 * 10**9),
        ]
    )

    got = {
        (bar.instrument.security_id, int(bar.start)): (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
        )
        for bar in candles(outputs)
        if bar.timeframe is Timeframe.M1
    }
    assert len(expected) == 21_375
    assert got == expected
    assert _five_minutes(outputs) == _resampled(bars)


def _real_day(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        bars: list[dict[str, Any]] = list(csv.DictReader(lines))
    symbols = {
        name: number for number, name in enumerate(sorted({bar["symbol"] for bar in bars}), 1)
    }
    for bar in bars:
        bar["id"] = symbols[bar["symbol"]]
        bar["start"] = int(UtcNs.from_datetime(pd.Timestamp(bar["timestamp"]).to_pydatetime()))
        bar["ohlc"] = [
            int(Paise.from_rupees(bar[name])) for name in ("open", "high", "low", "close")
        ]
        bar["volume"] = int(bar["volume"])
    return bars


def _as_ticks(bars: list[dict[str, Any]]) -> tuple[Rows, dict[tuple[int, int], tuple[int, ...]]]:
    """Four ticks a bar, in an order that gives the bar back; the day's volume grows with them."""
    rows = np.zeros(4 * len(bars), TICK)
    total: dict[int, int] = {}
    for number, bar in enumerate(sorted(bars, key=lambda bar: (bar["start"], bar["id"]))):
        open_, high, low, close = bar["ohlc"]
        before = total.get(bar["id"], 0)
        total[bar["id"]] = before + bar["volume"]
        for nth, price in enumerate((open_, high, low, close)):
            row = rows[4 * number + nth]
            row["exchange_time"], row["price"] = bar["start"] + nth * 15 * 10**9, price
            row["volume"] = before + bar["volume"] * (nth + 1) // 4
            row["segment"], row["security_id"] = 1, bar["id"]
    rows = rows[np.argsort(rows["exchange_time"], kind="stable")]
    rows["clock"] = rows["exchange_time"]
    return rows, {(bar["id"], bar["start"]): (*bar["ohlc"], bar["volume"]) for bar in bars}


def _five_minutes(outputs: Any) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        (bar.instrument.security_id, int(bar.start)): (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
        )
        for bar in candles(outputs)
        if bar.timeframe is Timeframe.M5
    }


def _resampled(bars: list[dict[str, Any]]) -> dict[tuple[int, int], tuple[int, ...]]:
    rows = [[bar["id"], bar["start"], *bar["ohlc"], bar["volume"]] for bar in bars]
    names = ["id", "start", "open", "high", "low", "close", "volume"]
    table = pd.DataFrame(rows, columns=names)
    table.index = pd.to_datetime(table["start"], utc=True).dt.tz_convert(IST)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    groups = (
        table.sort_index()
        .groupby("id")
        .resample("5min", origin="start_day", offset="15min")
        .agg(how)
    )
    return {
        (int(key[0]), int(UtcNs.from_datetime(key[1].to_pydatetime()))): tuple(map(int, values))
        for key, values in zip(groups.index, groups.itertuples(index=False), strict=True)
    }


def test_rows_of_nothing_are_a_heartbeat() -> None:
    assert len(rows_of()) == 0
