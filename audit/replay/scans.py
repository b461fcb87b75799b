"""The Scout on recorded daily bars and answers: each day's scan once more, and nobody asked.

Where the guarantee stops: of an instrument without a recorded answer the features of the scan are
taken as they stand. Then it is shown that ranking, answer and list belong together, not that the
features are those of the bars.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from agents.features import directional_score
from agents.journal import LlmCallCache
from agents.recorded_history import judged_again
from agents.scout import Candidate, Ineligible, scan_of, span_of_history
from audit.replay.answers import NO_HURRY, AgentsAsSet, Answered, RecordedJournal
from bus.records import message_output
from schemas import inputs
from schemas.ids import InstrumentId
from schemas.inputs import DailyBars
from schemas.market import Instrument, trading_day
from schemas.messages import Scan, ScanEntry, Signal
from schemas.topics import SCANS
from schemas.units import Paise, Quantity, UtcNs

Bars: TypeAlias = Mapping[InstrumentId, DailyBars]


@dataclass(slots=True)
class Scans:
    """The scans of the topic: of each day the first stands, as it does for the agents."""

    by_day: dict[date, tuple[UtcNs, Scan]] = field(default_factory=dict)

    def add(self, scan: Scan, published_at: UtcNs) -> None:
        """Take one in, in the order of the topic."""
        self.by_day.setdefault(scan.trading_date, (published_at, scan))

    def known_to(self, signal: Signal, decided_at: UtcNs | None) -> Scan | None:
        """The scan that a decision published at `decided_at` (machine time) could know of.

        One that was published later was not there. None: not decided as far as recorded, so that
        the day's scan counts.
        """
        published_at, scan = self.by_day.get(trading_day(signal.event_time), (None, None))
        if published_at is not None and decided_at is not None and published_at > decided_at:
            return None
        return scan


@dataclass(slots=True)
class Histories:
    """What stands on `ats.daily-bars`, by trading date and instrument."""

    by_day: dict[date, dict[InstrumentId, list[tuple[UtcNs, DailyBars]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, bars: DailyBars, published_at: UtcNs) -> None:
        """Take one in, in the order of the topic."""
        self.by_day[bars.trading_date][bars.instrument].append((published_at, bars))

    def used_by(self, day: date, published_at: UtcNs) -> Bars:
        """What the scan of `day` that was published then (machine time) was made of.

        Of each instrument the first bars of the days that it asks for; the last failure where none
        came.
        """
        found = dict[InstrumentId, DailyBars]()
        for instrument, answers in self.by_day.get(day, {}).items():
            known = [bars for at, bars in answers if at <= published_at and _asked_for(bars)]
            came = [bars for bars in known if bars.outcome is inputs.Answered.OK]
            if known:
                found[instrument] = came[0] if came else known[-1]
        return found


def _asked_for(bars: DailyBars) -> bool:
    return (bars.first, bars.last) == span_of_history(bars.trading_date)


async def scan_again(
    recorded: Scan,
    bars: Bars,
    named: Mapping[InstrumentId, Instrument],
    cache: LlmCallCache,
    agents: AgentsAsSet,
) -> Answered:
    """The scan from the recorded daily bars, and from the features that stand where none are.

    `named` tells the symbol of an instrument that was asked for, and that the scan lacks.
    """
    journal = RecordedJournal(cache)
    scan = await scan_of(
        recorded.trading_date,
        recorded.event_time,
        list(_assessed_again(recorded, bars, named)),
        journal=journal,
        deadline=NO_HURRY,
        options=agents.scout,
    )
    output = message_output(SCANS, scan, scan.trading_date.isoformat(), 0)
    return Answered((output,), tuple(journal.unanswered))


def _assessed_again(
    recorded: Scan, bars: Bars, named: Mapping[InstrumentId, Instrument]
) -> Iterable[Candidate | Ineligible]:
    for entry in recorded.entries:
        told = bars.get(entry.instrument)
        yield judged_again(told, _named(entry)) if told else assessed(entry)
    listed = {entry.instrument for entry in recorded.entries}
    for id_ in sorted(bars.keys() - listed):
        yield judged_again(bars[id_], named.get(id_) or _instrument(id_, str(id_)))


def assessed(entry: ScanEntry) -> Candidate | Ineligible:
    """What the Scout made of the bars, as the scan tells it."""
    if not entry.features:
        return Ineligible(_named(entry), entry.reason)
    return Candidate(_named(entry), entry.features, directional_score(entry.features))


def _named(entry: ScanEntry) -> Instrument:
    return _instrument(entry.instrument, entry.symbol)


def _instrument(id_: InstrumentId, symbol: str) -> Instrument:
    """Neither lot nor tick matters to the Scout."""
    return Instrument(id_, symbol, "", "", Quantity(1), Paise(1))


def without_bars(scan: Scan, bars: Bars) -> str:
    """Of what the features are not derived, for a reader of the result; empty where of all."""
    lacking = sum(entry.instrument not in bars for entry in scan.entries)
    if not lacking:
        return ""
    day, count = scan.trading_date, len(scan.entries)
    return (
        f"of {lacking:,} of {count:,} instruments of the scan of {day} no daily bars are recorded: "
        "their features are taken as they stand"
    )
