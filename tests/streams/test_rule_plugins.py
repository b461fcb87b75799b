"""Rules of other packages: found, checked before they run, and named with a remedy when they
cannot.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import Misconfigured
from schemas.ids import Segment
from schemas.market import Timeframe
from streams.columns.names import INDICATOR_COLUMNS, WARM_UP_OF
from streams.columns.parse import parse_column, talib_columns
from streams.engine.engine import Engine
from streams.engine.machine import EngineMachine
from streams.rules import ema_cross
from streams.rules.discovery import find_plugin, load_factory, rule_plugins
from streams.rules.rule import warm_up
from streams.rules.trend_pullback import trend_pullback
from streams.rules.volume_surge import volume_surge
from tests.streams.factories import batch_of, indicators, random_market, run

Install = Callable[..., None]

GOOD = '''
from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.market import Timeframe
from streams.rules import Columns, Directions, Rule, directions


def wide_range(
    timeframe: Timeframe = Timeframe.M5, times: Annotated[float, Field(gt=1, le=20)] = 2.0
) -> Rule:
    """The bar's range is more than `times` the average one.

    A second paragraph.
    """

    def evaluate(bars: Columns) -> Directions:
        wide = bars["high"] - bars["low"] > times * bars["previous_atr_14"]
        rising, falling = bars["close"] > bars["open"], bars["close"] < bars["open"]
        return directions(bullish=wide & rising, bearish=wide & falling)

    if times == 13:
        raise ValueError("times brings bad luck")
    return Rule("wide_range", timeframe, evaluate,
                needs=("open", "high", "low", "close", "previous_atr_14"))
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with one rule where Python finds it, as an installer does."""

    def put(
        source: str = GOOD, name: str = "wide_range", package: str = "my-rules", points_at: str = ""
    ) -> None:
        module = package.replace("-", "_")
        home = tmp_path / package
        about = home / f"{module}-0.3.dist-info"
        about.mkdir(parents=True)
        (home / f"{module}.py").write_text(source)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.3\n")
        (about / "entry_points.txt").write_text(
            f"[ats.rules]\n{name} = {points_at or f'{module}:wide_range'}\n"
        )
        monkeypatch.syspath_prepend(home)
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return put


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_every_rule_of_ours_is_offered_and_can_be_made_with_its_defaults() -> None:
    ours = [
        plugin
        for plugin in rule_plugins()
        if plugin.distribution.startswith("agentic-trading-system ")
    ]

    made = {plugin.name: load_factory(plugin).rule({}) for plugin in ours}

    assert len(made) >= 12
    assert len({rule.timeframe for rule in made.values()}) >= 4
    assert all(rule.name == name for name, rule in made.items())
    assert all(
        load_factory(plugin).about.endswith(".") or "(" in load_factory(plugin).about
        for plugin in ours
    )


