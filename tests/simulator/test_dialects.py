"""Market files as people have them: what is read, what is said of it, what is refused."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ats.demo.candles import bars_of
from schemas.errors import Misconfigured
from schemas.units import IST, UtcNs
from simulator.config import SimulatorConfig
from simulator.market.bar_columns import Bar
from simulator.market.bars import Bars, read_file, read_lines
from simulator.market.dialect import length_of, moment_of, symbol_of
from simulator.market.replay import replay_file
from simulator.market.report import BadRow, Fault, FileReport
from simulator.server import Simulator, make_market
from tests.simulator.test_replay import a_bar

OPEN = datetime(2016, 8, 16, 9, 15, tzinfo=IST)

HEADERS = {
    "ours": "symbol,timestamp,open,high,low,close,volume",
    "capitals": "Symbol,Timestamp,Open,High,Low,Close,Volume",
    "datetime": "SYMBOL,DateTime,OPEN,HIGH,LOW,CLOSE,VOLUME",
    "letters": "ticker,time,o,h,l,c,v",
    "blanks": " Trading Symbol , date , open , high , low , close , vol ",
    "quotes": '"trading_symbol","date_time","open","high","low","close","volume"',
    "pandas' index": "symbol,,open,high,low,close,volume",
}
TIMES: dict[str, Callable[[datetime], str]] = {
    "ISO": datetime.isoformat,
    "pandas": str,
    "UTC": lambda at: at.astimezone(UTC).isoformat(),
    "Z": lambda at: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    "naive pandas": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "naive, no seconds": lambda at: f"{at:%Y-%m-%d %H:%M}",
    "s": lambda at: f"{at.timestamp():.0f}",
    "s as a float": lambda at: f"{at.timestamp():.1f}",
    "ms": lambda at: f"{at.timestamp() * 10**3:.0f}",
    "us": lambda at: f"{at.timestamp() * 10**6:.0f}",
    "ns": lambda at: f"{int(UtcNs.from_datetime(at))}",
}


@dataclass(frozen=True)
class Dialect:
    """One way to write candles."""

    header: str
    time: str
    volume: str
    line_end: str
    order: Sequence[int]
    with_symbol: bool

    def write(self, bars: Sequence[Bar]) -> str:
        rows = [HEADERS[self.header].split(",")] + [
            [
                bar.symbol,
                TIMES[self.time](bar.start.ist()),
                *(str(price.rupees()) for price in (bar.open, bar.high, bar.low, bar.close)),
                f"{int(bar.volume)}{self.volume}",
            ]
            for bar in bars
        ]
        kept = [at for at in self.order if at or self.with_symbol]
        return "".join(",".join(row[at] for at in kept) + self.line_end for row in rows)


dialects = st.builds(
    Dialect,
    st.sampled_from(sorted(HEADERS)),
    st.sampled_from(sorted(TIMES)),
    st.sampled_from(["", ".0", "."]),
    st.sampled_from(["\n", "\r\n"]),
    st.permutations(range(7)),
    st.booleans(),
)


@st.composite
def some_bars(draw: st.DrawFn) -> list[Bar]:
    minutes = draw(st.lists(st.integers(0, 374), min_size=1, max_size=6, unique=True))
    return [draw(a_bar("TCS", minute)) for minute in minutes]


def without_lines(bars: Sequence[Bar]) -> list[Bar]:
    return [replace(bar, line=0) for bar in bars]


@given(some_bars(), dialects)
def test_whatever_the_dialect_the_bars_are_the_same(bars: list[Bar], dialect: Dialect) -> None:
    read = read_lines(io.StringIO(dialect.write(bars), newline=""), "TCS.csv", "TCS")

    assert read.bad == []
    assert without_lines(read.good.bars()) == without_lines(bars)
    assert read.symbol == ("" if dialect.with_symbol else "TCS")


@pytest.mark.parametrize("time", sorted(TIMES))
@pytest.mark.parametrize("header", sorted(HEADERS))
def test_the_second_reader_knows_every_dialect_that_the_first_one_knows(
    tmp_path: Path, header: str, time: str
) -> None:
    path = tmp_path / "TCS_1min.csv"
    bars = read_lines([f"{HEADERS['ours']}\n", *rows_of("TCS", 30)]).good.bars()
    path.write_text(Dialect(header, time, ".0", "\r\n", range(7), with_symbol=False).write(bars))

    again = bars_of(path)

    assert sorted(again) == [(bar.symbol, bar.start) for bar in bars]
    assert [tuple(bar) for bar in again.values()] == [
        (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars
    ]


@pytest.mark.market_data
def test_a_real_day_written_by_pandas_without_a_zone_is_the_same_day(
    market_data: Path, tmp_path: Path
) -> None:
    source = market_data / "nse_1min" / "equity_2016" / "2016-08-16.csv.gz"
    frame = pd.read_csv(source)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"]).dt.tz_localize(None)
    frame.columns = pd.Index(["Ticker", "Datetime", "Open", "High", "Low", "Close", "Volume"])
    frame.set_index("Datetime").astype({"Volume": float}).to_csv(tmp_path / "day.csv")

    read, wanted = read_file(tmp_path / "day.csv"), read_file(source)

    assert without_lines(read.good.bars()) == without_lines(wanted.good.bars())
    assert read.bad == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-08-16 09:15:00+05:30", OPEN),
        ("2016-08-16T09:15:00.000000000+05:30", OPEN),
        ("2016-08-16 09:15", OPEN),
        ("1471319100", OPEN),
        ("1471319100.0", OPEN),
        ("1471319100.25", OPEN + timedelta(milliseconds=250)),
        ("1471319100000", OPEN),
        ("1471319100000000", OPEN),
        ("1471319100000000000", OPEN),
    ],
)
def test_a_time_is_ist_unless_it_says_else_and_an_epoch_tells_its_unit(
    text: str, moment: datetime
) -> None:
    assert moment_of(text) == UtcNs.from_datetime(moment)


@pytest.mark.parametrize(
    "text", ["", "NaT", "16/08/2016 09:15", "20160816091500", "1471319", "9" * 19, "-1471319100"]
)
def test_a_time_of_another_form_or_another_century_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever of Python's own it is
        moment_of(text)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("TCS.csv", "TCS"), ("tcs_1min_2016.csv.gz", "TCS"), ("M&M 1m.csv", "M&M"),
     ("BAJAJ-AUTO.csv", "BAJAJ-AUTO"), ("TCS (1).csv", "TCS"), ("NIFTY 50_minute.csv", "NIFTY"),
     ("NIFTY BANK_minute.csv", "BANKNIFTY"), ("NIFTY AUTO 2016.csv", "NIFTY AUTO")],
)  # fmt: skip
def test_a_file_without_a_column_for_the_symbol_is_of_the_one_in_its_name(
    name: str, symbol: str
) -> None:
    assert symbol_of(Path("folder") / name) == symbol


@pytest.mark.parametrize("day", ["2016-08-16", "20160816"])
def test_the_time_of_day_may_have_a_column_of_its_own(day: str) -> None:
    bars = read_lines(["Ticker,Date,Time,O,H,L,C,V\n", f"TCS,{day},09:15,1,1,1,1,5\n"]).good.bars()

    assert [bar.start.ist() for bar in bars] == [OPEN]


def test_an_endless_line_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.market.bars.MAX_LINE", 100)
    path = tmp_path / "TCS.csv"
    path.write_text("date,open,high,low,close,volume\n" + "9" * 100)

    with pytest.raises(Misconfigured, match="line 2 is longer than any row"):
        read_file(path)


def test_a_file_of_endless_rows_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulator.market.bars.MOST_ROWS", 2)

    with pytest.raises(Misconfigured, match="more than 2 rows: split it"):
        read_lines([f"{HEADERS['ours']}\n", "a\n", "b\n", "c\n"])


def test_ticks_have_the_same_freedom(tmp_path: Path) -> None:
    path = tmp_path / "TCS.csv"
    path.write_text("Datetime,LTP\n2016-08-16 09:15:01,100\n1471319102,100.5\n")

    made = replay_file(path, seed=1)

    assert made.bad_rows == ()
    assert [listing.instrument.symbol for listing in made.market.listings] == ["TCS"]
    assert made.said() == [
        "TCS.csv: 2 rows of 1 symbol, ticks",
        "TCS.csv: no column for the symbol; TCS by the file's name",
    ]


# --- how long the bars are


def rows_of(symbol: str, count: int, minutes: int = 1, start: datetime = OPEN) -> list[str]:
    return [
        f"{symbol},{(start + timedelta(minutes=minutes * at)).isoformat()},100,101,99,100.5,10\n"
        for at in range(count)
    ]


def csv_of(*rows: str) -> list[str]:
    return [HEADERS["ours"] + "\n", *rows]


@pytest.mark.parametrize(("minutes", "words"), [(5, "5 minutes"), (30, "30 minutes"), (60, "60")])
def test_longer_bars_are_refused_with_their_length(minutes: int, words: str) -> None:
    rows = rows_of("TCS", 375 // minutes + 1, minutes)

    with pytest.raises(Misconfigured, match=rf"X\.csv: the bars of TCS are {words}.*line 2"):
        read_lines(csv_of(*rows), "X.csv")


def test_daily_and_shorter_bars_are_refused_with_their_length() -> None:
    daily = rows_of("TCS", 10, 24 * 60, OPEN.replace(hour=0, minute=0))
    seconds = [
        f"TCS,{(OPEN + timedelta(seconds=15 * at)).isoformat()},100,101,99,100,1\n"
        for at in range(9)
    ]

    with pytest.raises(Misconfigured, match="are 1 day long"):
        read_lines(csv_of(*daily))
    with pytest.raises(Misconfigured, match="are 15 seconds long"):
        read_lines(csv_of(*seconds))


def test_one_symbol_of_longer_bars_among_many_is_found() -> None:
    with pytest.raises(Misconfigured, match="bars of INFY are 30 minutes long"):
        read_lines(csv_of(*rows_of("TCS", 375), *rows_of("INFY", 13, 30)))


@given(st.sets(st.integers(0, 374), max_size=12), st.integers(2, 30))
def test_a_few_minutes_of_an_illiquid_share_are_never_taken_for_longer_bars_by_chance(
    minutes: set[int], apart: int
) -> None:
    starts = [UtcNs.from_datetime(OPEN + timedelta(minutes=minute)) for minute in minutes]
    few = [UtcNs.from_datetime(OPEN + timedelta(minutes=apart * at)) for at in range(4)]

    assert length_of(few) is None
    assert length_of(starts) in (None, UtcNs.minutes(1)) or len(minutes) > 5


def test_gaps_and_a_stray_row_do_not_change_how_long_the_bars_are() -> None:
    rows = rows_of("TCS", 200)
    del rows[20:60:3]
    stray = rows_of("TCS", 1, start=OPEN + timedelta(minutes=250, seconds=30))

    read = read_lines(csv_of(*rows, *stray))

    assert read.length == UtcNs.minutes(1)
    assert [bad.fault for bad in read.bad] == [Fault.MINUTE]


@pytest.mark.market_data
@pytest.mark.parametrize(
    ("path", "most"),
    [("equity_2016/2016-08-17.csv.gz", 0), ("index_2024/NIFTY.csv.gz", 0.01),
     ("index_2024/special_sessions_NIFTY.csv.gz", 0.01)],
)  # fmt: skip
def test_real_minutes_are_bars_of_one_minute_and_no_reason_to_refuse(
    market_data: Path, path: str, most: float
) -> None:
    bars = read_file(market_data / "nse_1min" / path)

    report = bars.report("real", bars.bad)

    assert report.holds == "bars of 1 minute"
    report.refuse_broken(most)


@pytest.mark.market_data
def test_a_real_file_of_thirty_minutes_is_refused(market_data: Path) -> None:
    with pytest.raises(Misconfigured, match=r"broker_30min\.csv\.gz: .* are 30 minutes long"):
        read_file(market_data / "nse_1min" / "broker_30min" / "broker_30min.csv.gz")


# --- what was left out


def a_report(rows: int, *bad: BadRow) -> FileReport:
    return FileReport("day.csv", rows, 1, "bars of 1 minute", bad)


def bad_rows(count: int, fault: Fault) -> list[BadRow]:
    return [BadRow(line, "open", "not an amount", fault) for line in range(2, count + 2)]


def test_a_file_with_more_broken_rows_than_allowed_is_refused_by_reason_with_the_first_line() -> (
    None
):
    bad = [*bad_rows(7, Fault.PRICE), BadRow(40, "timestamp", "not a time", Fault.TIME)]

    with pytest.raises(Misconfigured) as refused:
        a_report(100, *bad).refuse_broken(0.05)

    assert str(refused.value) == (
        "the market file day.csv: 8 of 100 rows cannot be used, "
        "more than the 5 % of --max-bad-rows: "
        "7 bad rows, not a price; first line 2, open: not an amount; "
        "1 bad row, not a time; first line 40, timestamp: not a time"
    )


def test_a_file_with_as_many_broken_rows_as_allowed_is_played() -> None:
    a_report(100, *bad_rows(5, Fault.PRICE)).refuse_broken(0.05)


def test_rows_before_and_after_the_session_are_no_reason_to_refuse_until_they_are_the_most() -> (
    None
):
    a_report(100, *bad_rows(50, Fault.SESSION)).refuse_broken(0.01)

    with pytest.raises(Misconfigured, match="are these UTC"):
        a_report(100, *bad_rows(51, Fault.SESSION)).refuse_broken(0.01)


def test_what_was_done_with_a_file_is_said() -> None:
    rows = rows_of("TCS", 40)
    rows[3], rows[4] = rows[4], rows[3]

    bars = read_lines(csv_of(*rows, rows[0], "TCS,yesterday,1,1,1,1,1\n"))

    assert bars.report("day.csv", bars.bad).lines() == [
        "day.csv: 42 rows of 1 symbol, bars of 1 minute",
        "day.csv: 1 row out of order, now sorted",
        f"1 bad row in day.csv, a second row of the same bar; first {bars.bad[0]}",
        f"1 bad row in day.csv, not a time; first {bars.bad[1]}",
    ]
    assert str(bars.bad[0]) == ("line 42, timestamp: second bar of TCS at 09:15, first on line 2")


def test_a_few_bars_are_taken_for_minutes_and_it_is_said() -> None:
    assert "1 minute (too few to be sure)" in Bars(rows=2).report("day.csv", ()).lines()[0]


def test_the_simulator_refuses_a_broken_file_and_plays_it_when_it_is_told_to(
    tmp_path: Path,
) -> None:
    path = tmp_path / "day.csv.gz"
    path.write_bytes(gzip.compress("".join(csv_of(*rows_of("TCS", 9), "TCS,x\n")).encode()))

    with pytest.raises(Misconfigured, match=r"1 of 10 rows .*line 11, open: missing"):
        make_market(SimulatorConfig(market=path))

    assert len(make_market(SimulatorConfig(market=path, max_bad_share=0.1)).bad_rows) == 1


async def test_the_simulator_says_what_its_file_held(tmp_path: Path) -> None:
    path = tmp_path / "TCS.csv"
    path.write_text("".join(csv_of(*rows_of("TCS", 40))))
    simulator = Simulator(SimulatorConfig(port=0, market=path, autostart=False))
    await simulator.start()
    try:
        async with httpx.AsyncClient(base_url=simulator.url) as client:
            state = (await client.get("/control/state")).json()
    finally:
        await simulator.stop()

    assert state["file"] == ["TCS.csv: 40 rows of 1 symbol, bars of 1 minute"]
    assert state["bad_rows"] == []
