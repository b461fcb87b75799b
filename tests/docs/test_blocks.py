"""Every block of code in a page is what it says it is, and starts programs that exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import yaml

from schemas import calendar_file
from streams.rules import config as rules_file
from tests.docs.blocks import Block, blocks
from tools.reference.source import ROOT

PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "python": ast.parse,
}
# What a reader has, besides `ats` and `make`, whose words tests/ats/test_docs.py checks.
PROGRAMS: Final = frozenset(
    {"ats", "make", "python", "pip", "pipx", "docker", "export", "printf", "cp", "curl", "jq", "."}
)


def _id(block: Block) -> str:
    return f"{block.place} {block.language}"


@pytest.mark.parametrize("block", blocks(*PARSERS), ids=_id)
def test_a_block_parses_as_the_language_it_says(block: Block) -> None:
    assert PARSERS[block.language](block.text) is not None


@pytest.mark.parametrize("block", blocks("python"), ids=_id)
def test_a_block_of_python_imports_what_exists(block: Block) -> None:
    page = (ROOT / block.place.partition(":")[0]).read_text(encoding="utf-8")
    saved = set(re.findall(r"as `(\w+)\.py`", page))  # a block that the page has the reader save
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} - saved
            assert all(importlib.import_module(name) for name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("block", blocks("sh"), ids=_id)
def test_a_block_of_shell_starts_programs_that_a_reader_has(block: Block) -> None:
    for words in _commands(block):
        assert words[0].removeprefix(".venv/bin/") in PROGRAMS
        if words[:2] == ["python", "-m"]:
            assert find_spec(words[2])


@pytest.mark.parametrize("block", blocks("sh"), ids=_id)
def test_a_file_of_the_repository_that_a_command_is_given_is_there(block: Block) -> None:
    for words in _commands(block):
        for word in words[1:]:
            path = word.partition("=")[2] or word
            if re.match(r"(tests|docs|benchmarks|tools)/", path):
                assert (ROOT / path.split()[0]).exists(), word


def _commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    calls = [shlex.split(part, comments=True) for line in lines for part in line.split(" | ")]
    return [words for words in calls if words]


def test_a_rules_file_that_a_page_shows_is_one(tmp_path: Path) -> None:
    shown = [block for block in blocks("toml") if "[rules." in block.text]

    assert shown
    for block in shown:
        (tmp_path / "rules.toml").write_text(block.text, encoding="utf-8")
        assert rules_file.read(tmp_path / "rules.toml") != rules_file.read(None)


def test_a_calendar_file_that_a_page_shows_is_one() -> None:
    shown = [block for block in blocks("toml") if "[[coverage]]" in block.text]

    assert shown
    for block in shown:
        shipped = calendar_file.exchange_calendar()
        assert calendar_file.parse(block.text, block.place, shipped) != shipped
