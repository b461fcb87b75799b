"""`ats sweep` on a small file of candles, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ats.backtest.sweep import HeldDays, SweepOptions, command
from backtest.market import DayMarket
from backtest.sweep import play, search
from backtest.sweep.space import Search
from schemas.errors import Misconfigured
from simulator.market.generator import generate
from tests.backtest.factories import played, random_candles

DAYS = [f"2016-08-{day}" for day in (16, 17, 18, 19, 22, 23)]
SETS = ("rules.ema_cross.fast=5,9,30", "rules.ema_cross.slow=21")


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_candles(tmp_path_factory.mktemp("market") / "candles.csv", DAYS)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of this machine


def asked(
    candles: Path, html: Path | None = Path("map.html"), *, as_json: bool = True, **changes: Any
) -> SweepOptions:
    play = replace(played(candles), **changes)
    return SweepOptions(play, SETS, None, Path("sweep.jsonl"), html, as_json)


def told(capfd: pytest.CaptureFixture[str], options: SweepOptions) -> dict[str, Any]:
    assert command(options) == 0
    body: dict[str, Any] = json.loads(capfd.readouterr().out.splitlines()[-1])
    return body


def test_a_sweep_that_is_run_again_plays_nothing_and_says_the_same(
    candles: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(asked(candles)) == 0
    first = json.loads(capfd.readouterr().out.splitlines()[-1])
    monkeypatch.setattr(play, "run", None)

    assert command(asked(candles)) == 0

    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == first
    assert [each["values"]["fast"] for each in first["sweep"]["refused"]] == [30]
    assert len(first["sweep"]["lines"]) == first["sweep"]["tries"] == 2
    assert first["sweep"]["out_of_sample"]["days"] == 3
    assert first["rests_on"]["id"] in Path("map.html").read_text()


def test_bars_of_a_sweep_are_adjusted_by_a_file_of_actions_which_its_points_rest_on(
    candles: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"date,symbol,ratio\n{DAYS[3]},TCS,7\n")

    plain, adjusted = (told(capfd, asked(candles, actions=each)) for each in (None, path))

    assert adjusted["rests_on"]["actions"] == sha256(path.read_bytes()).hexdigest()
    one, other = (each["sweep"]["lines"][0]["point"] for each in (plain, adjusted))
    assert one["key"] != other["key"]
    assert [each["gross"] for each in one["days"][:3]] != [
        each["gross"] for each in other["days"][:3]
    ]


def test_a_search_that_was_killed_goes_on_to_the_same_points_and_the_same_answer(
    candles: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "AT_ONCE", 2)
    values = {"fast": "5..18", "slow": "21..121", "cooldown_minutes": "1..5"}  # no grid has so many
    sets = tuple(f"rules.ema_cross.{name}={some}" for name, some in values.items())
    options = replace(asked(candles, html=None), sets=sets, search=Search.BAYES, tries=4)
    whole = told(capfd, options)
    lines = options.results.read_bytes().splitlines(keepends=True)
    options.results.write_bytes(b"".join(lines[:2]) + lines[2][:40])

    again = told(capfd, options)

    assert again == whole
    assert options.results.read_bytes() == b"".join(lines)
    assert whole["sweep"]["tries"] == len(lines) == 4
    assert whole["sweep"]["out_of_sample"]["days"] == 3


def test_a_rule_that_refuses_every_point_is_said_at_once(candles: Path) -> None:
    with pytest.raises(Misconfigured, match="fast=30 must be less than slow=21"):
        command(replace(asked(candles), sets=("rules.ema_cross.fast=30,40",)))


def test_a_search_without_optuna_says_what_to_install(
    candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(Misconfigured, match="make setup-search"):
        command(replace(asked(candles), search=Search.BAYES))


def test_the_table_begins_with_what_was_held_out(
    candles: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(asked(candles, as_json=False, html=None)) == 0

    said = capfd.readouterr().out
    assert said.index("Out of sample: chosen on the days before") < said.index("In sample: the")
    assert "fast=5 slow=21" in said


def test_days_that_no_file_holds_are_said(candles: Path) -> None:
    with pytest.raises(Misconfigured, match="hold none of the days of --days"):
        command(asked(candles, days=(date(2020, 1, 1), date(2020, 1, 2))))


@pytest.mark.parametrize(("most", "times"), [(10**9, 1), (1, 3)])
def test_days_are_read_once_as_far_as_memory_goes(most: int, times: int) -> None:
    markets = [DayMarket.of(generate(5, date(2026, 11, 19) + timedelta(days=n), 1)) for n in (0, 1)]
    read, told = list[int](), list[date]()

    def reading() -> Iterator[DayMarket]:
        read.append(1)
        yield from markets

    days = HeldDays(reading, told.append, most)

    assert [list(days) for _ in range(3)] == [markets] * 3
    assert len(read) == times
    assert told == [each.session.day for each in markets] * 3
