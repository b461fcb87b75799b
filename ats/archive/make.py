"""`ats archive DATE`: the day's topics into files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

from rich.console import Console

from ats import DISTRIBUTION
from ats.archive.show import show_sizes
from ats.demo.steps import Step
from ats.replay.source import Source, recorded_by
from ats.runtime import exit_codes
from audit.archive.writing import ArchiveRequest, archive_day
from audit.replay.recorded import span_of
from schemas.units import UtcNs

QUIET: Final = UtcNs.minutes(2)  # a replay of an old market writes several records a second


@dataclass(frozen=True, slots=True)
class MakeOptions:
    """What the command line says; see `ats archive --help`.

    Attributes:
        into: The folder of all days; None is `archive` in `ATS_STATE_DIR`.
    """

    day: date
    into: Path | None
    demo: Path | None
    partial: bool


async def run(options: MakeOptions, now: UtcNs) -> int:
    """Archive, and print what it came to.

    Raises:
        Misconfigured: no such demo, no cluster or topics, no record of the day, a day that is not
            over, or a folder that cannot be written.
        TryLater: no broker answers.
    """
    tell, asked_at = Console(stderr=True), datetime.now(UTC)
    async with recorded_by(options.demo, tell) as source:
        request = _request(options, source, now)
        with Step(tell, f"archiving {options.day}") as step:
            folder, manifest = await archive_day(source.kafka, request, step.now)
    if manifest.made_at < asked_at:
        tell.print(
            f"{options.day} was archived before, at {manifest.made_at:%Y-%m-%d %H:%M} UTC: nothing "
            "was read and nothing written",
            highlight=False,
            soft_wrap=True,
        )
    show_sizes(Console(), [manifest])
    tell.print(f"{folder}, digest {manifest.sha256}", highlight=False, soft_wrap=True)
    return exit_codes.DONE


def _request(options: MakeOptions, source: Source, now: UtcNs) -> ArchiveRequest:
    settings = source.settings
    replays = settings.ats_clock == "market"
    return ArchiveRequest(
        day=options.day,
        root=options.into or settings.ats_state_dir / "archive",
        source=str(options.demo or source.kafka.bootstrap_servers),
        version=metadata.version(DISTRIBUTION),
        replays=replays,
        of_demo=replays,
        partial=options.partial,
        still_written=partial(
            still_written, options.day, now, kept=options.demo is not None, replays=replays
        ),
        now=lambda: datetime.now(UTC),
    )


def still_written(day: date, now: UtcNs, latest: UtcNs, *, kept: bool, replays: bool) -> str:
    """Why `day` is not over at `now`; empty when it is. `latest` is when it was last written about.

    Nobody writes to a `kept` demo. A cluster that `replays` an old market has no hour of its own.
    """
    if kept:
        return ""
    if not replays:
        return "" if now >= span_of(day, day).end else "it ends at midnight, Indian time"
    return "" if now - latest >= QUIET else "services wrote about it in the last two minutes"
