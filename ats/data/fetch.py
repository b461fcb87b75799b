"""Missing days of the catalogue from Dhan's history, stretch by stretch.

What is there is not asked for again, and what was answered is kept before the next stretches are
asked for: a fetch that was killed is run again and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from ats.data.catalogue import Imported, keep
from dhan.history import MOST_DAYS, NothingThere
from schemas import history
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.market import Instrument, trading_day
from schemas.units import UtcNs
from simulator.market import columnar
from simulator.market.bar_columns import Bar
from simulator.market.bars import MAX_BAR_VOLUME, MAX_PRICE
from simulator.market.dialect import MINUTE
from simulator.market.report import FileReport
from simulator.market.session import market_session

ATTEMPTS: Final = 4  # of one request, 1, 2 and 4 seconds apart: a limit that was met passes
MOST_UNWRITTEN: Final = 200_000  # bars, some 100 MB: each write reads and writes whole days
SETTLED: Final = UtcNs.minutes(30)  # after the close the last bars of a day may still be missing
FRIDAY: Final = 4
ANSWERED: Final = ".fetched"  # a line for each stretch that was answered: symbol, first, last day
MOST_ANSWERED: Final = 16 * 1024 * 1024  # bytes of it


class Source(Protocol):
    """Where bars come from; `dhan.history.History` is the real one."""

    async def intraday(
        self, instrument: Instrument, minutes: Literal[1], first: UtcNs, until: UtcNs
    ) -> Sequence[history.Bar]:
        """Bars of `minutes` that lie between `first` and `until`, in order.

        Raises:
            NothingThere, TryLater, Unreadable: no usable answer.
        """
        ...


class Pace(Protocol):
    """Lets one request through at a time, no faster than the provider allows."""

    async def wait(self) -> None:
        """Return when the next request may go."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days to ask for at once, both included: at most 90."""

    instrument: Instrument
    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.instrument.symbol} {self.first} to {self.last}"


@dataclass(slots=True)
class Fetched:
    """What came of a fetch.

    Attributes:
        imported: The bars that were kept; its report is of no file.
        empty: Stretches of which Dhan has no bar; they are asked for again the next time.
        failed: Of each stretch that came, but could not be read, why.
        outside: Bars outside the session, which were left out.
    """

    imported: Imported = field(
        default_factory=lambda: Imported(FileReport("Dhan", 0, 0, "bars of 1 minute", ()))
    )
    empty: list[Stretch] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: int = 0


def last_whole_day(now: UtcNs) -> date:
    """The newest day whose bars are all there."""
    today = trading_day(now)
    over = now >= market_session(today).close + SETTLED
    return today if over else today - timedelta(days=1)


def stretches(
    instrument: Instrument, first: date, last: date, known: Container[date]
) -> Iterator[Stretch]:
    """The working days from `first` to `last` that are not `known`, oldest first.

    Days of one stretch follow each other; only weekends lie between, where a session may have been
    held.
    """
    begin = end = None
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() > FRIDAY:
            continue
        if begin and end and (day in known or (day - begin).days >= MOST_DAYS):
            yield Stretch(instrument, begin, end)
            begin = None
        if day not in known:
            begin, end = begin or day, day
    if begin and end:
        yield Stretch(instrument, begin, end)


def known_days(folder: Path, first: date, last: date) -> dict[str, set[date]]:
    """Of each symbol the days that need no asking: kept, or answered by an earlier fetch.

    Raises:
        Misconfigured: the catalogue cannot be read.
    """
    known: dict[str, set[date]] = {}
    for day, path in columnar.days_in(folder):
        if first <= day <= last:
            for symbol in columnar.outline(path):
                known.setdefault(symbol, set()).add(day)
    for symbol, begin, end in _answered(folder / ANSWERED):
        span = range(max(begin, first).toordinal(), min(end, last).toordinal() + 1)
        known.setdefault(symbol, set()).update(map(date.fromordinal, span))
    return known


def _answered(path: Path) -> Iterator[tuple[str, date, date]]:
    """What its lines say; one that a kill cut short, or a stranger wrote, says nothing."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            lines = file.read(MOST_ANSWERED).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from None
    for line in lines:
        try:
            symbol, begin, end = line.split("\t")
            yield symbol, date.fromisoformat(begin), date.fromisoformat(end)
        except ValueError:
            continue


async def fetch(
    plan: Iterable[Stretch],
    source: Source,
    folder: Path,
    *,
    pace: Pace,
    replace: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    tell: Callable[[Stretch], None] = lambda _: None,
) -> Fetched:
    """Ask for each stretch and keep its bars; the caller holds the catalogue.

    Raises:
        Misconfigured: the catalogue cannot be written.
        TryLater: Dhan gives no answer, or refuses; what had been answered is kept.
    """
    desk = _Desk(Fetched(), folder, replace)
    try:
        for each in plan:
            tell(each)
            try:
                desk.take(each, await _ask(each, source, pace, sleep))
            except NothingThere:
                desk.fetched.empty.append(each)
            except Unreadable as error:
                desk.fetched.failed.append(f"{each}: {error}")
            if len(desk.bars) >= MOST_UNWRITTEN:
                desk.write()
    finally:
        desk.write()
    return desk.fetched


async def _ask(
    asked: Stretch, source: Source, pace: Pace, sleep: Callable[[float], Awaitable[None]]
) -> Sequence[history.Bar]:
    first, last = market_session(asked.first).open, market_session(asked.last).close
    for attempt in range(ATTEMPTS):
        await pace.wait()
        try:
            return await source.intraday(asked.instrument, 1, first, last)
        except NothingThere:
            raise
        except TryLater:
            if attempt + 1 == ATTEMPTS:
                raise
            await sleep(2**attempt)
    raise AssertionError("the last attempt returns or raises")


@dataclass(slots=True)
class _Desk:
    """Answers that are not written yet."""

    fetched: Fetched
    folder: Path
    replace: bool
    bars: list[Bar] = field(default_factory=list)
    whole: list[Stretch] = field(default_factory=list)

    def take(self, asked: Stretch, answer: Sequence[history.Bar]) -> None:
        """Raises Unreadable where a bar is none of a minute, or beyond any."""
        inside = [bar for bar in answer if bar.start in market_session(trading_day(bar.start))]
        made = [_bar(asked.instrument.symbol, bar) for bar in inside]
        self.fetched.outside += len(answer) - len(inside)
        if not made:
            self.fetched.empty.append(asked)
            return
        self.bars += made
        self.whole.append(asked)

    def write(self) -> None:
        """Keep the bars, and then that they were answered: a kill in between asks once more."""
        keep(self.folder, self.bars, self.fetched.imported, replace=self.replace)
        if self.whole:
            with (self.folder / ANSWERED).open("a", encoding="utf-8") as file:
                for each in self.whole:
                    file.write(f"{each.instrument.symbol}\t{each.first}\t{each.last}\n")
        self.bars, self.whole = [], []


def _bar(symbol: str, bar: history.Bar) -> Bar:
    when = f"{bar.start.ist():%Y-%m-%d %H:%M:%S}"
    if bar.start % MINUTE:
        raise Unreadable(f"a bar at {when} IST, which is no start of a minute")
    if bar.high > MAX_PRICE or bar.volume > MAX_BAR_VOLUME:
        raise Unreadable(f"the bar at {when} IST has an impossible price or volume")
    return Bar(0, symbol, *bar)
