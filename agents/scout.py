"""The Scout: before the open, from the universe to the short list of the day.

Rules rank everything that has a history; the model re-ranks the best of them. When the model fails
in any way, the rules' order stands and the scan says so. What has too little history is discarded
with the reason, never guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, Protocol
from uuid import UUID

import structlog

from agents import llm_calls
from agents.answers import RankedSymbol, ScoutAnswer
from agents.deadline import Deadline
from agents.features import MIN_BARS, Bar, direction_of, directional_score, features_of
from agents.journal import Journal, Question
from agents.llm_calls import LlmFailure
from agents.prompts import Agent, scout_message
from schemas.errors import TryLater, Unreadable
from schemas.ids import derive, scan_id
from schemas.market import Direction, Instrument, ScanResult, trading_day
from schemas.messages import Scan, ScanEntry
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# calendar days that hold about 100 sessions, well above MIN_BARS
LOOKBACK: Final = timedelta(days=150)
ATTEMPTS: Final = 3  # per instrument; the limiter stands between them
AT_ONCE: Final = 4  # requests in flight; the rate limiter, not this, is the limit

Progress = Callable[[int, int], None]  # instruments done, instruments in all


class DatedBar(Bar, Protocol):
    """A bar that knows its day."""

    @property
    def day(self) -> date:
        """The trading day, on Indian clocks."""
        ...


class History(Protocol):
    """Daily bars, oldest first; `dhan.history.History` is the real one."""

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DatedBar]:
        """The bars from `first` to `last`, both included.

        Raises:
            TryLater: the provider is away or busy.
            Unreadable: its answer is no history.
        """
        ...


class RateLimiter(Protocol):
    """Lets one request through at a time, no faster than the provider allows."""

    async def wait(self) -> None:
        """Return when the next request may leave."""
        ...


@dataclass(frozen=True, slots=True)
class ScoutOptions:
    """How many instruments are looked at.

    Attributes:
        shortlist: How many symbols the day may trade.
        candidates: How many the model gets to see, the rules' best.
    """

    shortlist: int = 12
    candidates: int = 30


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument with a history, as the rules see it."""

    instrument: Instrument
    features: Mapping[str, float]
    score: float


@dataclass(frozen=True, slots=True)
class Ineligible:
    """An instrument that cannot be judged, and why.

    `away`: nobody answered, so another hour might tell.
    """

    instrument: Instrument
    reason: str
    away: bool = False


async def scan(
    day: date,
    universe: Sequence[Instrument],
    history: History,
    *,
    opens: UtcNs,
    journal: Journal,
    model_seconds: float,
    limiter: RateLimiter,
    options: ScoutOptions = ScoutOptions(),
    progress: Progress = lambda _done, _all: None,
) -> Scan:
    """The scan of `day`, as of `opens`, when its first session begins. Indices are left out.

    `model_seconds` count from when the histories are in.

    Raises:
        TryLater: no instrument's history could be had; a scan of nothing would look like a quiet
            day.
    """
    tradable = [instrument for instrument in universe if instrument.tradable]
    assessed = await _assess_all(day, tradable, history, limiter, progress)
    if assessed and all(isinstance(item, Ineligible) and item.away for item in assessed):
        raise TryLater(
            f"no history of any of {len(assessed)} instruments ({assessed[0]}); "
            "is the token still valid?"
        )
    return await scan_of(
        day,
        opens,
        assessed,
        journal=journal,
        deadline=Deadline.after(model_seconds),
        options=options,
    )


async def scan_of(
    day: date,
    opens: UtcNs,
    assessed: Sequence[Candidate | Ineligible],
    *,
    journal: Journal,
    deadline: Deadline,
    options: ScoutOptions,
) -> Scan:
    """The scan of what was assessed. A function of that, the recorded answer and the options."""
    candidates = sorted(
        (item for item in assessed if isinstance(item, Candidate)),
        key=lambda c: (-abs(c.score), c.instrument.symbol),
    )
    ranked = await _model_ranking(
        opens, candidates[: options.candidates], journal, deadline, options
    )
    origin: Literal["model", "rules"] = "model" if ranked else "rules"
    chosen = ranked or _rules_ranking(candidates[: options.shortlist])
    return _scan(day, opens, origin, chosen, assessed)


async def _assess_all(
    day: date,
    universe: Sequence[Instrument],
    history: History,
    limiter: RateLimiter,
    progress: Progress,
) -> list[Candidate | Ineligible]:
    slots, done = asyncio.Semaphore(AT_ONCE), 0

    async def one(instrument: Instrument) -> Candidate | Ineligible:
        nonlocal done
        async with slots:
            found = await _assess(day, instrument, history, limiter)
        done += 1
        progress(done, len(universe))
        return found

    return await asyncio.gather(*map(one, universe))


