from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ats.demo.candles import Bar, bars_of, compare, overlap, timeframe_of
from schemas.errors import Misconfigured
from schemas.ids import derive
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.units import Price, Quantity, UtcNs
from tests.ats.factories import OPEN, TCS

CSV = "symbol,timestamp,open,high,low,close,volume\nTCS,2026-11-20T09:15:00+05:30,100.05,101,99.95,100,1820\n"
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
    path.write_text(CSV + "TCS,2026-11-20T09:16:00+05:30,abc,101,99,100,5\nTCS,yesterday,1,1,1,1,1\nTCS\n")

    assert list(bars_of(path)) == [("TCS", OPEN)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.csv"):
        bars_of(tmp_path / "nowhere.csv")


def test_equal_candles_are_exact_and_other_timeframes_do_not_matter() -> None:
    comparison = compare({("TCS", OPEN): BAR}, [a_candle(), a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"})

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
    comparison = compare({}, [a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"}, Timeframe.M5, of={"INFY"})

    assert comparison.exact
    assert not compare({}, [a_candle(timeframe=Timeframe.M5)], {TCS: "TCS"}, Timeframe.M5, of={"TCS"}).exact


def test_the_length_of_bars_is_the_smallest_step_of_one_symbol(tmp_path: Path) -> None:
    five = Timeframe.M5.ns
    bars = {("A", UtcNs(OPEN + step)): BAR for step in (0, 3 * five, 4 * five)} | {("B", UtcNs(OPEN + 1)): BAR}

    assert timeframe_of(tmp_path, bars) is Timeframe.M5


def test_bars_of_a_length_the_engine_does_not_make_are_named(tmp_path: Path) -> None:
    bars = {("A", OPEN): BAR, ("A", UtcNs(OPEN + UtcNs.minutes(7))): BAR}

    with pytest.raises(Misconfigured, match=r"odd\.csv: its bars are of no length"):
        timeframe_of(tmp_path / "odd.csv", bars)
