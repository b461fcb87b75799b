"""What the decisions page says of failed thinking."""

from __future__ import annotations

import re

from agents.llm_calls import Failure
from ats.commands.web import WEB


def test_every_way_in_which_thinking_fails_has_words_on_the_page() -> None:
    text = (WEB / "src" / "lib" / "thinking.ts").read_text("utf-8")
    (table,) = re.findall(r"const FAILURES.*?= \{\n(.*?)\n\};", text, re.DOTALL)

    assert {line.split(":")[0].strip() for line in table.splitlines()} == set(Failure)
