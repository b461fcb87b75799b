"""`ats data`: bars go into the catalogue once, come out as they went in, and mislead nobody."""

from __future__ import annotations

import fcntl
import os
from datetime import date
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ats.cli import app
from ats.data.catalogue import held, take_in
from ats.data.check import Kind, action_between, findings
from backtest.market import markets_of
from schemas.errors import Misconfigured, TryLater
from schemas.units import NS_PER_MINUTE, Price, Quantity, UtcNs
from simulator.market import bar_columns, columnar
from simulator.market.actions import Action, Actions
from simulator.market.bar_columns import Bar, BarColumns
from simulator.market.files import read_file
from simulator.market.session import market_session
from tests.backtest.factories import random_candles

HEADER = "symbol,timestamp,open,high,low,close,volume\n"
DAY = date(2016, 8, 16)
OPEN = market_session(DAY).open


def rows(symbol: str = "TCS", first: float = 100.0, day: str = "2016-08-16") -> str:
    """Three bars."""
    return "".join(
        f"{symbol},{day} 09:{15 + n}:00+05:30,{first + n},{first + n + 1},{first + n},"
        f"{first + n + 1},{1000 + n}\n"
        for n in range(3)
    )


def a_file(folder: Path, text: str, name: str = "day.csv") -> Path:
    path = folder / name
    path.write_text(HEADER + text)
    return path


def without_line(bars: list[Bar]) -> set[tuple[object, ...]]:
    names = ("symbol", "start", "open", "high", "low", "close", "volume")
    return {tuple(getattr(bar, name) for name in names) for bar in bars}


def bar(symbol: str, minute: int, price: int, volume: int = 10, day: date = DAY) -> Bar:
    start = UtcNs(market_session(day).open + minute * NS_PER_MINUTE)
    made = Price(price)
    return Bar(1, symbol, start, made, made, made, made, Quantity(volume))


def told(days: dict[date, list[Bar]]) -> list[tuple[date, BarColumns]]:
    return [(day, BarColumns.of(bars)) for day, bars in days.items()]


def test_a_day_is_read_from_the_catalogue_as_it_stood_in_the_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, rows("TCS") + rows("INFY", 200.05))

    take_in(path, tmp_path, most_bad=0, replace=False)

    kept = read_file(tmp_path / "2016-08-16.parquet").good.bars()
    assert without_line(kept) == without_line(read_file(path).good.bars())
    assert columnar.outline(tmp_path / "2016-08-16.parquet") == {"INFY": 3, "TCS": 3}


def test_a_day_of_the_catalogue_is_played_as_the_file_that_it_came_from(tmp_path: Path) -> None:
    path = random_candles(tmp_path / "days.csv", ["2016-08-16", "2016-08-17"])
    take_in(path, tmp_path, most_bad=0, replace=False)

    of_file = list(markets_of(path))
    kept = [each for _, day in columnar.days_in(tmp_path) for each in markets_of(day)]

    assert [each.session for each in kept] == [each.session for each in of_file]
    for one, other in zip(kept, of_file, strict=True):
        assert one.listings == other.listings
        assert (one.prints == other.prints).all()


def test_no_bar_becomes_an_object_where_a_day_of_the_catalogue_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = random_candles(tmp_path / "days.csv", ["2016-08-16"])
    take_in(path, tmp_path, most_bad=0, replace=False)
    made = list[Bar]()
    monkeypatch.setattr(bar_columns, "Bar", lambda *figures: made.append(Bar(*figures)))

    [market] = markets_of(tmp_path / "2016-08-16.parquet")

    assert len(market.prints) > 2 * 375
    assert not made


def test_symbols_that_differ_by_their_last_character_are_two(tmp_path: Path) -> None:
    path = tmp_path / "2016-08-16.parquet"
    made = [bar("TCS", 1, 100), bar("TCS2", 0, 200)]

    columnar.write(path, made)

    assert without_line(columnar.read(path).bars()) == without_line(made)
    assert columnar.outline(path) == {"TCS": 1, "TCS2": 1}


@pytest.mark.parametrize("symbol", ["", "T\0", "\x1b[2J", "T\ufffdS", "T\u202eCS", "T" * 65])
def test_what_is_no_symbol_is_taken_neither_from_a_row_nor_from_a_day(
    tmp_path: Path, symbol: str
) -> None:
    path = tmp_path / "2016-08-16.parquet"
    columnar.write(path, [bar(symbol, 0, 100)])

    with pytest.raises(Misconfigured, match="holds a symbol that no import takes"):
        columnar.read(path)
    with pytest.raises(Misconfigured, match="no symbol, or one that is not text in UTF-8"):
        take_in(a_file(tmp_path, rows(symbol)), tmp_path, most_bad=0, replace=False)


