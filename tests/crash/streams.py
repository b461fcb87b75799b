"""Kills real `ats streams` processes at random moments of a replayed day and compares what they
wrote with a calm run.

    python -m tests.crash.streams --kills 50 --seed 1

Two workers share the partitions while a day is written to `ats.ticks`. Each fault takes one of
them: kill -9, SIGTERM, or SIGSTOP and later SIGCONT. Some stay away, or frozen, until their
partitions have been given to the other; a third worker comes and goes; once the broker is killed.
Moments, victims and kinds follow from the seed. At the end every candle, set of indicators and
signal must be there, by id and byte for byte, as the pure engine makes them from the same records.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import structlog

from ats.backtest.tape import records
from ats.embedded.kafka import EmbeddedKafka
from ats.runtime.exit_codes import TRY_LATER
from ats.services.streams import service_of
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.exit import Exit
from bus.publisher import Publisher
from bus.records import Output
from bus.snapshots import Snapshots
from bus.topics import create_topics
from schemas.calendar import EVERY_DAY
from schemas.topics import SNAPSHOTS, TICKS, PartitionPlan
from simulator.market.generator import generate
from simulator.market.replay import replay_file
from simulator.market.tape import Market
from streams.engine.machine import warm_up
from tests.conftest import MARKET_DATA, started_broker
from tests.crash.verdict import Verdict, judge
from tests.crash.workers import Worker

REAL_DAY = MARKET_DATA / "nse_1min" / "equity_2016" / "2016-08-16.csv.gz"
SESSION = 10.0  # seconds until a group gives a silent member's partitions away (`bus.options`)
SETTLED_WITHIN = 120.0  # seconds; a limit for a broken run, not a measurement
# share of faults that let their victim get to work first: a start takes longer than most pauses
AT_WORK = 0.75
GUEST_EVERY = 8  # faults between two visits of the third worker
# the last: told to end while it imports
FINE = {0, int(Exit.STALLED), -int(signal.SIGKILL), -int(signal.SIGTERM)}
WHILE_BROKER_AWAY = {int(Exit.CRASHED), TRY_LATER}


@dataclass(frozen=True)
class Options:
    """What to do; `workers` is two as long as nobody says otherwise."""

    kills: int = 50
    seed: int = 1
    market: Path | None = None
    partitions: int = 6
    pause: tuple[float, float] = (0.5, 5.5)  # seconds between two faults
    generated: bool = False  # even where a recorded day is at hand
    shares: int = 20  # of the generated market
    kill_broker: bool = True
    keep: Path | None = None


@dataclass(frozen=True)
class Fault:
    """`lasting` is how long the victim is frozen, or stays away after its end; `at_work`: not while
    it is still starting.
    """

    pause: float
    at_work: bool
    victim: int
    kind: signal.Signals
    lasting: float

    def __str__(self) -> str:
        how = "frozen for" if self.kind is signal.SIGSTOP else "back after"
        return f"{self.kind.name} w{self.victim + 1}, {how} {self.lasting:.1f} s"


def plan_of(options: Options) -> list[Fault]:
    """The faults of a seed."""
    chance = Random(options.seed)
    # each at least once, kill -9 more often
    kinds = [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]
    kinds += chance.choices(kinds, [5, 2, 3], k=max(0, options.kills - len(kinds)))
    chance.shuffle(kinds := kinds[: options.kills])
    return [
        Fault(
            chance.uniform(*options.pause),
            chance.random() < AT_WORK,
            chance.randrange(2),
            kind,
            _lasting(kind, chance),
        )
        for kind in kinds
    ]


def _lasting(kind: signal.Signals, chance: Random) -> float:
    """Mostly short; now and then so long that the partitions move to the other worker."""
    if chance.random() < (0.4 if kind is signal.SIGSTOP else 0.1):
        return chance.uniform(0.85 * SESSION, 1.3 * SESSION)
    return (
        chance.uniform(0.2, 0.5 * SESSION)
        if kind is signal.SIGSTOP
        else chance.choice([0.0, chance.uniform(0, 2)])
    )


@dataclass
class Run:
    """One run: the day on its way into the topic, and what is done to the workers meanwhile."""

    options: Options
    broker: EmbeddedKafka
    connection: KafkaConnection
    tape: Sequence[Output]
    workers: list[Worker]
    guest: Worker
    begun: int = 0  # faults
    broker_kills: int = 0
    broker_up: asyncio.Lock = field(default_factory=asyncio.Lock)
    written: int = 0
    faults: set[asyncio.Task[None]] = field(default_factory=set)

    async def write(self) -> None:
        """The tape, evenly over the faults: never ahead of the share of faults that have begun, all
        of it at the end.
        """
        expected = sum(fault.pause for fault in plan_of(self.options)) + 5
        a_turn = max(1, round(len(self.tape) / expected * 0.05))
        async with Publisher(self.connection) as publisher:
            while self.written < len(self.tape):
                over = self.begun >= self.options.kills
                until = len(self.tape) if over else min(self._ceiling(), self.written + a_turn)
                async with self.broker_up:
                    for output in self.tape[self.written : until]:
                        await publisher.send(output)
                    await publisher.flush()
                self.written = until
                await asyncio.sleep(0.05)

    def _ceiling(self) -> int:
        return len(self.tape) * (self.begun + 1) // (self.options.kills + 1)

    async def meddle(self) -> None:
        async with asyncio.timeout(SETTLED_WITHIN):
            while not all(worker.joined for worker in self.workers):  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.05)
        for number, fault in enumerate(plan_of(self.options), 1):
            victim = self.workers[fault.victim]
            if fault.at_work:
                await self._until_at_work(victim)
            await asyncio.sleep(fault.pause)
            while victim.busy or victim.child.exit_code is not None:  # noqa: ASYNC110  # a process has no event
                await asyncio.sleep(0.02)
            say(
                f"[{number}/{self.options.kills}] {self.written / len(self.tape):4.0%} of the day: "
                f"{fault}"
            )
            self._begin(self._strike(victim, fault), victim)
            self.begun = number
            if number % GUEST_EVERY == GUEST_EVERY // 2 and not self.guest.busy:
                self._begin(self._visit(), self.guest)
            if self.options.kill_broker and number == (self.options.kills + 1) // 2:
                await self._kill_broker()
        await asyncio.gather(*self.faults)

    async def _until_at_work(self, victim: Worker) -> None:
        async with asyncio.timeout(SETTLED_WITHIN):
            while victim.busy or victim.child.exit_code is not None or not victim.joined:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _begin(self, fault: Coroutine[Any, Any, None], victim: Worker) -> None:
        victim.busy = True
        self.faults.add(asyncio.create_task(fault))

    async def _strike(self, victim: Worker, fault: Fault) -> None:
        if fault.kind is signal.SIGSTOP:
            victim.child.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.lasting)
            victim.child.signal(signal.SIGCONT)
        else:
            await victim.end(fault.kind)
            await asyncio.sleep(fault.lasting)
            victim.start()
        victim.busy = False

    async def _visit(self) -> None:
        """A third worker joins, works and leaves: everybody's partitions move twice."""
        self.guest.start()
        async with asyncio.timeout(60):
            while not self.guest.joined:
                if self.guest.child.exit_code is not None:  # the broker was away
                    self.guest.note_end()
                    self.guest.start()
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await self.guest.end(signal.SIGTERM)
        self.guest.busy = False

    async def _kill_broker(self) -> None:
        say("        the broker: SIGKILL, and started again")
        # on a loaded machine it may be away for longer than our own writer would wait
        async with self.broker_up:
            self.broker.signal(signal.SIGKILL)
            await self.broker.ended(10)
            await self.broker.start()
        self.broker_kills += 1

    async def settle(self) -> None:
        """Until the snapshots stand at the end of the ticks: everything before is acknowledged."""
        ends = Counter(output.partition for output in self.tape)
        async with Publisher(self.connection) as publisher, asyncio.timeout(SETTLED_WITHIN):
            snapshots = Snapshots(self.connection, TICKS, SNAPSHOTS, publisher)
            behind = [number for number in ends if number is not None]
            while behind:
                await asyncio.sleep(0.5)
                found = await snapshots.load(behind)
                behind = [number for number in behind if found[number].next_offset < ends[number]]


