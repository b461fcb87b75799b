"""What `ats backtest` and `ats sweep` play: which days, read how, and how their signals trade."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from ats.commands.market_file import look_at
from ats.services import executors, llm
from ats.services.executors import square_off_of
from ats.settings import Settings, load
from audit.archive.installed import check_installed
from backtest.fills import Fills
from backtest.market import DayMarket, digest_of
from backtest.run import days_of_files
from backtest.setup import Setup
from schemas.errors import Misconfigured
from schemas.units import Paise
from simulator.market import columnar
from simulator.market.actions import Actions, read_actions


@dataclass(frozen=True)
class PlayOptions:
    """What the command line says of both; see `ats backtest --help`.

    Attributes:
        rules: None takes what ATS_RULES names.
        days: First and last day; None takes all there are.
        markets: Files instead of a catalogue.
        symbols: None takes all.
        jobs: Processes that work at once.
        actions: A file of splits and bonus issues by which bars are adjusted.
        max_daily_loss: Rupees; None halts nobody.
    """

    rules: Path | None
    days: tuple[date, date] | None
    catalogue: Path
    markets: tuple[Path, ...]
    symbols: frozenset[str] | None
    fills: Fills
    latency: int
    seed: int
    jobs: int
    actions: Path | None = None
    max_daily_loss: int | None = None

    @property
    def span(self) -> tuple[date, date]:
        """The first and the last day that are traded."""
        return self.days or (date.min, date.max)

    @cached_property
    def adjusting(self) -> Actions | None:
        """The file of actions, read once.

        Raises:
            Misconfigured: it cannot be read.
        """
        return read_actions(self.actions) if self.actions else None

    @property
    def actions_digest(self) -> str | None:
        """SHA-256 of the file of actions, in hex."""
        return digest_of(self.actions) if self.actions else None

    def settings(self) -> Settings:
        """The settings here, with the rules file that was asked for."""
        here = load()
        return here.model_copy(update={"ats_rules": self.rules}) if self.rules else here

    def setup(self, settings: Settings) -> Setup:
        """How signals are traded under `settings`."""
        limits, most = executors.limits_of(settings), self.max_daily_loss
        return Setup(
            limits=limits
            if most is None
            else replace(limits, max_daily_loss=Paise.from_rupees(most)),
            agents=llm.limits_of(settings),
            latency=self.latency,
            fills=self.fills,
            square_off=square_off_of(settings),
        )

    def files(self, warm: int) -> tuple[Sequence[Path], date]:
        """The files to play, oldest first, with `warm` days before; and the first that is traded.

        Raises:
            Misconfigured: there are none.
        """
        first, last = self.span
        if self.markets:
            for path in self.markets:
                look_at(path)
            return self.markets, first
        check_installed()
        known = list(columnar.days_in(self.catalogue))
        if not known:
            raise Misconfigured(
                f"the catalogue {self.catalogue} holds no day: take files into it with `ats data "
                f"import FILE... --catalogue {self.catalogue}`, or name them with --market"
            )
        wanted = [path for day, path in known if first <= day <= last]
        if not wanted:
            raise Misconfigured(
                f"the catalogue {self.catalogue} holds no day from {first} to {last}: its "
                f"{len(known)} days are from {known[0][0]} to {known[-1][0]}"
            )
        before = [path for day, path in known if day < first]
        return [*before[max(0, len(before) - warm) :], *wanted], first

    def markets_of(
        self, paths: Sequence[Path], pool: Executor | None = None
    ) -> Iterator[DayMarket]:
        """The days of `paths` up to the last that is traded.

        Raises:
            Misconfigured: a file cannot be read.
        """
        for market in days_of_files(paths, self.seed, self.symbols, pool, self.adjusting):
            if market.session.day <= self.span[1]:
                yield market
