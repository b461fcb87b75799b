"""Does the gateway lose a tick? A script of faults against it, and what the simulator put on the
wire against the topic.

Run: python -m tests.streams.faults --faults 200 --seconds 60 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np
import platformdirs

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.topics import create_topics
from schemas import ticks
from schemas.calendar import EVERY_DAY
from schemas.codec import decode
from schemas.messages import FeedEvent, FeedState
from schemas.topics import FEED, TICKS, PartitionPlan, Topic
from schemas.units import NS_PER_SECOND
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from simulator.streaming.connection import Frame
from streams.feed.config import GatewayConfig, GatewayMetrics, Mode
from streams.feed.gateway import run_gateway
from tests.conftest import unused_port

USER: Final = SimulatedUser("1100000001", "a-token")
PLAN: Final = PartitionPlan(instrument=4, user=1)
# seconds; Dhan's own are too long for a minute
STALE_AFTER, GIVE_UP_AFTER, COOL_OFF, LONGEST_WAIT = 0.4, 1.2, 0.2, 0.5
PATIENCE: Final = 120.0  # seconds beyond the script's, for a broken machine
GATEWAY: Final = 77
BACK: Final = 90  # seconds an out-of-order trade time goes back

# How often each kind comes in a script. Endings cost the gateway half a second each, so they cannot
# be most.
_MIX: Final[Sequence[tuple[int, FaultKind, dict[str, float | int]]]] = (
    (30, FaultKind.DUPLICATE, {"copies": 1}),
    (6, FaultKind.DUPLICATE, {"copies": 5}),
    (28, FaultKind.OUT_OF_ORDER, {"seconds": BACK}),
    (28, FaultKind.TRUNCATE, {"cut": 5}),
    (16, FaultKind.STRANGE_PACKET, {"code": 99}),
    (8, FaultKind.STRANGE_PACKET, {"code": 0}),
    (16, FaultKind.LAG, {"delay": 0.2, "lasting": 0.3}),
    (10, FaultKind.STALL, {"delay": 0.7}),
    (3, FaultKind.STALL, {"delay": 2.5}),
    (22, FaultKind.RESET, {}),
    (4, FaultKind.CLOSE, {"code": 1006}),
    (3, FaultKind.CLOSE, {"code": 1000}),
    (3, FaultKind.CLOSE, {"code": 1011}),
    (3, FaultKind.DISCONNECT, {"code": 800}),
    (2, FaultKind.DISCONNECT, {"code": 805}),
    (2, FaultKind.DISCONNECT, {"code": 814}),
    (8, FaultKind.UPGRADE_THEN_RESET, {}),
    (8, FaultKind.HANDSHAKE_429, {"delay": 0.3}),
)
ENDINGS: Final = (FaultKind.RESET, FaultKind.CLOSE, FaultKind.DISCONNECT)


def a_script(count: int, seconds: float, seed: int) -> tuple[Fault, ...]:
    """`count` faults of all kinds at moments of chance; those of handshakes first, for they need an
    ending to follow.
    """
    chance = Random(seed)
    weights = [weight for weight, _, _ in _MIX]
    chosen = chance.choices(_MIX, weights, k=count)
    faults = []
    for _, kind, parameters in chosen:
        handshake = kind in (FaultKind.UPGRADE_THEN_RESET, FaultKind.HANDSHAKE_429)
        moment = chance.uniform(0.0, seconds * (0.6 if handshake else 1.0))
        faults.append(Fault(kind, machine_time=moment, **parameters))  # type: ignore[arg-type]
    return tuple(sorted(faults, key=lambda fault: fault.machine_time))


class Tick(NamedTuple):
    """What both sides must agree on."""

    instrument: int
    second: int
    paise: int
    volume: int


_QUOTE: Final = struct.Struct("<BHBIfHIfI")


def ticks_in(frame: bytes) -> tuple[list[Tick], int]:
    """The whole Quote packets of a frame, and how many were cut short; written apart from the
    gateway's reader.
    """
    found: list[Tick] = []
    cut = at = 0
    while at < len(frame):
        code, length = struct.unpack_from("<BH", frame, at)
        if at + length > len(frame):
            return found, cut + 1
        if code == Mode.QUOTE - 13:  # response code 4
            _, _, segment, security, price, _, traded, _, volume = _QUOTE.unpack_from(frame, at)
            day = volume if segment else ticks.NO_VOLUME
            found.append(Tick(segment << 32 | security, traded - 19_800, round(price * 100), day))
        at += length
    return found, cut


@dataclass
class Result:
    """One run, judged.

    Attributes:
        fired: How often each kind of fault struck.
        lost, invented: Ticks that were put on the wire and are not in the topic, and the other way
        round. disordered: Instruments whose ticks are not in the topic in the order of the wire.
        cut, malformed: Packets cut short, and those the gateway told of. unsent: Prints of the
        market that were not put on the wire, because nobody was connected or the feed was silent.
        untold: Those of them that lie in no gap the gateway told.
    """

    fired: Counter[str]
    sent: int
    lost: list[Tick]
    invented: list[Tick]
    disordered: int
    cut: int
    malformed: int
    unsent: int
    untold: list[Tick]
    gaps: int
    connections: int
    took: float

    @property
    def good(self) -> bool:
        return (
            not (self.lost or self.invented or self.disordered or self.untold)
            and self.cut == self.malformed
        )


@dataclass
class _Wire:
    """Everything the simulator put on the wire."""

    ticks: list[Tick] = field(default_factory=list)
    cut: int = 0

    def __call__(self, _: int, frame: Frame) -> None:
        assert isinstance(frame, bytes)
        found, cut = ticks_in(frame)
        self.ticks += found
        self.cut += cut


async def run(
    connection: KafkaConnection,
    faults: tuple[Fault, ...],
    *,
    seed: int,
    speed: float = 200.0,
    progress: bool = False,
) -> Result:
    """Play a market with this script to a gateway, and compare."""
    wire, metrics, stop = _Wire(), GatewayMetrics(), asyncio.Event()
    started = time.monotonic()
    config = SimulatorConfig(
        users=(USER,),
        shares=30,
        seed=seed,
        speed=speed,
        faults=faults,
        fault_seed=seed,
        packets_per_frame=16,
    )
    simulator = Simulator(config)
    await simulator.start()
    simulator.feed.listen_in(wire)
    instruments = tuple(listing.instrument for listing in simulator.market.listings)
    gateway = GatewayConfig(
        simulator.url.replace("http", "ws") + "/feed",
        USER.client_id,
        instruments,
        PLAN.instrument,
        EVERY_DAY,
        gateway=GATEWAY,
        live=False,
        stale_after=STALE_AFTER,
        give_up_after=GIVE_UP_AFTER,
        cool_off=COOL_OFF,
        longest_wait=LONGEST_WAIT,
    )

    async def token() -> str:
        return USER.token

    try:
        async with Publisher(connection) as publisher:
            task = asyncio.create_task(
                run_gateway(gateway, publisher, token, stop, metrics, random=Random(seed))
            )
            simulator.exchange.open_market()
            await _while_alive(task, _until_all_fired(simulator, faults, progress))
            await _while_alive(task, _until_quiet(simulator, wire, metrics))
            stop.set()
            await asyncio.wait_for(task, PATIENCE)
        return await _judge(connection, simulator, wire, metrics, time.monotonic() - started)
    finally:
        await simulator.stop()


async def _while_alive(gateway: asyncio.Task[None], wait: Coroutine[None, None, None]) -> None:
    """Wait, but raise what ends the gateway."""
    waiting = asyncio.create_task(wait)
    await asyncio.wait({gateway, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if gateway.done():
        waiting.cancel()
        gateway.result()
    waiting.result()


async def _until_all_fired(simulator: Simulator, faults: tuple[Fault, ...], progress: bool) -> None:
    journal, told = simulator.faults.journal, 0.0
    async with asyncio.timeout(max(fault.machine_time for fault in faults) + PATIENCE):
        while journal.total < len(faults):
            await asyncio.sleep(0.1)
            if progress and time.monotonic() - told > 2.0:
                told = time.monotonic()
                say(f"  {journal.total:4} of {len(faults)} faults fired")


async def _until_quiet(simulator: Simulator, wire: _Wire, metrics: GatewayMetrics) -> None:
    """Until the gateway has ticks again after the last fault, and all that was sent."""
    before = len(wire.ticks)
    async with asyncio.timeout(PATIENCE):
        while len(wire.ticks) < before + 200:  # noqa: ASYNC110 (what is waited for happens in other tasks)
            await asyncio.sleep(0.05)
        await simulator.exchange.stop()
        while metrics.ticks < len(wire.ticks):
            await asyncio.sleep(0.05)
            if time.monotonic() - metrics.last_tick > 10.0:
                return  # it will not come any more; the comparison says what


async def _judge(
    connection: KafkaConnection,
    simulator: Simulator,
    wire: _Wire,
    metrics: GatewayMetrics,
    took: float,
) -> Result:
    events = [decode(FeedEvent, value) async for value in _values(connection, FEED)]
    events = [event for event in events if event.gateway == GATEWAY]
    received = [tick async for value in _values(connection, TICKS) for tick in _ticks_of(value)]
    gaps = _gaps(events, simulator)
    unsent = _unsent(simulator, wire.ticks)
    sent_of, got_of = _by_instrument(wire.ticks), _by_instrument(received)
    sent, got = Counter(wire.ticks), Counter(received)
    return Result(
        fired=Counter(entry.kind.value for entry in simulator.faults.journal),
        sent=len(wire.ticks),
        lost=list((sent - got).elements()),
        invented=list((got - sent).elements()),
        disordered=sum(sent_of[key] != got_of[key] for key in sent_of),
        cut=wire.cut,
        malformed=sum(event.packets for event in events if event.state is FeedState.MALFORMED),
        unsent=len(unsent),
        untold=[
            tick
            for tick in unsent
            if not any(since <= tick.second <= until for since, until in gaps)
        ],
        gaps=len(gaps),
        connections=metrics.connections,
        took=took,
    )


def _gaps(events: Iterable[FeedEvent], simulator: Simulator) -> list[tuple[int, int]]:
    """The market seconds of each gap told. One that ends with a tick that lies about its time ends
    where that tick belongs.
    """
    lies = {
        int(entry.thing.rsplit(" ", 1)[1]) - 19_800 - BACK
        for entry in simulator.faults.journal
        if entry.kind is FaultKind.OUT_OF_ORDER
    }
    gaps = []
    for event in events:
        if event.state is FeedState.GAP:
            assert event.gap_from is not None
            assert event.gap_to is not None
            until = event.gap_to // NS_PER_SECOND
            gaps.append((event.gap_from // NS_PER_SECOND, until + BACK if until in lies else until))
    return gaps


async def _values(connection: KafkaConnection, topic: Topic) -> AsyncIterator[bytes]:
    async for record in read_topics(connection, [topic], since="start", until_end=True):
        yield record.value or b""


def _ticks_of(value: bytes) -> list[Tick]:
    batch = ticks.decode(value)
    if batch.gateway != GATEWAY:
        return []
    rows = batch.rows
    keys = rows["segment"].astype(np.int64) << 32 | rows["security_id"]
    columns = keys, rows["exchange_time"] // NS_PER_SECOND, rows["price"], rows["volume"]
    return [Tick(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _by_instrument(found: Iterable[Tick]) -> dict[int, list[Tick]]:
    sorted_: defaultdict[int, list[Tick]] = defaultdict(list)
    for tick in found:
        sorted_[tick.instrument].append(tick)
    return sorted_


def _unsent(simulator: Simulator, sent: Sequence[Tick]) -> list[Tick]:
    """Prints of shares, from the first that was sent to the last, that were not; a day's volume
    names a print.

    Those cut short do not count: the gateway tells them as malformed.
    """
    known = {(tick.instrument, tick.volume) for tick in sent}
    spoiled = {
        (entry.thing) for entry in simulator.faults.journal if entry.kind is FaultKind.TRUNCATE
    }
    prints = simulator.market.prints[: simulator.exchange.prints]
    shares = prints[prints["segment"] == 1]
    keys = list(
        zip(
            (1 << 32 | shares["security_id"].astype(np.int64)).tolist(),
            shares["volume"].tolist(),
            strict=True,
        )
    )
    there = [at for at, key in enumerate(keys) if key in known]
    missing = []
    for at in range(there[0], there[-1]):
        row = shares[at]
        tick = Tick(keys[at][0], int(row["second"]), int(row["price"]), keys[at][1])
        name = f"code 4 of NSE_EQ:{row['security_id']} LTT {tick.second + 19_800}"
        if keys[at] not in known and name not in spoiled:
            missing.append(tick)
    return missing


async def _main(count: int, seconds: float, seed: int) -> bool:
    home = Path(tempfile.mkdtemp(prefix="ats-faults-"))
    broker = EmbeddedKafka(
        home,
        cache=Path(platformdirs.user_cache_dir("ats")),
        port=unused_port(),
        controller_port=unused_port(),
    )
    await broker.start()
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        result = await run(connection, a_script(count, seconds, seed), seed=seed, progress=True)
    finally:
        await broker.stop()
    _print(result)
    return result.good


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print(result: Result) -> None:
    fired = ", ".join(f"{count} × {kind}" for kind, count in sorted(result.fired.items()))
    say(f"{sum(result.fired.values())} faults in {result.took:.0f} s: {fired}")
    say(f"{result.connections} connections, {result.sent:,} ticks put on the wire")
    say(f"  lost on the way to the topic      {len(result.lost)}")
    say(f"  in the topic but never sent       {len(result.invented)}")
    say(f"  instruments out of order          {result.disordered}")
    say(f"{result.cut} packets cut short, {result.malformed} told as malformed")
    say(
        f"{result.unsent:,} prints not sent while away or silent, {result.gaps} gaps told, "
        f"{len(result.untold)} in no gap"
    )
    for name in ("lost", "invented", "untold"):
        if found := getattr(result, name):
            spans = Counter(tick.second for tick in found)
            say(f"  {name}: at market seconds {dict(sorted(spans.items()))}"[:2_000])
    say("good" if result.good else "NOT GOOD")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=200, help="how many (default 200)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="over how many seconds (default 60)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of script, market and jitter (default 1)"
    )
    asked = parser.parse_args()
    sys.exit(0 if asyncio.run(_main(asked.faults, asked.seconds, asked.seed)) else 1)


if __name__ == "__main__":
    main()
