from __future__ import annotations

import ast
import errno
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock, Mock

import click
import pytest
from typer.main import get_command

from ats.cli import app, main
from ats.cli.groups import narrowed
from ats.runtime import exit_codes

ROOT = Path(__file__).resolve().parents[2]


def ats(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {
        "PATH": "/usr/bin:/bin",
        "ATS_ENV_FILE": "/dev/null",
        "HOME": str(Path.home()),
        "ATS_STATE_DIR": str(ROOT / "nowhere"),  # a demo that runs on this machine is not ours
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "ats", *words],
        capture_output=True,
        text=True,
        env=bare | env,
        check=False,
    )


def commands(
    group: click.Command | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    for name, command in (group or get_command(app)).commands.items():  # type: ignore[union-attr]
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = ats(*words, "--help")

    assert done.returncode == exit_codes.DONE
    assert len(done.stdout.split()) > 10


def test_every_command_of_the_contract_is_there() -> None:
    wanted = {
        "demo",
        "feed",
        "streams",
        "agents",
        "executors",
        "books",
        "simulator",
        "topics",
        "db",
        "tail",
        "show-config",
        "doctor",
    }

    assert wanted <= {words[0] for words in commands()}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["feed"], "KAFKA_BOOTSTRAP_SERVERS"),
        (["topics", "create"], "KAFKA_BOOTSTRAP_SERVERS"),
        (["db", "migrate"], "SUPABASE_DB_URL"),
        (["tail", "ats.nonsense"], "KAFKA_BOOTSTRAP_SERVERS"),
        (["demo", "--speed", "fast"], "--speed"),
        (["why", "a" * 100_000], "is no id"),
        (["why", "\udcff"], "is no id"),
        (["replay", "2026-11-20", "--speed", "60x"], "--into"),
        (["demo", "--check-candles"], "--market"),
        (["demo", "--market", "nowhere.csv"], "nowhere.csv"),
        (["simulator", "--day", "tomorrow"], "--day"),
        (["simulator", "--max-bad-rows", "0", "--market", "nowhere.csv"], "nowhere.csv"),
        (["demo", "--day", "tomorrow"], "--day"),
        (["paper", "--web"], "--rules"),
        (["paper", "--rules", "nowhere.toml"], "nowhere.toml"),
        (["charges", "--buy", "1@1", "--date", "tomorrow"], "--date"),
        (["charges", "--buy", "many"], "--buy"),
        (["report", "2026-11-20", "--user", ""], "--user"),  # not everybody's
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_missing_or_malformed_is_said_in_one_line_with_its_own_exit_code(
    words: list[str], names: str
) -> None:
    done = ats(*words)

    assert done.returncode == exit_codes.MISCONFIGURED
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--seed", "-1"],
        ["simulator", "--seed", "-1"],
        ["rules", "try", "ema_cross", "--seed", "-1"],
        ["streams", "--metrics-port", "-1"],
        ["streams", "--metrics-port", "99999"],
        ["simulator", "--port", "99999"],
        ["db", "serve", "--port", "-1"],
        ["demo", "--no-such-option", "1"],
    ],
    ids=" ".join,
)
def test_an_option_out_of_its_range_is_a_mistake_to_mend_and_no_crash_to_start_again_after(
    words: list[str],
) -> None:
    done = ats(*words)

    assert done.returncode == exit_codes.MISCONFIGURED
    assert words[-2] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_part_at_fault_ends_with_a_code_that_does_not_ask_for_another_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise exit_codes.Faulty("streams ended with exit code 5")

    monkeypatch.setattr("ats.cli.narrowed", lambda *_: fail)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exit_codes.BROKEN
    assert "streams ended with exit code 5" in capsys.readouterr().err


