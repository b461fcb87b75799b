"""Code cites only pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.house.tree import PRODUCT
from tools.reference.source import ROOT

ROOMS = (*PRODUCT, "tools")


@pytest.mark.parametrize("room", ROOMS)
def test_every_page_that_code_cites_exists(room: str) -> None:
    cited = {
        (str(module.relative_to(ROOT)), page)
        for module in (ROOT / room).rglob("*.py")
        for page in re.findall(r"[\w./-]*\b[\w-]+\.md\b", module.read_text(encoding="utf-8"))
        if "/" in page
    }

    assert {found for found in cited if not _exists(found[1])} == set()


def _exists(page: str) -> bool:
    return Path(ROOT / page).is_file()
