from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from ats.demo.candles import (
    Bar,
    bars_of,
    compare,
    lines_named,
    on_day,
    overlap,
    reference,
    timeframe_of,
)
from ats.demo.files import references_of
from ats.demo.options import DemoOptions
from schemas.errors import Misconfigured
from schemas.ids import derive
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.units import Price, Quantity, UtcNs
from simulator.market.replay import replay_file
from tests.ats.factories import DAY, OPEN, TCS

CSV = (
    "symbol,timestamp,open,high,low,close,volume\n"
    "TCS,2026-11-20T09:15:00+05:30,100.05,101,99.95,100,1820\n"
)
BAR = Bar(10_005, 10_100, 9_995, 10_000, 1_820)


def a_candle(bar: Bar = BAR, start: UtcNs = OPEN, timeframe: Timeframe = Timeframe.M1) -> Candle:
    return Candle(
        id=derive("candle", start),
        event_time=UtcNs(start + timeframe.ns),
        instrument=TCS,
        timeframe=timeframe,
        start=start,
        open=Price(bar.open),
        high=Price(bar.high),
        low=Price(bar.low),
        close=Price(bar.close),
        volume=Quantity(bar.volume),
        ticks=4,
        complete=True,
    )


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_the_file_is_read_to_the_paisa_and_in_utc(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"day{suffix}"
    path.write_bytes(gzip.compress(CSV.encode()) if suffix.endswith("gz") else CSV.encode())

    assert bars_of(path) == {("TCS", OPEN): BAR}


def test_a_bad_row_is_left_out_and_the_good_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(
        CSV + "TCS,2026-11-20T09:16:00+05:30,abc,101,99,100,5\nTCS,yesterday,1,1,1,1,1\nTCS\n"
    )

    assert list(bars_of(path)) == [("TCS", OPEN)]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace(",", ", ").encode(),
        CSV.encode() + b"CAF\xc9,2026-11-20T09:15:00+05:30,1,1,1,x,1\n",
        CSV.replace("\n", "\r\n").encode(),
        CSV.encode() + b'"TCS,2026-11-20T09:16:00+05:30,1,1,1,1,1\n',
    ],
    ids=[
        "byte order mark",
        "spaces",
        "another encoding",
        "DOS line ends",
        "a quote that never ends",
    ],
)
def test_a_file_that_the_simulator_plays_gives_the_same_bars_here(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(content)

    made = replay_file(path, seed=1)

    assert len(made.market.listings) == 1
    assert bars_of(path, without=lines_named(map(str, made.bad_rows))) == {("TCS", OPEN): BAR}


@pytest.mark.parametrize(
    "row",
    [
        "TCS,2026-11-20T09:16:00+05:30,100,99,101,100,5",
        "TCS,2026-11-20T09:16:00+05:30,102,101,99,100,5",
        "TCS,2026-11-20T09:16:00+05:30,100,101,99,98,5",
        "TCS,2026-11-20T15:30:00+05:30,100,101,99,100,5",
        "TCS,2026-11-20T09:16:00+05:30,100,101,99,100,-5",
        "TCS,2026-11-20T09:16:00+05:30,100,101,99,100,5000000000",
        "TCS,2026-11-20T09:16:30+05:30,100,101,99,100,5",
        "TCS,2026-11-20T09:16:00+05:30,0,0,0,0,5",
        "TCS,2026-11-20T09:16:00+05:30,200000000,200000000,200000000,200000000,5",
        "TCS,2026-11-20T09:16:00+05:30,200000.01,200000.01,200000.01,200000.01,0",
    ],
)
def test_a_row_that_the_simulator_lists_as_bad_is_not_expected(tmp_path: Path, row: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(CSV + row + "\n")

    bad_rows = [str(bad) for bad in replay_file(path, seed=1).bad_rows]

    assert len(bad_rows) == 1
    assert bars_of(path, without=lines_named(bad_rows)) == {("TCS", OPEN): BAR}


def test_a_longer_bar_before_or_after_the_session_is_not_expected_because_the_engine_makes_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "5m.csv"
    outside = [f"TCS,2026-11-20T{at}:00+05:30,100,101,99,100,5\n" for at in ("09:00", "15:30")]
    path.write_text(CSV + "".join(outside) + "TCS,9999-12-31T23:59:00+00:00,100,101,99,100,5\n")

    assert list(bars_of(path)) == [("TCS", OPEN)]


def test_a_file_without_a_column_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text("symbol,timestamp,price\nTCS,2026-11-20T09:15:00+05:30,100\n")

    with pytest.raises(
        Misconfigured,
        match=r"ticks\.csv: its first line lacks the column open, high, low, close, volume",
    ):
        bars_of(path)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "day.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode())[:-12])

    with pytest.raises(Misconfigured, match=r"day\.csv\.gz"):
        bars_of(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.csv"):
        bars_of(tmp_path / "nowhere.csv")


def test_equal_candles_are_exact_and_other_timeframes_do_not_matter() -> None:
    comparison = compare(
        {("TCS", OPEN): BAR}, [a_candle(), a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"}
    )

    assert comparison.exact
    assert comparison.lines() == ["1 of 1 1m candles equal the file"]


@pytest.mark.parametrize("field", Bar._fields)
def test_a_difference_of_one_paisa_or_one_share_is_found(field: str) -> None:
    other = BAR._replace(**{field: getattr(BAR, field) + 1})

    comparison = compare({("TCS", OPEN): BAR}, [a_candle(other)], {TCS: "TCS"})

    assert not comparison.exact
    assert "TCS 2026-11-20 09:15" in comparison.different[0]


def test_missing_and_unexpected_candles_are_told_apart() -> None:
    next_minute = UtcNs(OPEN + UtcNs.minutes(1))

    comparison = compare({("TCS", OPEN): BAR}, [a_candle(start=next_minute)], {TCS: "TCS"})

    assert comparison.missing == ("TCS 2026-11-20 09:15",)
    assert comparison.unexpected == ("TCS 2026-11-20 09:16",)
    assert not comparison.exact


def test_longer_candles_are_compared_only_for_symbols_and_days_that_were_played() -> None:
    next_day = UtcNs(OPEN + 24 * UtcNs.minutes(60))
    other = {("TCS", OPEN): BAR, ("TCS", next_day): BAR, ("INFY", OPEN): BAR}

    assert overlap(other, {("TCS", UtcNs(OPEN + UtcNs.minutes(7))): BAR}) == {("TCS", OPEN): BAR}


def test_candles_of_symbols_the_longer_file_does_not_have_are_not_unexpected() -> None:
    comparison = compare(
        {}, [a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"}, Timeframe.M5, of={"INFY"}
    )

    assert comparison.exact
    assert not compare(
        {}, [a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"}, Timeframe.M5, of={"TCS"}
    ).exact


def test_the_length_of_bars_is_the_smallest_step_of_one_symbol(tmp_path: Path) -> None:
    five = Timeframe.M5.ns
    bars = {("A", UtcNs(OPEN + step)): BAR for step in (0, 3 * five, 4 * five)} | {
        ("B", UtcNs(OPEN + 1)): BAR
    }

    assert timeframe_of(tmp_path, bars) is Timeframe.M5


def test_bars_of_a_length_the_engine_does_not_make_are_named(tmp_path: Path) -> None:
    bars = {("A", OPEN): BAR, ("A", UtcNs(OPEN + UtcNs.minutes(7))): BAR}

    with pytest.raises(Misconfigured, match=r"odd\.csv: its bars are of no length"):
        timeframe_of(tmp_path / "odd.csv", bars)


def minutes(path: Path, *at: str, day: str = "2026-11-20", symbol: str = "TCS") -> Path:
    rows = [f"{symbol},{day}T{moment}:00+05:30,100,101,99,100,5\n" for moment in at]
    path.write_text(CSV.splitlines(keepends=True)[0] + "".join(rows))
    return path


def options(market: Path | None, *against: Path, day: date | None = None) -> DemoOptions:
    return DemoOptions(
        market, None, 7, check_candles=True, check_against=against, keep=None, day=day
    )


def test_a_file_to_compare_with_is_read_before_anything_starts(tmp_path: Path) -> None:
    market = minutes(tmp_path / "1m.csv", "09:15", "09:16")
    longer = minutes(tmp_path / "5m.csv", "09:15", "09:20")

    (found,) = references_of(options(market, longer))

    assert (found.path, found.timeframe, len(found.bars)) == (longer, Timeframe.M5, 2)


def test_a_file_to_compare_with_that_is_of_no_use_is_named_before_anything_starts(
    tmp_path: Path,
) -> None:
    market = minutes(tmp_path / "1m.csv", "09:15", "09:16")
    unusable = {
        "gone.csv": tmp_path / "gone.csv",
        "seven.csv: its bars are of no length": minutes(tmp_path / "seven.csv", "09:15", "09:22"),
        "other_day.csv: none of its symbols": minutes(
            tmp_path / "other_day.csv", "09:15", "09:20", day="2026-11-19"
        ),
        "other.csv: none of its symbols": minutes(
            tmp_path / "other.csv", "09:15", "09:20", symbol="INFY"
        ),
    }

    for says, path in unusable.items():
        with pytest.raises(Misconfigured, match=says):
            references_of(options(market, path))


def test_a_market_file_without_a_usable_row_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"1m\.csv: it has no usable row$"):
        references_of(options(minutes(tmp_path / "1m.csv")))


def test_only_the_day_that_is_played_is_compared(tmp_path: Path) -> None:
    path = minutes(tmp_path / "1m.csv", "09:15")
    path.write_text(path.read_text() + "TCS,2026-11-19T09:15:00+05:30,100,101,99,100,5\n")
    longer = minutes(tmp_path / "5m.csv", "09:15", "09:20", day="2026-11-18")

    assert list(on_day(bars_of(path), DAY)) == [("TCS", OPEN)]
    with pytest.raises(Misconfigured, match="no usable row of 2026-11-17"):
        references_of(options(path, day=date(2026, 11, 17)))
    with pytest.raises(Misconfigured, match=r"5m\.csv: none of its"):
        reference(longer, on_day(bars_of(path), DAY))
