"""`ats rules try`: days of candles or of a generated market through the engine with one rule, and
what it said.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ats.commands.market_file import look_at
from ats.commands.rules_list import in_bars
from backtest.honesty.lookahead import Tape, refuse_lookahead
from schemas.binary import Rows
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Direction, trading_day
from schemas.ticks import NO_VOLUME, TICK, Batch
from schemas.units import NS_PER_SECOND, Price, UtcNs
from simulator.market.actions import Actions, read_actions
from simulator.market.files import read_file
from simulator.market.generator import generate
from simulator.market.replay import no_usable_row, replay
from simulator.market.report import MAX_BAD_SHARE
from simulator.market.tape import Market
from streams.engine.closed_bars import END, INSTRUMENT, NeededColumns
from streams.engine.compiled import IntArray
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.layout import AT
from streams.engine.machine import warm_up as warm_up_kernels
from streams.engine.rule_runner import Listener
from streams.rules import Directions, Rule
from streams.rules.config import one_rule
from streams.rules.rule import warm_up

LAST_DAY: Final = date(2026, 11, 20)  # of the generated market, a Friday
BATCH: Final = 4_096  # ticks
BAD_ROWS: Final = 5  # that are shown of one file
QUOTE: Final = 4  # feed response code of a quote packet


@dataclass(frozen=True, slots=True)
class Trial:
    """What `ats rules try` was asked for.

    Attributes:
        name: A section of `rules`, else a rule by itself.
        given: Parameters as `key=value`, stronger than the file's.
        markets: Files of 1-minute candles; without any, `days` days are generated from `seed`.
        limit: Signals to print.
        max_bad_share: Of a file's rows that may be unusable.
        actions: A file of splits and bonus issues by which bars are adjusted.
    """

    name: str
    rules: Path | None
    given: tuple[str, ...]
    markets: tuple[Path, ...]
    days: int
    seed: int
    limit: int
    max_bad_share: float = MAX_BAD_SHARE
    actions: Path | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One signal."""

    at: UtcNs
    symbol: str
    direction: Direction
    price: Price
    features: Mapping[str, float]


@dataclass(slots=True)
class Tally:
    """What happened in a trial.

    Attributes:
        asked: Bars the rule was asked about.
        ready: Those of them on which it knew all it needs.
    """

    ticks: int = 0
    instruments: int = 0
    days: int = 0
    asked: int = 0
    ready: int = 0
    said: list[Said] = field(default_factory=list)
    symbols: dict[InstrumentId, str] = field(default_factory=dict)


def run(console: Console, trial: Trial) -> None:
    """Play the days and print what the rule said.

    Raises:
        Misconfigured: no such rule, a parameter or file that cannot be used, or a rule that looks
            ahead.
    """
    if trial.actions and not trial.markets:
        raise Misconfigured("--actions are of recorded days: name them with --market")
    for path in trial.markets:
        look_at(path)
    rule = one_rule(trial.rules, trial.name, dict(map(_parameter, trial.given)))
    tally, tape = Tally(), Tape(rule)
    with console.status(
        "loading the engine; the first time after an install it compiles, for a minute"
    ):
        warm_up_kernels()
    with Progress(console=console, transient=True) as progress:
        days = progress.track(
            _markets(trial, console), total=_count(trial), description=f"{rule.key}: days"
        )
        play(tape, days, tally)
    _print(console, trial.limit, rule, tally)
    refuse_lookahead([tape], tally.symbols)
    console.print("Without the bars that came after, it says the same.", highlight=False)


def play(tape: Tape, markets: Iterable[Market], tally: Tally) -> None:
    """Put the days through one engine, in order."""
    rule = tape.rule
    engine = Engine(EngineConfig.needed_by([rule], EVERY_DAY), (rule,))
    tape.listen(engine)
    engine.runner.listeners[rule.key].append(_counting(rule, tally))
    for market in markets:
        tally.symbols |= {listing.id: listing.instrument.symbol for listing in market.listings}
        rows = rows_of(market)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            heard = Batch(UtcNs(batch["clock"][-1]), UtcNs(0), 1, batch)
            tally.said += _said(engine, heard, tally.symbols)
        after = UtcNs(market.session.close + UtcNs.minutes(1))
        tally.said += _said(engine, Batch(after, UtcNs(0), 1, rows[:0]), tally.symbols)
        tally.ticks += len(rows)
        tally.days += 1
        tally.instruments = max(tally.instruments, len(market.listings))


