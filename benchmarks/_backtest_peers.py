"""Orders that `benchmarks.backtest` hands over, through other backtesters.

It runs as a process of its own, also under interpreters that have nothing of ours: `python
benchmarks/_backtest_peers.py PEER GIVEN TRADED`. GIVEN has bars of one minute and orders; an order
is due at a minute and is filled whole at the open of the first bar from then on. An order against
what is held closes at most that, and at the minutes of `closing` everything is closed. TRADED gets
what the peer says came of it. Prices are paise, minutes are counted since 1970 UTC.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import version
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

MINUTE = 60 * 10**9
CASH = 10**12  # rupees, so that nothing is ever refused

Due = tuple[int, int]  # minute, units: less than none to sell


class Given(NamedTuple):
    """What is to be played.

    Attributes:
        bars: Of each instrument, oldest first: minute, open, high, low, close, volume.
        orders: Of each rule and instrument, oldest first.
        closing: Of each day the minute from which on all is closed.
    """

    bars: list[Any]
    orders: Mapping[tuple[int, int], list[Due]]
    closing: list[int]

    def due(self, rule: int, instrument: int) -> dict[int, int]:
        """Units of each order by the place of the bar that fills it; 0 closes all."""
        minutes = self.bars[instrument][:, 0]
        wanted = [*self.orders.get((rule, instrument), ()), *((at, 0) for at in self.closing)]
        places = np.searchsorted(minutes, [at for at, _ in wanted]).tolist()
        return {at: units for at, (_, units) in zip(places, wanted, strict=True)}

    @property
    def rules(self) -> list[int]:
        return sorted({rule for rule, _ in self.orders})


def read(path: str) -> Given:
    """What `benchmarks.backtest` wrote."""
    with np.load(path) as file:
        bars, orders, closing = file["bars"], file["orders"], file["closing"]
    cuts = np.searchsorted(bars[:, 0], np.arange(bars[-1, 0] + 2))
    by_pair: dict[tuple[int, int], list[Due]] = defaultdict(list)
    for rule, instrument, minute, units in orders.tolist():
        by_pair[rule, instrument].append((minute, units))
    own = [bars[first:last, 1:] for first, last in pairwise(cuts)]
    return Given(own, by_pair, closing.tolist())


def cut(units: int, net: int) -> int:
    """What of an order may leave: all, or what is held against it, or all that is held."""
    if not units:
        return -net
    return units if units * net >= 0 else max(-abs(net), min(abs(net), units))


class Told(NamedTuple):
    """What came of it.

    Attributes:
        fills: Rule, instrument, minute, units, price.
        results: Of what the peer takes for one trade: rule, instrument, first and last minute,
            paise before charges.
    """

    fills: list[tuple[int, ...]]
    results: list[tuple[int, ...]]


def backtesting_py(given: Given) -> Told:
    """backtesting.py: one run for each rule and instrument, as it has no portfolio.

    Its trades are first in, first out; one that was closed in two parts is told in two.
    """
    import pandas as pd  # noqa: PLC0415 (installed on demand)
    from backtesting import Backtest, Strategy  # noqa: PLC0415

    warnings.simplefilter("ignore")
    told = Told([], [])

    class Orders(Strategy):  # type: ignore[misc,no-any-unimported,unused-ignore]
        due: Mapping[int, int] = {}  # what `run` is given

        def init(self) -> None:
            """No indicator."""

        def next(self) -> None:
            units = self.due.get(len(self.data))
            if units is None:
                return
            if not units:
                self.position.close()
            elif wanted := cut(units, self.position.size):
                (self.buy if wanted > 0 else self.sell)(size=abs(wanted))

    for instrument, bars in enumerate(given.bars):
        frame = pd.DataFrame(
            bars[:, 1:] / 100,
            index=pd.to_datetime(bars[:, 0] * MINUTE),
            columns=["Open", "High", "Low", "Close", "Volume"],
        )
        for rule in given.rules:
            if (rule, instrument) not in given.orders:
                continue
            played = Backtest(frame, Orders, cash=CASH)
            trades = played.run(due=given.due(rule, instrument))["_trades"]
            for each in trades.itertuples():
                entered, left = bars[each.EntryBar, 0], bars[each.ExitBar, 0]
                bought, sold = round(each.EntryPrice * 100), round(each.ExitPrice * 100)
                told.fills.append((rule, instrument, entered, each.Size, bought))
                told.fills.append((rule, instrument, left, -each.Size, sold))
                told.results.append((rule, instrument, entered, left, round(each.PnL * 100)))
    return told


def nautilus(given: Given) -> Told:
    """NautilusTrader: one run with a strategy for each rule.

    A market order of its meets the book of the moment, so it is sent when the next open is there.
    Its trade is a position from flat to flat, at averaged prices.
    """
    from nautilus_trader import model, trading  # noqa: PLC0415 (installed on demand)

    told = Told([], [])
    shares = [model.InstrumentId.from_str(f"S{at}.NSE") for at in range(len(given.bars))]
    strategy = nautilus_strategy(given, shares, told)
    engine = nautilus_engine(shares)
    for rule in given.rules:
        named = trading.StrategyConfig(order_id_tag=f"{rule}", log_events=False)
        engine.add_strategy(strategy(named, rule))
    engine.add_data(nautilus_opens(given, shares))
    engine.run()
    return told


def nautilus_strategy(given: Given, shares: list[Any], told: Told) -> Any:
    """A class of strategies that send what is due when a share opens."""
    from nautilus_trader import model, trading  # noqa: PLC0415

    sides = {True: model.OrderSide.BUY, False: model.OrderSide.SELL}
    places = {str(share): at for at, share in enumerate(shares)}

    class Orders(trading.Strategy):  # type: ignore[misc,no-any-unimported,unused-ignore]
        def __new__(cls, config: Any, *_: Any) -> Any:
            return super().__new__(cls, config)

        def __init__(self, config: Any, rule: int) -> None:
            super().__init__(config)
            self.rule = rule
            self.net = [0] * len(shares)
            self.seen = [0] * len(shares)
            self.due = [given.due(rule, at) for at in range(len(shares))]

        def on_start(self) -> None:
            for share in shares:
                self.subscribe_quotes(share)

        def on_quote(self, quote: Any) -> None:
            share = quote.instrument_id
            at = places[str(share)]
            units = self.due[at].get(self.seen[at])
            self.seen[at] += 1
            if units is not None and (wanted := cut(units, self.net[at])):
                quantity = model.Quantity.from_int(abs(wanted))
                self.submit_order(self.order_factory.market(share, sides[wanted > 0], quantity))

        def on_order_filled(self, event: Any) -> None:
            at = places[str(event.instrument_id)]
            units = round(float(event.last_qty)) * (1 if event.is_buy else -1)
            self.net[at] += units
            price = round(float(event.last_px) * 100)
            told.fills.append((self.rule, at, event.ts_event // MINUTE, units, price))

        def on_position_closed(self, event: Any) -> None:
            at = places[str(event.instrument_id)]
            first, last = event.ts_opened // MINUTE, event.ts_closed // MINUTE
            result = round(float(event.realized_pnl.as_decimal() * 100))
            told.results.append((self.rule, at, first, last, result))

    return Orders


def nautilus_engine(shares: list[Any]) -> Any:
    """Without fees, checks, analysis and log: the least work there is."""
    from nautilus_trader import backtest, common, execution, model, risk  # noqa: PLC0415

    rupee = model.Currency.from_str("INR")
    engine = backtest.BacktestEngine(
        backtest.BacktestEngineConfig(
            bypass_logging=True,
            run_analysis=False,
            logging=common.LoggerConfig(bypass_logging=True),
            risk_engine=risk.RiskEngineConfig(bypass=True),
        )
    )
    engine.add_venue(
        model.Venue("NSE"),
        model.OmsType.NETTING,
        model.AccountType.MARGIN,
        [model.Money(float(CASH), rupee)],
        base_currency=rupee,
        bar_execution=False,
        fee_model=execution.MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    for share in shares:
        step = model.Price.from_str("0.01")
        engine.add_instrument(model.Equity(share, share.symbol, rupee, 2, step, 0, 0))
    return engine


def nautilus_opens(given: Given, shares: list[Any]) -> list[Any]:
    """The open of each bar, as a quote without a spread that has enough for everybody."""
    from nautilus_trader import model  # noqa: PLC0415

    size = model.Quantity.from_int(10**7)
    quotes = []
    for share, bars in zip(shares, given.bars, strict=True):
        for minute, opened in bars[:, :2].tolist():
            price, moment = model.Price(opened / 100, 2), minute * MINUTE
            quotes.append(model.QuoteTick(share, price, price, size, size, moment, moment))
    return sorted(quotes, key=lambda each: each.ts_event)


PEERS: Mapping[str, tuple[Callable[[Given], Told], str]] = {
    "backtesting.py": (backtesting_py, "backtesting"),
    "nautilus": (nautilus, "nautilus-trader"),
}


if __name__ == "__main__":
    peer, source, target = sys.argv[1:]
    play, package = PEERS[peer]
    known = read(source)
    cpu, wall = time.process_time(), time.perf_counter()
    made = play(known)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    np.savez(target, fills=np.array(made.fills), results=np.array(made.results))
    print(json.dumps(spent | {"version": version(package)}))
