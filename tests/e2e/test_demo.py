"""The main job from end to end: `ats demo` as a person runs it, on real Kafka and Postgres."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import orjson
import pandas as pd
import psutil
import pytest

from ats.demo.report import SIGNED
from ats.runtime import exit_codes
from ats.runtime.groups import GROUPS
from schemas.units import Paise, UtcNs
from simulator.market.generator import generate
from tests.clients.alone import CLIENT
from tests.clients.test_tutorial import program
from tests.e2e.kept_day import reported
from tests.e2e.looking import as_user

DAY = date(2026, 11, 20)


class Demo:
    """One `ats demo`, its output read as it comes.

    It is at work when `sign` stands in a line.
    """

    def __init__(self, *words: str, sign: str = "market open") -> None:
        self._sign = sign
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ats", "demo", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._open = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output.append(line)
            if self._sign in line:
                self._open.set()
        self._open.set()  # it ended; whoever waits for the sign asks whether it did

    @property
    def text(self) -> str:
        return "".join(self.output)

    def wait_until_at_work(self) -> None:
        assert self._open.wait(300), self.text
        assert self._sign in self.text

    def suggested(self) -> list[str]:
        """The `ats tail` commands that it printed and that end by themselves."""
        lines = [line.strip() for line in self.output if " tail ats." in line]
        commands = [re.split("  +", line)[0] for line in lines]
        return [command for command in commands if "--follow" not in command]

    def end(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        self._reader.join()
        return code

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Whatever a failed test leaves behind is ended."""
    started: list[Demo] = []
    yield started
    for demo in started:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
            demo.end(30)


