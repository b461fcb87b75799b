"""The pages that people wrote, and what stands in them as code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tools.house.tree import pages
from tools.reference.source import ROOT

PAGES: Final = tuple(pages(ROOT))
_FENCED: Final = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: where it begins, its language, and its text without the page's indent."""

    place: str
    language: str
    text: str


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages, of all pages."""
    return [
        Block(
            f"{name(page)}:{text.count(chr(10), 0, found.start()) + 1}",
            found[1],
            textwrap.dedent(found[2]),
        )
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in _FENCED.finditer(text)
        if found[1] in languages
    ]


def spans(page: Path) -> Iterator[str]:
    """What stands between backticks in the prose and tables of a page."""
    prose = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for found in re.finditer(r"`([^`]+)`", prose):
        yield " ".join(found[1].split())
