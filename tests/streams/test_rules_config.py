"""The rules file: which rules run, with which parameters."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Timeframe
from schemas.strategy import Strategy, StrategyMode
from schemas.units import Paise, UtcNs
from streams.rules.config import RuleSet, one_rule, read, rule_set_of
from streams.rules.discovery import load_factory, rule_plugins

EXAMPLE = Path(__file__).resolve().parents[2] / "rules.example.toml"


def book(text: str) -> RuleSet:
    return rule_set_of(tomllib.loads(text))


def test_exactly_the_rules_of_the_file_run_in_its_order() -> None:
    found = book("[rules.macd_cross]\n[rules.ema_cross]\n[rules.rsi_reversal]\nenabled = false")

    assert [rule.key for rule in found.rules] == ["macd_cross@60m", "ema_cross@5m"]


def test_a_section_sets_timeframe_limits_cooldown_and_instruments() -> None:
    (rule,) = book(
        '[rules.rsi_reversal]\ntimeframe = "15m"\nlow = 20\ncooldown_minutes = 90\n'
        'instruments = ["NSE_EQ:2885"]'
    ).rules

    assert (rule.timeframe, rule.cooldown) == (Timeframe.M15, UtcNs.minutes(90))
    assert rule.instruments == frozenset({InstrumentId(Segment.NSE_EQ, 2885)})
    bars = {"previous_rsi_14": [19.0, 29.0], "rsi_14": [21.0, 31.0]}
    assert rule.evaluate({name: np.array(values) for name, values in bars.items()}, 2).tolist() == [
        1,
        0,
    ]


def test_a_mode_makes_a_strategy_of_a_rule_and_off_is_not_evaluated() -> None:
    found = book(
        '[rules.ema_cross]\nmode = "shadow"\n[rules.macd_cross]\n[rules.rsi_reversal]\nmode = "off"'
    )

    assert [rule.strategy for rule in found.rules] == [
        Strategy(name="ema_cross", mode=StrategyMode.SHADOW),
        None,
    ]


def test_a_section_has_capital_and_limits_of_its_own_in_rupees() -> None:
    (rule,) = book(
        "[rules.ema_cross]\ncapital_rupees = 50000\nmax_open_positions = 3\n"
        "max_orders_per_day = 10\nmax_daily_loss_rupees = 1500"
    ).rules

    assert rule.strategy == Strategy(
        name="ema_cross",
        capital=Paise(5_000_000),
        max_open_positions=3,
        max_orders_per_day=10,
        max_daily_loss=Paise(150_000),
    )


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(Misconfigured, match=r"ema_cross.*mode='real'.*'shadow', 'paper' or 'live'"):
        book('[rules.ema_cross]\nmode = "real"')


def test_one_rule_may_run_twice_under_two_names() -> None:
    found = book('[rules.ema_cross]\n[rules.slow_ema_cross]\nrule = "ema_cross"\ntimeframe = "30m"')

    assert [rule.key for rule in found.rules] == ["ema_cross@5m", "slow_ema_cross@30m"]


def test_columns_of_talib_come_from_the_file_and_from_what_rules_need() -> None:
    found = book(
        '[talib]\nwindow = 100\ncolumns = { "15m" = ["talib.LINEARREG(timeperiod=14)"] }\n'
        '[rules.hammer]\nrule = "candlestick"\npattern = "CDLHAMMER"\n[rules.volume_surge]'
    )

    assert found.window == 100
    assert found.columns == {
        Timeframe.M5: ("talib.SMA(price=volume,timeperiod=20)",),
        Timeframe.M15: ("talib.CDLHAMMER", "talib.LINEARREG(timeperiod=14)"),
    }


def test_a_rule_that_is_switched_off_needs_no_columns() -> None:
    assert book("[rules.volume_surge]\nenabled = false").columns == {}


@pytest.mark.parametrize(
    "section", ["volume_surge]\ntimes = 0", "of_a_package_that_is_gone]\nlow = 3"]
)
def test_a_rule_that_cannot_be_made_can_be_switched_off(section: str) -> None:
    with pytest.raises(Misconfigured):
        book(f"[rules.{section}")

    found = book(f"[rules.{section}\nenabled = false\n[rules.ema_cross]")

    assert [rule.key for rule in found.rules] == ["ema_cross@5m"]


def test_the_common_settings_of_a_rule_that_is_switched_off_are_checked() -> None:
    with pytest.raises(Misconfigured, match="cooldown_minutes=-1"):
        book("[rules.volume_surge]\nenabled = false\ncooldown_minutes = -1")


def test_a_rule_that_is_switched_off_can_be_asked_for_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[rules.rsi_reversal]\nenabled = false\nlow = 20\n")

    assert one_rule(path, "rsi_reversal", {"timeframe": "15m"}).key == "rsi_reversal@15m"
    with pytest.raises(Misconfigured, match="low=101"):
        one_rule(path, "rsi_reversal", {"low": 101})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("['RELIANCE']", "not an instrument: 'RELIANCE' (expected for example NSE_EQ:2885)"),
        ("[2885]", "not an instrument: '2885' (expected for example NSE_EQ:2885)"),
        ("'NSE_EQ:2885'", 'write a list, such as ["NSE_EQ:2885"]'),
        ("[]", 'name some, such as ["NSE_EQ:2885"], or leave it out for all'),
    ],
)
def test_instruments_that_are_none_are_one_message_with_an_example(given: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        book(f"[rules.ema_cross]\ninstruments = {given}")

    value = tomllib.loads(f"value = {given}")["value"]
    assert str(caught.value) == f"[rules.ema_cross] instruments={value!r} is not usable: {says}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[rule.ema_cross]", r"rule: unknown; a rules file has \[rules.NAME\] and \[talib\]"),
        ("rules = 3", "rules=3 is not usable"),
        ("[rules]\nema_cross = true", "rules.ema_cross=True is not usable"),
        ("[rules.EmaCross]", "'EmaCross' cannot be a rule's name"),
        ("[rules.ema_crss]", r"\[rules.ema_crss\] no installed package.*did you mean ema_cross"),
        (
            "[rules.ema_cross]\nperiod = 9",
            r"\[rules.ema_cross\] .*agentic-trading-system .*no parameter 'period'",
        ),
        (
            "[rules.rsi_reversal]\nlow = 101",
            "low=101 is not usable: Input should be less than or equal to 100",
        ),
        ("[rules.ema_cross]\nfast = 30", "fast=30 must be less than slow=21"),
        ("[rules.ema_cross]\nslow = 401", "slow=401 is not usable"),
        ("[rules.ema_cross]\ncooldown_minutes = -1", "cooldown_minutes=-1 is not usable"),
        ("[rules.ema_cross]\ninstruments = ['RELIANCE']", "not an instrument: 'RELIANCE'"),
        ("[rules.ema_cross]\ninstruments = []", "instruments=.* is not usable"),
        (
            "[rules.trend_pullback]\ntrend = '5m'",
            "'ema_50@5m': a rule on 5m bars can look at longer bars only",
        ),
        (
            "[rules.candlestick]\npattern = 'CDLHAMER'",
            "no function CDLHAMER .did you mean CDLHAMMER",
        ),
        ("[talib]\nwindow = 1", "talib.window=1 is not usable"),
        ("[talib.columns]\n'2m' = ['talib.CDLDOJI']", "2m"),
        (
            "[talib.columns]\n'5m' = ['ema_9']",
            r"\[talib.columns\] 5m: 'ema_9' must be a column such as",
        ),
        ("[talib.columns]\n'5m' = ['talib.CDLDOJ']", "did you mean CDLDOJI"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        book(text)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[rules.ema_cross]\nlow = 1\n[rules.nonsense]\n")

    with pytest.raises(
        Misconfigured, match=r"rules file .*rules.toml: \[rules.ema_cross\] .*; \[rules.nonsense\] "
    ):
        read(path)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"[rules", "not TOML"), (b"\xff", "not TOML")]
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "rules.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Misconfigured, match=rf"rules file .*rules.toml.*{says}"):
        read(path)


def test_the_example_names_every_rule_and_parameter_of_ours_with_its_default() -> None:
    switched_on = EXAMPLE.read_text().replace("enabled = false\n", "")

    example = tomllib.loads(switched_on)["rules"]

    ours = [
        plugin
        for plugin in rule_plugins()
        if plugin.distribution.startswith("agentic-trading-system ")
    ]
    assert all(
        f"# {load_factory(plugin).about}\n[rules.{plugin.name}]" in EXAMPLE.read_text()
        for plugin in ours
    )
    assert example == {plugin.name: load_factory(plugin).defaults for plugin in ours}
    assert [rule.key for rule in read(EXAMPLE).rules] == [rule.key for rule in RuleSet().rules]
