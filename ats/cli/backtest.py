"""`ats backtest`: would a rule have earned anything?"""

from __future__ import annotations

import os
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ats.cli.data import HERE
from ats.cli.options import ActionsFile, Archived, day_of, finish, log_errors_only
from backtest.fills import Fills
from schemas.errors import Misconfigured

if TYPE_CHECKING:
    from ats.backtest.playing import PlayOptions


class Deciding(StrEnum):
    """Who makes decisions of signals."""

    NONE = "none"
    RECORDED = "recorded"


Rules = Annotated[
    Path | None, typer.Option(help="Rules file (TOML); default is what ATS_RULES names.")
]
Days = Annotated[
    str, typer.Option(metavar="A..B", help="First and last day, such as 2016-08-16..2016-09-02.")
]
Catalogue = Annotated[
    Path, typer.Option("--catalogue", metavar="DIR", help="Days that `ats data import` took in.")
]
Markets = Annotated[
    list[Path] | None,
    typer.Option(help="Play this market file instead; repeat it, oldest day first."),
]
Symbols = Annotated[str, typer.Option(metavar="A,B,…", help="Only these symbols.")]
FillsBy = Annotated[
    Fills,
    typer.Option(
        help="book: an order meets five levels around the last price, as in `ats demo`. "
        "tape: it gets what trades after it has arrived, as in `ats paper`. "
        "plain: it is filled whole at the next bar's open, as in other backtesters."
    ),
]
Latency = Annotated[
    int,
    typer.Option(help="Seconds from a bar's close to the order at the exchange.", min=1, max=600),
]
DailyLoss = Annotated[
    int | None,
    typer.Option(
        metavar="RUPEES",
        help="Halt an account for the rest of a day that has lost so much, closed and open, before "
        "charges.",
        min=1,
    ),
]
Seed = Annotated[
    int, typer.Option(help="Decides at which seconds of its minute a bar is played.", min=0)
]
Jobs = Annotated[int, typer.Option(help="Processes at once; default: one a processor.", min=0)]
Agents = Annotated[
    Deciding,
    typer.Option(
        help="none: each signal is followed. recorded: the decisions of a recorded day go to the "
        "market again, and what comes of them is held against the record."
    ),
]
Demo = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Of --agents recorded: what `ats demo --keep DIR` left."),
]
Trades = Annotated[Path | None, typer.Option(help="Write each trade into this Parquet file.")]
Html = Annotated[Path | None, typer.Option(help="Write the tear sheet, one HTML page, there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures in paise, and no table.")]


def backtest(
    rules: Rules = None,
    days: Days = "",
    catalogue: Catalogue = HERE,
    market: Markets = None,
    symbols: Symbols = "",
    agents: Agents = Deciding.NONE,
    demo: Demo = None,
    archive: Archived = None,
    fills: FillsBy = Fills.BOOK,
    latency: Latency = 1,
    seed: Seed = 7,
    jobs: Jobs = 0,
    trades: Trades = None,
    html: Html = None,
    as_json: AsJson = False,
    actions: ActionsFile = None,
    max_daily_loss: DailyLoss = None,
) -> None:
    """Trade the signals of a rules file on recorded days, with the code that trades live.

    Each rule trades in an account of its own, without agents: a signal becomes an order, sized,
    judged, stopped and squared off as live, with charges. The same days give the same trades.
    """
    from ats.backtest.command import BacktestOptions, command

    log_errors_only()
    play = play_options(
        rules=rules, days=days, catalogue=catalogue, market=market, symbols=symbols, fills=fills,
        latency=latency, seed=seed, jobs=jobs, actions=actions, max_daily_loss=max_daily_loss,
    )  # fmt: skip
    if agents is Deciding.NONE:
        raise typer.Exit(command(BacktestOptions(play, trades, html, as_json)))
    from ats.backtest.recorded import run_recorded

    if html or trades or as_json or play.symbols or actions or max_daily_loss:
        raise Misconfigured(
            "--html, --trades, --json, --symbols, --actions and --max-daily-loss go with --agents "
            "none only"
        )
    finish(run_recorded(play, demo, archive))


def play_options(
    *,
    rules: Path | None,
    days: str,
    catalogue: Path,
    market: list[Path] | None,
    symbols: str,
    fills: Fills,
    latency: int,
    seed: int,
    jobs: int,
    actions: Path | None,
    max_daily_loss: int | None = None,
) -> PlayOptions:
    """What is played, as the command line says it.

    Raises:
        Misconfigured: `days` are none.
    """
    from ats.backtest.playing import PlayOptions

    chosen = frozenset(filter(None, (each.strip() for each in symbols.split(","))))
    return PlayOptions(
        rules=rules,
        days=span(days),
        catalogue=catalogue,
        markets=tuple(market or ()),
        symbols=chosen or None,
        fills=fills,
        latency=latency,
        seed=seed,
        jobs=jobs or os.cpu_count() or 1,
        actions=actions,
        max_daily_loss=max_daily_loss,
    )


def span(text: str) -> tuple[date, date] | None:
    """One day, or two with `..` between.

    Raises:
        Misconfigured: `text` is neither.
    """
    first, dots, last = text.partition("..")
    begin, end = day_of(first, "--days"), day_of(last, "--days") if dots else None
    if begin is None:
        if text:
            raise Misconfigured(
                f"--days {text!r} is not usable: give A..B, such as 2016-08-16..2016-09-02"
            )
        return None
    if dots and end is None:
        raise Misconfigured(
            f"--days {text!r} is not usable: a day stands on both sides of the dots"
        )
    if end is not None and end < begin:
        raise Misconfigured(f"--days {text!r} is not usable: {end} is before {begin}")
    return begin, end or begin
