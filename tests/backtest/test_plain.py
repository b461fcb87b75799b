"""Plain fills against trades that pandas finds from candles and signals alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pandas as pd
import pytest

from agents.limits import Limits
from backtest.account import AccountDay
from backtest.fills import Fills
from backtest.market import DayMarket, markets_of
from backtest.run import Result, run
from backtest.setup import Setup
from backtest.signals import KnownSignal, SignalSource
from backtest.trade import Ending
from executors.risk.requests import WORKERS
from executors.risk.sizing import UserLimits
from schemas.market import Direction
from schemas.units import NS_PER_MINUTE, NS_PER_SECOND, BasisPoints, Paise, UtcNs
from simulator.market.generator import generate
from streams.engine.config import EngineConfig
from streams.rules import RULES
from tests.backtest.factories import random_candles

DAYS = ("2016-08-16", "2016-08-17")
LATE = "15:05"
CONFIG = EngineConfig()
MOST = 50_000_00  # paise an order
LIMITS = UserLimits(max_order_value=Paise(MOST), max_orders_per_day=10_000)
FAR = replace(LIMITS, max_deviation=BasisPoints(5_000))
SETUP = Setup(
    limits=LIMITS,
    agents=Limits(cooldown=UtcNs(0), flip=UtcNs(0)),
    fills=Fills.PLAIN,
)


class Told(NamedTuple):
    """A trade as anybody would write it down; minutes since 1970 UTC, money in paise."""

    rule: str
    symbol: str
    bought: bool
    quantity: int
    entered: int
    left: int
    paid: int
    got: int


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two shares, every seventh minute of one of which is missing."""
    path = random_candles(tmp_path_factory.mktemp("market") / "candles.csv", DAYS)
    rows = path.read_text().splitlines()
    kept = [row for at, row in enumerate(rows) if not row.startswith("TCS") or at % 7]
    path.write_text("\n".join(kept))
    return path


@pytest.fixture(scope="module")
def markets(candles: Path) -> list[DayMarket]:
    return list(markets_of(candles))


@pytest.fixture(scope="module")
def signals(markets: Sequence[DayMarket]) -> list[KnownSignal]:
    source = SignalSource(RULES, CONFIG)
    return [known for market in markets for known in source.play(market)]


@pytest.fixture(scope="module")
def result(markets: Sequence[DayMarket]) -> Result:
    return run(markets, RULES, CONFIG, SETUP)


def reference(candles: Path, signals: Sequence[KnownSignal], names: dict[str, str]) -> list[Told]:
    """Buy or sell at the next open what fits into an order, first in, first out, flat at 15:05.

    An order against a position closes at most what is held.
    """
    bars = pd.read_csv(candles)
    moments = pd.to_datetime(bars["timestamp"]).dt.tz_localize("Asia/Kolkata")
    bars["minute"] = (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(minutes=1)
    told = []
    for (rule, symbol, day), own in orders_of(signals, names).items():
        mine = bars[(bars["symbol"] == symbol) & bars["timestamp"].str.startswith(day)]
        late = pd.Timestamp(f"{day} {LATE}", tz="Asia/Kolkata").value // NS_PER_MINUTE
        held: list[list[int]] = []  # of each lot: what is left of it, all of it, minute, paise
        for moment, wanted in [*own, (late, 0)]:
            bar = mine[mine["minute"] >= moment].iloc[0]
            minute, price = int(bar["minute"]), round(bar["open"] * 100)
            net = sum(lot[0] for lot in held)
            closing = -net if not wanted else wanted if wanted * net < 0 else 0
            closing = max(-abs(net), min(abs(net), closing))
            if not closing and wanted:
                held.append([wanted, wanted, minute, price, 0])
            while closing:
                lot = held[0]
                part = min(abs(closing), abs(lot[0])) * (1 if lot[0] > 0 else -1)
                lot[0], lot[4], closing = lot[0] - part, lot[4] + abs(part) * price, closing + part
                if not lot[0]:
                    _, whole, entered, at, got = held.pop(0)
                    told.append(Told(rule, symbol, whole > 0, abs(whole), entered, minute,
                                     abs(whole) * at, got))  # fmt: skip
    return sorted(told)


def orders_of(
    signals: Sequence[KnownSignal], names: dict[str, str]
) -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """By rule, symbol and day: the minute of each order and its units, less than none to sell."""
    found = defaultdict(list)
    for known, _ in signals:
        moment = known.event_time.ist()
        if not "09:20" <= f"{moment:%H:%M}" < "15:00":
            continue
        sign = 1 if known.direction is Direction.BULLISH else -1
        worst = known.price * (10_000 + 20 * sign) // 50_000 * 5  # a limit on ticks of 5 paise
        worst += 5 if sign < 0 and worst * 10_000 < known.price * 9_980 else 0
        own = (known.rule, names[str(known.instrument)], f"{moment:%Y-%m-%d}")
        found[own].append((known.event_time // NS_PER_MINUTE, sign * (MOST // worst)))
    return found


def test_every_order_is_filled_whole_at_the_next_open_as_pandas_finds_it(
    candles: Path,
    markets: Sequence[DayMarket],
    signals: Sequence[KnownSignal],
    result: Result,
) -> None:
    names = {str(each.id): each.instrument.symbol for each in markets[0].listings}
    expected = reference(candles, signals, names)

    told = sorted(
        Told(
            each.rule,
            each.symbol,
            each.side.value == "BUY",
            each.quantity,
            each.entered_at // NS_PER_MINUTE,
            each.left_at // NS_PER_MINUTE,
            each.entry_value,
            each.exit_value,
        )
        for each in result.trades
    )

    assert told == expected
    assert {each.bought for each in told} == {True, False}
    assert {each.ending for each in result.trades} == {Ending.OTHER_SIDE, Ending.SQUARE_OFF}
    assert {each.rule for each in told} == {rule.name for rule in RULES}


def test_orders_of_one_moment_all_meet_the_first_print_from_then_on() -> None:
    market = DayMarket.of(generate(5, date(2026, 11, 19), 40))
    first = SignalSource(RULES, CONFIG).play(market)[0]
    shares = [each for each, told in market.instruments.items() if told.tradable]
    many = [
        first._replace(
            signal=first.signal.model_copy(
                update={
                    "id": UUID(int=nth),
                    "instrument": each,
                    "price": market.tapes[each].prices[0].item(),
                }
            )
        )
        for nth, each in enumerate(shares)
    ]

    fills = AccountDay("one", market, replace(SETUP, limits=FAR)).run(many).fills

    entered = {told.fill.instrument: told.fill.traded_at for told in fills[: len(shares)]}
    moment = first.signal.event_time // NS_PER_SECOND
    assert len(entered) == len(shares) > WORKERS.second
    for each, at in entered.items():
        seconds = market.tapes[each].seconds
        assert at // NS_PER_SECOND == seconds[seconds >= moment][0]
