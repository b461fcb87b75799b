"""Every relative link of the pages that GitHub shows leads somewhere; `mkdocs --strict` checks
anchors within the site.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
def test_every_anchor_is_a_heading_of_the_page_it_points_to(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s:#]*)#([^)\s]+)\)", text)
    targets = {
        (path, anchor, (page.parent / path).resolve() if path else page) for path, anchor in links
    }

    assert {
        f"{path}#{anchor}"
        for path, anchor, target in targets
        if target not in MADE and anchor not in _anchors(target)
    } == set()


def _anchors(page: Path) -> set[str]:
    """As GitHub and mkdocs name them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {
        re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
