"""Commands to write rules: list, check, columns, try, new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.options import ActionsFile, MaxBadRows, Seed, terminal

rules = group("The engine's rules: list, check and try them, make your own.")

RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="Rules file (TOML); default is what ATS_RULES names.")
]


@rules.command("list")
def rules_list(rules: RulesFile = None) -> None:
    """Every installed rule: timeframe, parameters, warm-up, columns, package, and what runs."""
    from ats.commands.rules_list import show
    from ats.settings import load

    show(terminal(), rules or load().ats_rules)


@rules.command("check")
def rules_check(
    file: Annotated[
        Path, typer.Argument(help="A rules file; rules.example.toml shows all there is.")
    ],
) -> None:
    """Say what the engine would run under a rules file, or everything that is wrong with it."""
    from ats.commands.rules_list import check

    check(terminal(), file)


@rules.command("columns")
def rules_columns(
    word: Annotated[str, typer.Argument(help="Show only columns that this word is about.")] = "",
) -> None:
    """Every column a rule may look at: name, indicator, bars of warm-up, and a sentence."""
    from ats.commands.rules_columns import show

    show(terminal(), word)


@rules.command("try")
def rules_try(
    name: Annotated[str, typer.Argument(help="A rule, or a section of the rules file.")],
    market: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of 1-minute candles; repeat for several days. Default: a generated market."
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Days of the generated market.", min=1, max=60)] = 3,
    seed: Seed = 7,
    rules: RulesFile = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A parameter, such as timeframe=15m; before what the file says."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Signals to print; all are counted.", min=0)] = 20,
    max_bad_rows: MaxBadRows = 1.0,
    actions: ActionsFile = None,
) -> None:
    """Replay days through the engine with one rule, and print what it would have said."""
    from ats.commands.rules_try import Trial, run
    from ats.settings import load

    run(
        terminal(),
        Trial(
            name,
            rules or load().ats_rules,
            tuple(set_ or ()),
            tuple(market or ()),
            days,
            seed,
            limit,
            max_bad_rows / 100,
            actions,
        ),
    )


@rules.command("new")
def rules_new(
    name: Annotated[str, typer.Argument(help="The rule's name: small letters, digits and _.")],
    directory: Annotated[
        Path | None, typer.Argument(help="Where to write it; default is a folder of that name.")
    ] = None,
) -> None:
    """Write a package with a rule of your own, its entry point and its test. The
    documentation's guide to rules goes on from there.
    """
    from ats.commands.rules_new import write

    write(terminal(), name, directory)
