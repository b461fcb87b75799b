"""The newest day's score card, for operators: read from the record when one of them asks.

The figures are those of `ats scorecard` (`audit.scorecard`); only their shape is made here.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from pydantic import Field

from ats.gateway.lookups import Lookups
from audit.replay.recorded import span_of
from audit.scorecard.card import Card, Line, card_of, remarks
from audit.scorecard.forecasts import forecasts_of
from audit.scorecard.intervals import METHOD, Estimate
from audit.scorecard.prices import JUDGED, Prices
from audit.scorecard.reading import read_days
from audit.scorecard.traded import round_trip
from bus.stored import Topics
from executors.charges.rates import Rates
from schemas.frozen import FrozenModel
from schemas.ids import UserId
from schemas.units import UtcNs

# Seconds. Every bar of the day is read; an operator waits for it, and the next one has it at once.
SCORED_WITHIN: Final = 60.0
STAYS_FOR: Final = UtcNs.minutes(5)  # of machine time: for so long a card is told again
MOST_LINES: Final = 40  # of a section; the rest have few decisions each


class ScoreEstimate(FrozenModel):
    """A figure and its 95 % interval; null where too few decisions tell it."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, estimate: Estimate) -> ScoreEstimate:
        """The same as JSON has it."""
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


class ScoreLine(FrozenModel):
    """One rule, agent or kind of decision."""

    name: str
    count: int = Field(description="how many were scored")
    too_few: bool = Field(description="nothing can be said of it yet")
    right: ScoreEstimate = Field(description="share that was right after 15 minutes, 0 to 1")
    gain: ScoreEstimate = Field(description="mean gain after 15 minutes, basis points")
    profit_factor: ScoreEstimate = Field(description="gains by losses within 15 minutes")
    brier: ScoreEstimate = Field(description="of the confidence; 0 is best, a coin has 0.25")

    @classmethod
    def of(cls, line: Line) -> ScoreLine:
        """The same as JSON has it."""
        return cls(
            name=line.name,
            count=line.count,
            too_few=line.too_few,
            right=ScoreEstimate.of(line.hits),
            gain=ScoreEstimate.of(line.returns[JUDGED]),
            profit_factor=ScoreEstimate.of(line.profit_factor),
            brier=ScoreEstimate.of(line.brier),
        )


class ScoreSection(FrozenModel):
    """Lines of one kind."""

    title: str
    lines: tuple[ScoreLine, ...]


class ScoreCard(FrozenModel):
    """How good one day's decisions were, to operators alone."""

    trading_date: date | None = Field(description="null before anything was told")
    made_at: UtcNs = Field(description="machine time")
    decisions: int
    unpriced: int = Field(description="of those, how many met no price in time")
    unreadable: int = Field(description="records that could not be read, and are not scored")
    sections: tuple[ScoreSection, ...] = Field(description="those that have lines")
    remarks: tuple[str, ...] = Field(description="what to know before believing a figure")
    method: str


class ScoreCards:
    """Makes the card of a day, and tells it again for `STAYS_FOR`."""

    def __init__(self, record: Topics, rates: Rates, *, played: bool) -> None:
        """`played`: the writers' clock is not the market's."""
        self._record = record
        self._rates = rates
        self._played = played
        self._lookups = Lookups(SCORED_WITHIN)

    async def of(self, user: UserId, day: date | None, now: UtcNs) -> ScoreCard:
        """The card of `day`, at most so old.

        Raises:
            RecordAway: it cannot be made now.
        """
        if day is None:
            return _shown(None, now, None, 0)

        async def make() -> ScoreCard:
            return await self._made(day, now)

        return await self._lookups.find(user, ("scores", day, now // STAYS_FOR), make)

    async def close(self) -> None:
        """Give up what is being read."""
        await self._lookups.close()

    async def _made(self, day: date, now: UtcNs) -> ScoreCard:
        """Runs on the lookups' thread."""
        span = span_of(day, day)
        read = await read_days(self._record, span, lambda *_: None, played=self._played)
        card = card_of(
            forecasts_of(read.recorded, lambda decision: read.went_out[decision.id]),
            Prices(read.bars),
            cost=round_trip(day, self._rates),
        )
        return _shown(day, now, card, len(read.unreadable))


def _shown(day: date | None, now: UtcNs, card: Card | None, unreadable: int) -> ScoreCard:
    sections = card.sections if card else ()
    return ScoreCard(
        trading_date=day,
        made_at=now,
        decisions=card.decisions if card else 0,
        unpriced=card.unpriced if card else 0,
        unreadable=unreadable,
        sections=tuple(
            ScoreSection(title=each.title, lines=tuple(map(ScoreLine.of, each.lines[:MOST_LINES])))
            for each in sections
            if each.lines
        ),
        remarks=tuple(remarks(card)) if card else (),
        method=METHOD,
    )
