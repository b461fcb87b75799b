"""A rule that sees the future, other bars or its own past is caught; ours see their columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from backtest.honesty import lookahead
from backtest.honesty.lookahead import Fault, Finding, Tape, find_lookahead
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.ticks import Batch
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.rules import Columns, Directions, Rule, directions
from streams.rules.discovery import load_factory, rule_plugins
from tests.streams.factories import heartbeat, random_market, split

ROWS = random_market(5, 12_000, instruments=4, days=2)
# as records arrive, and the last bars of the second day
BATCHES = [*split(ROWS, range(0, len(ROWS), 500)), heartbeat(int(ROWS["clock"][-1]) + 61 * 10**9)]


def tapes_of(rules: Sequence[Rule], batches: Iterable[Batch]) -> list[Tape]:
    """What an engine asks each of `rules` on the ticks of `batches`, and what they answer."""
    tapes = [Tape(rule) for rule in rules]
    engine = Engine(EngineConfig.needed_by(rules, EVERY_DAY), tuple(rules))
    for tape in tapes:
        tape.listen(engine)
    for batch in batches:
        engine.process(batch)
    return tapes


def heard(function: Callable[[Columns], Directions], needs: tuple[str, ...] = ("close",)) -> Tape:
    (tape,) = tapes_of([Rule("mine", Timeframe.M5, function, needs)], BATCHES)
    return tape


def found(tape: Tape) -> Finding | None:
    return find_lookahead(tape, {InstrumentId.parse("NSE_EQ:101"): "ACME"})


def rising(before: np.ndarray, now: np.ndarray) -> Directions:
    return directions(bullish=now > before, bearish=now < before)


def next_bar(bars: Columns) -> Directions:
    return rising(bars["close"], np.roll(bars["close"], -1))


def centred(bars: Columns) -> Directions:
    around = np.pad(bars["close"], 1, "edge")
    return rising(bars["close"], np.convolve(around, np.ones(3) / 3, "valid"))


def by_the_highest(bars: Columns) -> Directions:
    share = bars["close"] / bars["close"].max()
    return directions(bullish=share > 0.995, bearish=share < 0.9)


def by_the_mean(bars: Columns) -> Directions:
    return rising(np.full(len(bars["close"]), bars["close"].mean()), bars["close"])


@pytest.mark.parametrize("function", [next_bar, centred, by_the_highest, by_the_mean])
def test_a_rule_that_looks_ahead_in_its_array_is_caught(
    function: Callable[[Columns], Directions],
) -> None:
    finding = found(heard(function))

    assert finding
    assert (finding.fault, finding.columns) == (Fault.FUTURE, ("close",))


def test_the_message_names_rule_column_share_and_bar_and_says_what_to_do() -> None:
    (tape,) = tapes_of([Rule("mine", Timeframe.M5, next_bar, ("open", "close"))], BATCHES)

    assert re.fullmatch(
        r"rule mine@5m looks ahead through 'close': it says -?\d to \S+ at 2024-01-0\d \d\d:\d\d, "
        r"and -?\d without them; compare columns bar by bar, .*",
        str(found(tape)),
    )


def test_a_rule_that_looks_at_the_row_before_is_caught_for_it_is_another_share_s() -> None:
    def row_before(bars: Columns) -> Directions:
        before = np.concatenate([bars["close"][:1], bars["close"][:-1]])
        return rising(before, bars["close"])

    finding = found(heard(row_before))

    assert finding
    assert finding.fault is Fault.OTHER_BARS
    assert "previous_" in str(finding)


def test_a_rule_may_look_back_and_one_that_looks_ahead_from_there_is_caught() -> None:
    def high(bars: Columns) -> Directions:
        return rising(bars.lag(1).highest("close", 3), bars["close"])

    def next_low(bars: Columns) -> Directions:
        return rising(np.roll(bars.lag(2)["close"], -1), bars["close"])

    honest, ahead = (Rule("mine", Timeframe.M5, each, ("close",), lookback=3)
                     for each in (high, next_low))  # fmt: skip
    tape, other = tapes_of([honest, replace(ahead, name="ahead")], BATCHES)

    assert any(said.any() for said in tape.said)
    assert found(tape) is None
    finding = found(other)
    assert finding
    assert finding.fault in {Fault.FUTURE, Fault.OTHER_BARS}


def test_a_rule_that_remembers_is_caught() -> None:
    last: dict[str, float] = {}

    def remembering(bars: Columns) -> Directions:
        said = np.zeros(len(bars["close"]), np.int8)
        for place, close in enumerate(bars["close"]):
            said[place] = np.sign(close - last.get("close", close))
            last["close"] = close
        return said

    finding = found(heard(remembering))

    assert finding
    assert (finding.fault, finding.columns) == (Fault.MEMORY, ())


def test_a_rule_that_learns_the_future_from_an_earlier_run_is_caught() -> None:
    seen: set[float] = set()

    def knowing(bars: Columns) -> Directions:
        known = np.array([close in seen for close in bars["close"]])
        seen.update(bars["close"].tolist())
        return known.astype(np.int8)

    finding = found(heard(knowing))

    assert finding
    assert finding.fault is Fault.MEMORY


def test_a_rule_that_throws_dice_is_caught() -> None:
    chance = np.random.default_rng(1)

    finding = found(heard(lambda bars: chance.integers(-1, 2, len(bars["close"]), np.int8)))

    assert finding
    assert finding.fault is Fault.MEMORY


def test_a_tape_keeps_the_first_bars_and_then_hears_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookahead, "MOST_BARS", 60)

    tape = heard(lambda bars: rising(bars["close"], bars["close"]))

    assert 60 <= len(tape.bars) < 80
    assert len(tape.bars) == sum(map(len, tape.values)) == sum(map(len, tape.said))


def test_a_rule_that_needs_several_bars_in_one_call_fails_as_it_would_live() -> None:
    def slope(bars: Columns) -> Directions:
        steps = np.gradient(bars["close"])
        return rising(np.zeros(len(steps)), steps)

    with pytest.raises(Misconfigured, match="rule mine@5m failed"):
        found(heard(slope))


def test_each_of_our_rules_passes_on_bars_on_which_most_of_them_speak() -> None:
    rules = [load_factory(plugin).rule({"timeframe": "1m"} if quick(plugin.name) else {})
             for plugin in rule_plugins() if "streams.rules" in plugin.entry.value]  # fmt: skip

    tapes = tapes_of(rules, BATCHES)

    assert len(rules) == 20
    assert [finding for tape in tapes if (finding := found(tape))] == []
    spoke = [tape.rule.name for tape in tapes if any(said.any() for said in tape.said)]
    assert len(spoke) > 12


def quick(name: str) -> bool:
    return name not in {"trend_pullback", "opening_range_breakout"}


def test_what_was_said_before_a_cut_is_what_the_engine_says_of_a_day_that_ends_there() -> None:
    """Through the engine: the columns themselves know nothing of later ticks either."""
    rules = [load_factory(plugin).rule({}) for plugin in rule_plugins()
             if plugin.name in {"ema_cross", "rsi_reversal", "trend_pullback"}]  # fmt: skip
    whole = tapes_of(rules, BATCHES)

    for end in (5, 17, 40):
        for cut, all_ in zip(tapes_of(rules, BATCHES[:end]), whole, strict=True):
            assert cut.bars == all_.bars[: len(cut.bars)]
            assert [each.tolist() for each in cut.said] == [
                each.tolist() for each in all_.said[: len(cut.said)]
            ]
