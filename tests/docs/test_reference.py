"""The reference pages that `tools.reference` makes tell of everything that the code has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from agents.llm_calls import Failure
from ats.settings import Settings
from executors.reasons import WORDS
from schemas.topics import CATALOGUE
from tools.reference import metrics
from tools.reference.commands import commands
from tools.reference.pages import PAGES
from tools.reference.settings import explained
from tools.reference.source import ROOT, comments
from tools.web_reasons import FILE, typescript


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Page -> its text."""
    return {name: page() for name, page in PAGES.items()}


def test_every_setting_stands_in_env_example_once_and_in_the_page(pages: dict[str, str]) -> None:
    shown = [setting.name for setting in explained()]

    assert sorted(shown) == sorted(name.upper() for name in Settings.model_fields)
    assert all(f"| `{name}` |" in pages["settings.md"] for name in shown)


def test_every_command_and_option_is_in_the_page(pages: dict[str, str]) -> None:
    for name, command in commands():
        assert f"\n## {name}\n" in pages["commands.md"]
        for parameter in command.params:
            assert max(parameter.opts, key=len).strip("-").replace("-", "_").lower() in _words(
                pages["commands.md"]
            )


def _words(text: str) -> set[str]:
    return {word.strip("-").replace("-", "_").lower() for word in re.findall(r"`([\w-]+)`", text)}


def test_every_topic_and_every_field_of_its_message_is_in_the_page(pages: dict[str, str]) -> None:
    for topic in CATALOGUE:
        section = pages["topics.md"].partition(f"\n## {topic.name}\n")[2]
        for field in topic.message.model_fields if topic.message else ():
            assert f"| `{field}` |" in section


def test_the_page_of_metrics_has_what_each_service_appends_to_its_records() -> None:
    for service, records in metrics.SERVICES.items():
        source = (ROOT / "ats" / "services" / f"{service}.py").read_text()
        kinds = [type(record).__name__ for record in records]

        assert _appended(source) == len(kinds)
        assert all(f"{kind}(" in source for kind in kinds)


def _appended(source: str) -> int:
    """How many records `context.records` gets in a service."""
    count = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "context.records":
            count += len(getattr(node.value, "elts", ()))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "context.records.append":
            count += 1
    return count


def test_no_other_service_has_records() -> None:
    services = {
        path.stem
        for path in (ROOT / "ats" / "services").glob("*.py")
        if _appended(path.read_text())
    }

    assert services == set(metrics.SERVICES)


def test_every_reason_code_stands_in_the_page_with_who_gives_it(pages: dict[str, str]) -> None:
    for reason, words in WORDS.items():
        row = next(line for line in pages["denials.md"].splitlines() if f"| `{reason}` |" in line)

        assert words.user in row
        assert words.operator in row
        assert "|  |" not in row


def test_the_account_page_has_the_sentences_of_today() -> None:
    assert FILE.read_text(encoding="utf-8") == typescript(), "run python -m tools.web_reasons"


def test_every_failure_has_a_sentence_behind_it_in_the_code(pages: dict[str, str]) -> None:
    words = comments(Failure)

    for failure in Failure:
        assert words.get(failure.name), (
            f"say behind {failure.name} in agents/llm_calls.py what happened"
        )
        assert f"| `{failure.value}` |" in pages["failures.md"]


def test_a_page_says_that_it_is_made_and_of_what(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert re.match(r"# .+\n\nMade from .+ when this site is built\.", text)


def test_no_page_names_a_folder_of_this_machine(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert str(Path.home()) not in text
