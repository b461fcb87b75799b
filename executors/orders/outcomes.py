"""What became of an intent, in words for the user and as the message for `ats.executions`."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from bus.records import Output, message_output
from dhan.orders import BrokerOrder
from dhan.outcomes import RATE_LIMIT, Accepted, NotSent, Rejected
from executors.orders.correction_store import Correction
from executors.reasons import Reason, for_user
from executors.risk.denial import Denial
from executors.risk.preflight import Red
from executors.store import OrderOutcome
from executors.terms import OrderTerms
from schemas.ids import OrderId, derive
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.topics import EXECUTIONS


def denied(code: str) -> OrderOutcome:
    return OrderOutcome(Outcome.DENIED, str(code), for_user(code))


def denied_as_seen(denial: Denial, preflight: str) -> OrderOutcome:
    """The gate's denial; a red preflight with its own reason, as far as it is one of ours."""
    outcome = denied(denial)
    if denial is Denial.PREFLIGHT_RED and preflight in set(Red):
        return replace(outcome, text=f"{outcome.text} {for_user(preflight)}")
    return outcome


def not_found(reason: Reason) -> OrderOutcome:
    return OrderOutcome(Outcome.NOT_FOUND, reason.value, for_user(reason))


def of_placement(placed: Accepted | Rejected | NotSent) -> OrderOutcome:
    """The outcome of an order whose fate is known at once."""
    match placed:
        case Accepted(order_id):
            return OrderOutcome(Outcome.ACCEPTED, Outcome.ACCEPTED.value, dhan_order_id=order_id)
        case Rejected(code, message, order_id):
            return OrderOutcome(Outcome.REJECTED, code, message, order_id)
        case NotSent(code, message) if code == RATE_LIMIT:
            return OrderOutcome(Outcome.REJECTED, code, message)
        case NotSent(code, message):
            return OrderOutcome(Outcome.DENIED, code, for_user(code) or message)


def of_order(order: BrokerOrder) -> OrderOutcome:
    """The outcome of an order found in Dhan's book.

    Cancelled and expired ones were accepted once.
    """
    if order.rejected:
        return OrderOutcome(Outcome.REJECTED, "REJECTED", order.reason, order.order_id)
    return OrderOutcome(Outcome.ACCEPTED, Outcome.ACCEPTED.value, dhan_order_id=order.order_id)


def execution_id(order: OrderId) -> UUID:
    """The id of the message that tells the first recorded outcome of `order`."""
    return derive("execution", order)


def execution(intent: OrderIntent, outcome: OrderOutcome) -> Execution:
    """The message of an outcome, without its evidence, which `execution_output` adds.

    A function of the intent's ids and the recorded outcome alone, so repeats have the same bytes.
    """
    # without: recorded before the database kept terms
    terms = outcome.terms or OrderTerms.of(intent)
    return Execution(
        id=execution_id(intent.id),
        event_time=terms.event_time,
        causation_id=intent.id,
        correlation_id=intent.correlation_id,
        order_id=intent.id,
        decision_id=intent.decision_id,
        user_id=intent.user_id,
        instrument=terms.instrument,
        symbol=terms.symbol,
        side=terms.side,
        quantity=terms.quantity,
        price=terms.price,
        outcome=outcome.outcome,
        reason_code=outcome.code,
        reason=outcome.text,
        dhan_order_id=outcome.dhan_order_id,
        strategy=terms.strategy,
    )


def correction(row: Correction) -> Execution:
    """The message of a correction, without evidence: a function of its row alone.

    It replaces the message before it, the execution itself or an earlier correction. Its market
    time is the order's own.
    """
    before = row.nth - 1
    order, terms, known = row.key.order, row.terms, row.known
    return Execution(
        id=derive("correction", order, row.nth),
        event_time=terms.event_time,
        causation_id=order,
        correlation_id=terms.correlation_id,
        order_id=order,
        decision_id=row.key.decision,
        user_id=row.key.user,
        instrument=terms.instrument,
        symbol=terms.symbol,
        side=terms.side,
        quantity=terms.quantity,
        price=terms.price,
        outcome=known.outcome,
        reason_code=known.code,
        reason=known.text,
        dhan_order_id=known.dhan_order_id,
        strategy=terms.strategy,
        corrects=derive("correction", order, before) if before else execution_id(order),
    )


def execution_output(message: Execution, terms: OrderTerms | None) -> Output:
    """`message` for `ats.executions`, with the evidence of its `terms` as it was written."""
    evidence = terms.evidence if terms else None
    written = {"evidence": evidence} if evidence else None
    return message_output(EXECUTIONS, message, str(message.user_id), written=written)


def seen_late(order: BrokerOrder) -> OrderOutcome:
    """What an order of Dhan's book says of an outcome recorded before."""
    found = of_order(order)
    if found.outcome is Outcome.ACCEPTED:
        return replace(found, code=Reason.FOUND_LATE.value, text=for_user(Reason.FOUND_LATE))
    return found
