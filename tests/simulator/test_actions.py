"""Splits and bonus issues: read strictly, and bars of before told in today's shares."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.units import Price, Quantity
from simulator.market.actions import Action, Actions, read_actions
from simulator.market.bar_columns import Bar, BarColumns
from simulator.market.files import read_file
from simulator.market.session import market_session

MONDAY, TUESDAY, FRIDAY = date(2024, 10, 21), date(2024, 10, 22), date(2024, 10, 25)
MONTH = date(2024, 11, 21)


def a_file(folder: Path, *lines: str) -> Path:
    path = folder / "actions.csv"
    path.write_text("\n".join(("date,symbol,ratio", *lines)))
    return path


def bar(day: date, *prices: int, volume: int = 100, symbol: str = "RELIANCE") -> Bar:
    opened, high, low, close = map(Price, prices)
    return Bar(1, symbol, market_session(day).open, opened, high, low, close, Quantity(volume))


def test_bars_of_before_an_action_are_told_in_the_shares_of_after_it(tmp_path: Path) -> None:
    actions = read_actions(a_file(tmp_path, "2024-10-22,RELIANCE,2", "2024-10-25,RELIANCE,3/2"))
    days = [bar(day, 3_001, 3_010, 3_000, 3_005) for day in (MONDAY, TUESDAY, FRIDAY)]

    before, between, after = actions.adjusted(BarColumns.of(days)).bars()

    assert (before.open, before.close, before.volume) == (1_000, 1_002, 300)
    assert (between.open, between.volume) == (2_001, 150)
    assert after == days[2]


def test_another_symbol_is_as_it_was(tmp_path: Path) -> None:
    actions = read_actions(a_file(tmp_path, "2024-10-22,RELIANCE,2"))
    other = bar(MONDAY, 100, 101, 99, 100, symbol="TCS")

    assert actions.adjusted(BarColumns.of([other])).bars() == [other]


def test_a_file_is_read_adjusted_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "RELIANCE.csv"
    path.write_text("date,open,high,low,close,volume\n2024-10-21 09:15,30,32,28,30,10\n")
    before = path.read_bytes()

    [read] = read_file(path, Actions([Action(TUESDAY, "RELIANCE", Fraction(2))])).good.bars()

    assert (read.open, read.high, read.low, read.volume) == (1_500, 1_600, 1_400, 20)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        "2024-10-22,RELIANCE",
        "22-10-2024,RELIANCE,2",
        "2024-10-22,,2",
        "2024-10-22,RELIANCE,0",
        "2024-10-22,RELIANCE,-2",
        "2024-10-22,RELIANCE,1e400",
        "2024-10-22,RELIANCE,1/0",
        "2024-10-22,RELIANCE,NaN",
        "2024-10-22,RELIANCE,2,2",
        '2024-10-22,"RELI',
    ],
)
def test_a_line_that_is_no_action_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(Misconfigured, match=r"line 2: .* is no action"):
        read_actions(a_file(tmp_path, line))


def test_an_action_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="line 3: a second action of RELIANCE"):
        read_actions(a_file(tmp_path, "2024-10-22,RELIANCE,2", "2024-10-22,RELIANCE,2"))


def test_a_ratio_that_leaves_no_price_is_refused() -> None:
    actions = Actions([Action(TUESDAY, "RELIANCE", Fraction(1_000))])

    with pytest.raises(Misconfigured, match="is the ratio right"):
        actions.adjusted(BarColumns.of([bar(MONDAY, 100, 100, 100, 100)]))


@given(st.lists(st.integers(1_000, 10**6), min_size=4, max_size=4), st.fractions(1, 10))
def test_an_adjusted_bar_is_a_bar(prices: list[int], ratio: Fraction) -> None:
    low, opened, close, high = sorted(prices)
    actions = Actions([Action(MONTH, "RELIANCE", ratio)])

    [made] = actions.adjusted(BarColumns.of([bar(MONDAY, opened, high, low, close)])).bars()

    assert 0 < made.low <= min(made.open, made.close) <= max(made.open, made.close) <= made.high
