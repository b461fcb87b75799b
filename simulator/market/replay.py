"""Turns recorded one-minute candles into prints that aggregate to exactly the same candles again.

A bar becomes up to four prints inside its minute: open, the two extremes in a plausible order,
close; repeated prices are one print. The bar's volume is spread over them, so cumulative day volume
rises by exactly the bar's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import Misconfigured
from schemas.market import Instrument, Session, to_tick, trading_day
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, Paise, Price
from simulator.market import ticks, universe
from simulator.market.bars import PRICES, Bar, Bars, days_of
from simulator.market.files import read_file
from simulator.market.report import BadRow, Fault, FileReport, counted
from simulator.market.session import market_session
from simulator.market.tape import MAX_VOLUME, Listing, Market, Numbers, Tape, assemble, band_around

SHARE_TICK: Final = Paise(5)
FINE_TICK: Final = Paise(1)  # India VIX, and cheap shares since 2024
OVERNIGHT_GAP: Final = 0.004  # the file says nothing about the day before
MINUTE: Final = 60
_SHARES: Final = [np.full(prints, 1 / max(prints, 1)) for prints in range(5)]
"""Of a bar's volume, by how many prints it has."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A session, the rows that could not be used, and what its file held, if it has one."""

    market: Market
    bad_rows: tuple[BadRow, ...] = ()
    report: FileReport | None = None

    def said(self) -> list[str]:
        """On the file, for a person; nothing of a generated session."""
        return self.report.lines() if self.report else []


def replay_file(path: Path, seed: int, day: date | None = None) -> Replay:
    """Read `path` and make its session; `day` chooses one when the file holds several.

    Raises:
        Misconfigured: the file cannot be read, has no usable row, or holds several days and none
            was chosen.
    """
    if ticks.is_tick_file(path):
        return _replay_ticks(path, seed, day)
    bars = read_file(path)
    chosen = _choose(path.name, days_of(bars.good), day, bars.bad)
    made = replay(
        Bars([bar for bar in bars.good if trading_day(bar.start) == chosen], bars.bad), chosen, seed
    )
    return replace(made, report=bars.report(path.name, made.bad_rows))


def replay(bars: Bars, day: date, seed: int) -> Replay:
    """The session of `bars`, all of `day`."""
    by_symbol: dict[str, list[Bar]] = defaultdict(list)
    for bar in bars.good:
        by_symbol[bar.symbol].append(bar)
    bad = list(bars.bad)
    session = market_session(day)
    market = assemble(session, _tapes(by_symbol, session, seed, bad))
    return Replay(market, tuple(sorted(bad, key=lambda row: row.line)))


def _replay_ticks(path: Path, seed: int, day: date | None) -> Replay:
    found = ticks.read_file(path)
    days = sorted({trading_day(tick.second * NS_PER_SECOND) for tick in found.good})
    chosen, bad = _choose(path.name, days, day, found.bad), list(found.bad)
    session = market_session(chosen)
    own = [tick for tick in found.good if tick.second * NS_PER_SECOND in session]
    market = assemble(session, ticks.tapes(own, session, seed, bad))
    rows = tuple(sorted(bad, key=lambda row: row.line))
    return Replay(market, rows, found.report(path.name, rows))


def _choose(name: str, days: Sequence[date], wanted: date | None, bad: Sequence[BadRow]) -> date:
    if not days:
        raise Misconfigured(no_usable_row(name, bad))
    if wanted is None and len(days) == 1:
        return days[0]
    if wanted is not None and wanted in days:
        return wanted
    listed = ", ".join(map(str, days[:5])) + (", …" if len(days) > 5 else "")
    asked = f", not {wanted}" if wanted else ""
    raise Misconfigured(f"the market file {name} holds {listed}{asked}: choose one of its days")


def no_usable_row(name: str, bad: Sequence[BadRow]) -> str:
    why = f": {'; '.join(counted(bad))}" if bad else ""
    return f"the market file {name} has no usable row{why}"


