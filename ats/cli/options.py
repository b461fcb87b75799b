"""What several commands ask for in the same words."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ats.runtime import exit_codes
from schemas.errors import Misconfigured

if TYPE_CHECKING:
    from rich.console import Console

MOST_PORT: Final = 65_535

Speed = Annotated[
    str,
    typer.Option(help="Market seconds per second, or max: as fast as the platform can take it."),
]
MaxBadRows = Annotated[
    float,
    typer.Option(
        help="Refuse a market file of which more rows than this cannot be used, in percent.",
        min=0,
        max=100,
    ),
]
ActionsFile = Annotated[
    Path | None,
    typer.Option(
        "--actions",
        metavar="FILE",
        help="Splits and bonus issues, CSV of date,symbol,ratio: shares that one became.",
    ),
]
Seed = Annotated[
    int, typer.Option(help="Seed of the generated market; one seed, one result.", min=0)
]
Day = Annotated[
    str,
    typer.Option(
        help="Trading day YYYY-MM-DD: of the generated market (default 2026-11-20), or one of the "
        "file's."
    ),
]
Archived = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="Read what `ats archive` wrote there instead of Kafka: one day, or a folder of days.",
    ),
]


def terminal() -> Console:
    """Where a command prints; `--help` does without rich, which takes as long as all the rest."""
    from rich.console import Console

    return Console()


def finish(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end; what it returns is the exit code."""
    import asyncio

    log_errors_only()
    sys.exit(asyncio.run(work) or exit_codes.DONE)


def log_errors_only() -> None:
    """Standard output is the command's answer. Of the log errors come, on standard error.

    A service says more once it has read its settings.
    """
    from ats.runtime.logs import configure

    configure("ats", style="console", level="error", secrets=(), lasting=False)


def speed_of(text: str) -> float | None:
    """`max` is None.

    Raises:
        Misconfigured: neither a number above zero nor `max`.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1_000_000:
        raise Misconfigured(
            f"--speed {text!r} is not usable: give market seconds per second such as 60, or max"
        )
    return speed


def day_of(text: str, option: str = "--day") -> date | None:
    """Raises Misconfigured when `text` is no date; empty is None."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Misconfigured(
            f"{option} {text!r} is not usable: give a date such as 2026-11-20"
        ) from None
