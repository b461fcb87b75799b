"""What the processes of a demo are started with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ats.demo import run, stack
from ats.demo.stack import Stack, secret_settings

# all that `ats demo` starts
COMMANDS = {"db", "simulator", *run.SERVICES}


@pytest.fixture
def demo(tmp_path: Path) -> Stack:
    return Stack(tmp_path, cache=tmp_path, simulator_arguments=[])


def test_each_service_of_the_demo_gets_the_secrets_it_uses_and_no_other(demo: Stack) -> None:
    given = {command: set(demo.env_of(command)) & secret_settings() for command in COMMANDS}

    assert given == {
        "db": set(),
        "simulator": {"ADMIN_DHAN_ACCESS_TOKEN"},
        "streams": set(),
        "agents": {"ADMIN_DHAN_ACCESS_TOKEN", "OPENAI_API_KEY", "SUPABASE_SERVICE_KEY"},
        "executors": {"SUPABASE_SERVICE_KEY"},
        "books": {"SUPABASE_SERVICE_KEY"},
        "feed": {"ADMIN_DHAN_ACCESS_TOKEN"},
    }


async def test_a_process_of_the_demo_is_started_with_no_secret_under_another_name(
    demo: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = "import os; print(sorted(os.environ.items()))"
    monkeypatch.setattr(stack, "ats", lambda *_: [sys.executable, "-c", asked])
    monkeypatch.setenv("OPENAI_API_KEY", "the-user's-own")
    child = demo.child("streams", "streams", ATS_TRADING_DATE="2026-11-20")

    child.start()
    try:
        await child.ended(30)
    finally:
        await child.stop(1)

    seen = child.log.read_text()
    assert "('ATS_TRADING_DATE', '2026-11-20')" in seen
    own = demo.env()
    secrets = [own[name] for name in secret_settings() & set(own)]
    assert len(secrets) == 4
    assert [one for one in [*secrets, os.environ["OPENAI_API_KEY"]] if one in seen] == []
