"""Days through the engine, one after another, and through the accounts of all rules."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from backtest.account import AccountDay
from backtest.honesty.lookahead import Tape
from backtest.market import SEED, DayMarket, markets_of
from backtest.setup import Setup
from backtest.signals import KnownSignal, SignalSource
from backtest.trade import Trade
from backtest.trades import trades_of
from executors.charges.rates import Rates, shipped_rates
from schemas.errors import Misconfigured
from schemas.ids import SignalId, decision_id
from simulator.market.actions import Actions
from streams.engine.config import EngineConfig
from streams.rules import Rule

READ_AHEAD: Final = 4  # files: enough for two cores, and no year of days in memory

Progress = Callable[[date], None]


@dataclass(frozen=True, slots=True)
class DayPlayed:
    """One day of the data.

    Attributes:
        source, digest: The file's name, and its SHA-256 in hex.
        warm_up: It only warmed the engine up: nothing was traded.
    """

    day: date
    source: str
    digest: str
    instruments: int
    prints: int
    signals: int
    warm_up: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a backtest came to.

    Attributes:
        trades: By day and account, then by time.
        days: Oldest first, those of the warm-up included.
        outcomes: Of each account, what became of its signals.
    """

    trades: tuple[Trade, ...]
    days: tuple[DayPlayed, ...]
    outcomes: Mapping[str, Counter[str]]


@dataclass(slots=True)
class _Told:
    trades: list[Trade] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)


def run(
    markets: Iterable[DayMarket],
    rules: tuple[Rule, ...],
    config: EngineConfig,
    setup: Setup | None = None,
    *,
    first: date = date.min,
    pool: Executor | None = None,
    rates: Rates | None = None,
    tapes: Sequence[Tape] = (),
    tell: Progress = lambda _: None,
) -> Result:
    """Trade the signals of `rules` on `markets`, each rule in an account of its own.

    Days come oldest first; those before `first` only warm up. The engine keeps its memory over
    night. The same arguments give the same result, with or without a `pool`. `tapes` hear what
    those of `rules` are asked that listen for them.

    Raises:
        Misconfigured: a day is not after the one before, or a rule needs what `config` lacks.
    """
    source, told, days = SignalSource(rules, config, tapes), _Told(), list[DayPlayed]()
    outcomes: dict[str, Counter[str]] = {rule.name: Counter() for rule in rules}
    waiting: list[Future[_Told]] = []
    trade = partial(trade_day, setup=setup or Setup(), rates=rates or shipped_rates())
    for market in markets:
        day = market.session.day
        if days and day <= days[-1].day:
            raise Misconfigured(
                f"{market.source} holds {day}, which is not after {days[-1].day}: give each day "
                "once, oldest first, or import the files with `ats data import`"
            )
        signals = source.play(market)
        warm_up = day < first
        days.append(_played(market, len(signals), warm_up=warm_up))
        if warm_up:
            continue
        waiting.append(_submitted(pool, trade, market, signals))
        tell(day)
    for future in waiting:
        made = future.result()
        told.trades += made.trades
        for account, counts in made.outcomes.items():
            outcomes[account] += counts
    return Result(tuple(told.trades), tuple(days), outcomes)


def trade_day(
    market: DayMarket, signals: Sequence[KnownSignal], *, setup: Setup, rates: Rates
) -> _Told:
    """All accounts of one day, by name."""
    by_rule: dict[str, list[KnownSignal]] = defaultdict(list)
    for known in signals:
        by_rule[known.signal.rule].append(known)
    told = _Told()
    for rule, own in sorted(by_rule.items()):
        made = AccountDay(rule, market, setup).run(own)
        names = {decision_id(SignalId(known.signal.id)): rule for known in own}
        told.trades += trades_of(rule, market, made.fills, names, rates)
        told.outcomes[rule] = made.outcomes
    return told


def days_of_files(
    paths: Sequence[Path],
    seed: int = SEED,
    symbols: frozenset[str] | None = None,
    pool: Executor | None = None,
    actions: Actions | None = None,
) -> Iterator[DayMarket]:
    """The days of market files in the order of the files, read ahead where there is a pool.

    With `actions` bars are adjusted by them.

    Raises:
        Misconfigured: a file cannot be read, or holds no usable row.
    """
    read = partial(_read, seed=seed, symbols=symbols, actions=actions)
    left = iter(paths)
    if pool is None:
        for path in left:
            yield from read(path)
        return
    ahead = deque(pool.submit(read, path) for path in islice(left, READ_AHEAD))
    while ahead:
        markets = ahead.popleft().result()
        ahead.extend(pool.submit(read, path) for path in islice(left, 1))
        yield from markets


def _read(
    path: Path, seed: int, symbols: frozenset[str] | None, actions: Actions | None
) -> list[DayMarket]:
    return list(markets_of(path, seed, symbols, actions))


def _submitted(
    pool: Executor | None,
    trade: Callable[[DayMarket, Sequence[KnownSignal]], _Told],
    market: DayMarket,
    signals: Sequence[KnownSignal],
) -> Future[_Told]:
    if pool:
        return pool.submit(trade, market, signals)
    done: Future[_Told] = Future()
    done.set_result(trade(market, signals))
    return done


def _played(market: DayMarket, signals: int, *, warm_up: bool) -> DayPlayed:
    return DayPlayed(
        market.session.day,
        market.source,
        market.digest,
        len(market.listings),
        len(market.prints),
        signals,
        warm_up,
    )
