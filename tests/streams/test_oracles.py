"""Readings against outsiders' tables, and provisional readings against final ones.

The tables are those of Skender's Stock Indicators (see SOURCES.md beside them).
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from schemas.calendar import EVERY_DAY
from schemas.market import Timeframe
from streams.engine.config import EngineConfig
from streams.engine.engine import HISTORICAL_BAR, Engine, ProvisionalValues
from streams.engine.layout import AT
from streams.engine.tables import key_of
from tests.streams.factories import RELIANCE, at, batch_of, heartbeat, random_market, split, tick

Values = npt.NDArray[np.float64]
M5 = list(Timeframe).index(Timeframe.M5)


@pytest.fixture(scope="session")
def oracles(market_data: Path) -> Path:
    return market_data / "indicator_oracles"


def columns(path: Path) -> dict[str, Values]:
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([_number(row[name]) for row in rows]) for name in rows[0]}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def seeded(inputs: dict[str, Values], timeframe: Timeframe, scale: int) -> list[dict[str, float]]:
    """The values after each bar, which follow one another in time on our clocks; prices in
    `scale`-ths.
    """
    engine = Engine(rules=())
    per_day, place = 375 * 60 * 10**9 // timeframe.ns, engine.config.timeframes.index(timeframe)
    found = []
    for nth in range(len(inputs["close"])):
        bar = np.zeros(1, HISTORICAL_BAR)
        bar["key"], bar["timeframe"] = key_of(RELIANCE), place
        day = date.fromordinal(date(2024, 1, 1).toordinal() + nth // per_day)
        bar["start"] = at("09:15:00", day) + nth % per_day * timeframe.ns
        for name in ("open", "high", "low", "close"):
            bar[name] = round(inputs[name][nth] * scale)
        bar["volume"] = inputs["volume"][nth]
        engine.seed(bar)
        found.append({name: float(engine.tables.finals[0, place, at_]) for name, at_ in AT.items()})
    return found


@pytest.fixture(scope="module")
def daily(oracles: Path) -> dict[str, Values]:
    told = seeded(columns(oracles / "inputs" / "us_daily_502.csv"), Timeframe.M5, 100)
    return {name: np.array([each[name] for each in told]) for name in AT}


# Without ADX, whose first sums TA-Lib takes over 13 bars and Skender over 14.
TABLES = [
    ("rsi_14", "rsi.csv", "rsi", 1),
    ("macd", "macd.csv", "macd", 100),
    ("atr_14", "atr.csv", "atr", 100),
    ("bollinger_upper", "bb.csv", "upperBand", 100),
    ("bollinger_lower", "bb.csv", "lowerBand", 100),
    ("stochastic_k", "stoch.csv", "k", 1),
    ("stochastic_d", "stoch.csv", "d", 1),
    ("cci_20", "cci.csv", "cci", 1),
    ("williams_r_14", "willr.csv", "williamsR", 1),
    ("mfi_14", "mfi.csv", "mfi", 1),
    ("supertrend", "supertrend.csv", "superTrend", 100),
]


@pytest.mark.market_data
@pytest.mark.parametrize(("name", "file", "column", "scale"), TABLES)
def test_readings_equal_an_outsider_s_table(  # noqa: PLR0917 (fixtures and parameters)
    daily: dict[str, Values], oracles: Path, name: str, file: str, column: str, scale: int
) -> None:
    expected, ours = columns(oracles / "skender_library" / file)[column] * scale, daily[name]

    both = ~np.isnan(expected) & ~np.isnan(ours)
    # its fast average is seeded earlier; by then that has faded
    both[: 200 if name == "macd" else 0] = False
    assert both.sum() > 290
    np.testing.assert_allclose(
        ours[both], expected[both], rtol=1e-7 if name == "macd" else 1e-9, atol=1e-7
    )


@pytest.mark.market_data
def test_session_vwap_of_history_equals_an_outsider_s_workbook(oracles: Path) -> None:
    table = columns(oracles / "skender_excel" / "Vwap__VWAP.csv")
    first = {
        name: values[:375] for name, values in table.items() if name != "date"
    }  # our session is 16 minutes shorter

    told = seeded(first, Timeframe.M1, 10_000)

    np.testing.assert_allclose([each["vwap"] for each in told], first["VWAP"] * 10_000, rtol=1e-12)


@pytest.mark.market_data
def test_pivots_equal_an_outsider_s_workbook(oracles: Path) -> None:
    table = columns(oracles / "skender_excel" / "PivotPoint__Standard.csv")
    windows = zip(table["H"], table["L"], table["C"], strict=True)
    seen = {window: nth for nth, window in enumerate(windows) if not np.isnan(table["PP"][nth])}

    for (high, low, close), nth in seen.items():
        engine = Engine(rules=())
        for day, prices in ((date(2024, 1, 2), (low, high, close)), (date(2024, 1, 3), (close,))):
            engine.process(heartbeat(at("09:00:00", day)))
            ticks = [
                tick(at(f"09:15:{k:02}", day), round(price * 100)) for k, price in enumerate(prices)
            ]
            engine.process(batch_of(*ticks))
            engine.process(heartbeat(at("15:31:00", day)))
        final = engine.tables.finals[0, 0]
        got = [
            final[AT[name]] for name in ("pivot", "pivot_r1", "pivot_s1", "pivot_r2", "pivot_s2")
        ]
        np.testing.assert_allclose(
            got, [table[name][nth] * 100 for name in ("PP", "R1", "S1", "R2", "S2")], rtol=1e-12
        )
    assert len(seen) > 20


def test_vwap_of_ticks_is_turnover_by_volume_with_bands_of_two_deviations() -> None:
    engine = Engine(rules=())
    prices, volumes = [10_000, 10_300, 9_800], [10, 30, 20]
    engine.process(heartbeat(at("09:00:00")))
    ticks = [
        tick(at(f"09:15:{nth:02}"), price, total)
        for nth, (price, total) in enumerate(zip(prices, np.cumsum(volumes).tolist(), strict=True))
    ]

    engine.process(batch_of(*ticks))
    engine.process(heartbeat(at("09:16:02")))

    final, mean = engine.tables.finals[0, 0], float(np.average(prices, weights=volumes))
    deviation = float(np.sqrt(np.average((np.array(prices) - mean) ** 2, weights=volumes)))
    expected = [mean, mean + 2 * deviation, mean - 2 * deviation]
    np.testing.assert_allclose(
        [final[AT[name]] for name in ("vwap", "vwap_upper", "vwap_lower")], expected, rtol=1e-12
    )


def test_the_opening_range_is_that_of_fifteen_minutes_and_known_at_their_end() -> None:
    engine = Engine(rules=())
    ticks = [
        tick(at(clock), price)
        for clock, price in (
            ("09:15:00", 100),
            ("09:20:00", 120),
            ("09:29:00", 90),
            ("09:30:00", 300),
        )
    ]

    told = {}
    for batch in (heartbeat(at("09:00:00")), *map(batch_of, ticks), heartbeat(at("09:40:00"))):
        closed, _ = engine.process(batch)
        for facts, values in zip(closed.facts.tolist(), closed.values, strict=True):
            told[facts[1], facts[3]] = (
                values[AT["opening_range_high"]],
                values[AT["opening_range_low"]],
            )

    assert np.isnan(told[0, at("09:21:00")]).all()
    assert (
        told[0, at("09:30:00")] == told[0, at("09:31:00")] == told[3, at("09:30:00")] == (120, 90)
    )


def profile_of(high: Values, low: Values, volume: Values) -> tuple[float, float, float]:
    """The volume profile of some bars, written again in numpy."""
    step = (high.max() - low.min()) / 24
    first, last = (np.minimum(((side - low.min()) / step).astype(int), 23) for side in (low, high))
    bins = np.zeros(24)
    for a, b, v in zip(first, last, volume, strict=True):
        bins[a : b + 1] += v / (b - a + 1)
    bottom = top = int(np.argmax(bins))
    while bins[bottom : top + 1].sum() < 0.7 * volume.sum():
        up = bins[top + 1] if top < 23 else -1
        down = bins[bottom - 1] if bottom > 0 else -1
        top, bottom = (top + 1, bottom) if up >= down else (top, bottom - 1)
    edges = low.min() + np.arange(25) * step
    return float(edges[bins.argmax()] + step / 2), float(edges[top + 1]), float(edges[bottom])


def test_the_volume_profile_is_that_of_the_last_twenty_bars() -> None:
    engine = Engine(rules=())
    bars: dict[tuple[int, int], list[list[float]]] = {}
    compared = 0
    for batch in split(random_market(7, 9_000, instruments=3), range(0, 9_000, 500)):
        closed, _ = engine.process(batch)
        for facts, values in zip(closed.facts.tolist(), closed.values, strict=True):
            past = bars.setdefault((facts[0], facts[1]), [])
            past.append([values[AT[name]] for name in ("high", "low", "volume")])
            got = [values[AT[name]] for name in ("volume_poc", "value_area_high", "value_area_low")]
            window = np.array(past[-20:]).T
            if len(past) < 20 or window[2].sum() == 0:
                assert np.isnan(got).all()
                continue
            np.testing.assert_allclose(got, profile_of(*window), rtol=1e-9)
            compared += 1
    assert compared > 500


def test_the_provisional_values_of_a_bars_last_tick_are_its_final_ones() -> None:
    engine = Engine(rules=())
    frames = range(len(engine.config.timeframes))
    latest: dict[tuple[int, int], Values] = {}
    compared = 0

    def note(forming: ProvisionalValues) -> None:
        for frame in frames:
            of_frame = forming.of(frame)
            for (_, number), values in zip(forming.ticks.tolist(), of_frame, strict=True):
                latest[number, frame] = values.copy()

    for batch in split(random_market(17, 2_000, instruments=3, days=2), range(4_000)):
        before = dict(latest)
        closed, _ = engine.process(batch, note)
        for facts, values in zip(closed.facts.tolist(), closed.values, strict=True):
            np.testing.assert_array_equal(before[facts[0], facts[1]], values[: len(AT)])
            compared += 1
    assert compared > 3_000


def test_less_asked_for_gives_the_same_values_of_what_is_asked_for() -> None:
    rows = random_market(19, 4_000, instruments=3, days=2)
    whole, part = (
        Engine(rules=()),
        Engine(EngineConfig.of(["1m", "15m"], ["rsi", "vwap", "cci"], EVERY_DAY), ()),
    )

    closed, _ = whole.process(batch_of(rows))
    few, _ = part.process(batch_of(rows))

    names = ["close", "rsi_14", "vwap", "cci_20"]
    same = closed.values[np.isin(closed.facts[:, 1], [0, 3])]
    np.testing.assert_array_equal(
        few.values[:, [AT[name] for name in names]], same[:, [AT[name] for name in names]]
    )
    assert np.isnan(few.values[:, AT["ema_9"]]).all()
