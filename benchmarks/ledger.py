"""What the ledger's work costs, in CPU, beside what makes the records.

Run: python -m benchmarks.ledger [--records 20000]. The ledger's CPU of a record: leaf, batch
as bytes and back, the tree, the head and the seals; without Kafka, which it writes to once a batch.
Beside it the engine and the committee, which make such records from the first minutes of 20 shares
without a model: the cheapest pipeline there is, so the share is an upper one.
Read the ratios: figures are of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice

from agents.journal import LlmCallCache
from agents.recorded_news import NewsCache
from ats.backtest.tape import records as tape_records
from ats.services.streams import service_of
from ats.settings import Settings
from audit.ledger.log import LOGGED, Logs, batches_of, signed
from audit.ledger.notes import KeyType, Signer
from audit.replay.answers import AgentsAsSet, Recorded, decide_again
from audit.replay.folds import Fold
from bus.records import Record
from schemas.calendar import EVERY_DAY
from schemas.codec import decode, encode
from schemas.ledger import LedgerBatch
from schemas.messages import Signal
from schemas.topics import SIGNALS, TICKS, PartitionPlan
from schemas.units import UtcNs
from simulator.market.generator import generate
from streams.engine.machine import warm_up

DAY = date(2026, 11, 20)
PLAN = PartitionPlan(2, 1)
SHARES = 20
BATCHES = 400  # of ticks: a few minutes
SIGNER = Signer.of("bench.example/ats", KeyType.LOG, bytes(32))


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that `work` takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def pipeline() -> tuple[list[Record], float]:
    """Records that get a leaf, and the seconds of CPU that making them took."""
    batches = list(islice(tape_records(generate(SHARES, DAY, 3), PLAN.instrument), BATCHES))
    warm_up(lambda _: None)
    fold = Fold(service_of(Settings(_env_file=None), calendar=EVERY_DAY), PLAN)
    recorded, made = Recorded(LlmCallCache(), NewsCache()), list[Record]()
    names, offsets = {topic.name for topic in LOGGED}, dict[str, int]()

    def keep(topic: str, key: bytes, value: bytes) -> None:
        if topic in names:
            offset = offsets[topic] = offsets.get(topic, -1) + 1
            made.append(Record(topic, 0, offset, key, value, UtcNs(0), {"ats-cause": b"1:0"}))

    async def work() -> None:
        for number, each in enumerate(batches):
            record = Record(TICKS.name, each.partition or 0, number, each.key, each.value, UtcNs(0))
            for output in fold.apply(record):
                keep(output.topic.name, output.key, output.value)
                if output.topic is SIGNALS:
                    signal = decode(Signal, output.value)
                    answered, _ = await decide_again(signal, None, (), recorded, AgentsAsSet())
                    for told in answered.outputs:
                        keep(told.topic.name, told.key, told.value)

    return made, cpu(lambda: asyncio.run(work()))


def ledger(records: Sequence[Record], step: int) -> float:
    """Seconds of CPU for `records` that come `step` at a time."""

    def work() -> None:
        logs = Logs()
        for begin in range(0, len(records), step):
            for batch in batches_of(records[begin : begin + step], logs):
                back = decode(LedgerBatch, encode(batch))
                entries = logs.accept(back)
                encode(signed(logs, back.day, back.first, entries, SIGNER))

    return cpu(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    wanted: int = parser.parse_args().records
    made, seconds = pipeline()
    spent = ledger(made, 10)
    print(f"{len(made):,} records made in {seconds:.2f} s of CPU; the ledger took {spent:.3f} s:")
    print(f"{spent / (spent + seconds):.1%} of both together")
    many = [replace(made[n % len(made)], offset=n, topic=SIGNALS.name) for n in range(wanted)]
    for step in (1, 10, 100, 1_000):
        each = ledger(many, step) / wanted * 1e6
        print(f"{step:>5} records at a time: {each:>6.0f} µs of CPU a record")


if __name__ == "__main__":
    main()
