"""Draws a status for a terminal: rupees, Indian time, and red only where somebody should look."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ats.gateway.platform_views import Person, Pipeline, Status
from schemas.messages import FeedState
from schemas.units import Paise, UtcNs

MOST_USERS: Final = 30  # on one screen, those in trouble first
_MUTE: Final = frozenset({FeedState.STALE, FeedState.DISCONNECTED, FeedState.GAP})
_BEHIND: Final = 1_000  # records; a burst of bars is less


def screen(status: Status) -> RenderableType:
    """Everything on one screen."""
    return Group(
        _head(status), _pipeline(status.pipeline), _users(status.users), _incidents(status)
    )


def _head(status: Status) -> Text:
    day = status.trading_date.isoformat() if status.trading_date else "no trading day yet"
    market = f"{status.clock.ist():%H:%M:%S}" if status.clock else "--:--:--"
    head = Text(f"ATS  {day}  market {market} IST  ", style="bold")
    for feed in status.feeds:
        style = "red" if feed.state in _MUTE else "green"
        head.append(f" feed {feed.gateway} {feed.state.value}", style=style)
    return head


def _pipeline(pipeline: Pipeline) -> Table:
    table = Table(title="Pipeline", title_justify="left", show_header=False, expand=True)
    latency = pipeline.bar_latency
    bars = (
        f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms" if latency else "no bar lately"
    )
    decided = ", ".join(f"{count} {action}" for action, count in pipeline.decisions.items())
    failed = pipeline.failsafe_percent
    table.add_row("ticks a second", f"{pipeline.ticks_per_second:,.0f}")
    table.add_row("bar latency", bars)
    table.add_row(
        "waiting",
        Text("  ").join(
            Text(f"{group} {waiting:,}", style="red" if waiting > _BEHIND else "")
            for group, waiting in pipeline.lags.items()
        ),
    )
    table.add_row("decisions", decided or "none")
    table.add_row(
        "failsafe",
        Text("-" if failed is None else f"{failed:.1f} %", style="red" if failed else ""),
    )
    table.add_row("thinking", str(pipeline.thinking))
    for letters in pipeline.dead_letters:
        said = f"{letters.count} of {letters.topic}: {letters.reason}"
        table.add_row("dead letters", Text(said, style="red"))
    return table


def _users(users: tuple[Person, ...]) -> Table:
    table = Table(title=f"Users ({len(users)})", title_justify="left", expand=True)
    for name in (
        "user",
        "state",
        "preflight",
        "after charges",
        "exposure",
        "orders",
        "unprotected",
    ):
        table.add_column(name)
    for person in sorted(users, key=_calm)[:MOST_USERS]:
        left = person.result.after_charges
        table.add_row(
            str(person.user_id)[:8],
            _state(person),
            _preflight(person),
            "-" if left is None else Text(str(left), style="red" if left < 0 else ""),
            str(person.exposure),
            str(person.orders),
            _unprotected(person),
        )
    return table


def _calm(person: Person) -> tuple[bool, bool, Paise]:
    """Who has a position without a stop comes first, then who is red, then who holds most."""
    return not person.unprotected_now, person.green is not False, Paise(-person.exposure)


def _state(person: Person) -> str:
    if person.active is None:
        return "unknown"
    return "active" if person.active else person.reason


def _preflight(person: Person) -> Text:
    if person.green is None:
        return Text("-")
    return (
        Text("green", style="green") if person.green else Text(", ".join(person.reds), style="red")
    )


def _unprotected(person: Person) -> Text:
    now = " now" if person.unprotected_now else ""
    return Text(f"{person.unprotected_seconds:.1f} s{now}", style="red" if now else "")


def _incidents(status: Status) -> Table:
    table = Table(title="Incidents", title_justify="left", show_header=False, expand=True)
    for each in status.incidents:
        whose = str(each.user_id)[:8] if each.user_id else ""
        table.add_row(f"{UtcNs(each.at).ist():%d %b %H:%M:%S}", each.kind, whose, each.words)
    if not status.incidents:
        table.add_row("none in the last day")
    return table