async def _assess(
    day: date, instrument: Instrument, history: History, limiter: RateLimiter
) -> Candidate | Ineligible:
    for attempt in range(1, ATTEMPTS + 1):
        await limiter.wait()
        try:
            bars = await history.daily(instrument, *span_of_history(day))
            break
        except TryLater as error:
            if attempt == ATTEMPTS:
                return without_history(instrument, str(error), away=True)
        except Unreadable as error:
            return without_history(instrument, str(error), away=False)
    return judged(day, instrument, bars)


def span_of_history(day: date) -> tuple[date, date]:
    """The first and the last day of the bars that the scan of `day` asks for."""
    return day - LOOKBACK, day - timedelta(days=1)


def judged(day: date, instrument: Instrument, bars: Iterable[DatedBar]) -> Candidate | Ineligible:
    """What the rules make of the history of `instrument`, oldest bar first. Pure.

    A bar of `day` itself would tell the future, and does not count.
    """
    before = [bar for bar in bars if bar.day < day]
    if len(before) < MIN_BARS:
        return Ineligible(instrument, f"{len(before)} daily bars, {MIN_BARS} needed")
    features = features_of(before)
    return Candidate(instrument, features, directional_score(features))


def without_history(instrument: Instrument, error: str, *, away: bool) -> Ineligible:
    """An instrument whose history did not come: nobody answered, or what nobody can read."""
    what = "no history" if away else "history unreadable"
    return Ineligible(instrument, f"{what}: {error}"[:200], away=away)


async def _model_ranking(
    as_of: UtcNs,
    candidates: Sequence[Candidate],
    journal: Journal,
    deadline: Deadline,
    options: ScoutOptions,
) -> list[RankedSymbol]:
    """The model's list; empty when it gave none that can be used."""
    if not candidates:
        return []
    features = {candidate.instrument.symbol: candidate.features for candidate in candidates}
    question = Question(
        Agent.SCOUT,
        _scan_message_id(trading_day(as_of)),
        as_of,
        scout_message(as_of, features, options.shortlist),
    )
    answer = await llm_calls.call(journal, question, ScoutAnswer, None, deadline)
    if isinstance(answer, LlmFailure):
        log.warning("scout_falls_back_to_rules", reason=answer.reason.value)
        return []
    ranked = answer.value.ranked
    symbols = [line.symbol for line in ranked]
    if len(set(symbols)) != len(symbols) or not set(symbols) <= features.keys():
        log.warning("scout_falls_back_to_rules", reason="names outside the candidates or twice")
        return []
    return list(ranked[: options.shortlist])


def _rules_ranking(candidates: Sequence[Candidate]) -> list[RankedSymbol]:
    return [
        RankedSymbol(
            symbol=candidate.instrument.symbol,
            direction=direction_of(candidate.score),
            score=round(abs(candidate.score) * 100),
            reason="Ranked by rules: trend, momentum and volume of the daily bars.",
        )
        for candidate in candidates
    ]


def _scan(
    day: date,
    opens: UtcNs,
    origin: Literal["model", "rules"],
    chosen: Sequence[RankedSymbol],
    assessed: Sequence[Candidate | Ineligible],
) -> Scan:
    by_symbol = {line.symbol: (rank, line) for rank, line in enumerate(chosen, start=1)}
    entries = [_entry(day, item, by_symbol.get(item.instrument.symbol)) for item in assessed]
    entries.sort(key=lambda entry: (entry.rank is None, entry.rank or 0, entry.symbol))
    return Scan(
        id=_scan_message_id(day),
        event_time=opens,
        trading_date=day,
        origin=origin,
        entries=tuple(entries),
    )


def _entry(
    day: date, item: Candidate | Ineligible, chosen: tuple[int, RankedSymbol] | None
) -> ScanEntry:
    """Where nothing leans, the direction must still be one of two words.

    The empty features tell that it means nothing.
    """
    rank, line = chosen or (None, None)
    if isinstance(item, Ineligible):
        direction, reason, features = Direction.BEARISH, item.reason, {}
    else:
        direction, reason, features = (
            direction_of(item.score),
            "below the short list",
            dict(item.features),
        )
    return ScanEntry(
        scan_id=scan_id(day, item.instrument.id),
        instrument=item.instrument.id,
        symbol=item.instrument.symbol,
        result=ScanResult.SHORTLISTED if line else ScanResult.DISCARDED,
        initial_signal=line.direction if line else direction,
        rank=rank,
        reason=line.reason if line else reason,
        features=features,
    )


def _scan_message_id(day: date) -> UUID:
    return derive("scans", day.isoformat())
