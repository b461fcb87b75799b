"""`ats data`: recorded days in one catalogue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.options import ActionsFile, MaxBadRows, day_of, finish, terminal
from audit.archive.installed import check_installed

data = group("Recorded days in one catalogue: each bar once, checked, quick to read.")

Catalogue = Annotated[
    Path, typer.Option("--catalogue", metavar="DIR", help="The folder of days, one file each.")
]
HERE = Path("market-data")


@data.command("import")
def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="CSV of 1-minute candles; gzip too."),
    ] = None,
    catalogue: Catalogue = HERE,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Where a file contradicts the catalogue, take the file's."),
    ] = False,
    max_bad_rows: MaxBadRows = 1.0,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Candles of what `ats archive` wrote there: one day, or a folder of days.",
        ),
    ] = None,
) -> None:
    """Take files of candles into the catalogue: each bar once, whatever the files are called.

    Any day of it is a market file, such as `--market market-data/2016-08-16.parquet`.
    """
    check_installed()
    from ats.data.command import import_ as run
    from ats.data.command import import_archive
    from schemas.errors import Misconfigured

    if bool(files) == bool(archive):
        raise Misconfigured("nothing to import: name FILE..., or an archive with --archive DIR")
    if archive:
        raise typer.Exit(import_archive(terminal(), archive, catalogue, replace=replace))
    code = run(terminal(), files or [], catalogue, most_bad=max_bad_rows / 100, replace=replace)
    raise typer.Exit(code)


@data.command("fetch")
def fetch(
    symbols: Annotated[
        str, typer.Option(metavar="A,B,…", help="NSE shares and indices, such as RELIANCE,NIFTY.")
    ],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day.")],
    last: Annotated[
        str,
        typer.Option("--to", metavar="DATE", help="The last day; default: the last that is over."),
    ] = "",
    catalogue: Catalogue = HERE,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Ask for what is there too, and take Dhan's bars for it."),
    ] = False,
) -> None:
    """One-minute candles from Dhan's history, by the account of the market data.

    Only what is missing is asked for: a fetch that was stopped is run again and goes on.
    """
    check_installed()
    from ats.data.fetch_command import FetchRequest, run
    from schemas.units import UtcNs

    request = FetchRequest(
        tuple(dict.fromkeys(each.strip().upper() for each in symbols.split(",") if each.strip())),
        day_of(first, "--from"),
        day_of(last, "--to"),
        catalogue,
        replace,
    )
    finish(run(terminal(), request, UtcNs(time.time_ns())))


@data.command("list")
def list_(catalogue: Catalogue = HERE) -> None:
    """The days of the catalogue: symbols and bars."""
    check_installed()
    from ats.data.command import list_ as run

    raise typer.Exit(run(terminal(), catalogue))


@data.command("check")
def check(catalogue: Catalogue = HERE, actions: ActionsFile = None) -> None:
    """What would mislead a backtest: gaps, padding, days without a symbol, splits and bonuses."""
    check_installed()
    from ats.data.command import check as run

    raise typer.Exit(run(terminal(), catalogue, actions))