@dataclass
class Outcome:
    """What a run showed; `wrong` is empty when every promise held."""

    verdict: Verdict
    run: Run
    seconds: float
    wrong: list[str]


async def crash(options: Options) -> Outcome:
    """One run on a broker of its own."""
    began, market = time.monotonic(), _market(options)
    await asyncio.to_thread(warm_up)  # into the disk cache, before the workers need it
    plan = PartitionPlan(instrument=options.partitions, user=1)
    home = options.keep or Path(tempfile.mkdtemp(prefix="ats-crash-"))
    async with AsyncExitStack() as stack:
        broker = await started_broker(home)
        stack.push_async_callback(broker.stop)
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, plan)
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "ATS_INSTRUMENT_PARTITIONS": str(options.partitions),
            "ATS_CALENDAR": "every-day",
            "ATS_LOG_FORMAT": "json",
        }
        workers = [Worker(name, home, settings) for name in ("w1", "w2", "guest")]
        for worker in workers:
            stack.push_async_callback(_bury, worker)
        run = Run(
            options,
            broker,
            connection,
            list(records(market, options.partitions)),
            workers[:2],
            workers[2],
        )
        await _through(run)
        say("comparing with the pure engine")
        verdict = await judge(
            connection, service_of(Settings(_env_file=None), calendar=EVERY_DAY), plan
        )
    outcome = Outcome(verdict, run, time.monotonic() - began, verdict.wrong + _bad_ends(run))
    if not outcome.wrong and not options.keep:
        shutil.rmtree(home, ignore_errors=True)
    elif outcome.wrong:
        say(f"logs and topics are kept in {home}")
    return outcome


