"""What did not go as it should. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from audit.amounts import clock, passed, rupees
from audit.holdings import Holding, fills_by_holding
from audit.report.record import DayRecord
from audit.unprotected import UnprotectedTime
from executors.orders.round_trips import round_trips
from schemas.messages import (
    CallOutcome,
    DeadLetter,
    Decision,
    Execution,
    FeedEvent,
    FeedState,
    LlmCall,
    Origin,
    Outcome,
    Position,
    Trade,
)
from schemas.units import NS_PER_SECOND, UtcNs

# a position without a stop for longer is told; shorter is how long a stop takes to rest
BARE_FOR: Final = 2 * NS_PER_SECOND
MOST_NAMED: Final = 20  # records that cannot be read
_NO_FAILURE: Final = frozenset({CallOutcome.OK, CallOutcome.CANCELLED})


class Incident(NamedTuple):
    """Something that a reader of the day should know of."""

    kind: str
    what: str
    number: int = 1


def incidents_of(record: DayRecord) -> list[Incident]:
    """By kind, the most frequent first."""
    return [
        *_gaps(record.of(FeedEvent)),
        *_counted("no decision", (_code(each) for each in record.of(Decision) if _failed(each))),
        *_counted("model", (_call(each) for each in record.of(LlmCall) if _lost(each))),
        *_counted("order", (_order(each) for each in record.of(Execution) if _ended(each))),
        *_bare(record.written(Position)),
        *_differing(record),
        *_counted("dead letter", map(_unreadable, record.of(DeadLetter))),
        *_left_out(record.unreadable),
    ]


def bare_seconds(record: DayRecord) -> tuple[float, float]:
    """Seconds in which no stop rested for all of a position: together, and the longest."""
    spans = [span for _, span in _spans(record.written(Position))]
    return sum(spans) / NS_PER_SECOND, max(spans, default=0) / NS_PER_SECOND


def _gaps(events: Iterable[FeedEvent]) -> Iterator[Incident]:
    for each in events:
        if each.state is FeedState.GAP and each.gap_from is not None and each.gap_to is not None:
            span = f"{clock(each.gap_from)} to {clock(each.gap_to)}"
            yield Incident("feed", f"ticks may be missing, {span} {each.reason}".strip())


def _failed(decision: Decision) -> bool:
    return decision.origin is Origin.FAILSAFE


def _code(decision: Decision) -> str:
    return f"HOLD by the safety net: {decision.reason_code}"


def _lost(call: LlmCall) -> bool:
    return call.outcome not in _NO_FAILURE


def _call(call: LlmCall) -> str:
    return f"{call.agent} at {call.model}: {call.outcome.value}"


def _ended(execution: Execution) -> bool:
    return execution.outcome is not Outcome.ACCEPTED


def _order(execution: Execution) -> str:
    return f"{execution.outcome.value}: {execution.reason_code}"


def _unreadable(letter: DeadLetter) -> str:
    return f"{letter.topic}: {letter.reason}"


def _left_out(unreadable: Sequence[str]) -> Iterator[Incident]:
    for what in unreadable[:MOST_NAMED]:
        yield Incident("left out", f"{what}; it is in no figure of this page")
    if more := len(unreadable[MOST_NAMED:]):
        yield Incident("left out", "more records that cannot be read", more)


def _counted(kind: str, what: Iterable[str]) -> list[Incident]:
    return [Incident(kind, text, number) for text, number in Counter(what).most_common()]


def _spans(written: Iterable[tuple[Position, int]]) -> Iterator[tuple[Position, int]]:
    """Each span that ended, with the record that ended it."""
    time = UnprotectedTime()
    for each, at in written:
        if span := time.note(each, at):
            yield each, span


def _bare(written: Iterable[tuple[Position, int]]) -> Iterator[Incident]:
    for position, span in _spans(written):
        if span > BARE_FOR:
            when = clock(UtcNs(position.event_time))
            what = f"{position.instrument} until {when}: {passed(span)} without a stop for all"
            yield Incident("unprotected", what)


def _differing(record: DayRecord) -> Iterator[Incident]:
    """Where the fills come to something else than the recorded position."""
    last = {
        Holding(each.user_id, each.instrument, each.trading_date): each
        for each in record.of(Position)
    }
    fills = fills_by_holding(record.of(Trade))
    for holding in sorted(last.keys() | fills.keys(), key=str):
        ours = sum(trip.gross for trip in round_trips(fills.get(holding, ())))
        position = last.get(holding)
        told = int(position.realised) if position else 0
        if position and position.agrees is False:
            yield Incident("books", f"{holding.instrument}: the position differs from the broker's")
        if position is not None and not position.net and ours != told:
            what = f"the fills come to {rupees(ours)}, the position to {rupees(told)}"
            yield Incident("books", f"{holding.instrument}: {what}")
