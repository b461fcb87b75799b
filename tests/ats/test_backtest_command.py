"""`ats backtest` on a small file of candles, in this process."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from pydantic import JsonValue

from ats.backtest.command import BacktestOptions, command
from ats.backtest.figures import BY, part_of, parts_of
from ats.backtest.page import page
from ats.backtest.result import Backtest, warm_up_days
from ats.cli.backtest import backtest
from ats.services.streams import computed_under
from ats.settings import load
from backtest.fills import Fills
from backtest.run import DayPlayed, Result
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.market import Timeframe
from schemas.units import Paise, UtcNs
from streams.rules import RULES, Columns, Directions, Rule, directions
from streams.rules.config import one_rule
from tests.backtest.factories import ENTERED, a_trade, played, random_candles

DAYS = ("2016-08-16", "2016-08-17")


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two shares that walk at random."""
    return random_candles(tmp_path_factory.mktemp("market") / "candles.csv", DAYS)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of this machine


def asked(candles: Path, html: Path | None = None, trades: Path | None = None, *,
          as_json: bool = True, **changes: Any) -> BacktestOptions:  # fmt: skip
    return BacktestOptions(replace(played(candles), **changes), trades, html, as_json)


@pytest.fixture
def told(candles: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(**changes: Any) -> dict[str, Any]:
        assert command(asked(candles, **changes)) == 0
        body: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return body

    return run


def test_json_page_and_parquet_file_tell_of_the_same_trades(
    told: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    html, trades = tmp_path / "sheet.html", tmp_path / "trades.parquet"

    body = told(html=html, trades=trades)

    table = pq.read_table(trades)
    assert sum(table["net"].to_pylist()) == body["total"]["net"] != 0
    assert table.num_rows == body["total"]["figures"]["number"] > 10
    assert orjson.loads(table.schema.metadata[b"ats.backtest"]) == body["rests_on"]
    assert body["rests_on"]["id"] in html.read_text()
    assert f"{table.num_rows:,}" in html.read_text()


def test_the_same_data_code_and_configuration_have_one_name(
    told: Callable[..., dict[str, Any]],
) -> None:
    names = [told()["rests_on"]["id"] for _ in range(2)]

    assert names[0] == names[1] != told(latency=5)["rests_on"]["id"]


def test_a_limit_on_the_days_loss_halts_accounts_and_stands_in_the_result(
    told: Callable[..., dict[str, Any]],
) -> None:
    body = told(max_daily_loss=1)

    assert body["rests_on"]["orders"]["max_daily_loss"] == 100
    assert sum(each.get("halted", 0) for each in body["outcomes"].values()) > 0


def test_bars_are_adjusted_by_a_file_of_actions_which_the_result_names(
    told: Callable[..., dict[str, Any]], candles: Path, tmp_path: Path
) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"date,symbol,ratio\n{DAYS[1]},TCS,2\n")

    named = told(actions=path)["rests_on"]["actions"]

    assert named == sha256(path.read_bytes()).hexdigest()
    path.write_text(f"date,symbol,ratio\n{DAYS[1]},TCS,9999\n2016-12-01,TCS,9999\n")
    with pytest.raises(Misconfigured, match="adjusted by 99980001"):
        command(asked(candles, actions=path))


def test_what_is_played_can_be_cut_to_days_and_symbols(
    told: Callable[..., dict[str, Any]],
) -> None:
    day = date.fromisoformat(DAYS[1])

    body = told(days=(day, day), symbols=frozenset({"TCS"}))

    assert [each["name"] for each in body["by_symbol"]] == ["TCS"]
    assert [each["name"] for each in body["by_day"]] == [DAYS[1]]
    assert [each["warm_up"] for each in body["rests_on"]["data"]] == [True, False]


def test_the_table_tells_each_rule_and_what_became_of_the_signals(
    candles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(asked(candles, as_json=False))

    said = capsys.readouterr().out
    assert all(rule.name in said for rule in RULES)
    assert "2 days from 2016-08-16 to 2016-08-17" in said
    assert "charged by the rates of" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"markets": ()}, "the catalogue nowhere holds no day: take files into it"),
        ({"markets": (Path("gone.csv"),)}, "gone.csv: no such file"),
        ({"symbols": frozenset({"TATA"})}, "--symbols: none of the days has 'TATA'"),
        ({"days": (date(2017, 1, 2), date(2017, 1, 3))}, "no day from 2017-01-02 to 2017-01-03"),
    ],
)
def test_what_cannot_be_played_is_named(candles: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        command(asked(candles, **changes))


@pytest.mark.parametrize(
    "days", ["2016-08-16..", "..2016-08-16", "yesterday", "2016-08-17..2016-08-16"]
)
def test_a_span_of_days_that_is_none_is_refused(days: str) -> None:
    with pytest.raises(Misconfigured, match="--days"):
        backtest(days=days)


def test_drawdown_is_from_the_highest_sum_of_results_after_charges() -> None:
    later = [UtcNs(ENTERED + UtcNs.minutes(minute)) for minute in range(3)]
    trades = [
        a_trade(left_at=at, exit_value=Paise(100_000 + gross), charges=Paise(100))
        for at, gross in zip(later, (600, -300, -100), strict=True)
    ]

    part = part_of("all", trades)

    assert (part.gross, part.charges, part.net, part.drawdown) == (200, 300, -100, 600)


def test_a_rule_that_never_traded_has_a_row() -> None:
    parts = parts_of([a_trade()], BY["rule"], ["rsi_reversal", "ema_cross"])

    assert [(each.name, each.figures.number) for each in parts] == [
        ("ema_cross", 1),
        ("rsi_reversal", 0),
    ]


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_played(
    tmp_path: Path,
) -> None:
    gone = tmp_path / "gone" / "file"

    for options in (asked(tmp_path / "no.csv", html=gone), asked(tmp_path / "no.csv", trades=gone)):
        with pytest.raises(Misconfigured, match=r"--\w+ .*gone/file cannot be written: No such"):
            command(options)


def test_trades_that_find_no_room_leave_the_file_before_as_it_was(
    candles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "trades.parquet"
    target.write_bytes(b"before")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)

    with pytest.raises(Misconfigured, match=r"--trades .* cannot be written: No space"):
        command(asked(candles, trades=target))

    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


NAMED: dict[str, JsonValue] = {"id": "0" * 64, "fills": "book"}


def test_plain_fills_are_called_no_evidence_on_the_page() -> None:
    trade = a_trade()
    day = DayPlayed(trade.day, "file.csv", "00", 1, 1, 1)
    result = Result((trade,), (day,), {})

    told = [page(Backtest(result, NAMED | {"fills": each.value}, None, ())) for each in Fills]

    assert [each for each, html in zip(Fills, told, strict=True) if "no evidence" in html] == [
        Fills.PLAIN
    ]


def test_a_name_from_outside_is_text_on_the_page() -> None:
    trade = a_trade(symbol="<script>alert(1)</script>")
    day = DayPlayed(trade.day, "file.csv", "00", 1, 1, 1)
    made = Backtest(Result((trade,), (day,), {}), NAMED, None, ())

    assert "<script" not in page(made)


def test_a_rule_on_long_bars_asks_for_the_days_that_it_warms_up_on() -> None:
    assert warm_up_days(one_rule(None, "golden_cross", {})) == 51
    assert warm_up_days(one_rule(None, "rsi_reversal", {})) == 1


def test_a_rule_that_looks_ahead_ends_it_and_is_named_with_its_column_and_bar(
    candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_bar(bars: Columns) -> Directions:
        later = np.roll(bars["close"], -1) > bars["close"]
        return directions(bullish=later, bearish=~later)

    rule = Rule("mine", Timeframe.M1, next_bar, ("close",))
    before = computed_under(load(), EVERY_DAY)
    computed = before._replace(rule_set=replace(before.rule_set, rules=(rule,)))
    monkeypatch.setattr("ats.backtest.command.computed_under", lambda *_: computed)

    with pytest.raises(
        Misconfigured, match=r"rule mine@1m looks ahead through 'close': .* (TCS|RELIANCE) at 2016"
    ):
        command(asked(candles))


def test_how_far_it_can_be_trusted_stands_in_the_table_the_json_and_the_page(
    told: Callable[..., dict[str, Any]],
    candles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    html = tmp_path / "sheet.html"
    found = told(html=html)["evidence"]["ema_cross"]

    assert command(asked(candles, as_json=False)) == 0

    assert found["trades"] == found["profit_factor"]["count"] == 5
    assert found["tries"] == found["knew_days"]["groups"] == 2
    assert "Can it be chance?" in capsys.readouterr().out
    assert "As costs grow</h2>" in html.read_text()
