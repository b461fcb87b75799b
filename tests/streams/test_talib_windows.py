"""Columns of TA-Lib beside the engine's own readings: equal to TA-Lib over the same bars, in any
batching, after any restart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talib.abstract import Function  # type: ignore[attr-defined]  # made at run time

from bus.records import Output
from schemas.binary import Rows
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.messages import Candle, Indicators
from streams.columns.talib_functions import talib_column
from streams.engine import snapshot
from streams.engine.config import EngineConfig
from streams.engine.engine import HISTORICAL_BAR, Engine
from streams.engine.machine import EngineMachine
from streams.rules import Columns, Directions, Rule, directions
from tests.streams.factories import (
    at,
    batch_of,
    candles,
    indicators,
    markets,
    random_market,
    run,
    signals,
    split,
    streams_of,
)

COLUMNS = {
    Timeframe.M1: (
        "talib.CDLENGULFING",
        "talib.LINEARREG(timeperiod=14)",
        "talib.RSI(timeperiod=14)",
    ),
    Timeframe.M5: (
        "talib.MACD.macdsignal(fastperiod=5,slowperiod=9)",
        "talib.SMA(price=volume,timeperiod=5)",
    ),
}
CONFIG = EngineConfig(
    timeframes=(Timeframe.M1, Timeframe.M5, Timeframe.M15), talib=COLUMNS, talib_window=40
)
REGRESSION = "talib.LINEARREG(timeperiod=14)"
NEEDS = (f"previous_{REGRESSION}", REGRESSION, "close", "talib.SMA(timeperiod=3)@15m")


def crosses_regression() -> Rule:
    def evaluate(bars: Columns) -> Directions:
        above = bars["close"] > bars[REGRESSION]
        rising = bars[REGRESSION] > bars[f"previous_{REGRESSION}"]
        return directions(
            bullish=above & rising,
            bearish=~above & ~rising & (bars["talib.SMA(timeperiod=3)@15m"] > 0),
        )

    return Rule("crosses_regression", Timeframe.M1, evaluate, NEEDS)


RULES = (crosses_regression(),)


def machine() -> EngineMachine:
    return EngineMachine(Engine(CONFIG, RULES))


def restored(value: bytes) -> EngineMachine:
    return EngineMachine(snapshot.restore(value, RULES, CONFIG))


Slot = tuple[InstrumentId, Timeframe]


def by_slot(outputs: Sequence[Output]) -> dict[Slot, tuple[list[Candle], list[Indicators]]]:
    found: dict[Slot, tuple[list[Candle], list[Indicators]]] = defaultdict(lambda: ([], []))
    for bar in candles(outputs):
        found[bar.instrument, bar.timeframe][0].append(bar)
    for reading in indicators(outputs):
        found[reading.instrument, reading.timeframe][1].append(reading)
    return found


def over_the_window(name: str, bars: Sequence[Candle]) -> float | None:
    """TA-Lib by its abstract interface over the last bars that a column may look at."""
    column = talib_column(name, CONFIG.talib_window)
    if len(bars) <= column.lookback:
        return None
    inputs = [
        np.array([getattr(bar, each) for bar in bars[-column.window :]], float)
        for each in column.inputs
    ]
    function, _, rest = name.removeprefix("talib.").partition("(")
    function, _, output = function.partition(".")
    given = dict(each.split("=") for each in rest.rstrip(")").split(",") if each)
    about = Function(function)
    values = about(*inputs, **{key: int(value) for key, value in given.items() if key != "price"})
    chosen = values[about.output_names.index(output)] if output else values
    return float(chosen[-1]) if math.isfinite(chosen[-1]) else None


def test_every_column_equals_talib_over_the_same_bars_and_is_told_with_them() -> None:
    outputs = run(
        split(random_market(31, 6_000, instruments=3, days=2), range(0, 12_000, 900)), machine()
    )

    counted = 0
    for (_, timeframe), (bars, readings) in by_slot(outputs).items():
        for nth, reading in enumerate(readings):
            told = {
                name: value for name, value in reading.values.items() if name.startswith("talib.")
            }
            names = (
                *COLUMNS.get(timeframe, ()),
                *(["talib.SMA(timeperiod=3)"] if timeframe is Timeframe.M15 else []),
            )
            assert told == {name: over_the_window(name, bars[: nth + 1]) for name in names}
            counted += sum(value is not None for value in told.values())
    assert counted > 5_000


def test_a_rule_sees_its_columns_the_bar_s_own_the_one_before_and_those_of_a_longer_bar() -> None:
    outputs = run([batch_of(random_market(31, 9_000, instruments=3, days=2))], machine())

    said = signals(outputs)
    slots = by_slot(outputs)
    for signal in said:
        ends = [each.event_time for each in slots[signal.instrument, Timeframe.M1][1]]
        at = ends.index(signal.event_time)
        own = [
            each.values[REGRESSION]
            for each in slots[signal.instrument, Timeframe.M1][1][at - 1 : at + 1]
        ]
        longer = [
            e
            for e in slots[signal.instrument, Timeframe.M15][1]
            if e.event_time <= signal.event_time
        ][-1]
        assert [signal.features[f"previous_{REGRESSION}"], signal.features[REGRESSION]] == own
        assert (
            signal.features["talib.SMA(timeperiod=3)@15m"]
            == longer.values["talib.SMA(timeperiod=3)"]
        )
    assert len(said) > 20


@given(markets(), st.data())
@settings(deadline=None, max_examples=25)
def test_any_split_into_batches_gives_the_same_bytes(rows: Rows, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(rows))))

    assert streams_of(run(split(rows, cuts), machine())) == streams_of(
        run([batch_of(rows)], machine())
    )


def test_an_engine_restored_at_any_batch_goes_on_as_if_nothing_had_happened() -> None:
    rows = random_market(8, 2_500, instruments=70, days=2)  # more than there is room for at first
    unbroken, resumed = machine(), machine()

    for batch in split(rows, range(500, len(rows), 500)):
        expected = run([batch], unbroken)
        resumed = restored(resumed.dump())

        assert run([batch], resumed) == expected
        assert resumed.dump() == unbroken.dump()


def test_a_snapshot_without_the_columns_is_read_and_they_warm_up() -> None:
    rows = random_market(8, 3_000, instruments=3)
    before = EngineMachine(Engine(EngineConfig(timeframes=CONFIG.timeframes), ()))
    run([batch_of(rows[:2_000])], before)

    outputs = run([batch_of(rows[2_000:])], restored(before.dump()))

    for (_, timeframe), (bars, readings) in by_slot(outputs).items():
        if timeframe is Timeframe.M1:
            assert [each.values[REGRESSION] for each in readings] == [
                over_the_window(REGRESSION, bars[: nth + 1]) for nth in range(len(bars))
            ]


def test_columns_warm_up_on_bars_of_the_past_as_on_live_ones() -> None:
    rows = random_market(12, 6_000, instruments=3, days=2)
    whole = run([batch_of(rows)], machine())
    first_day = [bar for bar in candles(whole) if bar.event_time <= at("15:30:00")]
    warmed = machine()

    warmed.engine.seed(past(first_day))
    warmed.engine.seed(past(first_day[: len(first_day) // 2]))  # bars may come again
    outputs = run([batch_of(rows[6_000:])], warmed)

    later = {
        reading.id: reading for reading in indicators(whole) if reading.event_time > at("15:30:00")
    }
    told = {reading.id: reading for reading in indicators(outputs)}
    assert told.keys() == later.keys()
    for id_, reading in told.items():
        expected = {
            name: value for name, value in later[id_].values.items() if name.startswith("talib.")
        }
        assert {
            name: value for name, value in reading.values.items() if name.startswith("talib.")
        } == expected


def past(bars: Sequence[Candle]) -> np.ndarray:
    table = np.zeros(len(bars), HISTORICAL_BAR)
    for row, bar in zip(table, bars, strict=True):
        row["key"] = bar.instrument.segment.code << 32 | bar.instrument.security_id
        row["timeframe"] = list(Timeframe).index(bar.timeframe)
        for name in ("start", "open", "high", "low", "close", "volume"):
            row[name] = getattr(bar, name)
    return table


def test_a_column_on_bars_that_are_not_made_is_refused() -> None:
    with pytest.raises(
        Misconfigured, match=r"talib\. columns on 30m bars.*add 30m to the timeframes"
    ):
        Engine(
            EngineConfig(timeframes=(Timeframe.M1,), talib={Timeframe.M30: ("talib.CDLDOJI",)}), ()
        )


def test_an_engine_without_such_columns_tells_none() -> None:
    outputs = run([batch_of(random_market(1, 500))], EngineMachine(Engine(EngineConfig(), ())))

    assert not any(
        name.startswith("talib.") for each in indicators(outputs) for name in each.values
    )
