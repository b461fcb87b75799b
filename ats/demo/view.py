"""What a person sees while the demo runs.

A live panel on a terminal, a line every few seconds elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ats.demo.steps import Pulse
from ats.demo.tally import Tally
from schemas.market import Action, Session
from schemas.messages import Decision, Outcome

REFRESH: Final = 0.25  # seconds between two drawings
_AROUND: Final = 14  # lines of the panel that are no decisions
COLOURS: Final[Mapping[Action, str]] = {Action.BUY: "bold green", Action.SELL: "bold red"}
_WINDOW: Final = 3.0  # seconds over which ticks/s are averaged


class View:
    """Shows a `Tally` as it grows."""

    def __init__(
        self, console: Console, tally: Tally, session: Session, *, thinks: bool = False
    ) -> None:
        """`thinks` shows how a real model gets on."""
        self._thinks = thinks
        self._console = console
        self._tally = tally
        self._session = session
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )
        self._pulse = None if self._live else Pulse(console, self._line)
        self._note = ""
        self._seen: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        if self._pulse:
            self._pulse.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
        if self._pulse:
            self._pulse.__exit__(kind, error, trace)

    @property
    def progress(self) -> float:
        """How much of the session has passed, 0 to 1."""
        span = self._session.close - self._session.open
        return min(1.0, max(0.0, (self._tally.clock - self._session.open) / span))

    def draw(self, note: str) -> None:
        """Show the state now; `note` says what is being waited for."""
        now, self._note = time.monotonic(), note
        self._seen = [(at, ticks) for at, ticks in self._seen if now - at < _WINDOW] + [
            (now, self._tally.ticks)
        ]
        if self._live:
            self._live.update(self._panel(note), refresh=True)

    def ticks_per_second(self) -> float:
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0

    def _line(self) -> str:
        t = self._tally
        return (
            f"{self._market_time()}  {self.progress:4.0%}  {t.ticks:>9,} ticks  "
            f"{t.counts['ats.candles']:>7,} candles  "
            f"{t.counts['ats.signals']:>4} signals  {t.counts['ats.decisions']:>4} decisions  "
            f"{t.outcomes[Outcome.ACCEPTED]:>4} orders accepted  "
            f"{f'{t.thoughts()}  ' if self._thinks else ''}{self._note}"
        )

    def _market_time(self) -> str:
        return (
            self._tally.clock.ist().strftime("%H:%M:%S IST")
            if self._tally.clock
            else "--:--:-- IST"
        )

    def _panel(self, note: str) -> RenderableType:
        t = self._tally
        numbers = Table.grid(padding=(0, 3))
        for _ in range(6):
            numbers.add_column(justify="right")
        numbers.add_row(
            "ticks", "ticks/s", "candles", "signals", "reports", "decisions", style="dim"
        )
        numbers.add_row(
            f"{t.ticks:,}",
            f"{self.ticks_per_second():,.0f}",
            f"{t.counts['ats.candles']:,}",
            f"{t.counts['ats.signals']:,}",
            f"{t.counts['ats.reports']:,}",
            f"{t.counts['ats.decisions']:,}",
        )
        orders = (
            "   ".join(f"{name} {count:,}" for name, count in sorted(t.outcomes.items()))
            or "none yet"
        )
        waits = "   ".join(f"{name} p50 {w.p50:,.0f} ms" for name, w in t.latencies().items())
        bar = ProgressBar(total=1.0, completed=self.progress, width=60)
        lines: list[RenderableType] = [
            bar,
            Text(""),
            numbers,
            Text(""),
            Text(f"orders   {orders}"),
            Text(waits, style="dim"),
            *([Text(t.thoughts())] if self._thinks else []),
            Text(""),
        ]
        fitting = max(1, (self._console.height - _AROUND) // 2)
        for decision in list(t.recent)[-fitting:]:
            lines += [_decided(decision), _became(t.fate(decision))]
        title = f"ATS demo  {self._session.day:%a %d %b %Y}  {self._market_time()}"
        return Panel(Group(*lines), title=title, subtitle=note or None, padding=(1, 2))


def _decided(decision: Decision) -> Text:
    """When what of which share at which price, and the reason."""
    line = Text(decision.event_time.ist().strftime("%H:%M  "), overflow="ellipsis", no_wrap=True)
    line.append(f"{decision.action:<4}", style=COLOURS.get(decision.action, ""))
    line.append(f" {decision.symbol} at {decision.reference_price}: ")
    return line.append(decision.reasoning.removeprefix(f"{decision.action}: "), style="dim")


def _became(fate: str) -> Text:
    return Text(f"       → {fate}", overflow="ellipsis", no_wrap=True)
