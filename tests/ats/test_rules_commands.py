"""`ats rules`: what a quant sees, from nothing to a rule of their own that speaks."""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ats.commands import rules_list, rules_new, rules_try
from ats.commands.rules_try import Trial, run
from ats.runtime import exit_codes
from ats.services.streams import service_of
from ats.settings import Settings
from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.engine.machine import EngineMachine, warm_up
from streams.rules import Columns, Directions, Rule, directions

HEADER = "symbol,timestamp,open,high,low,close,volume\n"


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile before any test, so that no test's time limit pays for it."""
    warm_up()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def falling_then_rising(path: Path, day: str = "2016-08-16") -> Path:
    """Twenty falling minutes and ten rising ones, again and again, of one share."""
    lines, paise = [HEADER], 100_000
    for minute in range(90):
        opened, paise = paise, paise + (-100 if minute % 30 < 20 else 90)
        low, high = sorted((opened, paise))
        prices = ",".join(f"{price / 100:.2f}" for price in (opened, high, low, paise))
        clock = f"{9 + (15 + minute) // 60:02}:{(15 + minute) % 60:02}"
        lines.append(f"TCS,{day}T{clock}:00+05:30,{prices},1000\n")
    path.write_text("".join(lines))
    return path


def a_trial(
    name: str = "rsi_reversal",
    *,
    rules: Path | None = None,
    given: tuple[str, ...] = (),
    **more: object,
) -> Trial:
    whole: dict[str, object] = {"markets": (), "days": 1, "seed": 7, "limit": 20}
    return Trial(name, rules, given, **(whole | more))  # type: ignore[arg-type]


def test_a_trial_adjusts_bars_by_a_file_of_actions_and_wants_days_for_it(
    console: Console, tmp_path: Path
) -> None:
    market = falling_then_rising(tmp_path / "day.csv")
    actions = tmp_path / "actions.csv"
    actions.write_text("date,symbol,ratio\n2016-09-01,TCS,2\n")

    run(console, a_trial(given=("timeframe=1m",), markets=(market,), actions=actions))

    prices = [float(each) for each in re.findall(r"₹(\d+\.\d+)", said(console))]
    assert prices
    assert all(450 < price < 550 for price in prices)
    with pytest.raises(Misconfigured, match="--actions are of recorded days"):
        run(console, a_trial(actions=actions))