def test_a_package_s_rule_is_found_and_takes_parameters(install: Install) -> None:
    install()

    factory = load_factory(find_plugin("wide_range"))
    rule = factory.rule({"timeframe": "15m", "times": 3})

    assert (rule.name, rule.timeframe) == ("wide_range", Timeframe.M15)
    assert str(factory.plugin) == "rule 'wide_range' of my-rules 0.3 (my_rules:wide_range)"
    assert factory.about == "The bar's range is more than `times` the average one."


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"times": 1}, "times=1 is not usable: Input should be greater than 1"),
        ({"times": "many"}, "times='many' is not usable"),
        ({"time": 3}, r"no parameter 'time' \(did you mean times\?\), it takes timeframe, times"),
        ({"timeframe": "7m"}, "timeframe='7m' is not usable: Input should be '1m'"),
        ({"times": 13}, "refuses its parameters: times brings bad luck"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_rule_and_package(
    install: Install, given: dict[str, object], says: str
) -> None:
    install()

    with pytest.raises(Misconfigured, match=rf"rule 'wide_range' of my-rules 0.3 .*{says}"):
        load_factory(find_plugin("wide_range")).rule(given)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import nothing_of_that_name",
            "cannot be imported: ModuleNotFoundError: .*mend or uninstall it",
        ),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3; mend or uninstall it"),
        ("wide = 1", "cannot be imported: AttributeError"),
        ("wide_range = 7", "is a int: it must be a function that returns a Rule"),
        ("def wide_range(): return 7", "returns a int: it must return a streams.rules.Rule"),
        ("def wide_range(): return 1 / 0", "cannot be made: ZeroDivisionError"),
        (
            "def wide_range(): raise SystemExit(3)",
            "cannot be made: SystemExit: 3; mend or uninstall it",
        ),
        ("def wide_range(times=2): ...", "parameter 'times' must have a type and a default"),
        ("def wide_range(times: int): ...", "parameter 'times' must have a type and a default"),
        ("def wide_range(times: 'Nothing' = 2): ...", "parameters cannot be read: name 'Nothing'"),
        ("def wide_range(times: 'exit(3)' = 2): ...", "parameters cannot be read: 3"),
        (
            "class Own: ...\ndef wide_range(times: Own = Own()): ...",
            "parameters cannot be read: .*Own",
        ),
        (
            "def wide_range(enabled: bool = True): ...",
            "parameter 'enabled' must be called otherwise",
        ),
        (
            changed('Rule("wide_range"', 'Rule("narrow"'),
            "names its rule 'narrow': make the two names equal",
        ),
        (
            changed('needs=("open",', 'needs=("opne",'),
            "column 'opne' does not exist .did you mean open",
        ),
        (
            changed('"close", "previous_atr_14")', '"close")'),
            "looks at 'previous_atr_14', which is not in its needs",
        ),
        (
            changed('needs=("open", "high", "low", "close", "previous_atr_14")', "needs=()"),
            "needs no column",
        ),
        (changed("return directions(", "return dict("), "returned dict instead of one int8"),
        (changed("return directions(", "raise SystemExit(3) or dict("), "failed: SystemExit: 3"),
        (
            changed('"previous_atr_14"))', '"previous_atr_14"), cooldown=15)'),
            r"cooldown=15 .* write .*UtcNs.minutes\(15\)",
        ),
        (
            changed(
                "return directions(", 'bars["close"][bars["close"] < 0] = 0; return directions('
            ),
            "ValueError: .*read-only",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_it_runs(
    install: Install, source: str, says: str
) -> None:
    install(source)

    with pytest.raises(
        Misconfigured, match=rf"^rule 'wide_range' of my-rules 0.3 \(my_rules:wide_range\).*{says}"
    ):
        load_factory(find_plugin("wide_range")).rule({})


@pytest.mark.parametrize(
    "points_at", ["my-rules:wide_range", "my_rules.wide_range()", ":wide_range"]
)
def test_a_malformed_entry_point_is_shown(install: Install, points_at: str) -> None:
    install(points_at=points_at)

    with pytest.raises(Misconfigured) as caught:
        load_factory(find_plugin("wide_range"))

    assert (
        f"has a malformed entry point: `wide_range = {points_at}` in its ats.rules must be like"
        in str(caught.value)
    )


def test_a_package_whose_entry_points_cannot_be_read_is_named(
    install: Install, tmp_path: Path
) -> None:
    install()
    (tmp_path / "my-rules" / "my_rules-0.3.dist-info" / "entry_points.txt").write_text(
        "[ats.rules]\nwide_range\n"
    )

    with pytest.raises(
        Misconfigured,
        match=r"the entry points of my-rules 0.3 cannot be read: .*; mend or uninstall",
    ):
        rule_plugins()


def test_a_rule_that_two_packages_offer_is_refused_naming_both(install: Install) -> None:
    install()
    install(package="their-rules")

    with pytest.raises(
        Misconfigured, match=r"my-rules 0.3 .* and their-rules 0.3 .*: uninstall all but one"
    ):
        find_plugin("wide_range")


def test_a_rule_nobody_offers_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(
        Misconfigured, match=r"'ema_crss' \(did you mean ema_cross\?\): install .* `ats rules list`"
    ):
        find_plugin("ema_crss")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ema_10", "does not exist .did you mean ema_"),
        ("previous_ticks", "ticks is known of the bar itself only"),
        ("complete@15m", "complete is known of the bar itself only"),
        ("previous_ema_9@15m", "of a longer timeframe there is the last closed bar only"),
        ("ema_9@5m", "a rule on 5m bars can look at longer bars only"),
        ("ema_9@1m", "a rule on 5m bars can look at longer bars only"),
        ("ema_9@2h", "'2h' is none of 1m, 3m"),
        ("talib.NOTHING", "TA-Lib has no function NOTHING"),
    ],
)
def test_a_column_that_does_not_exist_is_named(name: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=rf"column '{name}'.*{says}"):
        parse_column(name, Timeframe.M5)


def test_columns_of_talib_are_collected_by_the_bars_they_are_computed_on() -> None:
    needs = [
        (Timeframe.M5, "previous_talib.CDLDOJI"),
        (Timeframe.M5, "talib.SMA(timeperiod=5)@15m"),
        (Timeframe.M15, "talib.SMA(timeperiod=5)"),
        (Timeframe.M5, "ema_9"),
    ]

    assert talib_columns(needs) == {
        Timeframe.M5: ("talib.CDLDOJI",),
        Timeframe.M15: ("talib.SMA(timeperiod=5)",),
    }


def test_the_warm_up_told_of_every_reading_is_the_engine_s() -> None:
    outputs = run(
        [batch_of(random_market(5, 6_000, instruments=2, days=2))], EngineMachine(Engine(rules=()))
    )
    minutes = [
        each.values
        for each in indicators(outputs)
        if each.timeframe is Timeframe.M1 and each.instrument.segment is Segment.NSE_EQ
    ]

    leading = {
        name: next(n for n, values in enumerate(minutes) if values[name] is not None)
        for name in INDICATOR_COLUMNS
    }

    of_the_session = {
        name for name in INDICATOR_COLUMNS if name.startswith(("pivot", "opening_range"))
    }
    assert leading | dict.fromkeys(of_the_session, 0) == WARM_UP_OF


def test_a_rule_s_warm_up_counts_the_bars_of_every_timeframe_it_looks_at() -> None:
    assert warm_up(ema_cross()) == {Timeframe.M5: 22}  # EMA 21 at the bar before, too
    assert warm_up(trend_pullback()) == {Timeframe.M5: 21, Timeframe.M15: 50}
    assert warm_up(volume_surge()) == {Timeframe.M5: 21}
