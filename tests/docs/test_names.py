"""What a page names between backticks exists: files, settings, topics, metrics, codes."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from agents import committee, entries, limits
from agents.llm_calls import Failure
from ats.settings import Settings
from executors.reasons import WORDS
from executors.risk.denial import Denial
from schemas.topics import CATALOGUE
from tests.docs.blocks import PAGES, blocks, name, spans
from tools.house.tree import AROUND, PRODUCT
from tools.reference import metrics
from tools.reference.source import ROOT


def _is_code(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z_]+", value) is not None


NOW: Final = [page for page in PAGES if page.name != "CHANGELOG.md"]  # that one tells of the past
FOLDERS: Final = (*PRODUCT, *AROUND, "docs", "docker", "requirements", "supabase", "web")
MADE: Final = ("docs/reference", "build/", "web/.next")
TOPICS: Final = {topic.name for topic in CATALOGUE}
OTHERS: Final = {"ats.rules"}  # a group of entry points
SETTING: Final = re.compile(r"(?:ATS|KAFKA|DHAN|ADMIN|SUPABASE|OPENAI|NEXT_PUBLIC)_[A-Z_]*[A-Z]")
CODES: Final = (
    {failure.value for failure in Failure}
    | {str(code) for code in WORDS}
    | {
        value
        for part in (committee, entries, limits)
        for value in vars(part).values()
        if _is_code(value)
    }
)


@pytest.mark.parametrize("page", NOW, ids=name)
def test_every_file_and_folder_exists(page: Path) -> None:
    named = {
        span for span in spans(page) if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*", span)
    }

    assert {
        path for path in named if not path.startswith(MADE) and not [*ROOT.glob(path.strip("/"))]
    } == set()


@pytest.mark.parametrize("page", NOW, ids=name)
def test_every_setting_is_one_of_the_services_or_of_the_web_page(page: Path) -> None:
    shown = (
        block.text for block in blocks("sh", "yaml", "text") if block.place.startswith(name(page))
    )
    named = {found for text in (*spans(page), *shown) for found in SETTING.findall(text)}

    assert named - _settings() == set()


def _settings() -> set[str]:
    web = (ROOT / "web" / "src").rglob("*.ts*")
    return (
        {field.upper() for field in Settings.model_fields}
        | {"ATS_ENV_FILE"}
        | {found for file in web for found in SETTING.findall(file.read_text(encoding="utf-8"))}
    )


TOPIC = r"(?<!in\.)\bats\.[a-z_]+(?:-[a-z]+)*\b"  # `in.ats.…` is an event's type


@pytest.mark.parametrize("page", NOW, ids=name)
def test_every_topic_metric_and_python_name_exists(page: Path) -> None:
    topics = {found for span in spans(page) for found in re.findall(TOPIC, span)}
    counted = {found for span in spans(page) for found in re.findall(r"\bats_[a-z_]+\b", span)}
    dotted = {
        span for span in spans(page) if re.fullmatch(rf"(?:{'|'.join(PRODUCT)})(?:\.\w+)+", span)
    }

    assert topics - TOPICS - OTHERS == set()
    assert counted - metrics.names() - {"ats_client"} == set()
    assert {span for span in dotted - topics if not _resolves(span)} == set()


def _resolves(dotted: str) -> bool:
    head, _, last = dotted.rpartition(".")
    try:
        import_module(dotted)
    except ModuleNotFoundError:
        return bool(head) and (hasattr(import_module(head), last) if _imports(head) else False)
    return True


def _imports(module: str) -> bool:
    try:
        import_module(module)
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("page", NOW, ids=name)
def test_every_reason_code_of_a_table_exists(page: Path) -> None:
    assert {code for code in _codes(page) if code not in CODES} == set()


def test_every_denial_has_a_row_in_the_page_of_the_executors() -> None:
    told = set(_codes(ROOT / "docs" / "executors.md"))

    assert {denial.value for denial in Denial} - told == set()


def test_pages_name_reason_codes_at_all() -> None:
    found = {code for page in NOW for code in _codes(page)}

    assert len(found) > 20


def _codes(page: Path) -> set[str]:
    """What stands between backticks in columns that are headed as codes."""
    column: int | None = None
    found: set[str] = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        heads = [cell.strip("`").lower().replace(" ", "_") for cell in cells]
        if not cells:
            column = None
        elif "reason_code" in heads:
            column = heads.index("reason_code")
        elif column is not None and column < len(cells):
            found |= set(re.findall(r"`([a-z_]+)`", cells[column]))
    return found
