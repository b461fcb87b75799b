"""Days of the market through the engine and the committee, one after another.

Where it stops: a file of some days tells no half a year of daily bars, so there is no Scout. Every
share is on the list, and leans the way it went on the day before in the file (bullish without one).
No headlines, and no market around a signal: the rules that decide look at neither. Charges, fills
and users are not in it: decisions alone are made.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from agents.app import AgentOptions, LlmGateway
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.entries import Circumstances
from agents.journal import ModelTier
from agents.news import NoNews
from agents.past import DecisionHistory
from ats.backtest.model import RuleModel
from ats.backtest.tape import records
from audit.replay.folds import Fold
from audit.scorecard.forecasts import Recorded
from bus.records import Record
from bus.stateful import StatefulService
from schemas.codec import decode
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, derive, scan_id
from schemas.market import Direction, ScanResult, Timeframe, trading_day
from schemas.messages import Candle, Decision, LlmCall, Report, Scan, ScanEntry, Signal
from schemas.topics import CANDLES, SIGNALS, TICKS, PartitionPlan
from schemas.units import UtcNs
from simulator.market.bar_columns import BarColumns
from simulator.market.files import read_file
from simulator.market.replay import replay
from simulator.market.tape import Market

SEED: Final = 7  # of where in its minute a bar's prints stand
PRINTS_A_STEP: Final = 512  # handed to the engine at once; results do not depend on it
_PLAN: Final = PartitionPlan(1, 1)
_NO_HURRY: Final = Deadline(1e6, lambda: 0.0)  # seconds; rules answer at once
_NO_LIMIT: Final = 10**9  # rupees a day: rules cost nothing
_ONE_MINUTE: Final = f'"timeframe":"{Timeframe.M1.value}"'.encode()

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Played:
    """What came of the days: one-minute bars, signals, and what was decided on them."""

    candles: list[Candle] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def recorded(self) -> Recorded:
        """For the score card."""
        return Recorded(self.signals, self.reports, self.decisions)


def markets_of(paths: Iterable[Path]) -> Iterator[Market]:
    """The sessions of market files, oldest day first; bars of one day may stand in several files.

    Raises:
        Misconfigured: a file cannot be read, or holds no usable bar.
    """
    by_day = defaultdict[date, list[BarColumns]](list)
    for path in paths:
        good = read_file(path).good
        if not len(good):
            raise Misconfigured(f"the market file {path.name} has no usable row")
        for day, own in good.by_day():
            by_day[day].append(own)
    for day in sorted(by_day):
        yield replay(BarColumns.joined(by_day.pop(day)), day, SEED).market


async def play(
    markets: Iterable[Market],
    engine: StatefulService,
    options: AgentOptions,
    tell: Progress = lambda *_: None,
) -> Played:
    """Play `markets` in their order; the engine keeps its memory over night."""
    played, fold, offset = Played(), Fold(engine, _PLAN), 0
    before: dict[InstrumentId, Direction] = {}
    committee = Committee(options)
    for days, market in enumerate(markets, start=1):
        first = len(played.signals)
        tell(f"day {days}: {market.session.day}, {first:,} signals", 0, 0)
        for output in records(market, 1, PRINTS_A_STEP):
            _apply(fold, Record(TICKS.name, 0, offset, output.key, output.value, UtcNs(0)), played)
            offset += 1
            await asyncio.sleep(0)  # Ctrl-C is heard here
        scan = scan_of(market, before)
        for signal in played.signals[first:]:
            await asyncio.sleep(0)
            reports, decision = await committee.decide(signal, scan)
            played.reports += reports
            played.decisions.append(decision)
        before |= directions_of(market)
    return played


def _apply(fold: Fold, record: Record, played: Played) -> None:
    for made in fold.apply(record):
        if made.topic is SIGNALS:
            played.signals.append(decode(Signal, made.value))
        elif made.topic is CANDLES and _ONE_MINUTE in made.value:
            played.candles.append(decode(Candle, made.value))


class Committee:
    """The committee on the rules of the simulated model; remembers what it decided."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options
        self._past = DecisionHistory()
        self._asked = 0
        gateway = LlmGateway.with_cap([ModelTier(RuleModel())], _NO_LIMIT)
        self._journal = gateway.journal(_kept_nowhere)

    async def decide(self, signal: Signal, scan: Scan) -> tuple[Sequence[Report], Decision]:
        """The reports and the decision on `signal`; signals come in the order of time."""
        self._asked += 1
        session = self._options.session(trading_day(signal.event_time), signal.instrument.segment)
        result = await run_committee(
            signal,
            scan,
            news=NoNews(),
            journal=self._journal,
            deadline=_NO_HURRY,
            validity=self._options.validity,
            limits=self._options.limits,
            around=Circumstances(session, self._past.before(self._asked, signal)),
        )
        self._past.note(self._asked, result.decision)
        return result.reports, result.decision


async def _kept_nowhere(call: LlmCall) -> None:
    """What rules answered can be asked again at any time."""


def scan_of(market: Market, before: dict[InstrumentId, Direction]) -> Scan:
    """Every share of the market on the day's list."""
    day = market.session.day
    shares = [each for each in market.listings if each.instrument.tradable]
    entries = tuple(
        ScanEntry(
            scan_id=scan_id(day, each.id),
            instrument=each.id,
            symbol=each.instrument.symbol,
            result=ScanResult.SHORTLISTED,
            initial_signal=before.get(each.id, Direction.BULLISH),
            rank=rank,
            reason="Every share of the file is listed.",
            features={},
        )
        for rank, each in enumerate(shares, start=1)
    )
    return Scan(
        id=derive("scans", day.isoformat()),
        event_time=market.session.open,
        trading_date=day,
        origin="rules",
        entries=entries,
    )


def directions_of(market: Market) -> dict[InstrumentId, Direction]:
    """Which way each instrument went, from the day's open to its close."""
    found = {}
    for place, listing in enumerate(market.listings):
        prices = market.source.tape(place)["price"]
        found[listing.id] = Direction.BULLISH if prices[-1] >= prices[0] else Direction.BEARISH
    return found
