"""The last recorded run of `benchmarks.pipeline`: kept as a file, written into docs/bus.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from statistics import median
from typing import NamedTuple

from benchmarks._histogram import Histogram
from benchmarks._recorded import Place, line
from benchmarks._waits import Waits

PLACE = Place("bus.md", "pipeline.jsonl")
# Issue 19's targets. The floor's are those of two bare hops, from when a record leaves.
ABOVE_FLOOR = 6.0  # ms: the median from a record's first tick
TIMES_FLOOR = 2.0  # the same at p99
BACKLOG = 2.2e6  # ticks/s
CALLED = {
    "floor": "bare clients in C, no engine",
    "ats": "`ats streams`",
    "ats-aiokafka": "`ats streams`, aiokafka fetching",
    "aiokafka": "bare aiokafka loop, same engine",
    "quix": "Quix Streams, same engine",
}


@dataclass(frozen=True, slots=True)
class Latency:
    """One contender at one rate in one round.

    Attributes:
        reached: Ticks a second that left.
        missing: Signals that did not come.
        records: Of ticks, in `seconds`.
        cpu: Seconds that the contender used meanwhile.
    """

    contender: str
    rate: int
    round: int
    reached: float
    missing: int
    records: int
    cpu: float
    seconds: int
    waits: Waits


@dataclass(frozen=True, slots=True)
class Backlog:
    """One contender in one round with all ticks waiting in the topic.

    Attributes:
        peak: Bytes resident at most.
    """

    contender: str
    round: int
    ticks_per_second: float
    cores: float
    peak: int


class Run(NamedTuple):
    """One run. `about` describes the machine, `missing` why a contender did not run."""

    about: dict[str, str]
    missing: dict[str, str]
    latencies: list[Latency]
    backlogs: list[Backlog]


class Pooled(NamedTuple):
    """All rounds of one contender at one rate."""

    waits: Waits
    p99s: list[float]  # of each round, from a record's first tick
    records: float  # a second
    cpu: float  # ms a record
    cores: float
    missing: int


def save(run: Run) -> None:
    """Keep the run and write it into the page."""
    head = {"about": run.about, "missing": run.missing}
    rows = [head, *map(_latency_row, run.latencies), *map(asdict, run.backlogs)]
    PLACE.results.write_text("".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows))
    PLACE.show(markdown(run))


def _latency_row(latency: Latency) -> dict[str, object]:
    fields = {name: getattr(latency, name) for name in Latency.__slots__}
    counts = {name: waits.counts for name, waits in latency.waits._asdict().items()}
    return fields | {"waits": counts}


def last_run() -> Run | None:
    """The run that was recorded last."""
    if not PLACE.results.exists():
        return None
    head, *rows = map(json.loads, PLACE.results.read_text().splitlines())
    latencies = [_latency(row) for row in rows if "waits" in row]
    backlogs = [Backlog(**row) for row in rows if "waits" not in row]
    return Run(head["about"], head["missing"], latencies, backlogs)


def _latency(row: dict[str, object]) -> Latency:
    waits: dict[str, dict[str, int]] = row.pop("waits")  # type: ignore[assignment]
    histograms = {
        name: Histogram({int(bucket): count for bucket, count in counts.items()})
        for name, counts in waits.items()
    }
    return Latency(**row, waits=Waits(**histograms))  # type: ignore[arg-type]


def pooled(run: Run, contender: str, rate: int) -> Pooled | None:
    """All rounds of one contender at one rate; None where it did not run."""
    found = [each for each in run.latencies if (each.contender, each.rate) == (contender, rate)]
    if not found:
        return None
    seconds, records = sum(each.seconds for each in found), sum(each.records for each in found)
    cpu = sum(each.cpu for each in found)
    return Pooled(
        reduce(add, (each.waits for each in found)),
        [_ms(each.waits.record, 99) for each in found],
        records / seconds,
        cpu / max(records, 1) * 1e3,
        cpu / seconds,
        sum(each.missing for each in found),
    )


def _ms(histogram: Histogram, percentile: float) -> float:
    return histogram.at(percentile) / 1e3


def markdown(run: Run | None) -> str:
    """The run as the page has it."""
    if run is None:
        return "No run is recorded yet.\n"
    about = run.about
    lines = [
        f"Run of {about['date']}: {about['machine']} at the start, for broker, load,",
        f"reader and contender. {about['rounds']} rounds, contenders in turn, each rate for",
        f"{about['seconds']} s, a minute's turn every {about['lap']} s. Pause of the gateway:",
        f"{about['pause']} ms. Python {about['python']}, {about['libraries']};",
        "one node, acks=all, idempotent.",
        *(f"Without {name}: {reason}." for name, reason in run.missing.items()),
        "",
    ]
    for rate in _rates(run):
        lines += [*_latencies(run, rate), ""]
    if run.backlogs:
        lines += [*_backlogs(run), ""]
    return "\n".join([*lines, *verdicts(run), ""])


def _rates(run: Run) -> list[int]:
    return sorted({each.rate for each in run.latencies})


def _contenders(rows: Iterable[Latency | Backlog]) -> list[str]:
    return list(dict.fromkeys(each.contender for each in rows))


def _latencies(run: Run, rate: int) -> Iterator[str]:
    yield line(
        [
            f"{rate:,} ticks/s: ms from",
            *("a record's first tick: p50", "p99", "p99.9", "p99 of each round"),
            *("the tick that closed the bar: p50", "p99"),
            *("the record's leaving: p50", "p99"),
            *("records/s", "ms of CPU a record", "cores"),
        ]
    )
    yield line(["---"] * 11)
    for name in _contenders(run.latencies):
        if (of := pooled(run, name, rate)) is not None:
            record, tick, sent = of.waits
            late = f" ({of.missing:,} did not come)" if of.missing else ""
            yield line(
                [
                    CALLED[name] + late,
                    *(f"{_ms(record, at):.1f}" for at in (50, 99, 99.9)),
                    f"{min(of.p99s):.0f} to {max(of.p99s):.0f}",
                    *(f"{_ms(tick, at):.1f}" for at in (50, 99)),
                    *(f"{_ms(sent, at):.1f}" for at in (50, 99)),
                    *(f"{of.records:,.0f}", f"{of.cpu:.2f}", f"{of.cores:.2f}"),
                ]
            )


def _backlogs(run: Run) -> Iterator[str]:
    yield line(
        [
            f"{int(run.about['ticks']):,} ticks waiting",
            *("ticks/s, median", "of each round", "ticks per CPU-second", "cores", "peak MB"),
        ]
    )
    yield line(["---"] * 6)
    for name in _contenders(run.backlogs):
        rows = [each for each in run.backlogs if each.contender == name]
        rates = [each.ticks_per_second for each in rows]
        cores = median(each.cores for each in rows)
        yield line(
            [
                CALLED[name],
                f"{median(rates):,.0f}",
                f"{min(rates):,.0f} to {max(rates):,.0f}",
                f"{median(each.ticks_per_second / each.cores for each in rows):,.0f}",
                *(f"{cores:.2f}", f"{max(each.peak for each in rows) / 1e6:.0f}"),
            ]
        )


def verdicts(run: Run) -> Iterator[str]:
    """Each target with what was measured, met or missed."""
    for rate in _rates(run):
        ours, floor = pooled(run, "ats", rate), pooled(run, "floor", rate)
        if ours is None or floor is None:
            yield f"- {rate:,} ticks/s: not both of `ats streams` and bare clients ran."
            continue
        yield from _against_floor(rate, ours, floor)
    rates = {
        name: median(each.ticks_per_second for each in run.backlogs if each.contender == name)
        for name in _contenders(run.backlogs)
    }
    if ours_ := rates.get("ats"):
        yield (
            f"- Backlog of at least {BACKLOG / 1e6:.1f} million ticks/s: {ours_ / 1e6:.2f}, "
            f"{_verdict(ours_ >= BACKLOG)}."
        )
    if ours_ and (quix := rates.get("quix")):
        yield (
            f"- Ahead of Quix Streams in a backlog: {ours_ / quix:.2f} times as many ticks/s, "
            f"{_verdict(ours_ > quix)}."
        )


def _against_floor(rate: int, ours: Pooled, floor: Pooled) -> Iterator[str]:
    for percentile, most, wanted in (
        (50, _ms(floor.waits.sent, 50) + ABOVE_FLOOR, f"the floor's and {ABOVE_FLOOR:.0f} ms"),
        (99, _ms(floor.waits.sent, 99) * TIMES_FLOOR, f"{TIMES_FLOOR:.0f} times the floor's"),
    ):
        whole, after = _ms(ours.waits.record, percentile), _ms(ours.waits.sent, percentile)
        reason = (
            f"; {whole - after:.1f} pass until a record leaves, and from there it takes "
            f"{after - _ms(floor.waits.sent, percentile):.1f} more than bare clients"
        )
        yield (
            f"- {rate:,} ticks/s, p{percentile} at most {wanted}, {most:.1f} ms: {whole:.1f}, "
            f"{_verdict(whole <= most)}{reason if whole > most else ''}."
        )


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
