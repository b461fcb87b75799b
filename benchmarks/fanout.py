"""One decision to thousands of users: from the decision on Kafka to the order at the broker.

Run: python -m benchmarks.fanout [--users 10000]

Real parts: Kafka, Postgres with every migration, the claim functions and policies behind the
Supabase stand-in, and the order workers' own process with its production logs. The broker is a
loopback server in a process of its own that answers every order after 50 ms, and does so little
that it is not the bottleneck (its CPU is printed); the project's simulator, which keeps books and
fills orders, would be. An order counts as sent when the broker has read it. Beside it the official
client, `dhanhq`, places the same order for as many users, from threads, at the same broker.

Parts: `fanout` (one process, two, and the official client), `thousand` (1,000 users, with and
without 50 that are slow or refuse), `fairness` (a session of decisions: a user's rank against their
slippage), `profile` (where the CPU goes).

All of it shares one machine: read the ratios, and the CPU of an order. Figures are of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import psutil
import structlog

from benchmarks._fanout_broker import OVER_RATE
from benchmarks._fanout_stage import (
    REFERENCE,
    ROOT,
    Stage,
    a_stage,
    account,
    console,
    order_workers,
    progress,
    switch,
)
from benchmarks._fanout_worker import SHARE
from benchmarks._paired import FEWEST, SURE, at_most, median_between
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import message_output
from executors.turns import turn
from schemas.errors import AtsError, TryLater
from schemas.ids import DecisionId, SignalId, UserId, decision_id
from schemas.market import Action
from schemas.messages import Decision, Origin
from schemas.topics import DECISIONS, EXECUTIONS
from schemas.units import NS_PER_SECOND, UtcNs

DONE_WITHIN: Final = 300.0  # seconds; a limit for a broken run, not a measurement
THOUSAND: Final = 1_000
SICK: Final = 50
SLOW: Final = 5.0  # seconds: longer than the order workers wait for an answer
DRIFT: Final = 20.0  # paise a second that the price moves against whoever waits
NOISE: Final = 5.0  # paise, of the price at any moment

TARGET_RATE: Final = 1_000.0  # orders a second and core of the order workers
TARGET_RATIO: Final = 10.0  # times the official client
TARGET_P99: Final = 1.5  # seconds, of a fan-out to 1,000 users
WHY_RATE: Final = (
    "gate, messages, HTTP, JSON and the log cost a tenth each at most: no single one would save "
    "what is missing, and Postgres costs as much again on the same cores"
)
WHY_RATIO: Final = (
    "dhanhq claims, judges and records nothing; on these cores it shares with broker, Postgres and "
    "Kafka nothing can be ten times as fast as 256 threads of it"
)
RATE: Final = f"{TARGET_RATE:,.0f} orders/s per core"
RATIO: Final = f"{TARGET_RATIO:.0f} times the official client"
SICK_TARGET: Final = "50 sick users leave the others' p99 where it is"
NEAR: Final = 0.1  # of the p99 without the sick
WHY_SICK: Final = (
    "shown where the interval of the median difference ends below a tenth of the p99: more --pairs "
    "and nothing else running make it narrower"
)
WHY: Final = {RATE: WHY_RATE, RATIO: WHY_RATIO, SICK_TARGET: WHY_SICK}
WORDS: Final = {True: "met", False: "missed", None: "not shown"}
Verdict: TypeAlias = tuple[str, bool | None, str]  # target, whether it is met, what was found
PARTS: Final = ("fanout", "thousand", "fairness", "profile")


# One decision


@dataclass(slots=True)
class Told:
    """Outcomes on `ats.executions`, counted by decision."""

    accepted: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def of(self, decision: Decision) -> int:
        return self.accepted[str(decision.id)] + self.others[str(decision.id)]


@dataclass(frozen=True, slots=True)
class Run:
    """One decision's orders.

    Attributes:
        decision: Which one.
        delays: Seconds from the decision to the order at the broker, by account; the first try.
        cpu: Seconds of each part, from the decision to the last outcome.
    """

    processes: int
    decision: DecisionId
    delays: dict[str, float]
    told_after: float
    cpu: dict[str, float]
    accepted: int

    def at(self, percentile: float, without: Iterable[str] = ()) -> float:
        left = self.delays.keys() - set(without)
        return float(np.percentile([self.delays[each] for each in left], percentile))

    @property
    def rate(self) -> float:
        """Orders a second, from the decision to the last order."""
        return len(self.delays) / max(self.delays.values())

    @property
    def per_core(self) -> float:
        """Orders a second and core of the order workers."""
        return len(self.delays) / self.cpu["order workers"]


@asynccontextmanager
async def listening(stage: Stage) -> AsyncIterator[Told]:
    """Outcomes are counted inside; nothing of them is decoded, which would cost CPU here."""
    told = Told()

    async def listen() -> None:
        async with aclosing(read_topics(stage.connection, [EXECUTIONS], since="start")) as records:
            async for record in records:
                value = record.value or b""
                at = value.index(b'"decision_id":"') + 15
                counts = told.accepted if b'"outcome":"accepted"' in value else told.others
                counts[value[at : at + 36].decode()] += 1

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fan_out(
    stage: Stage, workers: list[psutil.Process], told: Told, users: int, silent: int = 0
) -> Run:
    """Publish a decision for `users`, of whom `silent` get no outcome, and wait for the others."""
    await take(stage)
    made = await a_decision(stage)
    async with Publisher(stage.connection) as publisher:
        before, began = cpu_of(stage, workers), time.time_ns()
        await publisher.send_and_wait(message_output(DECISIONS, made, str(made.instrument)))
        until = time.monotonic() + DONE_WITHIN
        while told.of(made) < users - silent:
            if time.monotonic() > until:
                raise TryLater(f"{told.of(made)} of {users} orders have an outcome")
            await asyncio.sleep(0.05)
        after, ended = cpu_of(stage, workers), time.time_ns()
    arrived = await take(stage)
    if not arrived:
        raise TryLater("no order left: see why on ats.executions")
    delays: dict[str, float] = {}
    for who, at in arrived:
        delays.setdefault(who, (at - began) / NS_PER_SECOND)
    spent = {part: after[part] - before[part] for part in after}
    return Run(
        len(workers),
        made.id,
        delays,
        (ended - began) / NS_PER_SECOND,
        spent,
        told.accepted[str(made.id)],
    )


async def take(stage: Stage) -> list[tuple[str, int]]:
    """What has come to the broker since the last time."""
    answer = (await stage.broker.get("/control/take")).json()
    if answer["twice"]:
        raise TryLater(f"{answer['twice']} orders came twice")
    return [(who, at) for who, at in answer["arrived"]]


async def a_decision(stage: Stage) -> Decision:
    """As the agents leave it: its row is written before its message."""
    signal, now = SignalId(uuid4()), stage.market_now()
    made = Decision(
        id=decision_id(signal),
        event_time=now,
        causation_id=signal,
        correlation_id=signal,
        signal_id=signal,
        scan_id=None,
        instrument=SHARE.id,
        symbol=SHARE.symbol,
        action=Action.BUY,
        reasoning="of the benchmark",
        confidence=70,
        origin=Origin.COMMITTEE,
        reason_code="agreed",
        reference_price=REFERENCE,
        valid_until=UtcNs(now + UtcNs.minutes(5)),
    )
    connection = await asyncpg.connect(stage.dsn)
    try:
        await connection.execute(
            "insert into public.trade_decisions (id, symbol, action, reasoning)"
            " values ($1, $2, 'BUY', 'of the benchmark')",
            made.id,
            made.symbol,
        )
    finally:
        await connection.close()
    return made


def cpu_of(stage: Stage, workers: list[psutil.Process]) -> dict[str, float]:
    """Seconds of CPU so far, by part; Postgres with its children."""
    spent = {"order workers": sum(map(_cpu, workers))}
    for name, process in stage.parts.items():
        family = [process, *process.children(recursive=True)]
        spent[name] = sum(map(_cpu, family))
    return spent


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


# The official client


@dataclass(frozen=True, slots=True)
class Official:
    """One run of `dhanhq` in threads."""

    threads: int
    orders: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.orders / self.seconds


def official(stage: Stage, orders: int, threads: int) -> Official:
    command = [sys.executable, "-m", "benchmarks._fanout_official", stage.broker_url]
    done = subprocess.run(  # noqa: S603  our own
        [*command, str(orders), str(threads)], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    said = json.loads(done.stdout)
    if said["failed"]:
        raise TryLater(f"{said['failed']} orders of the official client failed")
    return Official(threads, orders, said["seconds"], said["cpu"])


# Parts


async def fanout(stage: Stage, options: argparse.Namespace) -> list[Verdict]:
    """Everybody at once: one process, two, and the official client."""
    await switch(stage, options.users)
    runs = []
    async with listening(stage) as told:
        with progress("fan-outs", 2 * options.rounds) as advance:
            for processes in (1, 2):
                async with order_workers(stage, processes) as workers:
                    for _ in range(options.rounds):
                        runs.append(await fan_out(stage, workers, told, options.users))
                        advance()
    peers = []
    with progress("the official client", 3) as advance:
        for threads, orders in ((1, 40), (64, options.official), (256, options.official)):
            peers.append(await asyncio.to_thread(official, stage, orders, threads))
            advance()
    await take(stage)
    best = {n: max((r for r in runs if r.processes == n), key=lambda r: r.rate) for n in (1, 2)}
    threaded = max(peers[1:], key=lambda each: each.rate)
    console.print(f"\none decision to {options.users:,} users, best of {options.rounds}")
    console.print(
        f"{'':<24} {'orders/s':>9} {'× dhanhq':>9} {'last, s':>8} {'p50, s':>7} {'p99, s':>7} "
        f"{'told, s':>8} {'µs CPU/order':>13}"
    )
    for count, run in best.items():
        name = f"order workers, {count} process" + ("es" if count > 1 else "")
        console.print(
            f"{name:<24} {run.rate:>9,.0f} {run.rate / threaded.rate:>9.2f} "
            f"{max(run.delays.values()):>8.2f} {run.at(50):>7.2f} {run.at(99):>7.2f} "
            f"{run.told_after:>8.2f} {1e6 / run.per_core:>13,.0f}"
        )
    for peer in peers:
        name = f"dhanhq, {peer.threads} thread" + ("s" if peer.threads > 1 else "")
        console.print(
            f"{name:<24} {peer.rate:>9,.0f} {peer.rate / threaded.rate:>9.2f} "
            f"{peer.seconds:>8.2f} {'':>7} {'':>7} {'':>8} {1e6 * peer.cpu / peer.orders:>13,.0f}"
        )
    one = best[1]
    each = {part: 1e6 * cpu / len(one.delays) for part, cpu in one.cpu.items()}
    shares = ", ".join(f"{part} {cpu:,.0f}" for part, cpu in each.items())
    ratios = (
        f"{one.rate / threaded.rate:.1f} times {threaded.threads} threads, "
        f"{one.rate / peers[0].rate:.0f} times one call after the other, "
        f"{threaded.cpu / threaded.orders * one.per_core:.1f} times in CPU"
    )
    console.print(f"µs of CPU an order, one process: {shares}")
    return [
        (
            RATE,
            one.per_core >= TARGET_RATE,
            f"{one.per_core:,.0f} (on the shared machine {one.rate:,.0f} orders/s)",
        ),
        (
            RATIO,
            one.rate >= TARGET_RATIO * threaded.rate,
            ratios,
        ),
    ]


async def thousand(stage: Stage, options: argparse.Namespace) -> list[Verdict]:
    """1,000 users: how soon, and whether 50 sick ones delay the others."""
    users = min(THOUSAND, options.users)
    await switch(stage, users)
    sick = [account(number) for number in range(0, users, max(1, users // SICK))][:SICK]
    waits = {who: SLOW if n % 2 else OVER_RATE for n, who in enumerate(sick)}
    well, ill = [], []
    async with listening(stage) as told, order_workers(stage, 1) as workers:
        await fan_out(stage, workers, told, users)  # connections and caches are warm
        with progress("a thousand users", 2 * options.pairs) as advance:
            for pair in range(options.pairs):
                for with_sick in ((False, True), (True, False))[pair % 2]:  # whichever comes first
                    if with_sick:
                        await stage.broker.post("/control/sick", json=waits)
                        silent = len(sick) // 2
                        ill.append(await fan_out(stage, workers, told, users, silent=silent))
                        await stage.broker.post("/control/sick", json={})
                        await asyncio.sleep(12.0)  # the slow are looked up, their breakers close
                    else:
                        well.append(await fan_out(stage, workers, told, users))
                    advance()
    console.print(f"\none decision to {users:,} users, one process, median of {options.pairs}")
    console.print(f"{'':<44} {'p50, s':>7} {'p99, s':>7} {'last, s':>8}")
    rows = {
        "all well": _middle(well, sick),
        f"the others, {len(sick)} slow or over their rate": _middle(ill, sick),
    }
    for name, (middle, most, last) in rows.items():
        console.print(f"{name:<44} {middle:>7.3f} {most:>7.3f} {last:>8.3f}")
    before, after = (row[1] for row in rows.values())
    later = [one.at(99, sick) - other.at(99, sick) for one, other in zip(ill, well, strict=True)]
    low, high = median_between(later)
    found = (
        f"{before:.2f} s without, {after:.2f} s with; the sick make it {low:+.2f} to "
        f"{high:+.2f} s later ({len(later)} pairs, {SURE:.0%})"
    )
    return [
        ("p99 of 1,000 users under 1.5 s", before < TARGET_P99, f"{before:.2f} s"),
        (SICK_TARGET, at_most(NEAR * before, later), found),
    ]


def _middle(runs: list[Run], without: list[str]) -> tuple[float, float, float]:
    """Medians over the runs of p50, p99 and the last order, of all others than `without`."""
    return tuple(  # type: ignore[return-value]
        float(np.median([run.at(percentile, without) for run in runs]))
        for percentile in (50, 99, 100)
    )


async def fairness(stage: Stage, options: argparse.Namespace) -> list[Verdict]:
    """A session: does who stands where in the list of users pay more for it?

    Some decisions are made for real. Each tells when the order left whose turn was first, second
    and so on. A session of many decisions then gives each user those moments by their turns.
    """
    users = min(options.fair_users, options.users)
    await switch(stage, users)
    numbered = {account(number): user for number, user in enumerate(stage.users[:users])}
    made, moments = [], []
    async with listening(stage) as told, order_workers(stage, 1) as workers:
        await fan_out(stage, workers, told, users)  # connections and caches are warm
        with progress("decisions", options.decisions) as advance:
            for _ in range(options.decisions):
                run = await fan_out(stage, workers, told, users)
                by_user = {numbered[who]: delay for who, delay in run.delays.items()}
                in_turn = sorted(by_user, key=lambda user: turn(run.decision, user))
                # an order may not have left: on a busy machine its time was over
                made.append([by_user.get(user, np.nan) for user in numbered.values()])
                found = np.linspace(0.0, 1.0, len(in_turn))
                left = [by_user[user] for user in in_turn]
                moments.append(np.interp(np.linspace(0.0, 1.0, users), found, left))
                advance()
    ids = sorted(numbered.values())
    slippage, fixed = a_session(ids, moments, options.session)
    ranks = {user: rank for rank, user in enumerate(ids)}
    rank = np.array([ranks[user] for user in numbered.values()])
    measured = _correlation(rank, np.nanmean(made, axis=0))
    apart, worst = (_correlation(np.arange(users), each) for each in (slippage, fixed))
    chance = 1.96 / np.sqrt(users)
    console.print(
        f"\n{users:,} users; the price moves {DRIFT:.0f} paise a second against who waits; a "
        f"session of {options.session} decisions, of which {len(made)} were made"
    )
    console.print(f"{'correlation of rank and mean slippage':<52} {'r':>7}")
    console.print(f"{'the decisions that were made, measured':<52} {measured:>7.3f}")
    console.print(f"{'the session, in the turns of each decision (as built)':<52} {apart:>7.3f}")
    console.print(f"{'the same session, always in the order of ids':<52} {worst:>7.3f}")
    console.print(f"chance alone stays within ±{chance:.3f} in 95 of 100 sessions")
    share = slippage / options.session
    console.print(
        f"mean slippage of a user, paise: p5 {np.percentile(share, 5):.1f}, median "
        f"{np.median(share):.1f}, p95 {np.percentile(share, 95):.1f}"
    )
    met = abs(apart) <= chance and abs(measured) <= chance
    return [("rank and slippage are unrelated", met, f"r = {apart:.3f}, measured {measured:.3f}")]


def a_session(ids: list[UserId], moments: list[Any], decisions: int) -> tuple[Any, Any]:
    """Each user's slippage of so many decisions, in paise: by turns, and always in this order.

    Of the nth decision the orders left at `moments`, first turn first.
    """
    places, random = {user: place for place, user in enumerate(ids)}, np.random.default_rng(1)
    by_turns, fixed = np.zeros(len(ids)), np.zeros(len(ids))
    for nth in range(decisions):
        decision = decision_id(SignalId(UUID(int=nth)))
        waited = moments[nth % len(moments)]
        noise = random.normal(0, NOISE, len(ids))
        in_turn = sorted(ids, key=lambda user, of=decision: turn(of, user))  # type: ignore[misc]
        by_turns[[places[user] for user in in_turn]] += waited * DRIFT
        by_turns, fixed = by_turns + noise, fixed + waited * DRIFT + noise
    return by_turns, fixed


def _correlation(ranks: Any, values: Any) -> float:
    return float(np.corrcoef(ranks, values)[0, 1])


async def profile(stage: Stage, options: argparse.Namespace) -> list[Verdict]:
    """Where the CPU of one process goes; slower than without the profiler."""
    users = min(2_000, options.users)
    await switch(stage, users)
    path = stage.home / "profile"
    async with listening(stage) as told, order_workers(stage, 1, str(path)) as workers:
        await fan_out(stage, workers, told, users)  # connections and caches are warm
        workers[0].send_signal(signal.SIGUSR1)
        await fan_out(stage, workers, told, users)
    inner, ours = Counter[str](), Counter[str]()
    for name, caller, count in json.loads(path.read_text()):
        inner[name.split(":")[0].split("/")[0]] += count
        ours[caller] += count
    console.print(f"\nCPU of the order workers, {users:,} orders, by package and by our function")
    rows = zip_longest(inner.most_common(18), ours.most_common(18), fillvalue=("", 0))
    for (package, spent), (function, caused) in rows:
        console.print(
            f"{package:<26} {100 * spent / inner.total():>5.1f} %   "
            f"{function:<52} {100 * caused / ours.total():>5.1f} %"
        )
    return []


# The report


async def run(options: argparse.Namespace) -> int:
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared by everything, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; "
        f"broker answers after {options.latency:.0f} ms"
    )
    parts = {"fanout": fanout, "thousand": thousand, "fairness": fairness, "profile": profile}
    verdicts: list[Verdict] = []
    async with a_stage(options.users, options.latency / 1_000) as stage:
        for name in options.parts:
            verdicts += await parts[name](stage, options)
    if verdicts:
        console.print(f"\n{'target':<48} {'':<9} found")
    for target, met, found in verdicts:
        console.print(f"{target:<48} {WORDS[met]:<9} {found}")
        if not met and (why := WHY.get(target)):
            console.print(f"{'':<48} {why}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fanout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument(
        "--parts",
        type=lambda text: [part for part in text.split(",") if part in PARTS],
        default=list(PARTS),
        help=f"any of {', '.join(PARTS)} (default: all)",
    )
    parser.add_argument("--latency", type=float, default=50.0, help="ms of the broker (50)")
    parser.add_argument("--rounds", type=int, default=3, help="decisions of each kind (3)")
    parser.add_argument(
        "--pairs",
        type=int,
        default=FEWEST,
        help=f"of decisions with and without the sick ({FEWEST}; fewer show nothing)",
    )
    parser.add_argument(
        "--official", type=int, default=3_000, help="orders of the official client (3,000)"
    )
    parser.add_argument("--decisions", type=int, default=10, help="made for the session (10)")
    parser.add_argument("--session", type=int, default=250, help="decisions of a session (250)")
    parser.add_argument("--fair-users", type=int, default=THOUSAND, help="of the session (1,000)")
    options = parser.parse_args()
    for noisy in ("httpx", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        return asyncio.run(run(options))
    except AtsError as error:
        console.print(f"[red]{error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
