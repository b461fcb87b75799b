"""Every relative link of the pages that GitHub shows leads somewhere; `mkdocs --strict` checks
anchors within the site.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ats.settings import Settings
from tools.reference.pages import PAGES
from tools.reference.source import ROOT

READ = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference"),
    ]
)
MADE = {ROOT / "docs" / "reference" / name for name in PAGES}


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_or_a_page_that_is_made(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = {
        link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if ":" not in link
    }
    targets = {link: (page.parent / link).resolve() for link in links if link}

    assert {
        link for link, target in targets.items() if not target.exists() and target not in MADE
    } == set()


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    targets |= set(
        re.findall(
            r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))

    assert named - {word for line in targets for word in line.split()} == set()


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_of_ours_that_a_page_names_exists(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields} | {"ATS_ENV_FILE"}
    named = set(re.findall(r"`(ATS_[A-Z_]*[A-Z])(?:=[^`]*)?`", page.read_text(encoding="utf-8")))

    assert named - known == set()
