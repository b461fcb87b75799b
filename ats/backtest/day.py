"""One day of one rule for a notebook: its signals, its trades, and a picture of a share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from audit.amounts import rupees
from backtest.market import SEED, DayMarket
from backtest.run import days_of_files, trade_day
from backtest.setup import Setup
from backtest.signals import SignalSource
from backtest.trade import Trade
from executors.charges.rates import shipped_rates
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Direction
from schemas.messages import Signal
from schemas.units import NS_PER_SECOND, UtcNs
from streams.engine.config import EngineConfig
from streams.rules.config import one_rule

WIDTH, HEIGHT, MARGIN = 900, 320, 70
MOST_POINTS: Final = 2_000  # of the course: more are not seen on 900 pixels

Row = Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class PlayedDay:
    """A day and what came of it, traded as `ats backtest` trades without options.

    Attributes:
        signals: In their order.
        trades: By time.
    """

    market: DayMarket
    signals: Sequence[Signal]
    trades: Sequence[Trade]

    @property
    def symbols(self) -> Sequence[str]:
        """Those that can be traded, those with a signal first."""
        spoke = {each.instrument for each in self.signals}
        shares = [each for each in self.market.listings if each.instrument.tradable]
        shares.sort(key=lambda each: (each.id not in spoke, each.instrument.symbol))
        return [each.instrument.symbol for each in shares]

    def signals_of(self, symbol: str) -> list[Row]:
        """A row of each signal on a share, prices in rupees."""
        own = self._instrument(symbol)
        return [
            {
                "at": _clock(each.event_time),
                "side": each.direction.value,
                "price, ₹": each.price / 100,
                **each.features,
            }
            for each in self.signals
            if each.instrument == own
        ]

    def trades_of(self, symbol: str) -> list[Row]:
        """A row of each trade on a share, money in rupees."""
        return [
            {
                "from": _clock(each.entered_at),
                "to": _clock(each.left_at),
                "side": each.side.value,
                "units": each.quantity,
                "in, ₹": round(each.entry_price / 100, 2),
                "out, ₹": round(each.exit_price / 100, 2),
                "charges, ₹": each.charges / 100,
                "net, ₹": each.net / 100,
                "ended by": each.ending.value,
            }
            for each in self._own(symbol)
        ]

    def picture(self, symbol: str) -> str:
        """The course of a share as SVG; a triangle is a signal, a thick line a trade."""
        own, session = self._instrument(symbol), self.market.session
        tape = self.market.tapes[own]
        shown = np.unique(np.linspace(0, len(tape.prices) - 1, MOST_POINTS).astype(int))
        scale = _Scale(session.open, session.close, int(tape.prices.min()), int(tape.prices.max()))
        moments = tape.seconds[shown] * NS_PER_SECOND
        course = "L".join(
            scale.point(at, price)
            for at, price in zip(moments.tolist(), tape.prices[shown].tolist(), strict=True)
        )
        marks = [_trade(scale, each) for each in self._own(symbol)]
        marks += [_signal(scale, each) for each in self.signals if each.instrument == own]
        levels = "".join(
            f'<text x="2" y="{scale.y(price) + 4:.1f}" font-size="12">{rupees(price)}</text>'
            for price in dict.fromkeys((scale.high, scale.low))
        )
        told = escape(f"{symbol} on {session.day}: {len(marks)} signals and trades")
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">'
            f'<path d="M{course}" fill="none" stroke="#586471"/>{levels}{"".join(marks)}</svg>'
        )

    def _own(self, symbol: str) -> Iterator[Trade]:
        own = self._instrument(symbol)
        return (each for each in self.trades if each.instrument == own)

    def _instrument(self, symbol: str) -> InstrumentId:
        for each in self.market.listings:
            if each.instrument.symbol == symbol:
                return each.id
        raise Misconfigured(f"{self.market.source} has no {symbol!r}: choose from {self.symbols}")


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: UtcNs
    end: UtcNs
    low: int
    high: int

    def y(self, price: float) -> float:
        return HEIGHT - 20 - (price - self.low) / max(1, self.high - self.low) * (HEIGHT - 40)

    def point(self, at: int, price: float) -> str:
        x = MARGIN + (at - self.begin) / (self.end - self.begin) * (WIDTH - MARGIN - 10)
        return f"{x:.1f} {self.y(price):.1f}"


def _trade(scale: _Scale, each: Trade) -> str:
    begin = scale.point(each.entered_at, each.entry_price)
    end = scale.point(each.left_at, each.exit_price)
    colour = "#1e8e4e" if each.net > 0 else "#c0392b"
    told = escape(f"{each.side} {each.quantity:,}: {rupees(each.net)} by {each.ending}")
    return (
        f'<path class="trade" d="M{begin}L{end}" stroke="{colour}" stroke-width="3">'
        f"<title>{told}</title></path>"
    )


def _signal(scale: _Scale, each: Signal) -> str:
    up = each.direction is Direction.BULLISH
    corners = "l-6 11h12z" if up else "l-6 -11h12z"
    told = escape(f"{each.direction} at {rupees(each.price)}, {_clock(each.event_time)}")
    return (
        f'<path class="signal" d="M{scale.point(each.event_time, each.price)}{corners}" '
        f'fill="#1f5fa8"><title>{told}</title></path>'
    )


def _clock(at: UtcNs) -> str:
    return f"{at.ist():%H:%M:%S}"


def played_day(
    paths: Sequence[Path],
    rule: str,
    *,
    rules: Path | None = None,
    given: Mapping[str, object] | None = None,
    seed: int = SEED,
) -> PlayedDay:
    """The last day of market files, oldest first; those before it warm the rule up.

    `rule` is a section of the file `rules`, else a rule by itself; `given` are parameters.

    Raises:
        Misconfigured: a file, rule or parameter that cannot be used.
    """
    made = one_rule(rules, rule, given or {})
    source = SignalSource((made,), EngineConfig.needed_by([made], EVERY_DAY))
    played = [(market, source.play(market)) for market in days_of_files(paths, seed)]
    if not played:
        raise Misconfigured("no market file is given: there is no day to show")
    market, signals = played[-1]
    told = trade_day(market, signals, setup=Setup(), rates=shipped_rates())
    trades = sorted(told.trades, key=lambda each: each.entered_at)
    return PlayedDay(market, [each.signal for each in signals], trades)
