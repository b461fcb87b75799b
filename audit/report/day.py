"""The report of a day, from its record. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from audit.report.equity import Point, course_of, drawdown
from audit.report.figures import Figures, figures_of
from audit.report.incidents import Incident, bare_seconds, incidents_of
from audit.report.latency import Latency, latencies_of
from audit.report.record import DayRecord, bars_of
from audit.report.thinking import AgentCost, costs_of, thinking_of
from audit.report.trades import TradedPosition, charges_of, positions_of
from executors.charges.rates import Rates
from schemas.ids import InstrumentId, UserId
from schemas.market import Timeframe
from schemas.messages import Candle, Decision, LlmCall, OrderIntent, Trade


@dataclass(frozen=True, slots=True)
class DayReport:
    """All that the page shows.

    Attributes:
        user: Whose day; None is everybody's.
        gross, charges, thinking: Paise; charges are None where a rate is unknown.
        drawdown: Paise that the course of the day fell from a highest value.
        most_exposed: Paise in the market at most.
        slippage: Basis points, by the value of the entries; None without one.
        unprotected: Seconds without a stop for all of a position: together, and the longest.
        bars: Of what was traded, five minutes each; of one minute where no others are recorded.
    """

    day: date
    user: UserId | None
    gross: int
    charges: float | None
    thinking: float
    figures: Figures
    drawdown: int
    most_exposed: int
    slippage: float | None
    unprotected: tuple[float, float]
    decisions: int
    orders: int
    positions: Sequence[TradedPosition]
    course: Sequence[Point]
    bars: Mapping[InstrumentId, Sequence[Candle]]
    costs: Sequence[AgentCost]
    latencies: Sequence[Latency]
    incidents: Sequence[Incident]

    @property
    def net(self) -> float | None:
        """Paise after charges and thinking; None where the charges are unknown."""
        return None if self.charges is None else self.gross - self.charges - self.thinking


def report_of(record: DayRecord, rates: Rates) -> DayReport:
    """Work out the report of `record`; `rates` are those of charges."""
    positions = positions_of(record, rates)
    minutes = bars_of(record, Timeframe.M1)
    course = course_of(record.of(Trade), minutes)
    closed = sorted((each for each in positions if each.left_at), key=lambda it: it.left_at or 0)
    return DayReport(
        day=record.day,
        user=record.user,
        gross=sum(each.gross for each in positions),
        charges=charges_of(positions),
        thinking=float(thinking_of(record)),
        figures=figures_of([each.gross if each.net is None else each.net for each in closed]),
        drawdown=drawdown(course),
        most_exposed=max((point.exposure for point in course), default=0),
        slippage=_slippage(positions),
        unprotected=bare_seconds(record),
        decisions=len(record.of(Decision)),
        orders=len(record.of(OrderIntent)),
        positions=positions,
        course=course,
        bars={**minutes, **bars_of(record, Timeframe.M5)},
        costs=costs_of(record.of(LlmCall)),
        latencies=latencies_of(record),
        incidents=incidents_of(record),
    )


def _slippage(positions: Sequence[TradedPosition]) -> float | None:
    known = [(each.slippage, each.entry * each.quantity) for each in positions]
    weighed = [(slippage, value) for slippage, value in known if slippage is not None]
    if not weighed:
        return None
    return sum(slippage * value for slippage, value in weighed) / sum(value for _, value in weighed)
