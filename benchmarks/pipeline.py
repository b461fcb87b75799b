"""Measures the way of a tick through Kafka, from the gateway's receipt to `ats.signals`.

python -m benchmarks.pipeline [--record]

One broker, 5,000 instruments. A load process stamps each tick with the moment it was due, an open
loop, batches them as the gateway does and sends them; a reader takes the signals off their topic.
Market time skips from five seconds after each minute's turn to five before the next, so that one
second in ten holds the turn, with every instrument's bar closing. A rule that speaks on half of all
1-minute bars makes the signals; they come of the turns alone, so the percentiles are those of the
burst. Latency counts to the signal in the reader's hands, from three moments: when the first tick
of the record was due that closed the bar, when the tick that closed it was, and when that record
left.

In each round every contender runs once at each rate, and later once against a backlog: bare clients
without an engine (the floor), the service, the service with aiokafka fetching, a bare aiokafka loop
and Quix Streams with the same engine. `--record` keeps the run, its histograms included, and writes
its figures into docs/bus.md.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from itertools import product
from pathlib import Path

import structlog

from ats.embedded.kafka import KAFKA_VERSION
from benchmarks._backlog import saturate
from benchmarks._pipeline_report import CALLED, Backlog, Latency, Run, markdown, save
from benchmarks._pipeline_stage import (
    CONTENDERS,
    PEERS_FOLDER,
    QUIX,
    Setup,
    a_broker,
    machine,
)
from benchmarks._turns import LAP, measure
from schemas.topics import PartitionPlan
from streams.engine.machine import warm_up
from streams.feed.gateway import FLUSH_INTERVAL


async def run(options: argparse.Namespace) -> Run:
    """All rounds, one contender after another; who begins changes."""
    contenders, missing = _present(options)
    about = _about(options)
    latencies: list[Latency] = []
    backlogs: list[Backlog] = []
    plan = PartitionPlan(options.partitions, 1)
    async with a_broker() as connection:
        setup = Setup(
            connection, plan, options.instruments, options.seconds, options.pause, options.peers
        )
        await measure(setup, "floor", min(options.rates), 0)  # a fresh broker is slower
        for round_ in range(1, options.rounds + 1):
            first = (round_ - 1) % len(contenders)
            turn = [*contenders[first:], *contenders[:first]]
            for rate, name in product(options.rates, turn):
                latencies.append(await measure(setup, name, rate, round_))
                _tell(latencies[-1])
            for name in turn if options.ticks else ():
                if name != "floor":
                    backlogs.append(await saturate(setup, name, options.ticks, round_))
                    print(
                        f"{name}, backlog: {backlogs[-1].ticks_per_second:,.0f} ticks/s", flush=True
                    )
    return Run(about, missing, latencies, backlogs)


def _tell(latency: Latency) -> None:
    record, tick, sent = (
        f"{each.at(50) / 1e3:.1f}/{each.at(99) / 1e3:.1f}" for each in latency.waits
    )
    print(
        f"{latency.contender}, {latency.rate:,} ticks/s ({latency.reached:,.0f} reached), "
        f"p50/p99 ms: {record} of a record, {tick} of a tick, {sent} once sent; "
        f"{latency.cpu / latency.seconds:.2f} cores",
        flush=True,
    )


def _present(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Those that can run here, and of the others why not."""
    wanted = options.contenders.split(",")
    if "quix" not in wanted or (options.peers / QUIX).is_dir():
        return wanted, {}
    wanted.remove("quix")
    return wanted, {CALLED["quix"]: "not installed: run `make bench-peers`"}


def _about(options: argparse.Namespace) -> dict[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "python": platform.python_version(),
        "libraries": ", ".join(_versions(options.peers)),
        "rounds": str(options.rounds),
        "seconds": str(options.seconds),
        "lap": str(LAP),
        "pause": f"{options.pause * 1e3:g}",
        "ticks": str(options.ticks),
    }


def _versions(peers: Path) -> Iterator[str]:
    yield from (f"{name} {version(name)}" for name in ("aiokafka", "confluent-kafka"))
    yield from (
        f"{each.name} {each.version}"
        for each in distributions(path=[str(peers)])
        if each.name == QUIX
    )
    yield f"Apache Kafka {KAFKA_VERSION}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--record", action="store_true", help="keep the run, write it into docs")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--rates",
        type=lambda text: [int(rate) for rate in text.split(",") if rate],
        default=[1_000, 10_000],
    )
    parser.add_argument(
        "--seconds", type=int, default=40, help="of each rate (default 40: four turns of a minute)"
    )
    parser.add_argument("--instruments", type=int, default=5_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument(
        "--pause", type=float, default=FLUSH_INTERVAL, help="seconds, of the gateway"
    )
    parser.add_argument("--ticks", type=int, default=6_000_000, help="of the backlog; 0: none")
    parser.add_argument(
        "--peers", type=Path, default=PEERS_FOLDER, help="where `make bench-peers` put Quix Streams"
    )
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    warm_up()  # into the disk cache, so that no contender compiles
    done = asyncio.run(run(options))
    print(markdown(done))
    if options.record:
        save(done)


if __name__ == "__main__":
    main()
