from __future__ import annotations

import gzip
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.ids import Segment
from schemas.units import IST, NS_PER_MINUTE, NS_PER_SECOND, Price, Quantity, UtcNs
from simulator.market.bar_columns import Bar, BarColumns
from simulator.market.bars import read_lines
from simulator.market.replay import replay, replay_file
from simulator.market.session import market_session
from simulator.market.tape import MAX_VOLUME, Market
from tests.simulator.factories import HEADER, csv_of

DAY = date(2016, 8, 16)
GOOD = "SBIN,2016-08-16T09:15:00+05:30,247.50,248.05,247.45,247.95,1200"
COLUMNS = ["open", "high", "low", "close", "volume"]


def candles_of(market: Market) -> pd.DataFrame:
    """One-minute candles as an outsider would make them from what the feed says, by pandas."""
    symbols = [listing.instrument.symbol for listing in market.listings]
    frame = pd.DataFrame(
        {name: market.prints[name] for name in ("second", "instrument", "price", "volume")}
    )
    frame = frame[frame["second"] < market.close_second]
    frame["symbol"] = [symbols[place] for place in frame["instrument"]]
    frame["minute"] = frame["second"] // 60 * 60
    grouped = frame.groupby(["symbol", "minute"])
    candles = grouped["price"].agg(open="first", high="max", low="min", close="last")
    day_volume = grouped["volume"].last()
    candles["volume"] = day_volume.groupby("symbol").diff().fillna(day_volume).astype("int64")
    return pd.DataFrame(candles)


