"""Backtest of every rule beside other backtesters: the same trades, and how long each takes.

Run: python -m benchmarks.backtest [--rules FILE] [--rounds N] [--record] [MARKET FILES...]; without
files, days that are generated. Every signal of every rule becomes an order, with `--fills plain`:
filled whole at the next bar's open, closed by the other side or at 15:05. The peers are handed
these orders, so that execution and accounting are compared, fill by fill and trade by trade;
`benchmarks._backtest_peers` says what each does with them. All run in turn, in each round; the
quickest counts. `make bench-peers` installs backtesting.py; NautilusTrader 2 gets an environment of
its own (`benchmarks._peers`). `--record` keeps the run, and writes its figures into the docs.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from agents.decided import decide_unasked
from agents.entries import Circumstances
from agents.limits import Limits
from ats.backtest.pool import collect_seldom
from ats.services.streams import computed_under
from ats.settings import load
from backtest.account import AccountDay, AccountFill
from backtest.fills import Fills
from backtest.market import DayMarket, Numbers, markets_of
from backtest.setup import Setup
from backtest.signals import KnownSignal, SignalSource
from backtest.trade import Trade
from backtest.trades import trades_of
from benchmarks._backtest_report import Pace, Peer, Run, markdown, save
from benchmarks._peers import FOLDER, nautilus_python
from benchmarks.engine import machine
from executors.charges.rates import shipped_rates
from executors.risk.sizing import NoOrder, UserLimits, plan
from schemas.calendar import EVERY_DAY
from schemas.ids import SignalId, UserId, decision_id, derive
from schemas.market import Side
from schemas.units import NS_PER_MINUTE, Paise, UtcNs
from simulator.market.generator import generate
from streams.engine.machine import warm_up

SCRIPT: Final = Path(__file__).with_name("_backtest_peers.py")
SETUP: Final = Setup(
    limits=UserLimits(max_order_value=Paise.from_rupees(50_000), max_orders_per_day=10**6),
    agents=Limits(cooldown=UtcNs(0), flip=UtcNs(0)),
    fills=Fills.PLAIN,
)
NOBODY: Final = UserId(derive("benchmarks", "backtest"))
AVERAGED: Final = "of several entries or exits, each part rounded to a paisa from an average price"
UNEXPLAINED: Final = "unexplained"

Row = tuple[int, ...]


class Outcome(NamedTuple):
    """What one side made of the orders; minutes since 1970 UTC, paise before charges.

    Attributes:
        fills: Units by rule, instrument, minute and price.
        results: By rule, instrument, first and last minute: of trades, or of positions.
    """

    fills: Mapping[Row, int]
    results: Mapping[Row, int]


class Played(NamedTuple):
    """Our own run: what came of the days, and what each part of it took."""

    trades: Sequence[Trade]
    fills: Sequence[tuple[str, AccountFill]]
    signals: Sequence[tuple[DayMarket, Sequence[KnownSignal]]]
    engine: Pace
    accounts: Pace


class Watch:
    """CPU and time on the wall from its begin on."""

    def __init__(self) -> None:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def pace(self) -> Pace:
        return Pace(time.process_time() - self._cpu, time.perf_counter() - self._wall)


def play(markets: Sequence[DayMarket], rules: Path | None) -> Played:
    """The engine over all days, then every account of every day, in this process."""
    settings = load()
    if rules:
        settings = settings.model_copy(update={"ats_rules": rules})
    computed, rates = computed_under(settings, EVERY_DAY), shipped_rates()
    watch = Watch()
    source = SignalSource(computed.rule_set.rules, computed.config)
    signals = [(market, source.play(market)) for market in markets]
    engine, watch = watch.pace(), Watch()
    trades, fills = list[Trade](), list[tuple[str, AccountFill]]()
    for market, own in signals:
        for rule in sorted({known.signal.rule for known in own}):
            mine = [known for known in own if known.signal.rule == rule]
            made = AccountDay(rule, market, SETUP).run(mine).fills
            names = {decision_id(SignalId(known.signal.id)): rule for known in mine}
            trades += trades_of(rule, market, made, names, rates)
            fills += ((rule, each) for each in made)
    return Played(trades, fills, signals, engine, watch.pace())


class Numbered:
    """Rules and symbols as the peers know them: by number."""

    def __init__(self, played: Played) -> None:
        days = [market for market, _ in played.signals]
        self.symbols = sorted({each.instrument.symbol for day in days for each in day.listings})
        self.rules = sorted({known.signal.rule for _, own in played.signals for known in own})
        self._symbol = {symbol: at for at, symbol in enumerate(self.symbols)}
        self._rule = {rule: at for at, rule in enumerate(self.rules)}
        self._place = {
            each.id: self._symbol[each.instrument.symbol] for day in days for each in day.listings
        }

    def orders(self, played: Played) -> Iterator[tuple[int, int, int, int]]:
        """What each signal orders: rule, instrument, minute and units."""
        for market, own in played.signals:
            around = Circumstances(market.session)
            for signal, _ in own:
                instrument = market.instruments[signal.instrument]
                symbol = instrument.symbol
                decision = decide_unasked(signal, symbol, around, SETUP.agents, SETUP.validity)
                intent = plan(decision, NOBODY, instrument, SETUP.limits)
                if not isinstance(intent, NoOrder):
                    sign = 1 if intent.side is Side.BUY else -1
                    minute = signal.event_time // NS_PER_MINUTE
                    yield (
                        self._rule[signal.rule],
                        self._symbol[symbol],
                        minute,
                        (sign * intent.quantity),
                    )

    def bars(self, markets: Iterable[DayMarket]) -> Numbers:
        """Instrument, minute, open, high, low, close and volume, by instrument and minute."""
        parts = []
        for market in markets:
            for each in market.listings:
                own = market.tapes[each.id]
                minutes, first = np.unique(own.seconds // 60, return_index=True)
                last = np.append(first[1:], len(own.seconds)) - 1
                columns = (
                    np.full(len(minutes), self._symbol[each.instrument.symbol]),
                    minutes,
                    own.prices[first],
                    np.maximum.reduceat(own.prices, first),
                    np.minimum.reduceat(own.prices, first),
                    own.prices[last],
                    np.add.reduceat(own.quantities, first),
                )
                parts.append(np.column_stack(columns))
        whole = np.concatenate(parts)
        return whole[np.lexsort((whole[:, 1], whole[:, 0]))]

    def trades(self, played: Played) -> Mapping[Row, int]:
        """The result of each trade of ours: first in, first out."""
        found = Counter[Row]()
        for each in played.trades:
            first, last = each.entered_at // NS_PER_MINUTE, each.left_at // NS_PER_MINUTE
            key = self._rule[each.rule], self._symbol[each.symbol], first, last
            found[key] += each.gross
        return found

    def fills(self, played: Played) -> Mapping[Row, int]:
        """Units that each of our orders got."""
        found = Counter[Row]()
        for rule, each in played.fills:
            fill, sign = each.fill, 1 if each.fill.side is Side.BUY else -1
            minute = fill.traded_at // NS_PER_MINUTE
            key = self._rule[rule], self._place[fill.instrument], minute, int(fill.price)
            found[key] += sign * fill.quantity
        return found

    def told(self, key: Row) -> str:
        """A key of an outcome, for a person."""
        rule, instrument, minute, _ = key
        at = UtcNs(minute * NS_PER_MINUTE).ist()
        return f"{self.rules[rule]} {self.symbols[instrument]} {at:%Y-%m-%d %H:%M}"


def positions(fills: Mapping[Row, int]) -> tuple[Mapping[Row, int], Counter[Row]]:
    """Results from flat to flat, and of how many fills each."""
    found, counts, held = dict[Row, int](), Counter[Row](), dict[Row, list[int]]()
    for (rule, instrument, minute, price), units in sorted(
        fills.items(), key=lambda each: each[0][2]
    ):
        stay = held.setdefault((rule, instrument), [minute, 0, 0, 0])
        stay[1] += units
        stay[2] -= units * price
        stay[3] += 1
        if not stay[1]:
            first, _, result, parts = held.pop((rule, instrument))
            found[rule, instrument, first, minute] = result
            counts[rule, instrument, first, minute] = parts
    return found, counts


def merged(parts: Iterable[Row]) -> Mapping[Row, int]:
    """Trades out of parts of them: those of one entry are one."""
    last, results = dict[Row, int](), Counter[Row]()
    for rule, instrument, entered, left, result in parts:
        key = rule, instrument, entered
        last[key] = max(left, last.get(key, 0))
        results[key] += result
    return {(*key, last[key]): result for key, result in results.items()}


def hand_over(folder: Path, numbered: Numbered, played: Played) -> Path:
    """Write what the peers are given."""
    markets = [market for market, _ in played.signals]
    day = [market.session.day for market in markets]
    share = next(each.id for each in markets[0].listings if each.instrument.tradable)
    closing = [SETUP.square_off.at(SETUP.calendar, each, share) for each in day]
    path = folder / "given.npz"
    np.savez(
        path,
        bars=numbered.bars(markets),
        orders=np.array(list(numbered.orders(played)), np.int64),
        closing=np.array([at // NS_PER_MINUTE for at in closing if at is not None]),
    )
    return path


class Contender(NamedTuple):
    """A peer that can run here."""

    name: str
    python: str
    path: str = ""

    def run(self, given: Path) -> tuple[str, Pace, list[Row], list[Row]]:
        """Its name with its version, what it took, its fills and its results."""
        target = given.with_name("traded.npz")
        done = subprocess.run(  # noqa: S603
            [self.python, str(SCRIPT), self.name, str(given), str(target)],
            env=dict(os.environ) | {"PYTHONPATH": self.path},
            check=True,
            stdout=subprocess.PIPE,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        with np.load(target) as file:
            fills, results = (
                list(map(tuple, file[name].tolist())) for name in ("fills", "results")
            )
        version = f"{self.name} {told['version']}"
        return version, Pace(told["cpu"], told["wall"]), fills, results


def contenders() -> tuple[list[Contender], dict[str, str]]:
    """Those that can run here, and of the others why not."""
    found, missing = [], {}
    if (FOLDER / "backtesting").is_dir():
        found.append(Contender("backtesting.py", sys.executable, str(FOLDER)))
    else:
        missing["backtesting.py"] = "not installed: run `make bench-peers`"
    python, reason = nautilus_python()
    if python:
        found.append(Contender("nautilus", python))
    else:
        missing["nautilus"] = reason
    return found, missing


def compared(
    ours: Mapping[Row, int], theirs: Mapping[Row, int], numbered: Numbered, fills: Counter[Row]
) -> tuple[int, dict[str, list[str]]]:
    """How many are the same, and each that is not, with both sides and the reason.

    `fills` counts the fills of positions: averaging is the reason for a paisa a fill of them.
    """
    same = sum(ours.get(key) == result for key, result in theirs.items())
    reasons: dict[str, list[str]] = {}
    for key in sorted({**ours, **theirs}):
        own, other = ours.get(key), theirs.get(key)
        if own != other:
            averaged = own is not None and other is not None and abs(own - other) < fills[key] - 1
            told = f"{numbered.told(key)}: ours {own}, theirs {other}"
            reasons.setdefault(AVERAGED if averaged else UNEXPLAINED, []).append(told)
    return same, reasons


def judged(
    name: str, fills: list[Row], results: list[Row], ours: Played, numbered: Numbered
) -> dict[str, Any]:
    """A peer's fills and results against ours."""
    own = numbered.fills(ours)
    summed = Counter[Row]()
    for rule, instrument, minute, units, price in fills:
        summed[rule, instrument, minute, price] += units
    whole = name == "nautilus"
    trades = {row[:4]: row[4] for row in results} if whole else merged(results)
    stays, parts = positions(own)
    same_fills, fill_differences = compared(own, summed, numbered, Counter())
    same, differences = (
        compared(stays, trades, numbered, parts)
        if whole
        else compared(numbered.trades(ours), trades, numbered, Counter())
    )
    return {
        "fills": (len(summed), same_fills),
        "trades": (len(trades), same),
        "differences": {
            **{f"fills {reason}": told for reason, told in fill_differences.items()},
            **{f"trades {reason}": told for reason, told in differences.items()},
        },
    }


