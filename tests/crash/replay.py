"""Records a demo with faults of the broker and kill -9 of its services, then replays it.

    python -m tests.crash.replay --kills 7 --seed 1 --partitions 4
    python -m tests.crash.replay --demo ./demo        # of a record that is there already

A day at full speed goes through the whole platform. Meanwhile the services are killed at moments
that follow from the seed, and the simulated Dhan loses replies, rejects, answers late. Then `ats
replay --verify` must find no divergence, with no model called. In a copy of the record one tick is
a paisa dearer: there it must name the first candle that holds it, and end with another exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, redirect_stdout, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import orjson
import psutil
from rich.console import Console

from ats.demo import stack as demo_stack
from ats.demo.options import DemoOptions
from ats.demo.run import run as run_demo
from ats.replay.command import run as run_replay
from ats.replay.options import ReplayOptions
from ats.replay.source import DEMO, recorded_by
from ats.runtime import exit_codes
from ats.runtime.logs import configure
from audit.replay.publish import REPUBLISHED, as_output, made
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_in_order, there
from bus.records import Record
from schemas import ticks
from schemas.topics import BY_NAME, TICKS
from tests.conftest import started_broker

DAY: Final = date(2026, 11, 20)  # the simulator's usual one
VICTIMS: Final = ("streams", "agents", "executors", "books", "streams", "executors", "agents")
BETWEEN: Final = (6.0, 16.0)  # seconds of machine time between two kills
OPEN: Final = "market open"
FAULTS: Final = [
    {"kind": "accept_then_drop_reply", "after": 3, "times": 3},
    {"kind": "accept_then_500", "after": 12},
    {"kind": "reject", "after": 18, "times": 2},
    {"kind": "slow_reply", "after": 25, "delay": 1.0, "times": 2},
    {"kind": "late_reject", "after": 30, "delay": 1.0},
    {"kind": "fill_before_reply", "after": 35},
]


def play(home: Path, partitions: int, seed: int) -> int:
    """One demo in this process, with as many partitions as asked for and with faults."""
    script = home.parent / f"{home.name}-faults.json"
    script.write_bytes(orjson.dumps({"seed": seed, "faults": FAULTS}))
    demo_stack._PLAIN_MARKET = (*demo_stack._PLAIN_MARKET, "--faults", str(script))  # type: ignore[misc, assignment]
    plain, number = demo_stack.Stack.env, str(partitions)

    def env(self: demo_stack.Stack) -> dict[str, str]:
        plan = {"ATS_INSTRUMENT_PARTITIONS": number, "ATS_USER_PARTITIONS": number}
        return plain(self) | plan

    demo_stack.Stack.env = env  # type: ignore[method-assign]
    options = DemoOptions(
        market=None, speed=None, seed=seed, check_candles=False, check_against=(), keep=home
    )
    return asyncio.run(run_demo(options, ()))


@dataclass
class Recording:
    """A demo in a process of its own, and what is done to its services meanwhile."""

    process: subprocess.Popen[str]
    kills: int
    seed: int
    killed: int = 0

    def watch(self) -> int:
        """Until it has ended; returns its exit code."""
        opened = threading.Event()
        killer = threading.Thread(target=self._kill, args=(opened,))
        killer.start()
        assert self.process.stdout
        for line in self.process.stdout:
            if OPEN in line:
                opened.set()
            sys.stderr.write(line)
        code = self.process.wait()
        opened.set()
        killer.join()
        return code

    def _kill(self, opened: threading.Event) -> None:
        chance = random.Random(self.seed)
        opened.wait()
        for nth in range(self.kills):
            time.sleep(chance.uniform(*BETWEEN))
            victim = VICTIMS[nth % len(VICTIMS)]
            if self.process.poll() is not None:
                return
            for child in self._services(victim):
                child.kill()
                self.killed += 1
                say(f"[{nth + 1}/{self.kills}] kill -9 {victim}")

    def _services(self, name: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if ["-m", "ats", name] == child.cmdline()[1:4]:
                    found.append(child)
        return found


def record(home: Path, *, kills: int, partitions: int, seed: int) -> Recording:
    """Record a day into `home`."""
    words = ["--play", str(home), "--partitions", str(partitions), "--seed", str(seed)]
    env = os.environ | {"ATS_STATE_DIR": f"{home}-state"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.replay", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
    )  # fmt: skip
    recording = Recording(process, kills, seed)
    say(f"the demo ended with exit code {recording.watch()}")
    return recording


async def verify(home: Path) -> int:
    """`ats replay --verify` of the day."""
    return await run_replay(ReplayOptions(DAY, DAY, verify=True, demo=home, as_json=False))


async def verify_altered(home: Path) -> str:
    """Where a copy in which one tick is a paisa dearer parts from its record; empty: nowhere."""
    async with AsyncExitStack() as held:
        source = await held.enter_async_context(recorded_by(home, Console(stderr=True)))
        broker = await started_broker(Path(tempfile.mkdtemp(prefix="ats-altered-")))
        held.push_async_callback(broker.stop)
        altered = Alteration()
        await copy(source.kafka, KafkaConnection(broker.bootstrap_servers), altered)
        say(f"altered by a paisa: {altered.place}")
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        os.environ |= {name.upper(): value for name, value in DEMO.items()}
        said = io.StringIO()
        with redirect_stdout(said):
            code = await run_replay(ReplayOptions(DAY, DAY, verify=True, demo=None, as_json=True))
        found = orjson.loads(said.getvalue().splitlines()[-1])
        say(f"exit code {code}: {orjson.dumps(found.get('first')).decode()}")
        first = found.get("first") if code == exit_codes.BROKEN else None
        return f"{first['topic']}: {first['field']}" if first else ""


async def copy(source: KafkaConnection, target: KafkaConnection, alter: Alteration) -> None:
    """Every record of `source` to the same topics of another cluster."""
    topics = await there(source, REPUBLISHED)
    await made(source, target, topics)
    async with Publisher(target) as publisher:
        async for record in read_in_order(source, topics):
            await publisher.send(as_output(alter(record), BY_NAME[record.topic]))
        await publisher.flush()


class Alteration:
    """Makes one trade in the nth record of ticks, or the first after it, a paisa dearer.

    A trade, as each share of a trade counts in the averages of its bar. The price of an index has
    no volume: inside its bar nothing follows from it.
    """

    def __init__(self, nth: int = 200) -> None:
        self.place = ""
        self._left = nth
        self._volumes: dict[int, int] = {}

    def __call__(self, record: Record) -> Record:
        if record.topic != TICKS.name or self.place:
            return record
        batch = ticks.decode(record.value or b"")
        self._left -= 1
        traded = self._traded(batch)
        if self._left > 0 or traded is None:
            return record
        rows = batch.rows.copy()
        rows["price"][traded] += 1
        self.place = f"row {traded} of {record}"
        return replace(record, value=ticks.encode(replace(batch, rows=rows)))

    def _traded(self, batch: ticks.Batch) -> int | None:
        """The first row in which an instrument's volume of the day has grown."""
        found = None
        for nth, row in enumerate(batch.rows):
            number, volume = int(row["security_id"]), int(row["volume"])
            if found is None and 0 <= self._volumes.get(number, -1) < volume:
                found = nth
            self._volumes[number] = volume
        return found


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=4, help="of each family of topics")
    parser.add_argument("--keep", type=Path, help="keep the record in this folder")
    parser.add_argument("--demo", type=Path, help="record nothing: judge what was kept there")
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.play:
        return play(given.play, given.partitions, given.seed)
    home = given.demo or given.keep or Path(tempfile.mkdtemp(prefix="ats-replay-")) / "demo"
    configure("replay", style="console", level="error", secrets=())
    if not given.demo:
        recording = record(home, kills=given.kills, partitions=given.partitions, seed=given.seed)
        say(f"{recording.killed} kills")
    code, parted = asyncio.run(verify(home)), asyncio.run(verify_altered(home))
    held = code == exit_codes.DONE and bool(parted)
    say(f"exit code {code}; a paisa shows in {parted or 'nothing'}: {'held' if held else 'BROKEN'}")
    if held and not given.keep and not given.demo:
        shutil.rmtree(home.parent, ignore_errors=True)
    return exit_codes.DONE if held else exit_codes.BROKEN


if __name__ == "__main__":
    sys.exit(main())
