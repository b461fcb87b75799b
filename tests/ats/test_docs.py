"""What README and docs tell people to type exists: make targets, commands of `ats`, their options,
imports of the image.
"""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ats.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference"),
        ROOT / ".env.example",
        ROOT / "docker-compose.yml",
    ]
)
MAKEFILE = (ROOT / "Makefile").read_text()


def told(page: Path) -> Iterator[str]:
    """What a page gives as code: lines of its blocks, words between backticks; of other files every
    comment.
    """
    text = page.read_text()
    if page.suffix != ".md":
        yield from re.findall(r"`([^`\n]+)`", text)
        return
    prose = []
    for number, part in enumerate(re.split(r"^ *```.*$", text, flags=re.MULTILINE)):
        if number % 2:
            yield from (line.split("#")[0].strip() for line in part.splitlines())
        else:
            prose.append(part)
    yield from (
        code.replace("\n", " ") for part in prose for code in re.findall(r"`([^`]+)`", part)
    )


def said(page: Path, program: str) -> Iterator[list[str]]:
    """The words after each call of `program`, up to the end of the call."""
    for code in told(page):
        for found in re.finditer(rf"(?:^|[\s;&(]|\.venv/bin/){program} ([^;&|)]*)", code):
            yield found[1].split()


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` begin with, and the words left; a group when no further word names
    one of its own.
    """
    command: Any = get_command(app)  # typer brings click under a name of its own
    while hasattr(command, "commands"):
        if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            return command, words
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    named = {
        word
        for words in said(page, "make")
        for word in words
        if re.fullmatch(r"[a-z.][a-z./-]*", word)
    }

    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_of_ats_that_a_page_names_exists(page: Path) -> None:
    for words in said(page, "ats"):
        try:
            command, rest = command_of(words)
        except KeyError as unknown:
            pytest.fail(f"{page.name}: no such command: ats {' '.join(words)} ({unknown})")
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        named = {word.partition("=")[0].rstrip(",.:") for word in rest if word.startswith("--")}
        assert named <= options, f"{page.name}: ats {' '.join(words)}"


def test_pages_name_commands_at_all() -> None:
    commands = {" ".join(words[:1]) for page in PAGES for words in said(page, "ats")}

    assert {"demo", "tail", "topics", "rules", "simulator"} <= commands


def test_what_the_image_imports_while_it_is_built_exists() -> None:
    programs = re.findall(r'python -c "([^"]+)"', (ROOT / "Dockerfile").read_text())

    imports = [
        found for program in programs for found in re.findall(r"from (\S+) import (\w+)", program)
    ]

    assert imports
    assert all(hasattr(importlib.import_module(module), name) for module, name in imports)


def test_make_setup_installs_and_starts_nothing() -> None:
    plan = subprocess.run(
        ["make", "-n", "-B", "setup"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert "runtime.lock" in plan
    assert "ats demo" not in plan
