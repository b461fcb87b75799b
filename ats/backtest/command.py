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
from ats.backtest.playing import PlayOptions
from ats.backtest.pool import pool_of
from ats.backtest.result import Backtest, charged_by, cold, warm_up_days
from ats.backtest.show import show
from ats.demo.steps import Step
from ats.runtime import exit_codes
from ats.runtime.pages import check_place, write_file, write_page
from ats.services.streams import Computed, computed_under
from audit.archive.installed import check_installed
from backtest.honesty.lookahead import Tape, refuse_lookahead
from backtest.honesty.other_days import MinuteCloses
from backtest.market import DayMarket
from backtest.run import Result, run
from backtest.setup import Setup
from executors.charges.rates import shipped_rates
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from simulator.market import columnar
from simulator.market.bars import KEPT
from streams.engine.machine import warm_up


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """What the command line says; see `ats backtest --help`.

    Attributes:
        play: Which days are played, and how.
        trades, html: Where they go; None writes none.
    """

    play: PlayOptions
    trades: Path | None
    html: Path | None
    as_json: bool


def command(options: BacktestOptions) -> int:
    """Play the days, print what came of it, write what was asked for; returns the exit code.

    Raises:
        Misconfigured: a file, day, symbol or rule that cannot be used, or a file that cannot be
            written.
    """
    play, tell = options.play, Console(stderr=True)
    settings = play.settings()
    computed = computed_under(settings, EVERY_DAY)
    if not computed.rule_set.rules:
        raise Misconfigured(f"{settings.ats_rules} enables no rule: there is nothing to play")
    if options.trades:
        check_installed()
        check_place(options.trades, "--trades")
    if options.html:
        check_place(options.html, "--html")
    paths, first = play.files(max(map(warm_up_days, computed.rule_set.rules)))
    with Step(tell, "loading the engine") as step:
        warm_up(lambda done: step.now("compiling the engine, once", done.done, done.of))
    setup = play.setup(settings)
    closes = MinuteCloses()
    with pool_of(play.jobs, len(paths)) as pool:
        result = _play(
            play, computed, setup, closes, paths=paths, first=first, pool=pool, tell=tell
        )
    made = _made(result, computed, setup, closes, play)
    _write(options, made)
    if options.as_json:
        sys.stdout.write(made.as_json() + "\n")
    else:
        show(Console(), made)
        for written in filter(None, (options.trades, options.html)):
            Console().print(f"written: {written}", highlight=False, soft_wrap=True)
    return exit_codes.DONE


def _made(
    result: Result, computed: Computed, setup: Setup, closes: MinuteCloses, play: PlayOptions
) -> Backtest:
    rated = charged_by(result, shipped_rates())
    rests_on = named(
        result.days,
        computed.rule_set,
        setup,
        seed=play.seed,
        charged_by=rated,
        actions=play.actions_digest,
    )
    return Backtest(result, rests_on, rated, cold(result, computed.rule_set.rules), closes)


def _play(
    play: PlayOptions,
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
    tapes = list(map(Tape, computed.rule_set.rules))
    with progress(tell) as bar:
        task = bar.add_task("playing", total=len(paths))

        def markets() -> Iterator[DayMarket]:
            for market in play.markets_of(paths, pool):
                symbols.update({each.id: each.instrument.symbol for each in market.listings})
                closes.take(market)
                bar.update(task, description=f"{market.session.day}")
                yield market
                bar.advance(task)

        result = run(
            markets(),
            computed.rule_set.rules,
            computed.config,
            setup,
            first=first,
            pool=pool,
            tapes=tapes,
        )
    refuse_lookahead(tapes, symbols)
    _check_symbols(play.symbols, set(symbols.values()), paths)
    if not any(not each.warm_up for each in result.days):
        raise Misconfigured(f"the files hold no day from {first} to {play.span[1]}")
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
        from backtest.columnar import parquet_of  # noqa: PLC0415  # pyarrow is not everywhere

        whole = parquet_of(made.result.trades, orjson.dumps(made.named))
        write_file(options.trades, whole, "--trades")
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
