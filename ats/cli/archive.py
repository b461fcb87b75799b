"""`ats archive`: keep days for years."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ats.cli.groups import Commands
from ats.cli.options import day_of, finish

DAY = "day"


class ArchiveCommands(Commands):
    """A group whose first word may be a date: `ats archive 2026-11-20` is `archive day`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Typer's, but for a word that begins as a date does."""
        if args and args[0][:1].isdigit():
            args = [DAY, *args]
        return super().resolve_command(ctx, args)


archive = typer.Typer(
    cls=ArchiveCommands,
    help="Keep days for years: the day's topics as Parquet files, and back into a cluster.",
    no_args_is_help=True,
)
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="One archived day, or the folder of many.")
]


@archive.command(DAY)
def day_(
    day: Annotated[str, typer.Argument(metavar="DATE", help="The trading day, YYYY-MM-DD.")],
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of all days; default: archive in ATS_STATE_DIR."),
    ] = None,
    demo: Annotated[
        Path | None, typer.Option(help="What `ats demo --keep FOLDER` left; starts its Kafka.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Archive a day that is not over, as far as it is.")
    ] = False,
) -> None:
    """Archive a day: a Parquet file for each topic, and a manifest. `ats archive DATE` for short.

    Byte for byte: keys, values, headers, stamps, partitions and offsets. What is killed goes on
    where it was when it is started again.
    """
    from audit.archive.installed import check_installed
    from schemas.errors import Misconfigured

    check_installed()
    from ats.archive.make import MakeOptions
    from ats.archive.make import run as work
    from schemas.units import UtcNs

    found = day_of(day, "DATE")
    if found is None:
        raise Misconfigured("no day given: `ats archive 2026-11-20`")
    kept = demo.resolve() if demo else None
    finish(work(MakeOptions(found, into, kept, partial), UtcNs(time.time_ns())))


@archive.command("sizes")
def sizes(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Megabytes of a day in Kafka and in the archive, by topic, and what five years come to."""
    from audit.archive.installed import check_installed

    check_installed()
    from ats.archive.sizes import run as work

    work(folder, as_json=as_json)


@archive.command("verify")
def verify(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list of days.")] = False,
) -> None:
    """Is each byte as it was archived? Exit code 1 and the places where one is not."""
    from audit.archive.installed import check_installed

    check_installed()
    from ats.archive.verify import run as work

    finish(work(folder, as_json=as_json))


@archive.command("restore")
def restore(folder: Folder) -> None:
    """Put days into the empty cluster of KAFKA_BOOTSTRAP_SERVERS, byte for byte.

    All hashes are checked first. Topics are made, and keep everything. What holds other records is
    refused. What is killed goes on where it was when it is started again.
    """
    from audit.archive.installed import check_installed

    check_installed()
    from ats.archive.restore import run as work

    finish(work(folder))
