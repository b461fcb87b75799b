"""`ats rules list` and `ats rules check`: what there is, what runs, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.errors import Misconfigured
from schemas.market import Timeframe
from schemas.strategy import mode_of
from schemas.units import UtcNs
from streams.rules.config import REMEDY, RuleSet, read, warning_of
from streams.rules.discovery import RulePlugin, find_plugin, load_factory, rule_plugins
from streams.rules.rule import warm_up


def show(console: Console, path: Path | None) -> None:
    """Print every rule that is installed, and which of them run under the rules file `path`.

    Raises:
        Misconfigured: the file cannot be used; said last, because its remedy may be a name from the
            list.
    """
    try:
        rule_set = read(path, REMEDY)
    except Misconfigured:
        for plugin in rule_plugins():
            _print(console, plugin, "")
        raise
    for plugin in rule_plugins():
        running = ", ".join(
            rule.key for rule in rule_set.rules if rule_set.origins[rule.name] == plugin.name
        )
        _print(
            console, plugin, f" [green]runs as {running}[/]" if running else " [dim]does not run[/]"
        )
    decides = (
        f"{path} decides"
        if path
        else "Without a rules file two rules run; name one in ATS_RULES to decide"
    )
    _warn(console, rule_set, path)
    console.print(
        f"\n{decides} what runs. `ats rules new` writes one of your own.",
        markup=False,
        soft_wrap=True,
    )


def check(console: Console, path: Path) -> RuleSet:
    """Print what the engine would run, and return it.

    Raises:
        Misconfigured: naming everything that is wrong with the file.
    """
    rule_set = read(path, "name a file that can be read")
    table = Table(
        "rule",
        "timeframe",
        "cooldown",
        "mode",
        "instruments",
        "warm-up",
        title=f"{path} holds: {len(rule_set.rules)} rules run",
    )
    for rule in rule_set.rules:
        chosen = ", ".join(sorted(map(str, rule.instruments))) if rule.instruments else "all"
        table.add_row(
            rule.name,
            rule.timeframe,
            _minutes(rule.cooldown),
            mode_of(rule.strategy),
            chosen,
            in_bars(warm_up(rule)),
        )
    console.print(table)
    sections = (rule_set.document or {}).get("rules", {})
    if silent := sections.keys() - {rule.name for rule in rule_set.rules}:
        console.print(f"switched off: {', '.join(sorted(silent))}", markup=False, soft_wrap=True)
    _warn(console, rule_set, path)
    for timeframe, columns in rule_set.columns.items():
        console.print(
            f"on {timeframe} bars TA-Lib computes {', '.join(columns)}",
            markup=False,
            soft_wrap=True,
        )
    return rule_set


def _warn(console: Console, rule_set: RuleSet, path: Path | None) -> None:
    if warning := warning_of(rule_set, path):
        console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _print(console: Console, plugin: RulePlugin, state: str) -> None:
    console.print(f"[bold]{escape(plugin.name)}[/]{state}", highlight=False)
    for line in _lines(plugin):
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)


def _lines(plugin: RulePlugin) -> Iterator[str]:
    try:
        factory = load_factory(find_plugin(plugin.name))
        rule = factory.rule({})
    except Misconfigured as error:
        yield f"CANNOT RUN: {error}"
        return
    yield factory.about
    yield f"parameters  {', '.join(f'{name}={value}' for name, value in factory.defaults.items())}"
    yield f"needs       {' '.join(rule.needs)}"
    yield f"warm-up     {in_bars(warm_up(rule))}, cooldown {_minutes(rule.cooldown)}"
    yield f"from        {plugin.where}"


def in_bars(counts: Mapping[Timeframe, int]) -> str:
    """Say warm-ups in words: "20 x 5m, 3 x 15m"."""
    return ", ".join(f"{count} x {timeframe}" for timeframe, count in counts.items())


def _minutes(span: UtcNs) -> str:
    return f"{span // UtcNs.minutes(1)} min"