async def _through(run: Run) -> None:
    for worker in run.workers:
        worker.start()
    keeping = [asyncio.create_task(worker.supervised()) for worker in run.workers]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(run.write())
            group.create_task(run.meddle())
        say("the day is over; waiting for the workers")
        await run.settle()
    finally:
        for task in keeping:
            task.cancel()
    for worker in run.workers:
        await worker.end(signal.SIGTERM)


async def _bury(worker: Worker) -> None:
    worker.child.signal(signal.SIGKILL)
    await worker.child.ended(5)


def _market(options: Options) -> Market:
    recorded = REAL_DAY if REAL_DAY.exists() and not options.generated else None
    if path := options.market or recorded:
        say(f"market: {path.name}, a recorded day")
        return replay_file(path, options.seed).market
    say(f"market: a generated day of {options.shares} shares")
    return generate(options.seed, date(2024, 1, 2), options.shares)


def _bad_ends(run: Run) -> list[str]:
    """Ends that no fault explains."""
    fine = FINE | (WHILE_BROKER_AWAY if run.broker_kills else set())
    return [
        f"{worker.name} ended {count} times with exit code {code}: {worker.last_words[-3:]}"
        for worker in (*run.workers, run.guest)
        for code, count in worker.codes.items()
        if code not in fine
    ]


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def report(outcome: Outcome) -> None:
    run, verdict = outcome.run, outcome.verdict
    struck = Counter(fault.kind.name for fault in plan_of(run.options))
    workers = [*run.workers, run.guest]
    ends = sum((worker.codes for worker in workers), Counter[int]())
    lines = [
        (
            f"seed {run.options.seed}: {dict(struck)}, broker killed {run.broker_kills} times, "
            f"{run.guest.starts} visits"
        ),
        (
            f"{sum(worker.deaths_while_starting for worker in workers)} ends before the process "
            "had joined"
        ),
        f"exit codes: {dict(sorted(ends.items()))}",
        *(
            f"{name}: {count:,} messages, {verdict.repeats[name]:,} repeats"
            for name, count in verdict.expected.items()
        ),
        *outcome.wrong,
        f"{'NOT EXACT' if outcome.wrong else 'exact'} after {outcome.seconds:.0f} s",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def arguments() -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--kills", type=int, default=50, help="faults on workers (default 50: about four minutes)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of moments, victims and kinds")
    parser.add_argument(
        "--market",
        type=Path,
        help="a day of 1-minute candles; else a recorded one, else a generated",
    )
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--no-broker-kill", action="store_true", help="leave the broker alone")
    parser.add_argument("--keep", type=Path, help="keep logs and topics in this folder")
    given = parser.parse_args()
    return Options(
        kills=given.kills, seed=given.seed, market=given.market, partitions=given.partitions,
        kill_broker=not given.no_broker_kill, keep=given.keep,
    )  # fmt: skip


def main() -> int:
    # of a broker that is away it tells hundreds of times
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with suppress(KeyboardInterrupt):
        outcome = asyncio.run(crash(arguments()))
        report(outcome)
        return 1 if outcome.wrong else 0
    return 130


if __name__ == "__main__":
    sys.exit(main())