def _tapes(
    by_symbol: Mapping[str, list[Bar]], session: Session, seed: int, bad: list[BadRow]
) -> Iterator[Tape]:
    for symbol, bars in sorted(by_symbol.items()):
        instrument = _instrument(symbol, bars)
        usable = _carried(sorted(bars, key=lambda bar: bar.start), instrument.tick_size, bad)
        if usable:
            yield _tape(instrument, usable, session, seed)


def listed(instrument: Instrument, previous_close: Price, prices: Numbers) -> Listing:
    """The listing of a recorded instrument, whose circuits let its day happen."""
    return Listing(instrument, previous_close, band_around(previous_close, prices))


def _instrument(symbol: str, bars: Sequence[Bar]) -> Instrument:
    """The listing of a recorded instrument.

    Known indices are indices, and so is whatever never traded all day; the tick size is what the
    prices allow.
    """
    steps = all(getattr(bar, name) % SHARE_TICK == 0 for bar in bars for name in PRICES)
    tick_size = SHARE_TICK if steps else FINE_TICK
    silent = symbol not in universe.SHARE_SYMBOLS and not any(bar.volume for bar in bars)
    is_index = symbol in universe.INDEX_SYMBOLS or silent
    return universe.index(symbol, tick_size) if is_index else universe.share(symbol, tick_size)


def _carried(bars: Sequence[Bar], tick_size: Paise, bad: list[BadRow]) -> list[Bar]:
    """The bars the feed's 32-bit fields can carry without loss; the others are reported."""
    usable, volume = [], 0
    for bar, lossy in zip(bars, _lossy(bars, tick_size), strict=True):
        if lossy:
            reason = (
                f"{getattr(bar, lossy)} does not survive the feed's 32-bit float at a step "
                f"of {tick_size}"
            )
            bad.append(BadRow(bar.line, lossy, reason, Fault.CARRIED))
        elif volume + bar.volume > MAX_VOLUME:
            bad.append(
                BadRow(
                    bar.line,
                    "volume",
                    f"the day's volume exceeds the feed's limit of {MAX_VOLUME}",
                    Fault.CARRIED,
                )
            )
        else:
            volume += bar.volume
            usable.append(bar)
    return usable


def _lossy(bars: Sequence[Bar], tick_size: Paise) -> list[str]:
    """Of each bar the first price that a 32-bit float cannot carry; "" where all survive."""
    prices = np.array([(bar.open, bar.high, bar.low, bar.close) for bar in bars], np.int64)
    carried = (prices / PAISE_PER_RUPEE).astype(np.float32).astype(np.float64) * PAISE_PER_RUPEE
    lost = np.maximum(1, np.rint(carried / tick_size)) * tick_size != prices
    return [
        PRICES[int(row.argmax())] if some else ""
        for row, some in zip(lost, lost.any(axis=1), strict=True)
    ]


def _tape(instrument: Instrument, bars: Sequence[Bar], session: Session, seed: int) -> Tape:
    rng = np.random.default_rng(
        [seed, session.day.toordinal(), instrument.id.segment.code, instrument.id.security_id]
    )
    seconds: list[int] = []
    prices: list[int] = []
    quantities: list[int] = []
    for bar in bars:
        path = _path(bar)
        within = rng.choice(MINUTE, len(path), replace=False)
        within.sort()
        seconds.extend((bar.start // NS_PER_SECOND + within).tolist())
        prices.extend(path)
        quantities.extend(rng.multinomial(bar.volume, _SHARES[len(path)]).tolist())
    gap = 1 + rng.normal(0, OVERNIGHT_GAP)
    listing = listed(
        instrument, to_tick(prices[0] * gap, instrument.tick_size), np.array(prices, np.int64)
    )
    return Tape(
        listing,
        np.array(seconds, np.int64),
        np.array(prices, np.int64),
        np.array(quantities, np.int64),
    )


def _path(bar: Bar) -> list[Price]:
    """The four prices of a bar in the order in which the market is taken to have seen them.

    A bar that rose went down first, one that fell went up first: the usual reading of a candle.
    """
    extremes = [bar.low, bar.high] if bar.close >= bar.open else [bar.high, bar.low]
    path = [bar.open]
    for price in (*extremes, bar.close):
        if price != path[-1]:
            path.append(price)
    return path
