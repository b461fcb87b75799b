"""Turns recorded one-minute candles into prints that aggregate to exactly the same candles again.

A bar becomes up to four prints inside its minute: open, the two extremes in a plausible order,
close; repeated prices are one print. The bar's volume is spread over them, so cumulative day volume
rises by exactly the bar's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import Misconfigured
from schemas.market import Instrument, Session, to_tick
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, Paise, Price
from simulator.market import ticks, universe
from simulator.market.bar_columns import PRICES, BarColumns, Flags
from simulator.market.files import read_file
from simulator.market.report import BadRow, Fault, FileReport, counted
from simulator.market.session import market_session
from simulator.market.tape import MAX_VOLUME, Listing, Market, Numbers, Tape, assemble, band_around

SHARE_TICK: Final = Paise(5)
FINE_TICK: Final = Paise(1)  # India VIX, and cheap shares since 2024
OVERNIGHT_GAP: Final = 0.004  # the file says nothing about the day before
MINUTE: Final = 60
MOST_PRINTS: Final = 4  # of a bar
_SHARES: Final = np.array(
    [
        [0] * (MOST_PRINTS - prints) + [1 / max(prints, 1)] * prints
        for prints in range(MOST_PRINTS + 1)
    ]
)
"""Of a bar's volume, by how many prints it has; the last takes what is left, so none is lost."""


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
    by_day = dict(bars.good.by_day())
    chosen = _choose(path.name, list(by_day), day, bars.bad)
    made = replay(by_day[chosen], chosen, seed, bars.bad)
    return replace(made, report=bars.report(path.name, made.bad_rows))


def replay(bars: BarColumns, day: date, seed: int, left_out: Iterable[BadRow] = ()) -> Replay:
    """The session of `bars`, all of `day`; `left_out` are rows that are no bars."""
    bad, session = list(left_out), market_session(day)
    market = assemble(session, _tapes(bars, session, seed, bad))
    return Replay(market, tuple(sorted(bad, key=lambda row: row.line)))


def _replay_ticks(path: Path, seed: int, day: date | None) -> Replay:
    found = ticks.read_file(path)
    days = sorted({tick.day for tick in found.good})
    return _of_ticks(path, found, _choose(path.name, days, day, found.bad), seed)


def replays_of_ticks(
    path: Path, seed: int, symbols: frozenset[str] | None = None
) -> Iterator[Replay]:
    """The sessions of a tick file, oldest first; with `symbols` only these are in them.

    Raises:
        Misconfigured: it cannot be read, or holds no usable row.
    """
    found = ticks.read_file(path)
    if not found.good:
        raise Misconfigured(no_usable_row(path.name, found.bad))
    if symbols is not None:
        found.good = [tick for tick in found.good if tick.symbol in symbols]
    for day in sorted({tick.day for tick in found.good}):
        yield _of_ticks(path, found, day, seed)


def _of_ticks(path: Path, found: ticks.Ticks, day: date, seed: int) -> Replay:
    session, bad = market_session(day), list(found.bad)
    own = [tick for tick in found.good if tick.day == day]
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


def _tapes(bars: BarColumns, session: Session, seed: int, bad: list[BadRow]) -> Iterator[Tape]:
    for symbol, own in bars.by_symbol():
        instrument = _instrument(symbol, own)
        usable = _carried(own, instrument.tick_size, bad)
        if len(usable):
            yield _tape(instrument, usable, session, seed)


def listed(instrument: Instrument, previous_close: Price, prices: Numbers) -> Listing:
    """The listing of a recorded instrument, whose circuits let its day happen."""
    return Listing(instrument, previous_close, band_around(previous_close, prices))


def _instrument(symbol: str, bars: BarColumns) -> Instrument:
    """The listing of a recorded instrument.

    Known indices are indices, and so is whatever never traded all day; the tick size is what the
    prices allow.
    """
    steps = not (_prices(bars) % SHARE_TICK).any()
    tick_size = SHARE_TICK if steps else FINE_TICK
    silent = symbol not in universe.SHARE_SYMBOLS and not bars.volume.any()
    is_index = symbol in universe.INDEX_SYMBOLS or silent
    return universe.index(symbol, tick_size) if is_index else universe.share(symbol, tick_size)


