"""What a person sees and may conclude while a demo starts, however slow the machine is."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from numba.core.event import Event, EventStatus, broadcast
from rich.console import Console

from ats.demo.home import FAILED, KEPT, home_of, keep_logs
from ats.demo.kept import serve
from ats.demo.starting import until_at_work
from ats.demo.steps import Step
from ats.runtime import signs
from ats.runtime.child import Child
from ats.runtime.metrics import Health, MetricsServer
from ats.runtime.readiness import until_it_answers
from ats.runtime.signs import Signs
from schemas.errors import Misconfigured, TryLater
from streams.engine import kernels
from streams.engine.compiling import Compiled, watched
from tools import visibly

SLEEPER = "import time; print('reading the rules', flush=True); time.sleep(600)"
WORKER = "print('compiling', flush=True)\nwhile True: pass"
WRITER = (
    "import itertools, time\nfor n in itertools.count(): print(n, flush=True); time.sleep(0.01)"
)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Heard(io.StringIO):
    """Output that tells when a text is in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        size = super().write(text)
        if self._text in self.getvalue():
            self.seen.set()
        return size


def child_of(program: str, folder: Path, name: str = "streams") -> Child:
    return Child(name, [sys.executable, "-c", program], log=folder / f"{name}.log")


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


async def test_a_child_that_only_sleeps_is_lost_after_a_while_and_its_last_line_is_known(
    tmp_path: Path,
) -> None:
    clock, child = Clock(), child_of(SLEEPER, tmp_path)
    child.start()
    await until(lambda: bool(child.tail()))
    looked = Signs(child, clock)
    assert looked.lost == ""

    clock.seconds = signs.SILENT + 1

    assert looked.lost == f"gave no sign for {signs.SILENT:.0f} seconds"
    assert looked.last_line == "reading the rules"
    await child.stop(5)


@pytest.mark.parametrize("program", [WORKER, WRITER], ids=["works", "writes"])
async def test_a_child_that_does_something_is_never_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(signs, "WORK", 0.05)
    clock, child = Clock(), child_of(program, tmp_path)
    child.start()
    await until(lambda: bool(child.tail()))
    looked = Signs(child, clock)

    for _ in range(3):
        clock.seconds += signs.SILENT - 1
        await until(lambda: not looked.lost and looked._last == clock.seconds)

    await child.stop(5)


async def test_work_without_end_is_given_up_after_an_hour(tmp_path: Path) -> None:
    clock, child = Clock(), child_of(WRITER, tmp_path)
    child.start()
    await until(lambda: bool(child.tail()))
    looked = Signs(child, clock)

    clock.seconds = signs.LONGEST + 1
    await until(lambda: looked.lost == "is not ready after an hour")

    await child.stop(5)


async def test_a_service_without_a_sign_is_named_with_the_last_line_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setattr(signs, "SILENT", 0.5)
    child = child_of(SLEEPER, tmp_path)
    child.start()

    with pytest.raises(TryLater, match=r"^streams gave no sign .* of its log: reading the rules$"):
        await until_at_work(
            [child],
            {"streams": free_port()},
            also=lambda: True,
            check=lambda: None,
            tell=lambda *_: None,
        )

    await child.stop(5)


async def test_a_part_that_does_not_answer_is_named_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signs, "SILENT", 0.5)
    child = child_of(SLEEPER, tmp_path, "db")
    child.start()
    await until(lambda: bool(child.tail()))

    with pytest.raises(TryLater, match=r"^db gave no sign (.|\n)*reading the rules"):
        await until_it_answers(child, "http://127.0.0.1:1/")

    await child.stop(5)


