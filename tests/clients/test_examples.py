"""The programs of clients/examples, against a real broker."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import platformdirs
import pyarrow.parquet as pq
import pytest

import parquet_sink
import webhook_forwarder
from ats.embedded.kafka import fetch
from ats_client import Reader, save_cursor
from ats_client.messages import Decision, Execution
from schemas.market import Action
from schemas.units import Paise, UtcNs
from streams.engine.machine import warm_up
from tests.ats.factories import DAY, a_decision, an_execution
from tests.backtest.factories import random_candles
from tests.clients.alone import CLIENT
from tests.clients.conftest import run, write

EXAMPLES = Path(__file__).resolve().parents[2] / "clients" / "examples"
MARIMO = Path(sys.prefix) / "notebook"  # where `make notebook` puts it, beside everything else
SECOND = 1_000_000_000

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Taker:
    """A web address that takes what is posted, but for the first `refusals`."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.taken: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.refusals:
            self.refusals -= 1
            return httpx.Response(503)
        self.taken.append(request)
        return httpx.Response(204)

    def ids(self) -> list[UUID]:
        return [UUID(json.loads(each.content)["id"]) for each in self.taken]


async def forwarded(servers: str, taker: Taker, kept: Path) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(taker)) as client:
        url = "http://taker/hook"
        await webhook_forwarder.forward(servers, client, url, kept, until_end=True)


async def the_end(servers: str, kept: Path) -> None:
    """Other tests' executions are no business of this one."""
    async with Reader(servers, Execution, until_end=True) as reader:
        save_cursor(kept, reader.cursor)


async def test_the_forwarder_delivers_each_execution_as_a_cloud_event_and_goes_on_after_a_restart(
    servers: str, tmp_path: Path
) -> None:
    first, second = an_execution(id=uuid4()), an_execution(id=uuid4())
    kept = tmp_path / "cursor.json"
    await the_end(servers, kept)
    taker = Taker()

    await write(servers, first)
    await forwarded(servers, taker, kept)
    await write(servers, second)
    await forwarded(servers, taker, kept)

    assert taker.ids() == [first.id, second.id]
    assert taker.taken[0].headers["ce-type"] == "in.ats.execution.v1"
    assert taker.taken[0].headers["ce-id"] == str(first.id)


async def test_the_forwarder_tries_again_and_then_gives_up_without_losing_the_message(
    servers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, kept = an_execution(id=uuid4()), tmp_path / "cursor.json"
    await the_end(servers, kept)
    await write(servers, execution)
    monkeypatch.setattr(webhook_forwarder, "PAUSES", (0, 0))
    taker = Taker(refusals=5)

    with pytest.raises(httpx.HTTPStatusError):  # after three tries
        await forwarded(servers, taker, kept)
    await forwarded(servers, taker, kept)

    assert taker.ids() == [execution.id]


async def test_the_parquet_sink_writes_the_decisions_of_a_day(servers: str, tmp_path: Path) -> None:
    decision = a_decision(id=uuid4(), symbol=uuid4().hex)
    another_day = UtcNs(decision.event_time + UtcNs.minutes(24 * 60))
    later = decision.model_copy(update={"id": uuid4(), "event_time": another_day})
    await write(servers, decision, later)
    path = tmp_path / "decisions.parquet"

    await parquet_sink.write(servers, DAY, path)

    rows = [row for row in pq.read_table(path).to_pylist() if row["symbol"] == decision.symbol]
    (row,) = rows
    assert row["id"] == str(decision.id)
    assert row["event_time"].timestamp() * SECOND == decision.event_time
    assert (row["action"], row["reference_price"]) == ("BUY", Paise(300_000))


async def counted(servers: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    async with Reader(servers, Decision, since="start", until_end=True) as decisions:
        async for decision in decisions:
            counts[decision.action.value] = counts.get(decision.action.value, 0) + 1
    return counts


async def test_the_java_program_counts_what_the_python_client_counts(
    servers: str, tmp_path: Path
) -> None:
    if not shutil.which("javac"):
        pytest.skip("no Java compiler on PATH")
    buy, hold = (a_decision(id=uuid4(), action=action) for action in (Action.BUY, Action.HOLD))
    await write(servers, buy, hold, buy)
    jars = fetch(Path(platformdirs.user_cache_dir("ats")))

    told = await run(
        "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", jars,
        EXAMPLES / "CountDecisions.java", servers, cwd=tmp_path,
    )  # fmt: skip

    assert json.loads(told.splitlines()[-1]) == await counted(servers)


async def test_the_notebook_of_a_day_runs_as_a_script(tmp_path: Path) -> None:
    if not MARIMO.is_dir():
        pytest.skip("marimo is not installed: make notebook")
    candles = random_candles(tmp_path / "candles.csv", ["2016-08-16", "2016-08-17"])
    warm_up()  # on the disk: the program's time limit must not pay for a compiler

    told = await run(
        sys.executable, EXAMPLES / "day_notebook.py", "ema_cross", candles,
        cwd=tmp_path, path=(MARIMO, EXAMPLES.parents[1]),
    )  # fmt: skip

    counts = ast.literal_eval(told.splitlines()[-1])
    assert counts["signals"] >= counts["trades"] > 0


async def test_the_notebook_runs_as_a_script(servers: str, tmp_path: Path) -> None:
    if not MARIMO.is_dir():
        pytest.skip("marimo is not installed: make notebook")
    await write(servers, a_decision(id=uuid4()))

    told = await run(
        sys.executable, EXAMPLES / "decisions_notebook.py", servers,
        cwd=tmp_path, path=(MARIMO, CLIENT / "src"),
    )  # fmt: skip

    assert ast.literal_eval(told.splitlines()[-1]) == await counted(servers)
