"""The command line: one module for each thing that a person wants to do.

Each command says what it does with `--help`; rooms are imported only by the command that needs
them.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Never, TextIO

import typer

from ats import DISTRIBUTION
from ats.cli import (
    approvals,
    archive,
    backtest,
    data,
    ledger,
    limits,
    look,
    operators,
    paper,
    recorded,
    rules,
    services,
    set_up,
    sweep,
    try_it,
)
from ats.cli.groups import Commands, narrowed
from ats.runtime import exit_codes
from schemas.errors import Misconfigured, TryLater, Unreadable

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})  # a disk, or a person's share of it
USAGE: Final = 2  # what Typer ends with; a supervisor would read it as a crash and start us again

app = typer.Typer(
    name="ats",
    cls=Commands,
    help="Live market ticks in, AI-made trading decisions out, placed safely for many users. Start "
    "with: ats demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich takes longer to import than all the rest
    context_settings={"max_content_width": 100},
)
# The help lists commands by what a person wants to do, and in this order.
SET_UP: Final = "Set it up, and check it"
RULES: Final = "Write rules, and try them"
LOOK: Final = "Look at what happens, and step in"
PANELS: Final[dict[str, dict[str, Callable[..., None]]]] = {
    "Try it on this machine": {"demo": try_it.demo, "simulator": try_it.simulator},
    "Run the services": {
        "feed": services.feed,
        "warm-up": services.warm_up,
        "streams": services.streams,
        "agents": services.agents,
        "executors": services.executors,
        "paper": paper.paper,
        "books": services.books,
        "gateway": services.gateway,
    },
    LOOK: {
        "tail": look.tail,
        "status": look.status,
        "top": look.top,
        "why": look.why,
        "replay": recorded.replay,
        "report": recorded.report,
        "scorecard": recorded.scorecard,
        "evaluate": recorded.evaluate,
        "kill": look.kill,
        "states": look.states,
        "preflight": look.preflight,
        "charges": look.charges,
    },
    RULES: {"backtest": backtest.backtest, "sweep": sweep.sweep},
    SET_UP: {"show-config": set_up.show_config, "doctor": set_up.doctor},
}
for panel, commands in PANELS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)
app.add_typer(set_up.topics, name="topics", rich_help_panel=SET_UP)
app.add_typer(set_up.database, name="db", rich_help_panel=SET_UP)
app.add_typer(rules.rules, name="rules", rich_help_panel=RULES)
app.add_typer(data.data, name="data", rich_help_panel=RULES)
app.add_typer(look.claims, name="claims", rich_help_panel=LOOK)
app.add_typer(approvals.approvals, name="approvals", rich_help_panel=LOOK)
app.add_typer(ledger.ledger, name="ledger", rich_help_panel=LOOK)
app.add_typer(archive.archive, name="archive", rich_help_panel=LOOK)
app.add_typer(limits.limits, name="limits", rich_help_panel=LOOK)
app.add_typer(look.members, name="members", rich_help_panel=SET_UP)
app.add_typer(operators.operators, name="operators", rich_help_panel=SET_UP)


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"ats {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `ats`; what goes wrong becomes one line and an exit code (`ats.runtime.exit_codes`)."""
    # a caller may have closed them; else the next file that is opened takes their place
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    try:
        narrowed(app, sys.argv[1:])()
    except SystemExit as end:
        _end(exit_codes.MISCONFIGURED if end.code == USAGE else end.code)
    except Misconfigured as error:
        _fail(error, exit_codes.MISCONFIGURED)
    except (TryLater, Unreadable) as error:
        _fail(error, exit_codes.TRY_LATER)
    except exit_codes.Faulty as error:
        _fail(error, exit_codes.BROKEN)
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)
    except OSError as error:
        if error.errno not in FULL:
            raise
        _full(error)


def _end(code: str | int | None) -> Never:
    """End with `code`, unless the end of the answer finds no room any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has read enough
        sys.stdout = _nowhere()
    except OSError as error:
        if error.errno not in FULL:
            raise
        _full(error)
    sys.exit(code)


def _full(error: OSError) -> Never:
    sys.stdout = _nowhere()  # Python writes at its end what it could not write before
    where = f"{error.filename}: " if error.filename else ""
    why = f"{where}{error.strerror}; what was written is not whole"
    _fail(TryLater(why), exit_codes.TRY_LATER)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def _fail(error: Exception, code: int) -> Never:
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True).print(
        f"[bold red]{exit_codes.SAID}[/]{escape(str(error))}",
        highlight=False,
        soft_wrap=True,
        markup=True,
    )
    sys.exit(code)
