"""The repository as the rules see it: which packages, which files, which room a file is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PRODUCT: Final = (
    *("schemas", "bus", "dhan", "streams", "agents", "executors"),
    *("simulator", "audit", "backtest", "ats"),
)
AROUND: Final = ("benchmarks", "tests", "tools")


def sources(root: Path, packages: Iterable[str]) -> Iterator[Path]:
    """The Python files of `packages`, in order."""
    for package in packages:
        yield from sorted((root / package).rglob("*.py"))


def pages(root: Path) -> Iterator[Path]:
    """The pages that people wrote; those of `docs/reference` are made from the code."""
    yield from sorted(root.glob("*.md"))
    yield from (
        page for page in sorted((root / "docs").rglob("*.md")) if page.parent.name != "reference"
    )


def room_of(path: Path) -> str:
    """The package that a file of the repository is in, at most two names deep: `streams.engine`."""
    return ".".join(path.parent.parts[:2])
