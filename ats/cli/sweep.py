"""`ats sweep`: which settings of a rule, and what the best of them is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ats.cli.backtest import (
    Catalogue,
    Days,
    FillsBy,
    Jobs,
    Latency,
    Markets,
    Rules,
    Seed,
    Symbols,
    play_options,
)
from ats.cli.data import HERE
from ats.cli.options import ActionsFile, log_errors_only
from backtest.fills import Fills
from backtest.sweep.space import Search
from schemas.errors import Misconfigured

Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="rules.NAME.PARAMETER=VALUES",
        help="A parameter and its values: 5..20, 5..20:5, or 5,8,13. Repeat it for each.",
    ),
]
WalkForward = Annotated[
    int | None,
    typer.Option(
        help="Blocks of days to judge on, each by a choice on the days before it; 0 holds nothing "
        "out. Default: four, fewer of few days.",
        min=0,
        max=100,
    ),
]
Results = Annotated[
    Path, typer.Option(help="The file of points: a sweep that was ended goes on where it was.")
]
SearchBy = Annotated[
    Search,
    typer.Option(
        help="grid: every point. bayes: points where earlier ones did well on the days before the "
        "first that is held out; needs optuna (`make setup-search`)."
    ),
]
Tries = Annotated[
    int | None,
    typer.Option(help="Points that --search bayes may try; default 64.", min=1, max=5_000),
]
Html = Annotated[Path | None, typer.Option(help="Write a map of the points, one HTML page, there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print every point, and no table.")]


def sweep(
    set_: Set,
    rules: Rules = None,
    days: Days = "",
    catalogue: Catalogue = HERE,
    market: Markets = None,
    symbols: Symbols = "",
    walk_forward: WalkForward = None,
    results: Results = Path("sweep.jsonl"),
    fills: FillsBy = Fills.BOOK,
    latency: Latency = 1,
    seed: Seed = 7,
    jobs: Jobs = 0,
    html: Html = None,
    as_json: AsJson = False,
    actions: ActionsFile = None,
    search: SearchBy = Search.GRID,
    tries: Tries = None,
) -> None:
    """Backtest every combination of some parameters of one rule; out of sample first.

    The points are chosen on some days and judged on the days that follow. What the best one is
    worth is deflated by how many were tried.
    """
    from ats.backtest.sweep import SweepOptions, command

    log_errors_only()
    if tries and search is Search.GRID:
        raise Misconfigured("--tries goes with --search bayes: a grid tries every point")
    play = play_options(
        rules=rules, days=days, catalogue=catalogue, market=market, symbols=symbols, fills=fills,
        latency=latency, seed=seed, jobs=jobs, actions=actions,
    )  # fmt: skip
    asked = SweepOptions(play, tuple(set_), walk_forward, results, html, as_json, search, tries)
    raise typer.Exit(command(asked))
