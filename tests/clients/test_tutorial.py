"""The program of docs/tutorials/first-consumer.md, run as its reader runs it."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest

from schemas.market import Action
from tests.ats.factories import a_decision
from tests.clients.conftest import run, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "first-consumer.md"
MOST_LINES = 24


def program() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def test_the_program_is_short() -> None:
    assert len(program().splitlines()) <= MOST_LINES


@pytest.mark.asyncio(loop_scope="session")
async def test_the_program_prints_each_decision_once_with_the_client_alone_installed(
    servers: str, python: Path, tmp_path: Path
) -> None:
    buy = a_decision(id=uuid4(), symbol="TUTORIAL", action=Action.BUY)
    await write(servers, buy, buy)
    (tmp_path / "decisions.py").write_text(program())

    lines = (await run(python, "decisions.py", servers, cwd=tmp_path)).splitlines()

    price = f"{buy.reference_price / 100:.2f}"
    assert [line for line in lines if "TUTORIAL" in line] == [f"TUTORIAL BUY {price}"]
    assert "'BUY': " in lines[-1]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_client_needs_nothing_of_the_engine(python: Path, tmp_path: Path) -> None:
    rooms = ("schemas", "bus", "agents", "executors", "ats")
    asked = f"from importlib.util import find_spec; print(any(map(find_spec, {rooms})))"

    assert await run(python, "-c", asked, cwd=tmp_path) == "False\n"