async def test_while_the_engine_compiles_one_hears_how_many_kernels_are_done(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    health = Health(ok=False, why="compiling the engine, once: 12 of 50 kernels", done=12, of=50)
    port, told = free_port(), list[tuple[str, int, int]]()
    answers = iter([health, Health(ok=True, why="running")])
    server = MetricsServer("streams", port, [], lambda: next(answers))
    await server.start()
    child = child_of(SLEEPER, tmp_path)
    child.start()

    await until_at_work(
        [child],
        {"streams": port},
        also=lambda: True,
        check=lambda: None,
        tell=lambda *words: told.append(words),
    )

    assert told == [(health.why, 12, 50), ("", 0, 0)]
    await child.stop(5)
    await server.stop()


def test_each_kernel_that_is_compiled_is_told_once_and_counted() -> None:
    told: list[Compiled] = []
    with watched(told.append):
        for kernel in (kernels.number_of, kernels.prefetch_row, kernels.number_of):
            broadcast(Event("numba:compile", EventStatus.END, data={"dispatcher": kernel}))

    assert [(one.done, one.kernel) for one in told] == [
        (1, "kernels.number_of"),
        (2, "kernels.prefetch_row"),
        (2, "kernels.number_of"),
    ]
    assert told[0].of >= 50


def test_without_a_terminal_a_step_says_what_it_does_and_how_far_it_is_again_and_again() -> None:
    out = Heard("12 of 50 kernels")
    with Step(Console(file=out, width=200), "starting the engine", every=0.001) as step:
        step.now("12 of 50 kernels", 12, 50)
        assert out.seen.wait(30)

    lines = out.getvalue().splitlines()
    assert lines[0] == "starting the engine"
    assert lines[-1].startswith("starting the engine: done in ")


def test_on_a_terminal_a_step_is_a_bar_and_leaves_one_line() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    with Step(console, "starting the engine") as step:
        step.now("12 of 50 kernels", 25, 50)

    assert "12 of 50 kernels" in out.getvalue()
    assert "━" in out.getvalue()
    assert "starting the engine: done in " in out.getvalue().splitlines()[-1]


def test_the_logs_of_a_failed_demo_are_kept_and_the_place_is_told(tmp_path: Path) -> None:
    out = io.StringIO()
    console, homes = Console(file=out, width=300), list[Path]()

    def fail() -> None:
        with home_of(None, tmp_path, console) as home:
            homes.append(home.path)
            (home.path / "logs").mkdir()
            (home.path / "logs" / "streams.log").write_text("the last words")
            raise TryLater("streams gave no sign")

    with pytest.raises(TryLater):
        fail()

    [kept] = (tmp_path / FAILED).iterdir()
    assert (kept / "logs-streams.log").read_text() == "the last words"
    assert str(kept) in out.getvalue()
    assert not homes[0].exists()


@pytest.mark.parametrize("broken", [True, False])
def test_logs_are_kept_when_a_promise_was_broken_and_only_then(
    tmp_path: Path, broken: bool
) -> None:
    with home_of(None, tmp_path, Console(file=io.StringIO())) as home:
        (home.path / "streams.log").write_text("words")
        home.failed = broken

    assert (tmp_path / FAILED).exists() is broken
    assert not home.path.exists()


def test_only_the_newest_failures_are_kept(tmp_path: Path) -> None:
    kept = [keep_logs(tmp_path / "home", tmp_path / FAILED) for _ in range(KEPT + 2)]

    assert sorted((tmp_path / FAILED).iterdir()) == kept[-KEPT:]


def test_make_says_every_few_seconds_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibly, "LINE_EVERY", 0.05)
    program = "import time; print('Collecting numba', flush=True); time.sleep(1)"
    out = io.StringIO()

    assert visibly.main(["fetching", sys.executable, "-c", program], out) == 0

    first, *between, last = out.getvalue().splitlines()
    assert first == "fetching"
    assert any("Collecting numba" in line for line in between)
    assert last.startswith("fetching: done in ")


def test_make_shows_what_a_failed_command_said() -> None:
    out = io.StringIO()

    code = visibly.main(["fetching", sys.executable, "-c", "print('no net'); exit(3)"], out)

    assert code == 3
    assert out.getvalue().splitlines()[-2:] == ["no net", "fetching: failed, exit code 3"]


def test_packages_that_pip_collects_are_counted(tmp_path: Path) -> None:
    lock = tmp_path / "runtime.lock"
    lock.write_text("numba==0.68 \\\n    --hash=sha256:0\nrich[jupyter]==15 \\\nnumpy==2.4\n")
    log = io.BytesIO(
        b"Collecting numba==0.68\n  Downloading numba-0.68.whl (3.9 MB)\n"
        b"     \xe2\x94\x81\xe2\x94\x81 3.9/3.9 MB 12.5 MB/s eta 0:00:00\n"
    )

    assert visibly.state(log, ["pip", "install", "-r", str(lock)]) == (
        "package 1 of about 3: Downloading numba-0.68.whl (3.9 MB)"
    )


def test_a_folder_that_holds_a_demo_is_not_written_over(tmp_path: Path) -> None:
    for part in ("kafka/data", "supabase"):
        (tmp_path / part).mkdir(parents=True)

    with (
        pytest.raises(Misconfigured, match=f"look at it with --serve {tmp_path}"),
        home_of(tmp_path, tmp_path, Console(file=io.StringIO())),
    ):
        pass


async def test_a_folder_without_a_demo_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no demo was kept there"):
        await serve(tmp_path, web=False)
