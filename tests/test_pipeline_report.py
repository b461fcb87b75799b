"""`benchmarks.pipeline`: what it measures, what its page says, and how targets are judged."""

from __future__ import annotations

from itertools import count

import numpy as np
import orjson

from benchmarks._contenders import service
from benchmarks._floor import Bars, value_of
from benchmarks._histogram import Histogram
from benchmarks._load import Load
from benchmarks._pipeline_report import PLACE, Backlog, Latency, Run, last_run, markdown, verdicts
from benchmarks._pipeline_stage import SESSION
from benchmarks._waits import Signal, Waits, waits_of
from bus.records import Record
from schemas.ticks import TICK, Batch, encode
from schemas.topics import CANDLES
from schemas.units import NS_PER_SECOND, UtcNs
from streams.feed.batcher import Batcher

BAR_END = UtcNs(SESSION.open + 60 * NS_PER_SECOND)
MS = 1_000_000


def waits_ms(record: int, sent: int) -> Waits:
    return Waits(*(Histogram.of([ms * 1_000]) for ms in (record, record, sent)))


def latency(contender: str, record: int, sent: int) -> Latency:
    return Latency(contender, 1_000, 1, 1_000.0, 0, 10, 0.1, 10, waits_ms(record, sent))


def batch(*seconds_after: int, ids: tuple[int, ...]) -> Batch:
    """Ticks of instruments so long after the bar's end, the first due at 1 ms, each 1 ms later."""
    rows = np.zeros(len(ids), TICK)
    rows["security_id"] = ids
    rows["exchange_time"] = BAR_END + np.array(seconds_after) * NS_PER_SECOND
    rows["clock"] = np.maximum.accumulate(rows["exchange_time"])
    rows["received_at"] = np.arange(1, len(ids) + 1) * MS
    return Batch(BAR_END, UtcNs(10 * MS), 1, rows)


def waited(cause: Batch) -> tuple[float, ...]:
    """Milliseconds that a signal of instrument 7 took that was seen at 20 ms."""
    found = waits_of([Signal(0, 3, 7, BAR_END, 20 * MS)], {(0, 3): cause})
    return tuple(round(histogram.at(50) / 1e3) for histogram in found)


def test_the_page_has_the_figures_of_the_last_recorded_run_and_no_others() -> None:
    assert PLACE.shown() == markdown(last_run())


def test_a_percentile_is_at_most_a_hundredth_above_the_value_that_stands_there() -> None:
    values = np.random.default_rng(1).integers(0, 10**7, 10_000)
    histogram = Histogram.of(values.tolist())

    for percentile in (1, 50, 99, 99.9, 100):
        exact = np.percentile(values, percentile, method="inverted_cdf")
        assert exact <= histogram.at(percentile) <= exact * 1.01


def test_rounds_add_up_to_the_histogram_of_all_their_values() -> None:
    assert (Histogram.of([1, 500]) + Histogram.of([500])).counts == Histogram.of(
        [1, 500, 500]
    ).counts


def test_a_signal_waits_from_its_records_first_tick_its_own_and_the_records_leaving() -> None:
    assert waited(batch(0, -1, 0, ids=(8, 7, 7))) == (19, 17, 10)


def test_a_bar_that_the_clock_closed_waits_from_the_tick_that_moved_it_far_enough() -> None:
    assert waited(batch(0, 1, 2, ids=(8, 8, 8))) == (19, 17, 10)


def test_a_bar_that_a_heartbeat_closed_waits_from_its_leaving() -> None:
    assert waited(batch(ids=())) == (10, 10, 10)


def test_a_signal_whose_cause_was_sent_before_the_measurement_does_not_count() -> None:
    found = waits_of([Signal(0, 2, 7, BAR_END, 20 * MS)], {(0, 3): batch(0, ids=(7,))})

    assert [len(histogram) for histogram in found] == [0, 0, 0]


def test_the_floor_closes_the_bars_that_the_engine_closes_with_the_same_records() -> None:
    machine, bars, load, batcher = service().fresh(0), Bars(), Load(SESSION, 20), Batcher(1, 1)
    engines, floors = [], []

    for offset, second in zip(count(), [0, 50, 59, 60, 61, 62, 90, 125], strict=False):
        batcher.add(load.take(13, second))
        for _, finished in batcher.due(UtcNs(0)):
            record = Record("ats.ticks", 0, offset, None, encode(finished), UtcNs(0))
            engines += [
                (offset, bar["instrument"], bar["event_time"], bar["close"])
                for output in machine.apply(record)
                if output.topic is CANDLES
                for bar in [orjson.loads(output.value)]
                if bar["timeframe"] == "1m"
            ]
            for closed in bars.closed_by(finished):
                bar = orjson.loads(value_of(closed, CANDLES))
                floors.append((offset, bar["instrument"], bar["event_time"], bar["close"]))
        batcher.acknowledged(0)

    assert len(floors) > 20
    assert sorted(floors) == sorted(engines)


def test_targets_are_met_up_to_their_bound_and_missed_above() -> None:
    floor = latency("floor", 9, 4)
    met = Run({}, {}, [floor, latency("ats", 7, 6)], [Backlog("ats", 1, 2.2e6, 1.0, 1)])
    missed = Run({}, {}, [floor, latency("ats", 11, 6)], [Backlog("ats", 1, 2.1e6, 1.0, 1)])

    assert all(line.endswith(", met.") for line in verdicts(met))
    assert all(", missed" in line for line in verdicts(missed))


def test_ahead_of_quix_is_judged_by_the_same_runs_backlogs() -> None:
    ours = Backlog("ats", 1, 3e6, 1.0, 1)

    *_, ahead = verdicts(Run({}, {}, [], [ours, Backlog("quix", 1, 2e6, 1.0, 1)]))

    assert ahead == "- Ahead of Quix Streams in a backlog: 1.50 times as many ticks/s, met."