def test_a_symbol_that_is_not_utf8_is_refused_in_words(tmp_path: Path) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = tmp_path / "2016-08-16.parquet"
    table = pq.read_table(path)
    raw = pa.array([b"\xff\xfe"] * 3, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, table.schema.field("symbol"), raw), path)

    with pytest.raises(Misconfigured, match="holds a symbol that no import takes"):
        columnar.outline(path)


def test_a_day_of_which_a_byte_flipped_is_refused_though_its_bars_would_be_possible(
    tmp_path: Path,
) -> None:
    path = tmp_path / "2016-08-16.parquet"
    columnar.write(path, [bar("TCS", 0, 100, volume=0x01020304)])
    packed = path.read_bytes()
    at = packed.index(b"\x04\x03\x02\x01")  # in a page, where zstd left it as it was
    path.write_bytes(packed[:at] + b"\x05" + packed[at + 1 :])

    with pytest.raises(Misconfigured, match="CRC checksum"):
        columnar.read(path)


def test_a_pipe_in_the_catalogue_stops_nobody_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "2016-08-16.parquet")

    with pytest.raises(Misconfigured, match="it is no file"):
        columnar.outline(tmp_path / "2016-08-16.parquet")


def test_an_import_writes_nothing_through_links_in_the_catalogue(tmp_path: Path) -> None:
    folder, other = tmp_path / "kept", tmp_path / "other"
    folder.mkdir()
    other.write_text("somebody's")
    for name in (".lock", ".2016-08-16.parquet.new"):
        (folder / name).symlink_to(other)

    with held(folder):
        take_in(a_file(tmp_path, rows()), folder, most_bad=0, replace=False)

    assert other.read_text() == "somebody's"


def test_a_day_is_listed_whatever_its_footer_says_of_its_columns(tmp_path: Path) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = tmp_path / "2016-08-16.parquet"
    pq.write_table(pq.read_table(path), path, write_statistics=False)

    assert columnar.outline(path) == {"TCS": 3}


def test_a_day_under_another_days_name_is_refused(tmp_path: Path) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = (tmp_path / "2016-08-16.parquet").rename(tmp_path / "2016-08-17.parquet")

    with pytest.raises(Misconfigured, match="holds bars of 2016-08-16: give it that day's name"):
        read_file(path)


@pytest.mark.parametrize("name", ["tuesday", "20160817"])
def test_a_day_may_have_a_name_that_is_no_day(tmp_path: Path, name: str) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = (tmp_path / "2016-08-16.parquet").rename(tmp_path / f"{name}.parquet")

    assert len(read_file(path).good) == 3
    assert not list(columnar.days_in(tmp_path))


prices = st.integers(1, 10**9).map(Price)
# drawn as printed: of a filter that leaves most out hypothesis complains
printed = st.characters(exclude_categories=("C", "Z"), exclude_characters="\ufffd")
symbols = st.text(printed, min_size=1, max_size=8)


@given(
    st.dictionaries(
        st.tuples(symbols, st.integers(0, 374)),
        st.tuples(prices, st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=25)  # each is a file that is written, synced and read
def test_any_bars_of_a_day_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, held: dict[tuple[str, int], tuple[Price, int]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "2016-08-16.parquet"
    made = [bar(symbol, at, *said) for (symbol, at), said in held.items()]

    columnar.write(path, made)

    assert without_line(columnar.read(path).bars()) == without_line(made)


def test_what_is_known_is_not_taken_twice(tmp_path: Path) -> None:
    path = a_file(tmp_path, rows())
    take_in(path, tmp_path, most_bad=0, replace=False)
    before = (tmp_path / "2016-08-16.parquet").stat().st_mtime_ns

    again = take_in(path, tmp_path, most_bad=0, replace=False)

    assert (again.added, again.known) == (0, 3)
    assert (tmp_path / "2016-08-16.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize(("replace", "close"), [(False, 10_100), (True, 10_150)])
def test_a_bar_that_contradicts_the_catalogue_is_listed_unless_it_is_to_replace(
    tmp_path: Path, replace: bool, close: int
) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    other = a_file(tmp_path, rows().replace("100.0,101.0,100.0,101.0", "100,102,100,101.5"))

    imported = take_in(other, tmp_path, most_bad=0, replace=replace)

    said = [str(row) for row in imported.contradicted]
    kept = read_file(tmp_path / "2016-08-16.parquet").good.bars()
    assert kept[0].close == close
    assert said == (
        []
        if replace
        else ["line 2, high: TCS at 2016-08-16 09:15: ₹102.00, the catalogue has ₹101.00"]
    )


def test_a_file_of_several_days_becomes_several_days(tmp_path: Path) -> None:
    path = a_file(tmp_path, rows() + rows(day="2016-08-17"))

    imported = take_in(path, tmp_path, most_bad=0, replace=False)

    assert [day for day, _ in columnar.days_in(tmp_path)] == sorted(imported.days)
    assert len(imported.days) == 2


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "2016-08-16.parquet"
    pq.write_table(pa.table({"symbol": ["TCS"], "close": [1.5]}), path)

    with pytest.raises(Misconfigured, match="none that `ats data import` wrote"):
        read_file(path)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("high", 1, "open or close is outside low to high"),
        ("open", 0, "a price is impossible"),
        ("volume", -1, "the volume is impossible"),
        ("start", OPEN - NS_PER_MINUTE, "not a minute of the day's session"),
        ("start", OPEN, "a second bar of the same minute, or out of order"),
    ],
)
def test_a_day_that_was_changed_on_the_disk_is_refused_with_its_row(
    tmp_path: Path, column: str, value: int, why: str
) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = tmp_path / "2016-08-16.parquet"
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[2] = value
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(column), [values]), path)

    with pytest.raises(Misconfigured, match=f"row 3: {why}"):
        read_file(path)


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_a_torn_day_is_refused_in_words(tmp_path: Path, cut: int) -> None:
    take_in(a_file(tmp_path, rows()), tmp_path, most_bad=0, replace=False)
    path = tmp_path / "2016-08-16.parquet"
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(Misconfigured, match=r"cannot read the market file 2016-08-16\.parquet"):
        read_file(path)


