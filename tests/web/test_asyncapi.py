"""Our AsyncAPI document as AsyncAPI's own parser reads it."""

from __future__ import annotations

import subprocess

import pytest

from ats.commands.web import node
from schemas.errors import Misconfigured
from schemas.topics import CATALOGUE
from tools.messages.files import ROOT

PARSER = ROOT / "tools" / "messages" / "parser"
DOCUMENT = ROOT / "schemas" / "asyncapi.json"


@pytest.fixture(scope="module")
def program() -> list[str]:
    """`make test-web` has found Node and installed the parser; a plain `make test` goes on
    without.
    """
    try:
        found = node()
    except Misconfigured as error:
        pytest.skip(f"{error}; `make test-web` brings it")
    if not (PARSER / "node_modules").is_dir():
        pytest.skip("AsyncAPI's parser is not installed: run `make test-web`")
    return [str(found), str(PARSER / "check.mjs")]


def test_the_official_parser_accepts_the_document_with_each_topic(program: list[str]) -> None:
    topics = sum(not topic.holds_snapshots for topic in CATALOGUE)

    command = [*program, str(DOCUMENT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [f"{topics} channels, {topics} messages"]
