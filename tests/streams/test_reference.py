"""The kernels against a slow engine that was written to be read."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from schemas.ids import InstrumentId
from schemas.market import Timeframe
from streams.engine import snapshot
from streams.engine.closed_bars import COMPLETE, END, INSTRUMENT, START, TICKS, TIMEFRAME
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.layout import AT, LATE, OUTSIDE, RESETS
from tests.streams.reference import CALENDAR, Row, SlowEngine, a_market, batches_of

CONFIG = EngineConfig(calendar=CALENDAR)
OF_THE_DAY = Row._fields[Row._fields.index("vwap") :]


@pytest.mark.parametrize("seed", range(80))
def test_bars_vwap_opening_range_and_pivots_are_those_of_the_slow_engine_whatever_happens(
    seed: int,
) -> None:
    prints, chance, slow = a_market(seed), random.Random(seed), SlowEngine()
    restored, provisional = chance.random() < 0.5, chance.random() < 0.5
    for each in prints:
        slow.take(each)

    engine, told = Engine(CONFIG), defaultdict[tuple[InstrumentId, Timeframe], list[Row]](list)
    for batch in batches_of(prints, chance.choice([1, 3, 50, 4_000])):
        closed, _ = engine.process(batch, (lambda _: None) if provisional else None)
        for facts, values in zip(closed.facts.tolist(), closed.values, strict=True):
            told[engine.instrument(facts[INSTRUMENT]), CONFIG.timeframes[facts[TIMEFRAME]]].append(
                row_of(facts, values)
            )
        if restored and chance.random() < 0.1:
            engine = snapshot.restore(snapshot.dump(engine), engine.rules, CONFIG)

    market = engine.tables.market
    assert (market[LATE], market[OUTSIDE], market[RESETS]) == (slow.late, slow.outside, slow.resets)
    for of in slow.stories:
        for timeframe in Timeframe:
            expected = list(slow.rows(of, timeframe))
            found = told.pop((of, timeframe), [])
            assert [row[: -len(OF_THE_DAY)] for row in found] == [
                row[: -len(OF_THE_DAY)] for row in expected
            ]
            np.testing.assert_allclose(day_values(found), day_values(expected), rtol=1e-9)
    assert not told


def row_of(facts: list[int], values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    prices = [int(values[AT[name]]) for name in ("open", "high", "low", "close", "volume")]
    days = [float(values[AT[name]]) for name in OF_THE_DAY]
    return Row._make(
        [facts[START], facts[END], *prices, facts[TICKS], bool(facts[COMPLETE]), *days]
    )


def day_values(rows: list[Row]) -> list[tuple[float, ...]]:
    return [row[-len(OF_THE_DAY) :] for row in rows]