def test_the_list_says_what_runs_where_it_is_from_and_what_it_needs(
    console: Console, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[rules.ema_cross]\n[rules.slow]\nrule = "ema_cross"\ntimeframe = "60m"\n')

    rules_list.show(console, rules)

    assert "ema_cross runs as ema_cross@5m, slow@60m\n    EMA `fast` crosses EMA `slow`." in said(
        console
    )
    assert "rsi_reversal does not run" in said(console)
    assert re.search(
        r"needs       open high low close ema_21 ema_50@15m\n    warm-up     21 x 5m, 50 x 15m,",
        said(console),
    )
    assert re.search(
        r"from        agentic-trading-system \S+ \(streams.rules.ema_cross:ema_cross\)",
        said(console),
    )


def test_a_rule_that_cannot_be_imported_is_listed_with_the_reason(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _announce(tmp_path, "broken_rule", "no_such_module:broken_rule")
    monkeypatch.syspath_prepend(tmp_path)

    rules_list.show(console, None)

    assert re.search(
        r"broken_rule does not run\n    CANNOT RUN: .*cannot be imported: ModuleNotFoundError",
        said(console),
    )
    assert "ema_cross runs as ema_cross@5m" in said(console)


def test_a_list_under_a_rules_file_that_cannot_be_used_shows_all_rules_and_fails_with_what_is_wrong(
    console: Console, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[rules.nothing]\n")

    with pytest.raises(
        Misconfigured, match=r"rules.toml: \[rules.nothing\] .* choose from `ats rules list`"
    ):
        rules_list.show(console, rules)

    assert "ema_cross\n    EMA `fast` crosses EMA `slow`." in said(console)
    assert "vwap_reversion\n" in said(console)
    assert "run" not in re.findall(r"^ema_cross.*", said(console), re.MULTILINE)[0]


def test_a_file_that_check_cannot_find_is_its_argument_s_fault_and_no_setting_s(
    console: Console, tmp_path: Path
) -> None:
    with pytest.raises(
        Misconfigured,
        match=r"rules file .*none.toml: No such file.*; name a file that can be read$",
    ):
        rules_list.check(console, tmp_path / "none.toml")


def test_check_says_what_would_run(console: Console, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[rules.hammer]\nrule = "candlestick"\npattern = "CDLHAMMER"\ninstruments = '
        '["NSE_EQ:2885"]\n'
    )

    rules_list.check(console, rules)

    assert re.search(r"hammer +│ 15m +│ 15 min +│ live +│ NSE_EQ:2885", said(console))
    assert "on 15m bars TA-Lib computes talib.CDLHAMMER" in said(console)


def test_the_engine_runs_the_rules_and_columns_of_the_file_that_ats_rules_names(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[rules.volume_surge]\n[talib.columns]\n"15m" = ["talib.CDLDOJI"]\n')

    machine = service_of(Settings(_env_file=None, ats_rules=rules)).fresh(0)

    assert isinstance(machine, EngineMachine)
    assert [rule.key for rule in machine.engine.rules] == ["volume_surge@5m"]
    computed = [
        column.name for window in machine.engine.talib.windows.values() for column in window.columns
    ]
    assert computed == ["talib.SMA(price=volume,timeperiod=20)", "talib.CDLDOJI"]


@pytest.mark.parametrize(
    ("section", "setting", "says"),
    [
        (
            "ema_cross",
            {"ats_timeframes": ("1m", "15m")},
            "rule ema_cross@5m: bars of 5m are not made; .*ATS_TIMEFRAMES",
        ),
        (
            "ema_cross",
            {"ats_indicators": ("rsi",)},
            "rule ema_cross@5m needs 'previous_ema_9'; add ema to ATS_INDICATORS",
        ),
        (
            "trend_pullback",
            {"ats_timeframes": ("1m", "5m")},
            (
                "rule trend_pullback@5m needs 'ema_50@15m': bars of 15m are not made; add it to "
                "ATS_TIME"
            ),
        ),
        ("volume_surge", {"ats_timeframes": ("1m",)}, "on 5m bars: they are not made; add 5m"),
    ],
)
def test_a_rule_that_needs_what_a_setting_leaves_out_is_refused_before_the_engine_joins_anything(
    tmp_path: Path, section: str, setting: dict[str, tuple[str, ...]], says: str
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(f"[rules.{section}]\n")

    with pytest.raises(Misconfigured, match=says):
        service_of(Settings(_env_file=None, ats_rules=rules, **setting))  # type: ignore[arg-type]


def test_check_and_list_warn_of_a_file_that_enables_nothing(
    console: Console, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("# nothing yet\n")

    rules_list.check(console, rules)
    rules_list.show(console, rules)

    assert said(console).count("enables no rule: there will be candles and indicators") == 2


def test_check_of_a_bad_file_names_the_place_and_fails(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[rules.nothing]\n")

    done = subprocess.run(
        [sys.executable, "-m", "ats", "rules", "check", rules],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == exit_codes.MISCONFIGURED
    assert (
        "rules.toml: [rules.nothing] no installed package offers the rule 'nothing'" in done.stderr
    )


def test_a_trial_on_a_file_says_when_a_rule_spoke_and_on_what(
    console: Console, tmp_path: Path
) -> None:
    run(console, a_trial(markets=(falling_then_rising(tmp_path / "day.csv"),)))

    lines = said(console).splitlines()
    first = next(line for line in lines if line.startswith("2016-08-16"))
    assert re.match(
        r"2016-08-16 09:\d\d TCS +BULLISH +₹9\d\d\.\d\d  previous_rsi_14=[\d.]+ rsi_14=[\d.]+$",
        first,
    )
    assert re.search(
        r"rsi_reversal@1m on 1 days of 1 instruments, [\d,]+ ticks: \d signals", said(console)
    )
    assert "It was asked about 90 bars and knew all it needs on 75 (warm-up 16 x 1m)." in said(
        console
    )
    assert "Without the bars that came after, it says the same." in said(console)


def test_a_trial_takes_parameters_from_the_file_and_before_it_from_the_command_line(
    console: Console, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[rules.mine]\nrule = "rsi_reversal"\nenabled = false\ntimeframe = "3m"\nlow = 20\n'
    )
    market = falling_then_rising(tmp_path / "day.csv")

    run(console, a_trial("mine", rules=rules, given=("timeframe=5m",), markets=(market,)))

    assert "mine@5m on 1 days" in said(console)
    with pytest.raises(Misconfigured, match="high=101"):
        run(console, a_trial("mine", rules=rules, given=("high=101",), markets=(market,)))
    with pytest.raises(Misconfigured, match="'high' is not usable: write it as key=value"):
        run(console, a_trial("mine", rules=rules, given=("high",), markets=(market,)))


def test_a_trial_of_a_rule_that_looks_ahead_fails_and_names_the_bar(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_bar(bars: Columns) -> Directions:
        later = np.roll(bars["close"], -1) > bars["close"]
        return directions(bullish=later, bearish=~later)

    def rule(*_: object) -> Rule:
        return Rule("mine", Timeframe.M1, next_bar, ("close",))

    monkeypatch.setattr(rules_try, "one_rule", rule)
    market = falling_then_rising(tmp_path / "day.csv")

    with pytest.raises(Misconfigured, match=r"rule mine@1m looks ahead through 'close': .* TCS at"):
        run(console, a_trial(markets=(market,)))


def test_a_trial_that_never_warmed_up_says_so(console: Console, tmp_path: Path) -> None:
    run(console, a_trial("macd_cross", markets=(falling_then_rising(tmp_path / "day.csv"),)))

    assert "It never warmed up" in said(console)


def test_a_trial_counts_every_row_it_leaves_out_and_those_that_the_feed_cannot_carry(
    console: Console, tmp_path: Path
) -> None:
    market = falling_then_rising(tmp_path / "day.csv")
    silent = "VIX9,2016-08-16T09:{}:00+05:30,{price},{price},{price},{price},0\n"
    with market.open("a") as file:
        file.write("".join(silent.format(minute, price="200000.01") for minute in range(20, 24)))
        file.write("".join(silent.format(minute, price="abc") for minute in range(30, 33)))

    run(console, a_trial(markets=(market,), max_bad_share=0.1))

    assert len(re.findall(r"bad row in .*day\.csv: line \d+, open: ", said(console))) == 5
    assert re.search(
        r"line 92, open: ₹200,000.01 does not survive the feed's 32-bit float", said(console)
    )
    assert re.search(r"bad rows in .*day\.csv: 2 more", said(console))
    assert "on 1 days of 1 instruments" in said(console)


def test_a_trial_on_a_broken_file_is_refused(console: Console, tmp_path: Path) -> None:
    market = falling_then_rising(tmp_path / "day.csv")
    with market.open("a") as file:
        file.write("TCS,2016-08-16T11:00:00+05:30,abc,1,1,1,1\n")

    with pytest.raises(Misconfigured, match=r"day\.csv: 1 of 91 rows cannot be used"):
        run(console, a_trial(markets=(market,)))


def test_a_trial_says_what_its_file_held(console: Console, tmp_path: Path) -> None:
    run(console, a_trial(markets=(falling_then_rising(tmp_path / "day.csv"),)))

    assert "day.csv: 90 rows of 1 symbol, bars of 1 minute" in said(console)


@pytest.mark.parametrize("price", ["abc", "200000.01"])
def test_a_trial_on_a_file_without_any_usable_row_is_refused(
    console: Console, tmp_path: Path, price: str
) -> None:
    market = tmp_path / "day.csv"
    market.write_text(
        f"{HEADER}VIX9,2016-08-16T09:15:00+05:30,{price},{price},{price},200000.01,0\n"
    )

    with pytest.raises(Misconfigured, match=r"day\.csv has no usable row"):
        run(console, a_trial(markets=(market,)))

    assert "bad row in" in said(console)


def test_days_must_come_in_order(console: Console, tmp_path: Path) -> None:
    days = (
        falling_then_rising(tmp_path / "b.csv", "2016-08-17"),
        falling_then_rising(tmp_path / "a.csv"),
    )

    with pytest.raises(Misconfigured, match="holds 2016-08-16, which is not after 2016-08-17"):
        run(console, a_trial(markets=days))


def test_a_generated_market_gives_the_same_trial_twice(console: Console) -> None:
    again = Console(file=io.StringIO(), width=80)

    run(console, a_trial("supertrend_flip"))
    run(again, a_trial("supertrend_flip"))

    assert said(console) == said(again)
    assert re.search(
        r"supertrend_flip@15m on 1 days of 21 instruments, [\d,]+ ticks: [1-9]\d* signals",
        said(console),
    )


def _announce(home: Path, name: str, points_at: str) -> None:
    """What an installer would write beside a package."""
    about = home / f"{name}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(f"[ats.rules]\n{name} = {points_at}\n")
    importlib.invalidate_caches()


def test_the_template_passes_its_own_test_and_runs_in_the_engine(
    console: Console, tmp_path: Path
) -> None:
    rules_new.write(console, "wide_range", tmp_path / "mine")
    _announce(tmp_path / "mine", "wide_range", "wide_range:wide_range")
    env = os.environ | {"PYTHONPATH": str(tmp_path / "mine"), "COLUMNS": "200"}

    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "mine"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    tried = subprocess.run(
        [sys.executable, "-m", "ats", "rules", "try", "wide_range", "--days", "1", "--set",
        "times=1.5"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "2 passed" in tested.stdout, tested.stdout
    assert re.search(
        r"wide_range@5m on 1 days of 21 instruments, [\d,]+ ticks: [1-9]\d* signals", tried.stdout
    ), tried.stderr
    assert (
        'wide_range = "wide_range:wide_range"' in (tmp_path / "mine" / "pyproject.toml").read_text()
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("WideRange", "cannot be a rule's name"),
        ("ab", "cannot be a rule's name"),
        ("lambda", "cannot be a rule's name"),
        ("ema_cross", "there is a rule 'ema_cross' already"),
        ("statistics", "there is a Python module 'statistics' already"),
    ],
)
def test_a_name_that_cannot_be_or_is_taken_is_refused(
    console: Console, tmp_path: Path, name: str, says: str
) -> None:
    with pytest.raises(Misconfigured, match=says):
        rules_new.write(console, name, tmp_path / "mine")

    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten(console: Console, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(Misconfigured, match="is there already"):
        rules_new.write(console, "wide_range", tmp_path)


@pytest.mark.parametrize("place", ["file/inside", "file/in/side"])
def test_a_directory_that_cannot_be_made_is_named(
    console: Console, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("no directory")

    with pytest.raises(
        Misconfigured,
        match=rf"{place} cannot be written: .*Not a directory.*; name another directory",
    ):
        rules_new.write(console, "wide_range", tmp_path / place)
