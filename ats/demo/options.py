"""What `ats demo` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The command line; see `ats demo --help`.

    Attributes:
        market: CSV to replay; None generates a session.
        speed: Market seconds per second; None is as fast as it goes.
        check_against: CSVs of longer candles to compare those with that were played too.
        keep: Folder for logs and databases; None uses one that is removed at the end.
        web: Start the web page too, and keep it open when the market has closed.
        rules: Rules file of the engine; None runs the default. With one nobody promises orders.
        day: Which of the market file's days to replay; None when it holds one, or generates the
            simulator's usual day.
        depth: Subscribe to order books, which the agents are then told of.
        model: The line that names a provider's model, `local`, or `scripted`.
        max_bad_rows: Percent of the market file's rows that may be unusable.
    """

    market: Path | None
    speed: float | None
    seed: int
    check_candles: bool
    check_against: tuple[Path, ...]
    keep: Path | None
    web: bool = False
    rules: Path | None = None
    day: date | None = None
    max_bad_rows: float = 1.0
    model: str = "scripted"
    depth: bool = False
