"""Which fill is what: the order itself, its stop, its target, or what ended the position. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from audit.story import Story
from schemas.ids import DhanOrderId
from schemas.market import Side
from schemas.messages import (
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    Leg,
    ObservedFill,
    OrderEvent,
    OrderIntent,
    Outcome,
    Trade,
)
from schemas.units import UtcNs


class Purpose(StrEnum):
    """What a fill was for."""

    ENTRY = "the order itself"
    STOP_LOSS = "stop"
    TARGET = "target"
    EXIT = "sent to end the position"
    OTHER = "of another order of the position"
    UNKNOWN = "of an order that no decision here made"


def purpose_of(fill: ObservedFill, story: Story) -> tuple[Purpose, str]:
    """What a fill was for, and of an exit why it was sent.

    A leg of a super order may trade under the entry's number: then its side tells it apart.
    """
    number = fill.dhan_order_id
    for step in story.of(ExitOrder):
        if step.action is ExitAction.PLACE_CLOSE and step.dhan_order_id == number:
            return Purpose.EXIT, step.reason_code.value
    sides = {each.dhan_order_id: each.side for each in story.of(Execution)}
    if sides.get(number) is fill.side:
        return Purpose.ENTRY, ""
    if leg := _leg_of(number, fill, story):
        return leg, ""
    if any(step.dhan_order_id == number for step in story.of(ExitOrder)):
        return Purpose.STOP_LOSS, ""  # a stop that the guardian rested
    others = {each.outcome.dhan_order_id for each in story.others if each.outcome}
    return (Purpose.OTHER, "") if number in others else (Purpose.UNKNOWN, "")


def _leg_of(number: DhanOrderId, fill: ObservedFill, story: Story) -> Purpose | None:
    legs = {
        order.leg
        for event in story.of(OrderEvent)
        if (order := event.order)
        and order.filled
        and order.side is fill.side
        and number in {order.dhan_order_id, order.super_order}
    }
    if Leg.STOP_LOSS in legs:
        return Purpose.STOP_LOSS
    return Purpose.TARGET if Leg.TARGET in legs else None


def left_because(trade: Trade, story: Story) -> str:
    """Why the position had been entered that a fill made smaller; "" where none is known."""
    fill = trade.fill
    parents = {
        order.super_order
        for event in story.of(OrderEvent)
        if (order := event.order) and order.dhan_order_id == fill.dhan_order_id
    }
    reasons = {each.id: each.reasoning for each in story.of(Decision)}
    for outcome in story.of(Execution):
        if outcome.dhan_order_id in parents and (reason := reasons.get(outcome.decision_id)):
            return reason  # a leg ends what its own super order began
    return entered_because(fill.side, fill.traded_at or trade.event_time, story)


def entered_because(closing: Side | None, moment: UtcNs, story: Story) -> str:
    """Why the position had been entered that an order of side `closing` made smaller.

    Of the last order until `moment` of the other side that was accepted; "" where none is known.
    """
    entries = [
        each
        for each in _accepted(story)
        if each.at <= moment and (closing is None or each.side is not closing)
    ]
    return max(entries, key=lambda each: each.at).reason if entries else ""


def exit_entered_because(step: ExitOrder, story: Story) -> str:
    """Why the position had been entered that a guardian's step was about; "" where none was held.

    A leg belongs to the entry of its own super order. Another step that only cancels has no side:
    what was held tells which way the entry went.
    """
    if step.leg is not Leg.ENTRY and (own := _own_reason(step.dhan_order_id, story)):
        return own
    closing = step.side or (Side.SELL if step.net > 0 else Side.BUY)
    return entered_because(closing, step.event_time, story) if step.side or step.net else ""


def _own_reason(number: DhanOrderId | None, story: Story) -> str:
    return next((each.reason for each in _accepted(story) if number and each.number == number), "")


class _Accepted(NamedTuple):
    at: UtcNs
    side: Side
    number: DhanOrderId | None
    reason: str


def _accepted(story: Story) -> Iterable[_Accepted]:
    """Orders of the position that Dhan took, with the reasoning of their decisions."""
    reasons = {each.id: each.reasoning for each in story.of(Decision)}
    outcomes = {each.order_id: each for each in story.of(Execution)}
    for intent in story.of(OrderIntent):
        outcome = outcomes.get(intent.id)
        if outcome and outcome.outcome is Outcome.ACCEPTED:
            reason = reasons.get(intent.decision_id, "")
            yield _Accepted(intent.event_time, intent.side, outcome.dhan_order_id, reason)
    for other in story.others:
        if other.outcome and other.outcome.outcome is Outcome.ACCEPTED:
            number = other.outcome.dhan_order_id
            reason = other.decision.reasoning if other.decision else ""
            yield _Accepted(other.intent.event_time, other.intent.side, number, reason)
