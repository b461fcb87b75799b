"""The cap holds over a kill -9: what was under way counts as spent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from agents import open_spend
from agents.app import LlmGateway
from agents.open_spend import OpenSpend
from schemas.errors import Misconfigured
from schemas.units import Paise
from tests.agents.factories import DAY
from tests.agents.provider import Provider, wholly
from tests.agents.spend_process import AT_ONCE, CAP
from tests.agents.test_ladder import PRICE

ROOT = Path(__file__).parents[2]
TOKENS = 400, 800  # of each call; not far from the most it may cost
CALL = {"id": "c1", "type": "function", "function": {"name": "order", "arguments": "{}"}}


def dear_tool_call(whole: dict[str, Any]) -> None:
    whole["usage"] = {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1]}
    whole["choices"][0]["message"]["tool_calls"] = [CALL]


class Bill:
    """What a provider bills: every request that arrived, heard of again or not.

    Attributes:
        answers: How many are answered; later ones wait for ever.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.answers = 0
        self._arrived = asyncio.Condition()

    async def __call__(self, request: web.Request, good: str) -> web.StreamResponse:
        async with self._arrived:
            self.requests += 1
            number = self.requests
            self._arrived.notify_all()
        if number > self.answers:
            await asyncio.Event().wait()
        return await wholly(dear_tool_call)(request, good)

    async def reached(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.requests >= count)


async def test_three_processes_that_two_kills_end_cost_no_more_than_the_cap(
    provider: Provider, tmp_path: Path
) -> None:
    bill = Bill()
    provider.misbehave["technical"] = bill

    for run, (answers, kill_after) in enumerate([(10, 30), (5, 10), (10**6, None)]):
        before = bill.requests
        bill.answers = before + answers
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.agents.spend_process",
            provider.base_url,
            str(tmp_path / "topic"),
            str(tmp_path / "open.spend"),
            str(run * AT_ONCE),
            cwd=ROOT,
        )
        if kill_after is None:
            assert await process.wait() == 0
        else:
            await bill.reached(before + kill_after)
            process.kill()
            await process.wait()

    assert bill.requests >= 40
    assert bill.requests * PRICE.cost(*TOKENS) <= Paise.from_rupees(CAP)


def test_what_a_killed_process_had_reserved_counts_as_spent_by_every_later_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agents.spend"
    killed = LlmGateway.with_cap([], 10, open_spend=OpenSpend(path))
    assert killed.ledger.reserve(DAY, Paise(400))
    assert killed.ledger.reserve(DAY, Paise(300))
    killed.ledger.release(DAY, Paise(300))

    second = LlmGateway.with_cap([], 10, open_spend=OpenSpend(path))
    third = LlmGateway.with_cap([], 10, open_spend=OpenSpend(path))

    assert second.ledger.spent(DAY) == third.ledger.spent(DAY) == 400
    assert not third.ledger.reserve(DAY, Paise(601))


def test_a_line_that_a_kill_cut_in_two_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "agents.spend"
    path.write_text(f"{DAY.isoformat()} 400\n{DAY.isoformat()} 70")

    assert OpenSpend(path).lost == {DAY: 400}


def test_a_file_of_something_else_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "agents.spend"
    path.write_text(f"{DAY.isoformat()} 400\n{DAY.isoformat()} 40{DAY.isoformat()} 7\n")

    with pytest.raises(Misconfigured, match=r"agents\.spend, line 2"):
        OpenSpend(path)


def test_a_disk_that_takes_half_a_line_lets_no_call_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, whole = OpenSpend(tmp_path / "agents.spend"), os.write
    monkeypatch.setattr(os, "write", lambda to, line: whole(to, line[:5]))

    with pytest.raises(OSError, match="no room"):
        file.note(DAY, 400)


def test_when_the_disk_has_room_again_the_account_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, whole = OpenSpend(tmp_path / "agents.spend"), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda to, line: whole(to, line[:5]))
        with pytest.raises(OSError, match="no room"):
            file.note(DAY, 400)

    file.note(DAY, 70)

    assert OpenSpend(tmp_path / "agents.spend").lost == {DAY: 70}


def test_a_file_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "agents.spend"
    held = OpenSpend(path)
    held.note(DAY, 400)
    again = f"""
from pathlib import Path
from agents.open_spend import OpenSpend
OpenSpend(Path({str(path)!r}))
"""

    other = subprocess.run(
        [sys.executable, "-c", again], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "TryLater: another process keeps account" in other.stderr
    assert OpenSpend(path).lost == {DAY: 400}


def test_a_place_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")

    with pytest.raises(Misconfigured, match="ATS_STATE_DIR"):
        OpenSpend(tmp_path / "state" / "agents.spend")


@given(changes=st.lists(st.integers(1, 900), max_size=40), every=st.integers(1, 7))
def test_the_file_stays_short_and_says_what_is_open(
    tmp_path_factory: pytest.TempPathFactory, changes: list[int], every: int
) -> None:
    path = tmp_path_factory.mktemp("spend") / "agents.spend"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_spend, "MAX_LINES", every + 1)
        file = OpenSpend(path)
        for at, amount in enumerate(changes):
            file.note(DAY, amount)
            if at % 2:
                file.note(DAY, -amount)

        assert len(path.read_text().splitlines()) <= every + 1
        assert sum(OpenSpend(path).lost.values()) == sum(changes[::2])
