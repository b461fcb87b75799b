"""What is judged: each decision, and each opinion behind it, as a forecast of the market. Pure.

A BUY forecasts a rise. A HOLD declined the trade that its signal proposed, so it is held against
that trade: it was right where the trade would have earned nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import UUID

import numpy as np

from audit.scorecard.prices import JUDGED, Floats, Prices
from schemas.ids import InstrumentId
from schemas.market import Action, AgentType, Direction, trading_day
from schemas.messages import Decision, Origin, Report, Signal
from schemas.units import UtcNs

_SIDES: Final = {Action.BUY: 1, Action.SELL: -1}
_LEANS: Final = {Direction.BULLISH: 1, Direction.BEARISH: -1}

# when a decision went out, in market time
WentOut = Callable[[Decision], UtcNs]


@dataclass(frozen=True, slots=True)
class Forecast:
    """One claim about an instrument.

    Attributes:
        at: Market time from which it could be acted on.
        side: 1 a rise, -1 a fall.
        acted: A BUY or SELL. Not so: a trade that was declined.
        confidence: Percent; None where none was claimed.
        names: By which forecasts are put together, such as `rule` and `model`.
    """

    id: UUID
    instrument: InstrumentId
    at: UtcNs
    side: int
    acted: bool
    confidence: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def day(self) -> date:
        """The trading day (India)."""
        return trading_day(self.at)


@dataclass(frozen=True, slots=True)
class Scored:
    """A forecast and what became of it.

    Attributes:
        returns: Basis points that its side gained, for each of `prices.COLUMNS`; NaN where the
            market closed before.
        judged: The column by which it was right or wrong.
    """

    forecast: Forecast
    returns: Floats
    judged: int = JUDGED

    @property
    def gained(self) -> float:
        """Basis points within the judged time; NaN where the market closed before."""
        return float(self.returns[self.judged])

    @property
    def right(self) -> bool | None:
        """Whether it came true within the judged time; None of a price that stood still."""
        gained = self.gained
        if np.isnan(gained) or gained == 0:
            return None
        return (gained > 0) is self.forecast.acted


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of some days; anything of it in any order and repeatedly."""

    signals: Iterable[Signal] = ()
    reports: Iterable[Report] = ()
    decisions: Iterable[Decision] = ()


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Of some days: decisions, and the analysts' opinions on all their signals.

    Attributes:
        orphans: Decisions whose signal is not recorded; nobody knows what they declined.
    """

    decisions: tuple[Forecast, ...]
    opinions: tuple[Forecast, ...]
    orphans: int = 0


def forecasts_of(recorded: Recorded, went_out: WentOut) -> Forecasts:
    """Every decision and every opinion with a direction, each once, by time."""
    signals = {each.id: each for each in recorded.signals}
    decisions: dict[UUID, Decision] = {}
    for each in recorded.decisions:
        decisions.setdefault(each.signal_id, each)
    found = [_decided(each, signals.get(each.signal_id), went_out) for each in decisions.values()]
    known = [each for each in found if each is not None]
    opinions = {
        each.id: _opinion(each, decisions[each.signal_id], went_out)
        for each in recorded.reports
        if each.score and each.confidence and each.signal_id in decisions
    }
    return Forecasts(
        tuple(sorted(known, key=in_time)),
        tuple(sorted(opinions.values(), key=in_time)),
        len(found) - len(known),
    )


def in_time(forecast: Forecast) -> tuple[int, str]:
    """The order in which everything here is counted, whatever order it came in."""
    return forecast.at, str(forecast.id)


def scored(forecasts: Iterable[Forecast], prices: Prices) -> list[Scored]:
    """Those that the market gave a price for, with what they gained."""
    made = []
    for each in forecasts:
        gained = prices.after(each.instrument, each.at)
        if gained is not None:
            made.append(Scored(each, gained * each.side))
    return made


def _decided(decision: Decision, signal: Signal | None, went_out: WentOut) -> Forecast | None:
    side = _SIDES.get(decision.action) or (_LEANS[signal.direction] if signal else None)
    if side is None:
        return None
    return Forecast(
        decision.id,
        decision.instrument,
        went_out(decision),
        side,
        decision.action is not Action.HOLD,
        # a HOLD of the rules claims no probability, and a failure none either
        decision.confidence if decision.origin is Origin.COMMITTEE else None,
        {
            "rule": signal.rule if signal else "unknown",
            "model": decision.model or "nobody asked",
            "prompt": decision.prompt_version or "nobody asked",
            "code": decision.reason_code,
            "agent": "commander",
        },
    )


def _opinion(report: Report, decision: Decision, went_out: WentOut) -> Forecast:
    agent = "technical" if report.agent_type is AgentType.TECHNICAL else "sentiment"
    return Forecast(
        report.id,
        report.instrument,
        went_out(decision),
        1 if report.score > 0 else -1,
        acted=True,
        confidence=report.confidence,
        names={"agent": agent, "model": str(report.data.get("model", "unknown"))},
    )
