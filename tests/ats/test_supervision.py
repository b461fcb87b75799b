from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ats.runtime import exit_codes
from ats.runtime.child import Child
from ats.runtime.readiness import until_it_answers
from ats.runtime.supervisor import MOST_DEATHS, Supervisor
from bus.exit import Exit
from schemas.errors import AtsError, Misconfigured, TryLater

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def dying(code: int) -> list[str]:
    return [sys.executable, "-c", f"import sys; print('the reason'); sys.exit({code})"]


async def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def test_a_service_that_was_killed_is_started_again(tmp_path: Path) -> None:
    child = Child("sleeper", SLEEPER, log=tmp_path / "log")
    supervisor, stop = Supervisor([child]), asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    await until(lambda: child.running)
    first = child.pid

    child.signal(signal.SIGKILL)
    await until(lambda: child.running and child.pid != first)

    stop.set()
    await running
    await supervisor.stop(grace=5)
    assert supervisor.services[0].restarts == 1
    assert not child.running


async def test_a_service_that_is_added_later_is_kept_alive_too(tmp_path: Path) -> None:
    child = Child("later", SLEEPER, log=tmp_path / "log")
    supervisor, stop = Supervisor([]), asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    supervisor.add(child)
    first = child.pid

    child.signal(signal.SIGKILL)
    await until(lambda: child.running and child.pid != first)

    stop.set()
    await running
    await supervisor.stop(grace=5)


async def test_a_service_that_needs_a_person_is_not_started_again_and_its_last_words_are_kept(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor(
        [Child("service", dying(exit_codes.MISCONFIGURED), log=tmp_path / "log")]
    )

    await asyncio.wait_for(supervisor.run(asyncio.Event()), 20)

    assert f"service ended with exit code {exit_codes.MISCONFIGURED}" in str(supervisor.failed)
    assert "the reason" in str(supervisor.failed)
    assert supervisor.services[0].restarts == 0


@pytest.mark.parametrize(
    ("code", "next_"),
    [(exit_codes.MISCONFIGURED, Misconfigured), (int(Exit.INCOMPATIBLE), exit_codes.Faulty)],
)
async def test_the_end_of_a_service_says_whether_a_setting_is_wrong_or_a_part_is_at_fault(
    tmp_path: Path, code: int, next_: type[AtsError]
) -> None:
    supervisor = Supervisor([Child("streams", dying(code), log=tmp_path / "log")])

    await asyncio.wait_for(supervisor.run(asyncio.Event()), 20)

    assert type(supervisor.failed) is next_


async def test_a_child_that_is_misconfigured_is_answered_for_in_its_own_last_words(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; print('starting'); print('ats: the market file has no usable row'); "
        "sys.exit(64)"
    )
    child = Child("simulator", [sys.executable, "-c", program], log=tmp_path / "log")
    child.start()

    with pytest.raises(Misconfigured, match=r"^simulator: the market file has no usable row$"):
        await until_it_answers(child, "http://127.0.0.1:1/")


@pytest.mark.parametrize("code", [None, 0, -signal.SIGKILL, exit_codes.TRY_LATER])
def test_an_end_that_is_nobodys_mistake_is_worth_another_try(code: int | None) -> None:
    error = exit_codes.error_of("simulator", code, "the simulator ended", "last words")

    assert type(error) is TryLater
    assert str(error) == "the simulator ended; the end of its log:\nlast words"


async def test_a_service_that_keeps_dying_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ats.runtime.supervisor.BACKOFF", (0.0,))
    supervisor = Supervisor([Child("service", dying(1), log=tmp_path / "log")])

    await asyncio.wait_for(supervisor.run(asyncio.Event()), 60)

    assert "exit code 1" in str(supervisor.failed)
    assert supervisor.services[0].restarts == MOST_DEATHS


async def test_a_frozen_child_is_ended_too(tmp_path: Path) -> None:
    child = Child("frozen", SLEEPER, log=tmp_path / "log")
    child.start()
    child.signal(signal.SIGSTOP)
    await until(
        lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    )  # a pending SIGTERM would overtake it

    await child.stop(grace=0.2)

    assert child.exit_code == -signal.SIGKILL


def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ats.runtime.child import Child\n"
        f"child = Child('c', {SLEEPER!r}, log=Path({str(tmp_path / 'log')!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)
