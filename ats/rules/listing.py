"""`ats rules list` and `ats rules check`: what there is, what runs, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.errors import Misconfigured
from schemas.market import Timeframe
from schemas.units import UtcNs
from streams.rules.config import REMEDY, read
from streams.rules.discovery import Offer, offer_of, offers, recipe_of
from streams.rules.rule import warm_up


def show(console: Console, path: Path | None) -> None:
    """Print every rule that is installed, and which of them run under the rules file `path`.

    Raises:
        Misconfigured: the file cannot be used; said last, because its remedy may be a name from the
            list.
    """
    try:
        book = read(path, REMEDY)
    except Misconfigured:
        for offer in offers():
            _print(console, offer, "")
        raise
    for offer in offers():
        running = ", ".join(
            rule.key for rule in book.rules if book.origins[rule.name] == offer.name
        )
        _print(
            console, offer, f" [green]runs as {running}[/]" if running else " [dim]does not run[/]"
        )
    decides = (
        f"{path} decides"
        if path
        else "Without a rules file two rules run; name one in ATS_RULES to decide"
    )
    console.print(
        f"\n{decides} what runs. docs/rules.md says how to write a rule.",
        markup=False,
        soft_wrap=True,
    )


def check(console: Console, path: Path) -> None:
    """Print what the engine would run.

    Raises:
        Misconfigured: naming everything that is wrong with the file.
    """
    book = read(path, "name a file that can be read")
    table = Table(
        "rule",
        "timeframe",
        "cooldown",
        "instruments",
        "warm-up",
        title=f"{path} holds: {len(book.rules)} rules run",
    )
    for rule in book.rules:
        chosen = ", ".join(sorted(map(str, rule.instruments))) if rule.instruments else "all"
        table.add_row(
            rule.name, rule.timeframe, _minutes(rule.cooldown), chosen, in_bars(warm_up(rule))
        )
    console.print(table)
    for timeframe, columns in book.columns.items():
        console.print(
            f"on {timeframe} bars TA-Lib computes {', '.join(columns)}",
            markup=False,
            soft_wrap=True,
        )


def _print(console: Console, offer: Offer, state: str) -> None:
    console.print(f"[bold]{escape(offer.name)}[/]{state}", highlight=False)
    for line in _lines(offer):
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)


def _lines(offer: Offer) -> Iterator[str]:
    try:
        recipe = recipe_of(offer_of(offer.name))
        rule = recipe.rule({})
    except Misconfigured as error:
        yield f"CANNOT RUN: {error}"
        return
    yield recipe.about
    yield f"parameters  {', '.join(f'{name}={value}' for name, value in recipe.defaults.items())}"
    yield f"needs       {' '.join(rule.needs)}"
    yield f"warm-up     {in_bars(warm_up(rule))}, cooldown {_minutes(rule.cooldown)}"
    yield f"from        {offer.where}"


def in_bars(counts: Mapping[Timeframe, int]) -> str:
    """Say warm-ups in words: "20 x 5m, 3 x 15m"."""
    return ", ".join(f"{count} x {timeframe}" for timeframe, count in counts.items())


def _minutes(span: UtcNs) -> str:
    return f"{span // UtcNs.minutes(1)} min"
