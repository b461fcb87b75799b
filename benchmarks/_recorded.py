"""Where a page of docs/ holds what the last recorded run of a benchmark says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
DOCS = Path(__file__).parents[1] / "docs"
END = "<!-- end -->\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A part of `page`, made from a file of `benchmarks/results`."""

    page: str
    file: str

    @property
    def results(self) -> Path:
        return RESULTS / self.file

    @property
    def _begin(self) -> str:
        return f"<!-- from benchmarks/results/{self.file}: begin -->\n"

    def shown(self) -> str:
        """What the page says now."""
        return (DOCS / self.page).read_text().split(self._begin)[1].split(END)[0]

    def show(self, text: str) -> None:
        """Let the page say this instead."""
        before, rest = (DOCS / self.page).read_text().split(self._begin)
        whole = before + self._begin + text + END + rest.split(END, 1)[1]
        (DOCS / self.page).write_text(whole)


def line(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
