"""Which reference pages there are, and how they reach the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.reference import codes, commands, metrics, settings, topics

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings.page,
    "commands.md": commands.page,
    "topics.md": topics.page,
    "metrics.md": metrics.page,
    "exit-codes.md": codes.exit_codes_page,
    "denials.md": codes.denials_page,
    "failures.md": codes.failures_page,
}


def write(folder: Path) -> None:
    """Write every page into `folder`, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