def _prices(bars: BarColumns) -> Numbers:
    """Shape (bars, 4), as `PRICES`."""
    return np.stack([getattr(bars, name) for name in PRICES], axis=1)


def _carried(bars: BarColumns, tick_size: Paise, bad: list[BadRow]) -> BarColumns:
    """The bars the feed's 32-bit fields can carry without loss; the others are reported."""
    prices = _prices(bars)
    carried = (prices / PAISE_PER_RUPEE).astype(np.float32).astype(np.float64) * PAISE_PER_RUPEE
    lost = np.maximum(1, np.rint(carried / tick_size)) * tick_size != prices
    usable = ~lost.any(axis=1)
    for at in np.flatnonzero(~usable).tolist():
        which = int(lost[at].argmax())
        reason = (
            f"{Price(int(prices[at, which]))} does not survive the feed's 32-bit float at a step "
            f"of {tick_size}"
        )
        bad.append(BadRow(int(bars.line[at]), PRICES[which], reason, Fault.CARRIED))
    while (over := np.cumsum(np.where(usable, bars.volume, 0)) > MAX_VOLUME).any():
        at = int(over.argmax())
        reason = f"the day's volume exceeds the feed's limit of {MAX_VOLUME}"
        bad.append(BadRow(int(bars.line[at]), "volume", reason, Fault.CARRIED))
        usable[at] = False
    return bars if usable.all() else bars.at(usable)


def _tape(instrument: Instrument, bars: BarColumns, session: Session, seed: int) -> Tape:
    rng = np.random.default_rng(
        [seed, session.day.toordinal(), instrument.id.segment.code, instrument.id.security_id]
    )
    path, new = _paths(bars)
    counts = new.sum(axis=1)
    # what is drawn for a bar stands in its last columns, one for each of its prints
    drawn = MOST_PRINTS - counts[:, np.newaxis] + np.cumsum(new, axis=1) - 1
    within = np.take_along_axis(_seconds(rng, counts), drawn, axis=1)
    quantities = np.take_along_axis(rng.multinomial(bars.volume, _SHARES[counts]), drawn, axis=1)
    seconds = (bars.start // NS_PER_SECOND)[:, np.newaxis] + within
    gap = 1 + rng.normal(0, OVERNIGHT_GAP)
    prices = path[new]
    close = to_tick(float(prices[0]) * gap, instrument.tick_size)
    return Tape(listed(instrument, close, prices), seconds[new], prices, quantities[new])


def _paths(bars: BarColumns) -> tuple[Numbers, Flags]:
    """The four prices of each bar in the order in which the market is taken to have seen them,
    and which of them are another than the one before; two arrays of shape (bars, 4).

    A bar that rose went down first, one that fell went up first: the usual reading of a candle.
    """
    rose = bars.close >= bars.open
    first, second = np.where(rose, bars.low, bars.high), np.where(rose, bars.high, bars.low)
    path = np.stack([bars.open, first, second, bars.close], axis=1)
    new = np.ones(path.shape, np.bool_)
    new[:, 1:] = path[:, 1:] != path[:, :-1]
    return path, new


def _seconds(rng: np.random.Generator, counts: Numbers) -> Numbers:
    """Of each bar as many different seconds of its minute as it has prints, rising, in the last
    columns; each set of them is as likely.

    Source: Floyd's algorithm, in Bentley (1987), Programming Pearls: A Sample of Brilliance.
    """
    chosen = np.full((len(counts), MOST_PRINTS), -1)
    for at, last in enumerate(range(MINUTE - MOST_PRINTS, MINUTE)):
        one = rng.integers(0, last, len(counts), endpoint=True)
        taken = (chosen[:, :at] == one[:, np.newaxis]).any(axis=1)
        chosen[:, at] = np.where(taken, last, one)
    chosen = rng.permuted(chosen, axis=1)  # a set of four is as likely as any, its first three not
    chosen[np.arange(MOST_PRINTS) < MOST_PRINTS - counts[:, np.newaxis]] = -1
    chosen.sort(axis=1)
    return chosen
