"""Writes the account page's file of reason codes from `executors/reasons.py`.

Run it as `python -m tools.web_reasons`. The file is committed, so that the page is built without
Python; a test says when it lags behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from executors.reasons import WORDS

FILE: Final = Path(__file__).resolve().parents[1] / "web" / "src" / "lib" / "reasons.ts"
_HEAD: Final = """\
// Made by `python -m tools.web_reasons` from executors/reasons.py: change that, not this."""


def typescript() -> str:
    """The file: what the user reads of each code, and of a halt while it lasts."""
    reasons = {str(code): words.user for code, words in WORDS.items()}
    idle = {str(code): words.idle for code, words in WORDS.items() if words.idle}
    parts = (
        _HEAD,
        _record("REASONS", "What is said of an order or of the day's checks, by code.", reasons),
        _record("IDLE", "Why nobody's orders leave, for somebody who is switched on.", idle),
    )
    return "\n\n".join(parts) + "\n"


def _record(name: str, says: str, texts: Mapping[str, str]) -> str:
    rows = "".join(f"  {code}: {_text(text)},\n" for code, text in sorted(texts.items()))
    head = f"export const {name}: Readonly<Record<string, string>> = {{"
    return f"/** {says} */\n{head}\n{rows}}};"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(typescript(), encoding="utf-8")
