"""`ats backtest`: from its options to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ats.backtest.named import named
from ats.backtest.page import page
from ats.backtest.pool import pool_of
from ats.backtest.result import Backtest, charged_by, cold, warm_up_days
from ats.backtest.show import show
from ats.commands.market_file import look_at
from ats.demo.steps import Step
from ats.runtime import exit_codes
from ats.runtime.pages import write_page
from ats.services import executors, llm
from ats.services.executors import square_off_of
from ats.services.streams import Computed, computed_under
from ats.settings import Settings, load
from audit.archive.installed import check_installed
from backtest.fills import Fills
from backtest.honesty.lookahead import Tape, refuse_lookahead
from backtest.honesty.other_days import MinuteCloses
from backtest.market import DayMarket, digest_of
from backtest.run import Result, days_of_files, run
from backtest.setup import Setup
from executors.charges.rates import shipped_rates
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from simulator.market import columnar
from simulator.market.actions import read_actions
from simulator.market.bars import KEPT
from streams.engine.machine import warm_up


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """What the command line says; see `ats backtest --help`.

    Attributes:
        rules: None takes what ATS_RULES names.
        days: First and last day; None takes all there are.
        markets: Files instead of a catalogue.
        symbols: None takes all.
        jobs: Processes that work at once.
        trades, html: Where they go; None writes none.
        actions: A file of splits and bonus issues by which bars are adjusted.
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
    trades: Path | None
    html: Path | None
    as_json: bool
    actions: Path | None = None


def command(options: BacktestOptions) -> int:
    """Play the days, print what came of it, write what was asked for; returns the exit code.

    Raises:
        Misconfigured: a file, day, symbol or rule that cannot be used, or a file that cannot be
            written.
    """
    settings, tell = load(), Console(stderr=True)
    if options.rules:
        settings = settings.model_copy(update={"ats_rules": options.rules})
    computed = computed_under(settings, EVERY_DAY)
    if not computed.rule_set.rules:
        raise Misconfigured(f"{settings.ats_rules} enables no rule: there is nothing to play")
    if options.trades:
        check_installed()
    paths, first = files_of(options, max(map(warm_up_days, computed.rule_set.rules)))
    with Step(tell, "loading the engine") as step:
        warm_up(lambda done: step.now("compiling the engine, once", done.done, done.of))
    setup = setup_of(settings, options)
    closes = MinuteCloses()
    with pool_of(options.jobs, len(paths)) as pool:
        result = _play(options, computed, setup, closes, paths=paths, first=first, pool=pool,
                       tell=tell)  # fmt: skip
    made = _made(result, computed, setup, closes, options)
    _write(options, made)
    if options.as_json:
        sys.stdout.write(made.as_json() + "\n")
    else:
        show(Console(), made)
        for written in filter(None, (options.trades, options.html)):
            Console().print(f"written: {written}", highlight=False, soft_wrap=True)
    return exit_codes.DONE


def setup_of(settings: Settings, options: BacktestOptions) -> Setup:
    """How signals are traded under the settings here."""
    return Setup(
        limits=executors.limits_of(settings),
        agents=llm.limits_of(settings),
        latency=options.latency,
        fills=options.fills,
        square_off=square_off_of(settings),
    )


def _made(
    result: Result, computed: Computed, setup: Setup, closes: MinuteCloses, options: BacktestOptions
) -> Backtest:
    rated = charged_by(result, shipped_rates())
    rests_on = named(
        result.days,
        computed.rule_set,
        setup,
        seed=options.seed,
        charged_by=rated,
        actions=digest_of(options.actions) if options.actions else None,
    )
    return Backtest(result, rests_on, rated, cold(result, computed.rule_set.rules), closes)


def files_of(options: BacktestOptions, warm: int) -> tuple[Sequence[Path], date]:
    """The files to play, oldest first, with `warm` days before; and the first that is traded.

    Raises:
        Misconfigured: there are none.
    """
    first, last = options.days or (date.min, date.max)
    if options.markets:
        for path in options.markets:
            look_at(path)
        return options.markets, first
    check_installed()
    known = list(columnar.days_in(options.catalogue))
    if not known:
        raise Misconfigured(
            f"the catalogue {options.catalogue} holds no day: take files into it with "
            f"`ats data import FILE... --catalogue {options.catalogue}`, or name them with --market"
        )
    wanted = [path for day, path in known if first <= day <= last]
    if not wanted:
        raise Misconfigured(
            f"the catalogue {options.catalogue} holds no day from {first} to {last}: its "
            f"{len(known)} days are from {known[0][0]} to {known[-1][0]}"
        )
    before = [path for day, path in known if day < first]
    return [*before[max(0, len(before) - warm) :], *wanted], first


def _play(
    options: BacktestOptions,
    computed: Computed,
    setup: Setup,
    closes: MinuteCloses,
    *,
    paths: Sequence[Path],
    first: date,
    pool: Executor | None,
    tell: Console,
) -> Result:
    symbols: dict[InstrumentId, str] = {}
    tapes, last = (
        list(map(Tape, computed.rule_set.rules)),
        (options.days or (date.min, date.max))[1],
    )
    actions = read_actions(options.actions) if options.actions else None
    with progress(tell) as bar:
        task = bar.add_task("playing", total=len(paths))

        def markets() -> Iterator[DayMarket]:
            for market in days_of_files(paths, options.seed, options.symbols, pool, actions):
                if market.session.day <= last:
                    symbols.update({each.id: each.instrument.symbol for each in market.listings})
                    closes.take(market)
                    bar.update(task, description=f"{market.session.day}")
                    yield market
                bar.advance(task)

        result = run(
            markets(),
            tuple(tape.listening for tape in tapes),
            computed.config,
            setup,
            first=first,
            pool=pool,
            tapes=tapes,
        )
    refuse_lookahead(tapes, symbols)
    _check_symbols(options.symbols, set(symbols.values()), paths)
    if not any(not each.warm_up for each in result.days):
        raise Misconfigured(f"the files hold no day from {first} to {last}")
    return result


def _check_symbols(
    wanted: frozenset[str] | None, seen: AbstractSet[str], paths: Sequence[Path]
) -> None:
    for symbol in sorted((wanted or frozenset()) - seen):
        kept = [path for path in paths[:1] if path.suffix == KEPT]
        known = {each for path in kept for each in columnar.outline(path)}
        near = get_close_matches(symbol, sorted(known), 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise Misconfigured(f"--symbols: none of the days has {symbol!r}{meant}")


def _write(options: BacktestOptions, made: Backtest) -> None:
    if options.trades:
        from backtest.columnar import write_trades  # noqa: PLC0415  # pyarrow is not everywhere

        write_trades(options.trades, made.result.trades, orjson.dumps(made.named))
    if options.html:
        write_page(options.html, page(made))


def progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
