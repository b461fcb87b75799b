"""What `benchmarks.fanout` measures on: real Kafka and Postgres, a broker that only waits, and the
order workers in processes of their own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ats.embedded.postgres import EmbeddedPostgres
from benchmarks._fanout_worker import PLAN, SHARE
from benchmarks._pipeline_stage import a_broker
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output
from bus.topics import create_topics
from schemas import ticks
from schemas.errors import TryLater
from schemas.ids import UserId
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, Price, UtcNs
from simulator.supabase import migrate

ROOT: Final = Path(__file__).parents[1]
MIGRATIONS: Final = ROOT / "supabase" / "migrations"
TEN_O_CLOCK: Final = UtcNs.seconds(1_784_003_400)  # 2026-07-14 10:00:00 IST, a Tuesday
REFERENCE: Final = Price(150_000)
CLIENT_ID: Final = 4_400_000_000
READY_WITHIN: Final = 120.0  # seconds; a limit for a broken run, not a measurement

console = Console(highlight=False, width=140)


@contextmanager
def progress(what: str, total: int) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count=1: bar.advance(task, count)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that the order workers stand on."""

    home: Path
    connection: KafkaConnection
    dsn: str
    database_url: str
    database_key: str
    broker_url: str
    broker: httpx.AsyncClient
    parts: dict[str, psutil.Process]
    users: list[UserId]
    began: int = field(default_factory=time.time_ns)

    def market_now(self) -> UtcNs:
        """Market time runs with the machine's from ten o'clock on."""
        return UtcNs(TEN_O_CLOCK + time.time_ns() - self.began)


@asynccontextmanager
async def a_stage(count: int, latency: float) -> AsyncIterator[Stage]:
    """Kafka, Postgres, the stand-in and the broker, with all users signed up and switched on."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(a_home()))
        postgres = await stack.enter_async_context(EmbeddedPostgres(home / "data"))
        await migrate(postgres.dsn(), MIGRATIONS, shim=True)
        users = await sign_up(postgres.dsn(), count)
        connection = await stack.enter_async_context(a_broker())
        await create_topics(connection, PLAN)
        database = stack.enter_context(
            child("_fanout_worker", "database", *rest_and_auth(postgres), say=True)
        )
        url, key = first_line(database).split()
        broker = stack.enter_context(child("_fanout_broker", str(latency), say=True))
        broker_url = f"http://127.0.0.1:{first_line(broker)}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=broker_url, timeout=60))
        assert postgres.pid is not None
        parts = {
            "broker": psutil.Process(broker.pid),
            "stand-in": psutil.Process(database.pid),
            "Postgres": psutil.Process(postgres.pid),
        }
        dsn = postgres.dsn()
        stage = Stage(home, connection, dsn, url, key, f"{broker_url}/v2", client, parts, users)
        await open_market(stage)
        yield stage


@contextmanager
def a_home() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ats-fanout-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root, Postgres runs as another account
        yield folder


def rest_and_auth(postgres: EmbeddedPostgres) -> tuple[str, str]:
    return postgres.dsn("authenticator"), postgres.dsn("supabase_auth_admin")


@contextmanager
def child(
    module: str, *arguments: str, say: bool = False, log: Path | None = None, key: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours; with `say` its first line can be read."""
    environment = dict(os.environ) | ({"SUPABASE_SERVICE_KEY": key} if key else {})
    with (log or Path(os.devnull)).open("ab") as out:
        process = subprocess.Popen(  # noqa: S603  our own
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE if say else out,
            stderr=out,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


async def sign_up(dsn: str, count: int) -> list[UserId]:
    """So many users with a token each, switched on."""
    users = [UserId(uuid4()) for _ in range(count)]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("select report_platform('benchmark', 'paper', null, 50000, 5000)")
        await connection.executemany(
            "insert into auth.users (id, email) values ($1, $2)",
            [(user, f"{user}@example.test") for user in users],
        )
        with progress("users sign up", count) as advance:
            for first in range(0, count, 500):
                part = users[first : first + 500]
                await connection.executemany(
                    "insert into public.user_trading_keys (user_id, dhan_client_id,"
                    " dhan_access_token, token_expiry, is_trading_enabled)"
                    " values ($1, $2, $3, now() + interval '1 day', true)",
                    [
                        (user, account(first + n), f"token-of-the-benchmark-{first + n}")
                        for n, user in enumerate(part)
                    ],
                )
                advance(len(part))
        await connection.execute("analyze")
    finally:
        await connection.close()
    return users


def account(number: int) -> str:
    return str(CLIENT_ID + number)


async def switch(stage: Stage, count: int) -> None:
    """Let only the first `count` users trade."""
    connection = await asyncpg.connect(stage.dsn)
    try:
        await connection.execute(
            "update public.user_trading_keys set is_trading_enabled ="
            " (dhan_client_id::bigint < $1) where is_trading_enabled <>"
            " (dhan_client_id::bigint < $1)",
            CLIENT_ID + count,
        )
    finally:
        await connection.close()


async def open_market(stage: Stage) -> None:
    """The share's price of each second, for as long as decisions may need one."""
    rows = np.zeros(3_600, ticks.TICK)
    rows["exchange_time"] = TEN_O_CLOCK + np.arange(3_600) * NS_PER_SECOND
    rows["clock"], rows["price"] = rows["exchange_time"], REFERENCE
    rows["segment"], rows["security_id"] = SHARE.id.segment.code, SHARE.id.security_id
    batch = ticks.Batch(UtcNs(int(rows["clock"][-1])), UtcNs(0), 1, rows)
    partition = ticks.partition_of(SHARE.id, PLAN.instrument)
    async with Publisher(stage.connection) as publisher:
        await publisher.send_and_wait(Output(TICKS, b"0", ticks.encode(batch), partition))


@asynccontextmanager
async def order_workers(
    stage: Stage, count: int, profile: str = ""
) -> AsyncIterator[list[psutil.Process]]:
    """So many processes of order workers, ready for a decision."""
    with ExitStack() as stack:
        logs = [stage.home / f"executors-{uuid4().hex}.log" for _ in range(count)]
        processes = [
            stack.enter_context(
                child(
                    "_fanout_worker",
                    "executors",
                    stage.connection.bootstrap_servers,
                    stage.database_url,
                    stage.broker_url,
                    f"fanout-{number}",
                    *([profile] if profile else []),
                    log=log,
                    key=stage.database_key,
                )
            )
            for number, log in enumerate(logs)
        ]
        until = time.monotonic() + READY_WITHIN
        while not all("joined" in _text(log) for log in logs):
            if time.monotonic() > until or any(each.poll() is not None for each in processes):
                raise TryLater(f"the order workers did not start:\n{_text(logs[0])[-3_000:]}")
            await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)  # every process has joined, and knows its users
        yield [psutil.Process(process.pid) for process in processes]
        for process, log in zip(processes, logs, strict=True):
            if process.poll() is not None:
                raise TryLater(f"an order worker ended by itself:\n{_text(log)[-3_000:]}")


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
