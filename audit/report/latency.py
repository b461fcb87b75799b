"""How long each hop took over the day, by when records were written. Pure.

Kafka keeps milliseconds, and the clocks of two machines differ: a hop may be below zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple, TypeVar
from uuid import UUID

from audit.report.record import DayRecord
from schemas.messages import Decision, Execution, OrderIntent, Signal, Trade

K = TypeVar("K", bound=UUID)


class Latency(NamedTuple):
    """One hop of all chains; nanoseconds, nearest rank."""

    hop: str
    number: int
    p50: int
    p99: int
    worst: int


def latencies_of(record: DayRecord) -> list[Latency]:
    """Of each hop that was taken at least once."""
    signals = {each.id: at for each, at in record.written(Signal)}
    decisions = {each.id: at for each, at in record.written(Decision)}
    orders = {each.id: at for each, at in record.written(OrderIntent)}
    outcomes = _first((each.order_id, at) for each, at in record.written(Execution))
    numbers = {each.dhan_order_id: each.order_id for each in record.of(Execution)}
    fills = _first(
        (numbers[each.fill.dhan_order_id], at)
        for each, at in record.written(Trade)
        if each.fill.dhan_order_id in numbers
    )
    decided = [(each.signal_id, at) for each, at in record.written(Decision)]
    ordered = [(each.decision_id, at) for each, at in record.written(OrderIntent)]
    hops = {
        "signal to decision": _spans(decided, signals),
        "decision to order": _spans(ordered, decisions),
        "order to outcome": _spans(outcomes.items(), orders),
        "outcome to first fill seen": _spans(fills.items(), outcomes),
    }
    return [_summed(name, spans) for name, spans in hops.items() if spans]


def _first(moments: Iterable[tuple[K, int]]) -> dict[K, int]:
    found: dict[K, int] = {}
    for key, at in moments:
        found[key] = min(at, found.get(key, at))
    return found


def _spans(later: Iterable[tuple[K, int]], earlier: Mapping[K, int]) -> list[int]:
    return sorted(at - earlier[key] for key, at in later if key in earlier)


def _summed(hop: str, spans: list[int]) -> Latency:
    return Latency(hop, len(spans), _rank(spans, 0.5), _rank(spans, 0.99), spans[-1])


def _rank(spans: list[int], share: float) -> int:
    return spans[max(0, ceil(share * len(spans)) - 1)]
