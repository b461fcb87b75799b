"""Reads recorded ticks from CSV, strictly, and makes them tapes.

A row is a trade with its quantity, an index point with a price alone, or a snapshot of a contract
with day volume and open interest. A snapshot is not a trade: its quantity here is what the day's
volume has grown by since the last one, maybe nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, Session, to_tick, trading_day
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, Paise, Price, Quantity
from simulator.market import noise, universe
from simulator.market.bars import (
    KEPT,
    MOST_ROWS,
    LeftOut,
    cells_of,
    check_session,
    check_symbol,
    filled,
    lines_of,
    price_of,
    time_of,
    volume_of,
)
from simulator.market.dialect import SYMBOL, TIME, places_of, symbol_of
from simulator.market.report import BadRow, Fault, FileReport
from simulator.market.tape import MAX_VOLUME, Listing, Numbers, Tape, band_around

VOLUME, INTEREST, PHASE, QUANTITY = "cum_volume", "oi", "phase", "quantity"
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "symbol": SYMBOL,
    "time": TIME,
    "price": ("price", "ltp"),
    VOLUME: ("cumvolume",),
    INTEREST: ("oi",),
    PHASE: ("phase",),
    QUANTITY: ("quantity", "qty", "tradedquantity", "lasttradedquantity", "ltq"),
}
REGULAR: Final = "regular"  # the phase that is played; auction and after-hours rows are passed over
# tick sizes an instrument may have, the widest that fits its prices
STEPS: Final = (Paise(10), Paise(5), Paise(1))
OVERNIGHT_GAP: Final = 0.004  # the file says nothing about the day before
FIRST_FUTURE_ID: Final = 35_000
_FUTURES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Tick:
    """One row.

    Attributes:
        line: Counts from 1.
        volume: The day's so far; None when the file has none.
        traded: Of a file of trades, units of this one, which are in `volume` too.
    """

    line: int
    symbol: str
    second: int
    price: Price
    volume: int | None
    open_interest: int | None
    traded: int | None = None

    @property
    def day(self) -> date:
        """The trading day (India)."""
        return trading_day(self.second * NS_PER_SECOND)


@dataclass(slots=True)
class Ticks:
    """What a file held, in the file's order.

    Attributes:
        rows: All that were not empty.
        symbol: Of a file without a column for it.
    """

    good: list[Tick] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    symbol: str = ""

    def report(self, name: str, bad: Sequence[BadRow]) -> FileReport:
        """For a person; `bad` are the rows left out in the end."""
        symbols = len({tick.symbol for tick in self.good})
        return FileReport(name, self.rows, symbols, "ticks", tuple(bad), symbol=self.symbol)


def is_tick_file(path: Path) -> bool:
    """Whether the header has a single price in the place of a candle's four."""
    if path.suffix == KEPT:
        return False
    with lines_of(path) as lines:
        header = next(iter(lines), "")
    return "price" in places_of(header, _NAMES) and "open" not in places_of(header)


def read_file(path: Path) -> Ticks:
    """Read a CSV file, gzipped when its name ends in `.gz`.

    Raises:
        Misconfigured: it cannot be read, or its header lacks a column.
    """
    with lines_of(path) as lines:
        return read_lines(lines, path.name, symbol_of(path))


def read_lines(lines: Iterable[str], name: str = "", symbol: str = "") -> Ticks:
    """Read CSV text line by line. Of each symbol the time must not go back, nor the day's volume.

    `symbol` is whose the ticks are when no column says it.

    Raises:
        Misconfigured: the header lacks a column, or the rows are too many.
    """
    numbered = enumerate(lines, start=1)
    at = _places(next(numbered, (1, ""))[1], name, symbol)
    ticks, latest = Ticks(symbol="" if "symbol" in at else symbol), dict[str, Tick]()
    for line, text in filled(numbered):
        ticks.rows += 1
        if ticks.rows > MOST_ROWS:
            raise Misconfigured(
                f"the tick file {name} has more than {MOST_ROWS:,} rows: split it, for example by "
                "day"
            )
        try:
            tick = _tick(line, text, at, symbol)
            if tick is not None:
                tick = _following(latest.get(tick.symbol), tick)
        except LeftOut as error:
            ticks.bad.append(error.row(line))
        else:
            if tick is not None:
                latest[tick.symbol] = tick
                ticks.good.append(tick)
    return ticks


def tapes(ticks: Iterable[Tick], session: Session, seed: int, bad: list[BadRow]) -> Iterator[Tape]:
    """One tape for each symbol; ticks whose price the feed's 32-bit float cannot carry are added to
    `bad`.
    """
    by_symbol: dict[str, list[Tick]] = defaultdict(list)
    for tick in ticks:
        by_symbol[tick.symbol].append(tick)
    for symbol, found in sorted(by_symbol.items()):
        step = next(step for step in STEPS if all(tick.price % step == 0 for tick in found))
        usable = [tick for tick in found if _survives(tick, step, bad)]
        if usable:
            yield _tape(_instrument(symbol, step, usable), usable, session, seed)