def test_an_answer_that_finds_no_room_is_told_apart_from_one_that_says_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer() -> None:
        sys.stdout.write("intact")
        sys.exit(exit_codes.DONE)

    monkeypatch.setattr("ats.cli.narrowed", lambda *_: answer)
    full = MagicMock(flush=Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    monkeypatch.setattr(sys, "stdout", full)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exit_codes.TRY_LATER
    assert "No space left on device; what was written is not whole" in capsys.readouterr().err


def test_a_command_whose_output_is_closed_does_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> None:
        sys.stdout.write("nobody reads it")
        sys.exit(exit_codes.DONE)

    monkeypatch.setattr("ats.cli.narrowed", lambda *_: answer)
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exit_codes.DONE


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["demmo"], "Did you mean 'demo'?"),
        (["rules", "lst"], "Did you mean 'list'?"),
        (["settle"], "Did you mean 'claims settle'?"),  # it stands below another word
        (["foo"], "There are demo, simulator, feed"),  # nothing is near
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_word_that_is_no_command_is_answered_with_the_nearest_or_with_all(
    words: list[str], answer: str
) -> None:
    done = ats(*words)

    assert done.returncode == exit_codes.MISCONFIGURED
    assert answer in done.stderr


def test_nothing_that_a_command_says_leads_to_a_page_that_an_installation_lacks() -> None:
    said = [
        f"{module.name}: {node.value}"
        for module in (ROOT / "ats").rglob("*.py")
        for tree in [ast.parse(module.read_text())]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "docs/" in node.value
        if node.value != ast.get_docstring(tree, clean=False)
    ]

    assert said == []


def test_an_unknown_topic_is_answered_with_those_that_exist() -> None:
    done = ats("tail", "ats.nonsense", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert done.returncode == exit_codes.MISCONFIGURED
    assert "ats.decisions" in done.stderr


def test_an_absent_broker_is_named_and_worth_another_try() -> None:
    done = ats("topics", "create", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert done.returncode == exit_codes.TRY_LATER
    assert "127.0.0.1:1" in done.stderr


def test_show_config_shows_no_secret() -> None:
    done = ats("show-config", OPENAI_API_KEY="sk-very-secret-value")

    assert done.returncode == exit_codes.DONE
    assert "sk-very-secret-value" not in done.stdout
    assert re.search(r"OPENAI_API_KEY.*\(set\)", done.stdout)


def test_the_doctor_names_every_failure_and_fails() -> None:
    done = ats("doctor", DHAN_INSTRUMENTS_URL="http://127.0.0.1:1/master.csv")

    assert done.returncode == exit_codes.BROKEN
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_help_is_instant_because_nothing_heavy_is_imported() -> None:
    heavy = {"agno", "aiokafka", "numba", "pandas", "numpy", "faust", "supabase", "structlog"}
    heavy |= {"pydantic", "asyncio", "rich", "importlib.metadata"}
    program = (
        "import sys, ats.entry\nsys.argv = ['ats', '--help']\ntry: ats.entry.main()\n"
        f"finally: print({heavy!r} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "Run the services:" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_help_reads_the_options_of_no_command_that_is_not_asked_for() -> None:
    asked = cast("Any", get_command(narrowed(app, ["rules", "try"]))).commands
    rules = asked["rules"].commands

    assert [name for name, command in asked.items() if command.params] == []
    assert {"market", "seed"} <= {one.name for one in rules["try"].params}
    assert asked["tail"].help == cast("Any", get_command(app)).commands["tail"].help


def test_the_version_is_that_of_the_installation() -> None:
    done = ats("--version")

    assert done.returncode == exit_codes.DONE
    assert done.stdout == f"ats {metadata.version('agentic-trading-system')}\n"


LOGS_WHILE_IT_ANSWERS = """
import structlog
from ats.cli.options import finish
async def work():
    structlog.get_logger().info("kafka_ready")
    structlog.get_logger().error("broken")
    print("the answer")
finish(work())
"""


def test_nothing_but_the_answer_comes_on_standard_output() -> None:
    program = [sys.executable, "-c", LOGS_WHILE_IT_ANSWERS]

    ran = subprocess.run(program, capture_output=True, text=True, check=False)

    assert ran.stdout == "the answer\n"
    assert "kafka_ready" not in ran.stderr
    assert "broken" in ran.stderr
