"""The demo's summary and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from ats import exits
from ats.demo.played import Played
from ats.demo.tally import Tally
from schemas.messages import Outcome

NEXT: Final = """\
What to try next
  ats demo --speed max                       the same day as fast as this machine can take it
  ats demo --market DAY.csv --check-candles  a day of your own, every candle compared with the file
  ats demo --keep ./demo                     keep the logs and databases to look around in
  docs/architecture.md                       how it works, and what is promised"""


def summary(console: Console, played: Played) -> int:
    """Print what happened; returns the exit code."""
    tally = played.tally
    console.print(_counts(tally, played.seconds))
    console.print(_users(played))
    for name, latency in tally.latencies().items():
        console.print(
            f"{name}: p50 {latency.p50:,.0f} ms, p99 {latency.p99:,.0f} ms",
            style="dim",
            highlight=False,
        )
    if played.restarts:
        console.print(f"services restarted {played.restarts} times", style="yellow")
    problems = verdict(played)
    for line in (line for comparison in played.comparisons for line in comparison.lines()):
        console.print(line, highlight=False, soft_wrap=True)
    for problem in problems:
        console.print(f"[bold red]broken:[/] {problem}", highlight=False, soft_wrap=True)
    if problems:
        return exits.BROKEN
    console.print("[bold green]Every promise that was checked held.[/]")
    console.print(NEXT, style="dim", highlight=False, soft_wrap=True)
    return exits.DONE


def verdict(played: Played) -> list[str]:
    """What makes the demo a failure, each in one line."""
    tally = played.tally
    found = tally.problems()
    if tally.ticks != played.ticks_sent:
        found.append(
            f"the market made {played.ticks_sent:,} ticks, {tally.ticks:,} reached ats.ticks"
        )
    found += [
        f"the {comparison.timeframe} candles differ from the file"
        for comparison in played.comparisons
        if not comparison.exact
    ]
    found += [f"no {name} at all" for name, count in essentials(tally).items() if not count]
    accepted = tally.accepted_by_user()
    found += [
        f"{user.name} is active but has no accepted order"
        for user in played.users
        if user.active and not accepted[user.id]
    ]
    found += [
        f"dead letter from {letter.topic}: {letter.reason}" for letter in tally.dead_letters[:5]
    ]
    return found


def essentials(tally: Tally) -> Mapping[str, int]:
    """What must not be zero."""
    return {
        "ticks": tally.ticks,
        "candles": tally.counts["ats.candles"],
        "signals": tally.counts["ats.signals"],
        "reports": tally.counts["ats.reports"],
        "decisions": tally.counts["ats.decisions"],
        "accepted orders": tally.outcomes[Outcome.ACCEPTED],
    }


def _counts(tally: Tally, seconds: float) -> Table:
    table = Table(
        title=f"The day in {seconds:,.0f} seconds", title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column(justify="right")
    for name, count in essentials(tally).items():
        table.add_row(name, f"{count:,}")
    for name, counts in (
        ("decisions", tally.actions),
        ("orders", tally.outcomes),
        ("not accepted because", tally.denials),
    ):
        if counts:
            table.add_row(
                f"  {name}", ", ".join(f"{key} {count:,}" for key, count in sorted(counts.items()))
            )
    return table


def _users(played: Played) -> Table:
    accepted = played.tally.accepted_by_user()
    table = Table("user", "trading", "orders accepted", title="Users", title_justify="left")
    for user in played.users:
        table.add_row(user.name, "on" if user.active else "off", f"{accepted[user.id]:,}")
    return table