def rows_of(market: Market) -> Rows:
    """The session's prints as a gateway would stamp them."""
    prints = market.prints
    rows = np.zeros(len(prints), TICK)
    rows["exchange_time"] = rows["clock"] = prints["second"] * NS_PER_SECOND
    rows["price"], rows["security_id"], rows["segment"] = (
        prints["price"],
        prints["security_id"],
        prints["segment"],
    )
    rows["volume"] = np.where(prints["segment"] == Segment.IDX_I.code, NO_VOLUME, prints["volume"])
    rows["mode"] = QUOTE
    return rows


def _said(engine: Engine, batch: Batch, symbols: Mapping[InstrumentId, str]) -> Iterator[Said]:
    closed, hits = engine.process(batch)
    for each in hits:
        number, end = (int(closed.facts[each.at, place]) for place in (INSTRUMENT, END))
        price = Price(int(closed.values[each.at, AT["close"]]))
        symbol = symbols.get(engine.instrument(number), str(engine.instrument(number)))
        yield Said(UtcNs(end), symbol, each.direction, price, each.features)


def _counting(rule: Rule, tally: Tally) -> Listener:
    def hear(facts: IntArray, columns: NeededColumns, _: Directions) -> None:
        tally.asked += len(facts)
        tally.ready += int(rule.knows(columns, len(facts)).sum())

    return hear


def _parameter(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Misconfigured(
            f"--set {text!r} is not usable: write it as key=value, such as timeframe=15m"
        )
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _count(trial: Trial) -> int:
    return len(trial.markets) or trial.days


def _markets(trial: Trial, console: Console) -> Iterator[Market]:
    """Day after day.

    Raises:
        Misconfigured: a file that cannot be used, or a day that is not after the one before.
    """
    if not trial.markets:
        days = [
            day
            for back in range(2 * trial.days)
            if (day := LAST_DAY - timedelta(back)).weekday() < 5
        ]
        yield from (generate(trial.seed, day) for day in reversed(days[: trial.days]))
    last, actions = date.min, read_actions(trial.actions) if trial.actions else None
    for path in trial.markets:
        for market in _days_in(path, trial, actions, console):
            if market.session.day <= last:
                raise Misconfigured(
                    f"--market {path} holds {market.session.day}, which is not after {last}: name "
                    "files in order of days"
                )
            last = market.session.day
            yield market


def _days_in(
    path: Path, trial: Trial, actions: Actions | None, console: Console
) -> Iterator[Market]:
    """The days of one file; then it is said what it held and which rows were left out.

    Raises:
        Misconfigured: it cannot be read, or too many of its rows cannot be used.
    """
    bars, played = read_file(path, actions), False
    bad = list(bars.bad)
    for day, of_day in bars.good.by_day():
        made = replay(of_day, day, trial.seed)
        bad += made.bad_rows
        if made.market.listings:
            played = True
            yield made.market
    for row in sorted(bad, key=lambda row: row.line)[:BAD_ROWS]:
        console.print(f"bad row in {path}: {row}", markup=False, highlight=False, soft_wrap=True)
    if len(bad) > BAD_ROWS:
        console.print(
            f"bad rows in {path}: {len(bad) - BAD_ROWS:,} more",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if not played:
        raise Misconfigured(no_usable_row(path.name, bad))
    report = bars.report(path.name, bad)
    report.refuse_broken(trial.max_bad_share)
    for line in report.whole():
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print(console: Console, limit: int, rule: Rule, tally: Tally) -> None:
    for each in tally.said[:limit]:
        looked_at = " ".join(f"{name}={value:.10g}" for name, value in each.features.items())
        line = (
            f"{each.at.ist():%Y-%m-%d %H:%M} {each.symbol:<12} {each.direction:<7} "
            f"{each.price!s:>10}  {looked_at}"
        )
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    sides = Counter(each.direction for each in tally.said)
    busiest = max(Counter(trading_day(each.at) for each in tally.said).values(), default=0)
    shown = f", the first {limit} above" if len(tally.said) > limit else ""
    summary = (
        f"{rule.key} on {tally.days} days of {tally.instruments} instruments, {tally.ticks:,} "
        f"ticks: {len(tally.said)} signals{shown} ({sides[Direction.BULLISH]} bullish, "
        f"{sides[Direction.BEARISH]} bearish), at most {busiest} a day.\nIt was asked about "
        f"{tally.asked:,} bars and knew all it needs on {tally.ready:,} (warm-up "
        f"{in_bars(warm_up(rule))})."
    )
    if not tally.ready:
        summary += "\nIt never warmed up: give it more days, with --days or more --market files."
    console.print(summary, markup=False, highlight=False, soft_wrap=True)
