"""What a market file held, for a person: how long its bars are, what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.errors import Misconfigured

MAX_BAD_SHARE: Final = 0.01  # a recorder's slips; a file with more says something else than we read
MAX_OUTSIDE_SHARE: Final = 0.5  # pre-open and closing rows are few; more are times of another zone


class Fault(StrEnum):
    """Why a row is left out."""

    CELLS = "not a row of the header's columns"
    SYMBOL = "no symbol, or one that is not text in UTF-8"
    TIME = "not a time"
    MINUTE = "not the start of a minute"
    SESSION = "outside the session"
    PRICE = "not a price"
    RANGE = "prices that contradict one another"
    VOLUME = "not a volume"
    REPEATED = "a second row of the same bar"
    BACKWARDS = "a time or a day's volume that goes back"
    CARRIED = "more than the feed can carry"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out; `line` counts from 1, the header included."""

    line: int
    field: str
    reason: str
    fault: Fault

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was read of one file.

    Attributes:
        rows: All that were not empty, the header not counted.
        holds: What one row is, such as `bars of 1 minute`.
        unsorted: Rows of a symbol that stood behind a later one.
        symbol: Taken from the file's name; empty when a column says it.
    """

    name: str
    rows: int
    symbols: int
    holds: str
    bad: Sequence[BadRow]
    unsorted: int = 0
    symbol: str = ""

    def lines(self) -> list[str]:
        """What a person should know of it, with what was left out by reason."""
        return [*self.whole(), *counted(self.bad, self.name)]

    def whole(self) -> list[str]:
        """What it holds, and how it was read."""
        plural = "" if self.symbols == 1 else "s"
        lines = [
            f"{self.name}: {self.rows:,} rows of {self.symbols:,} symbol{plural}, {self.holds}"
        ]
        if self.symbol:
            lines.append(f"{self.name}: no column for the symbol; {self.symbol} by the file's name")
        if self.unsorted:
            rows = "row" if self.unsorted == 1 else "rows"
            lines.append(f"{self.name}: {self.unsorted:,} {rows} out of order, now sorted")
        return lines

    def refuse_broken(self, most: float = MAX_BAD_SHARE) -> None:
        """Check that at most the share `most` of the rows was left out.

        Rows outside the session are right in themselves; they count only when they are the most.

        Raises:
            Misconfigured: naming the reasons, each with its first line.
        """
        outside = sum(row.fault is Fault.SESSION for row in self.bad)
        broken = len(self.bad) - outside
        if broken > most * self.rows:
            raise Misconfigured(
                f"the market file {self.name}: {broken:,} of {self.rows:,} rows cannot be used, "
                f"more than the {most * 100:.3g} % of --max-bad-rows: "
                f"{'; '.join(counted(self.bad))}"
            )
        if outside > max(most, MAX_OUTSIDE_SHARE) * self.rows:
            raise Misconfigured(
                f"the market file {self.name}: {outside:,} of {self.rows:,} rows are outside the "
                "session of 09:15 to 15:30 IST. A time without a zone is IST: are these UTC? "
                "Then write +00:00 behind them. " + "; ".join(counted(self.bad))
            )


def counted(bad: Iterable[BadRow], of: str = "") -> list[str]:
    """Rows left out by reason, the most frequent first, each with its first; `of` is their file."""
    rows = sorted(bad, key=lambda row: row.line)
    first = {row.fault: row for row in reversed(rows)}
    where = f" in {of}" if of else ""
    return [
        f"{count:,} bad row{'' if count == 1 else 's'}{where}, {fault}; first {first[fault]}"
        for fault, count in Counter(row.fault for row in rows).most_common()
    ]