def candles_in(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    frame["minute"] = [int(datetime.fromisoformat(text).timestamp()) for text in frame["timestamp"]]
    for name in COLUMNS[:4]:
        frame[name] = (frame[name] * 100).round().astype("int64")
    return frame.set_index(["symbol", "minute"])[COLUMNS].sort_index()


@st.composite
def a_bar(draw: st.DrawFn, symbol: str, minute: int) -> Bar:
    low = draw(st.integers(1, 200_000))
    high = low + draw(st.integers(0, 40))
    opened, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    start = datetime(2016, 8, 16, 9, 15, tzinfo=IST) + timedelta(minutes=minute)
    volume = Quantity(draw(st.integers(0, 5_000)))
    moment = UtcNs.from_datetime(start)
    return Bar(
        minute + 2, symbol, moment, Price(opened), Price(high), Price(low), Price(close), volume
    )


@st.composite
def a_day(draw: st.DrawFn) -> list[Bar]:
    minutes = draw(st.lists(st.integers(0, 374), min_size=1, max_size=6, unique=True))
    return [draw(a_bar(symbol, minute)) for symbol in ("SBIN", "TCS") for minute in minutes]


@given(a_day(), st.integers(0, 1_000))
def test_any_bars_become_prints_that_make_the_same_bars(bars: list[Bar], seed: int) -> None:
    made = replay(BarColumns.of(bars), DAY, seed)

    candles = candles_of(made.market)

    assert made.bad_rows == ()
    assert len(candles) == len(bars)
    for bar in bars:
        candle: Any = candles.loc[(bar.symbol, bar.start // 10**9)]
        assert candle.tolist() == [
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
        ]


@given(a_day())
def test_a_bar_has_at_most_four_prints_and_a_flat_one_has_one(bars: list[Bar]) -> None:
    market = replay(BarColumns.of(bars), DAY, 1).market

    prints = pd.DataFrame({name: market.prints[name] for name in ("second", "instrument", "price")})
    prints = prints[prints["second"] < market.close_second]
    counts = prints.groupby(["instrument", prints["second"] // 60])["price"].agg(
        ["count", "nunique"]
    )

    assert counts["count"].max() <= 4
    assert (counts["count"][counts["nunique"] == 1] == 1).all()


@pytest.mark.market_data
def test_a_real_day_of_57_symbols_comes_back_to_the_paisa(market_data: Path) -> None:
    path = market_data / "nse_1min" / "equity_2016" / "2016-08-16.csv.gz"

    made = replay_file(path, seed=1)

    assert made.bad_rows == ()
    pd.testing.assert_frame_equal(
        candles_of(made.market), candles_in(path), check_names=False, check_dtype=False
    )
    assert len(candles_of(made.market)) == 21_375


@pytest.mark.market_data
def test_symbols_that_never_trade_are_indices(market_data: Path) -> None:
    made = replay_file(market_data / "nse_1min" / "equity_2016" / "2016-08-16.csv.gz", seed=1)

    indices = {x.instrument.symbol for x in made.market.listings if x.id.segment is Segment.IDX_I}

    assert indices == {"INDIAVIX", "NIFTYIT"}
    assert len(made.market.by_id) == 57


@pytest.mark.market_data
def test_a_file_of_many_days_asks_which_one_is_meant(market_data: Path) -> None:
    path = market_data / "nse_1min" / "index_2024" / "NIFTY.csv.gz"

    with pytest.raises(Misconfigured, match=r"2024-01-01.*choose one"):
        replay_file(path, seed=1)

    made = replay_file(path, seed=1, day=date(2024, 1, 2))
    assert len(candles_of(made.market)) == 375


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,24x,247.4,247.5,10", "high", "not an amount"),
        (
            "SBIN,2016-08-16T09:16:00+05:30,247.5,nan,247.4,247.5,10",
            "high",
            "not a whole number of paise",
        ),
        (
            "SBIN,2016-08-16T09:16:00+05:30,247.505,248,247.4,247.5,10",
            "open",
            "not a whole number of paise",
        ),
        ("SBIN,2016-08-16T09:16:00+05:30,0,0,0,0,10", "open", "impossible price"),
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,247,248,247.5,10", "high", "below low"),
        ("SBIN,2016-08-16T09:16:00+05:30,249,248,247,247.5,10", "open", "outside low"),
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,246,10", "close", "outside low"),
        ("SBIN,yesterday,247.5,248,247,247.5,10", "timestamp", "not a time"),
        ("SBIN,16-08-2016 09:16,247.5,248,247,247.5,10", "timestamp", "not a time"),
        ("SBIN,NaT,247.5,248,247,247.5,10", "timestamp", "not a time"),
        ("SBIN,1471319160123,247.5,248,247,247.5,10", "timestamp", "not the start of a minute"),
        (
            "SBIN,2016-08-16T09:16:30+05:30,247.5,248,247,247.5,10",
            "timestamp",
            "not the start of a minute",
        ),
        (
            "SBIN,2016-08-16T15:30:00+05:30,247.5,248,247,247.5,10",
            "timestamp",
            "outside the session",
        ),
        ("SBIN,2016-08-16T09:15:00+05:30,247.5,248,247,247.5,10", "timestamp", "first on line 2"),
        (
            "SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,247.5,1.5",
            "volume",
            "not a whole number of units",
        ),
        (
            "SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,247.5,-1",
            "volume",
            "not a whole number of units",
        ),
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,247.5", "volume", "missing"),
        (",2016-08-16T09:16:00+05:30,247.5,248,247,247.5,10", "symbol", "empty"),
        ('"SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,247.5,10', "line", "not CSV"),
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,1e999999999,247,247.5,10", "high", "not an amount"),
        ("SBIN,2016-08-16T09:16:00+05:30,247.5,1e9999999,247,247.5,10", "high", "not an amount"),
        (
            f"SBIN,2016-08-16T09:16:00+05:30,247.5,248,247,247.5,{'1' * 5_000}",
            "volume",
            "not a whole number of units",
        ),
        ("SBIN,0001-01-01T00:00:00+14:00,247.5,248,247,247.5,10", "timestamp", "not a time"),
        ("SBIN,9999-12-31T23:59:00+00:00,247.5,248,247,247.5,10", "timestamp", "not a time"),
    ],
)
def test_a_bad_row_is_named_with_line_and_field_and_the_others_go_on(
    row: str, field: str, reason: str
) -> None:
    after = "TCS,2016-08-16T09:15:00+05:30,2700,2701,2699,2700.5,7"

    bars = read_lines(csv_of([GOOD, row, after]))

    (bad,) = bars.bad
    assert (bad.line, bad.field) == (3, field)
    assert reason in bad.reason
    assert str(bad).startswith(f"line 3, {field}: ")
    assert [bar.symbol for bar in bars.good.bars()] == ["SBIN", "TCS"]


def test_a_price_the_feed_cannot_carry_is_a_bad_row() -> None:
    rows = [
        "VIX9,2016-08-16T09:15:00+05:30,200000.01,200000.01,200000.01,200000.01,0",
        "VIX9,2016-08-16T09:16:00+05:30,100.01,100.01,100.01,100.01,0",
    ]

    made = replay(read_lines(csv_of(rows)).good, DAY, 1)

    (bad,) = made.bad_rows
    assert (bad.line, bad.field) == (2, "open")
    assert "32-bit float" in bad.reason
    assert len(candles_of(made.market)) == 1


def test_a_volume_the_feed_cannot_count_is_a_bad_row() -> None:
    rows = [
        f"SBIN,2016-08-16T09:{minute}:00+05:30,100,100,100,100,4000000000" for minute in (15, 16)
    ]

    made = replay(read_lines(csv_of(rows)).good, DAY, 1)

    assert [(bad.line, bad.field) for bad in made.bad_rows] == [(3, "volume")]


def test_a_smaller_bar_still_fits_behind_one_that_the_feed_cannot_count() -> None:
    rows = [
        f"SBIN,2016-08-16T09:{minute}:00+05:30,100,100,100,100,{volume}"
        for minute, volume in ((15, 4_000_000_000), (16, 4_000_000_000), (17, 294_967_295))
    ]

    made = replay(read_lines(csv_of(rows)).good, DAY, 1)

    assert [(bad.line, bad.field) for bad in made.bad_rows] == [(3, "volume")]
    assert made.market.prints["volume"].max() == MAX_VOLUME


def test_the_prints_of_a_bar_stand_at_any_seconds_of_its_minute_alike() -> None:
    four, two = (10_000, 10_100, 9_900, 10_050), (10_000, 10_100, 10_000, 10_100)
    moments = [UtcNs(market_session(DAY).open + minute * NS_PER_MINUTE) for minute in range(375)]
    bars = [
        Bar(1, f"S{symbol}", moment, Price(o), Price(h), Price(low), Price(c), Quantity(9))
        for symbol, (o, h, low, c) in enumerate([four, two] * 20)
        for moment in moments
    ]

    prints = replay(BarColumns.of(bars), DAY, 1).market.prints

    own = prints[prints["second"] < market_session(DAY).close // NS_PER_SECOND]
    assert len(own) == 375 * 20 * (4 + 2)
    found, expected = np.bincount(own["second"] % 60), len(own) / 60
    assert ((found - expected) ** 2 / expected).sum() < 87.2  # chi-squared, 59 degrees, p = 0.01
    assert len(np.unique(own[["instrument", "second"]])) == len(own)


def test_a_missing_column_is_an_error_of_the_whole_file() -> None:
    with pytest.raises(Misconfigured, match="lacks the column volume"):
        read_lines(["symbol,timestamp,open,high,low,close\n"])


def test_a_first_line_with_a_cell_longer_than_anybody_s_is_an_error_of_the_whole_file() -> None:
    with pytest.raises(Misconfigured, match="lacks the column"):
        read_lines(["x" * 200_000 + "\n"])


@pytest.mark.parametrize(
    "content", [b"", b"not gzip at all", gzip.compress(b"x" * 1000, mtime=0)[:20]]
)
def test_a_broken_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "day.csv.gz"
    path.write_bytes(content)

    with pytest.raises(Misconfigured):
        replay_file(path, seed=1)


def test_a_file_without_any_usable_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(HEADER + "\nSBIN,now,1,1,1,1,1\n")

    with pytest.raises(Misconfigured, match=r"day\.csv has no usable row"):
        replay_file(path, seed=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"gone\.csv"):
        replay_file(tmp_path / "gone.csv", seed=1)