def a_days_candles(path: Path, shares: int) -> int:
    """Write a generated market as a CSV of one-minute candles; returns how many."""
    market = generate(seed=11, day=DAY, shares=shares)
    prints = pd.DataFrame(
        {name: market.prints[name] for name in ("second", "instrument", "price", "quantity")}
    )
    prints = prints[prints["second"] < market.close_second]
    minutes = prints.groupby(["instrument", prints["second"] // 60])
    bars = minutes.agg(
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("quantity", "sum"),
    )
    lines = ["symbol,timestamp,open,high,low,close,volume"]
    for (place, minute), *prices, volume in zip(
        bars.index, *(bars[name] for name in bars.columns), strict=True
    ):
        start = UtcNs.seconds(int(minute) * 60).ist().isoformat()
        rupees = ",".join(str(Paise(int(price)).rupees()) for price in prices)
        lines.append(
            f"{market.listings[int(place)].instrument.symbol},{start},{rupees},{int(volume)}"
        )
    path.write_text("\n".join(lines) + "\n")
    return len(bars)


@pytest.mark.timeout(700)
def test_a_day_from_a_file_is_traded_and_every_candle_equals_the_file(
    tmp_path: Path, demos: list[Demo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no figure of a table is cut off
    path = tmp_path / "day.csv"
    candles = a_days_candles(path, shares=12)
    header, rows = path.read_text().split("\n", 1)
    rows += "TCS,2026-11-20T09:15:00+05:30,abc,1,1,1,1\n"  # bad rows, which must spoil nothing else
    rows += "TCS,2026-11-20T15:30:00+05:30,1,1,1,1,1\nNEW,2026-11-20T09:15:00+05:30,1,1,2,1,1\n"
    rows += "TCS,2026-11-19T09:15:00+05:30,1,1,1,1,1\n"  # another day, which is not played
    path.write_bytes(
        b"\xef\xbb\xbf" + header.replace(",", ", ").encode() + b"\n" + rows.encode() + b"caf\xe9\n"
    )

    words = ["--market", str(path), "--day", str(DAY), "--speed", "max", "--check-candles"]
    kept = tmp_path / "kept"

    demo = Demo(*words, "--keep", str(kept))
    demos.append(demo)
    code = demo.end(600)

    assert code == exit_codes.DONE, demo.text
    assert f"{candles:,} of {candles:,} 1m candles equal the file" in demo.text
    assert re.search(rf"bad row in .*line {candles + 2}, open: .*'abc'", demo.text)
    assert re.search(r"accepted orders\W+[1-9]", demo.text)
    assert re.search(r"dev\W+off\W+0\b", demo.text)
    assert "Every promise that was checked held." in demo.text
    assert f"held    {SIGNED}" in demo.text
    assert "restarted" not in demo.text

    report = asyncio.run(reported(kept, DAY))
    assert report.gross == earned(demo.text)
    assert report.leaks == []
    assert report.signers == ["demo.invalid/ledger", "demo.invalid/witness"]


@pytest.mark.timeout(400)
def test_ctrl_c_ends_everything_within_five_seconds_and_leaves_no_process_behind(
    demos: list[Demo],
) -> None:
    demo = Demo("--speed", "60")
    demos.append(demo)
    demo.wait_until_at_work()
    family = demo.family()

    demo.process.send_signal(signal.SIGINT)
    code = demo.end(5)

    assert code == exit_codes.INTERRUPTED
    assert len(family) >= 8  # Kafka, Postgres, stand-in, simulator, four services
    assert [
        process
        for process in family
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ] == []


def earned(summary: str) -> Counter[int]:
    """Each trader's P&L before charges in paise; the demo held it against the broker's own book."""
    rows = re.findall(r"│ \w+ +│ +([\d,]+) │ +₹([-\d,.]+) │ +₹", summary)
    return Counter(
        int(Decimal(rupees.replace(",", "")) * 100) for trades, rupees in rows if trades != "0"
    )


def typed(command: str) -> str:
    """What a command prints when it is typed as it stands."""
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == exit_codes.DONE, f"{command}: {done.stderr}"
    return done.stdout


def consumer(folder: Path, served: Demo) -> str:
    """How the program of the tutorial is run against a demo that is served again."""
    (folder / "decisions.py").write_text(program())
    kafka = re.search(r"Kafka is at ([\d.:]+\d)", served.text)
    assert kafka, served.text
    return f"PYTHONPATH={CLIENT / 'src'} {sys.executable} {folder / 'decisions.py'} {kafka[1]}"


@pytest.mark.timeout(400)
def test_a_demo_is_looked_at_while_it_runs_and_its_kept_data_are_served_again(
    tmp_path: Path, demos: list[Demo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATS_STATE_DIR", str(tmp_path / "state"))  # no other demo is to be killed
    kept = str(tmp_path / "kept")
    demo = Demo("--speed", "60", "--keep", kept)
    demos.append(demo)
    demo.wait_until_at_work()

    while_it_runs = demo.suggested()
    for command in while_it_runs:
        typed(command)
    ats = while_it_runs[0].split(" tail ")[0]
    scan = typed(f"{ats} tail ats.scans --from-beginning")
    status = orjson.loads(typed(f"{ats} status --json"))
    screen = typed(f"{ats} top --once")
    (somebody, *_) = [person["user_id"] for person in status["users"]]
    shown = as_user(tmp_path / "state", somebody)
    killed = typed(f"{ats} kill --flatten")
    demo.process.send_signal(signal.SIGINT)
    demo.end(30)

    served = Demo("--serve", kept, sign="Ctrl-C ends it.")
    demos.append(served)
    served.wait_until_at_work()
    for command in served.suggested():
        typed(command)
    again = typed(served.suggested()[0].split(" tail ")[0] + " tail ats.scans --from-beginning")
    decisions = typed(f"{ats} tail ats.decisions --from-beginning --json").splitlines()
    counted = typed(consumer(tmp_path, served))
    served.process.send_signal(signal.SIGINT)

    assert served.end(30) == exit_codes.DONE
    assert re.search(r"all flat, the last after \d+\.\d s", killed), killed
    assert len(while_it_runs) == 2
    assert len(served.suggested()) == 3
    assert scan != ""
    assert again == scan
    actions = Counter(each["value"]["action"] for each in map(json.loads, decisions))
    assert ast.literal_eval(counted.splitlines()[-1]) == actions
    assert set(status["pipeline"]["lags"]) == set(GROUPS)
    assert status["trading_date"] == str(DAY)
    assert somebody[:8] in screen
    assert shown["own"]["user_id"] == somebody
    assert shown["own"]["session"]
    assert shown["market"]["shortlist"]["entries"]
