"""What `ats scorecard` was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ats.commands.market_file import look_at
from schemas.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class ScorecardOptions:
    """What the command line says; see `ats scorecard --help`.

    Attributes:
        first, last: The days, both included; None with `market`, whose days all count.
        demo: The folder of a kept demo; None asks a running one, or the cluster that is set.
        market: Market files to play instead of reading a record.
        html: Where the page is written.
    """

    first: date | None
    last: date | None
    demo: Path | None
    market: tuple[Path, ...]
    seed: int
    as_json: bool
    html: Path | None

    @classmethod
    def of(
        cls,
        day: date | None,
        first: date | None,
        last: date | None,
        *,
        demo: Path | None,
        market: Sequence[Path],
        seed: int,
        as_json: bool,
        html: Path | None,
    ) -> ScorecardOptions:
        """Raises Misconfigured where options contradict each other, or no day is named."""
        if day is not None and (first or last):
            raise Misconfigured("give one DATE, or --from and --to, not both")
        begin, end = (day, day) if day else (first or last, last or first)
        if market and (begin or demo):
            raise Misconfigured("--market plays all days of its files: give no date and no --demo")
        if not market and (begin is None or end is None):
            raise Misconfigured(
                "no day given: `ats scorecard 2026-11-20`, --from and --to, or --market FILE"
            )
        if begin and end and begin > end:
            raise Misconfigured(f"--from {begin} is after --to {end}")
        for path in market:
            look_at(path)
        return cls(begin, end, demo, tuple(market), seed, as_json, html)