def test_two_imports_do_not_write_one_catalogue_at_once(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(TryLater, match="another import"), held(tmp_path):
            pass


def test_a_file_that_cannot_be_used_stops_only_itself(tmp_path: Path) -> None:
    good = a_file(tmp_path, rows())
    folder = tmp_path / "kept"

    told = CliRunner().invoke(
        app, ["data", "import", str(tmp_path / "gone.csv"), str(good), "--catalogue", str(folder)]
    )

    assert told.exit_code == 64
    assert "gone.csv: no such file" in told.output
    assert "3 bars are new" in told.output


def test_a_symbol_that_misses_minutes_or_a_day_is_found() -> None:
    later = date(2016, 8, 17)
    whole = [bar("TCS", minute, 100) for minute in range(375)]

    found = list(findings(told({DAY: [*whole, bar("INFY", 0, 100)], later: []})))

    assert [(each.symbol, each.kind) for each in found] == [
        ("INFY", Kind.GAP),
        ("INFY", Kind.ABSENT),
        ("TCS", Kind.ABSENT),
    ]
    assert found[0].said == "374 of 375 minutes have no bar"


def test_bars_that_nobody_traded_are_found_of_a_share_and_not_of_an_index() -> None:
    share = [bar("TCS", minute, 100, volume=int(minute < 100)) for minute in range(375)]
    index = [bar("NIFTY", minute, 100, volume=0) for minute in range(375)]

    found = list(findings(told({DAY: [*share, *index]})))

    assert [(each.symbol, each.kind) for each in found] == [("TCS", Kind.PADDED)]


def test_a_bonus_between_two_days_is_found() -> None:
    later = date(2016, 8, 17)
    before = [bar("TCS", minute, 100_000) for minute in range(375)]
    after = [bar("TCS", minute, 50_400, day=later) for minute in range(375)]

    found = list(findings(told({DAY: before, later: after})))

    assert [each.said for each in found] == [
        "opens at ₹504.00 after ₹1,000.00: as if 1 old became 2 new"
    ]


@pytest.mark.parametrize(
    ("ratio", "kinds"), [(2, []), (5, [Kind.MISFIT])], ids=["explains", "does not fit"]
)
def test_an_opening_is_told_against_the_actions_that_are_known(
    ratio: int, kinds: list[Kind]
) -> None:
    later = date(2016, 8, 17)
    before = [bar("TCS", minute, 100_000) for minute in range(375)]
    after = [bar("TCS", minute, 50_400, day=later) for minute in range(375)]
    known = Actions([Action(later, "TCS", Fraction(ratio))])

    found = list(findings(told({DAY: before, later: after}), known))

    assert [each.kind for each in found] == kinds


@pytest.mark.parametrize(
    ("close", "opened", "action"),
    [
        (100, 50, Fraction(1, 2)),
        (100, 21, None),
        (100, 20, Fraction(1, 5)),
        (100, 88, None),  # a crash of twelve percent is no action
        (100, 112, None),
        (100, 1_000, Fraction(10)),  # ten shares of one rupee became one of ten
    ],
)
def test_an_action_is_told_from_a_move(close: int, opened: int, action: Fraction | None) -> None:
    assert action_between(close, opened) == action