def _tape(instrument: Instrument, ticks: Sequence[Tick], session: Session, seed: int) -> Tape:
    prices, volumes = _column(ticks, "price"), _column(ticks, "volume")
    rng = np.random.default_rng(
        [seed, session.day.toordinal(), instrument.id.segment.code, instrument.id.security_id]
    )
    close = to_tick(float(prices[0]) * (1 + rng.normal(0, OVERNIGHT_GAP)), instrument.tick_size)
    listing = Listing(instrument, close, band_around(close, prices))
    seconds, interest = _column(ticks, "second"), _column(ticks, "open_interest")
    before = int(volumes[0]) - (ticks[0].traded or 0)
    return Tape(listing, seconds, prices, np.diff(volumes, prepend=before), interest, before)


def _column(ticks: Sequence[Tick], name: str) -> Numbers:
    return np.array([getattr(tick, name) or 0 for tick in ticks], np.int64)


def _instrument(symbol: str, step: Paise, ticks: Sequence[Tick]) -> Instrument:
    """A contract when there is an open interest, an index when there is no volume, else a share."""
    if any(tick.open_interest for tick in ticks):
        growth = np.diff([tick.volume or 0 for tick in ticks])
        lot = Quantity(math.gcd(*growth.tolist()) or 1)
        identity = InstrumentId(Segment.NSE_FNO, FIRST_FUTURE_ID + noise.key(symbol) % _FUTURES)
        return Instrument(identity, f"{symbol}-FUT", f"{symbol} FUT", "FUTSTK", lot, step)
    named = {known.name.upper(): known.symbol for known in universe.INDICES}
    symbol = named.get(symbol.upper(), symbol)
    known_share = symbol in universe.SHARE_SYMBOLS or any(tick.volume for tick in ticks)
    return universe.share(symbol, step) if known_share else universe.index(symbol, step)


def _survives(tick: Tick, step: Paise, bad: list[BadRow]) -> bool:
    carried = to_tick(float(np.float32(tick.price / PAISE_PER_RUPEE)) * PAISE_PER_RUPEE, step)
    if carried != tick.price:
        reason = f"{tick.price} does not survive the feed's 32-bit float at a step of {step}"
        bad.append(BadRow(tick.line, "price", reason, Fault.CARRIED))
    return carried == tick.price


def _places(header: str, name: str, symbol: str) -> Mapping[str, int]:
    at = places_of(header, _NAMES)
    wanted = [column for column in ("symbol", "time", "price") if column != "symbol" or not symbol]
    if missing := [column for column in wanted if column not in at]:
        known = "; ".join(f"{each}: {' or '.join(filter(None, _NAMES[each]))}" for each in missing)
        raise Misconfigured(
            f"the tick file {name}: its first line lacks the column {', '.join(missing)} ({known})"
        )
    return at


def _tick(line: int, text: str, at: Mapping[str, int], symbol: str) -> Tick | None:
    """None for a row outside the continuous session that says so itself."""
    cells = cells_of(text, at)
    if cells.get(PHASE, REGULAR) != REGULAR:
        return None
    symbol = cells.get("symbol", symbol)
    check_symbol(symbol)
    volume, interest, traded = (
        volume_of(name, cells[name]) if name in cells else None
        for name in (VOLUME, INTEREST, QUANTITY)
    )
    return Tick(
        line,
        symbol,
        _second(cells["time"]),
        price_of("price", cells["price"]),
        volume,
        interest,
        traded if volume is None else None,
    )


def _second(text: str) -> int:
    moment = time_of("time", text)
    check_session("time", moment)
    return moment // NS_PER_SECOND


def _following(before: Tick | None, tick: Tick) -> Tick:
    """`tick` behind `before` of its symbol; of a trade, with the day's volume so far.

    Raises:
        LeftOut: it goes back, or the day's volume is more than the feed can carry.
    """
    if before is not None and tick.second < before.second:
        reason = f"{tick.symbol} goes back in time, behind line {before.line}"
        raise LeftOut(Fault.BACKWARDS, reason, "time")
    so_far = None if before is None or before.day != tick.day else before.volume
    if tick.traded is not None:
        volume = (so_far or 0) + tick.traded
        if volume > MAX_VOLUME:
            reason = f"the day's volume exceeds the feed's limit of {MAX_VOLUME}"
            raise LeftOut(Fault.CARRIED, reason, QUANTITY)
        return replace(tick, volume=volume)
    if tick.volume is not None and so_far is not None and tick.volume < so_far:
        assert before is not None, "a volume so far is of a row before"
        raise LeftOut(
            Fault.BACKWARDS,
            f"{tick.volume} is less than on line {before.line}: a day's volume never falls",
            VOLUME,
        )
    return tick