def best(paces: Iterable[Pace]) -> Pace:
    return min(paces, key=lambda pace: pace.cpu)


def measure(markets: Sequence[DayMarket], rules: Path | None, rounds: int) -> Run:
    """All, one after another in each round."""
    started = time.process_time()
    warm_up()
    collect_seldom()
    about = machine(time.process_time() - started) | {"rounds": str(rounds)}
    found, missing = contenders()
    own: list[Played] = []
    paces: dict[str, list[Pace]] = {}
    verdicts: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            own.append(play(markets, rules))
            numbered = Numbered(own[-1])
            given = hand_over(Path(folder), numbered, own[-1])
            for peer in found:
                version, pace, fills, results = peer.run(given)
                paces.setdefault(version, []).append(pace)
                verdicts[version] = judged(peer.name, fills, results, own[-1], numbered)
        with np.load(given) as file:
            played = {
                "days": len(markets),
                "instruments": len(numbered.symbols),
                "bars": len(file["bars"]),
                "rules": len(numbered.rules),
                "orders": len(file["orders"]),
            }
    return Run(
        about,
        played,
        best(each.engine for each in own),
        best(each.accounts for each in own),
        len(numbered.fills(own[-1])),
        len(own[-1].trades),
        [Peer(version, best(paces[version]), **told) for version, told in verdicts.items()],
        missing,
    )


def generated() -> list[DayMarket]:
    first = date(2026, 11, 19)
    return [DayMarket.of(generate(5, first + timedelta(days=day), 10)) for day in range(2)]


def main() -> None:
    options = ArgumentParser(description="Backtest of every rule beside other backtesters.")
    options.add_argument("markets", type=Path, nargs="*", help="market files, oldest day first")
    options.add_argument("--rules", type=Path, help="rules file; default: what ATS_RULES names")
    options.add_argument("--rounds", type=int, default=1, help="the quickest of these counts")
    options.add_argument("--record", action="store_true", help="keep the run, write it into docs")
    given = options.parse_args()
    markets = [day for path in given.markets for day in markets_of(path)] or generated()
    run = measure(markets, given.rules, given.rounds)
    print(markdown(run))
    if given.record:
        save(run)


if __name__ == "__main__":
    main()
