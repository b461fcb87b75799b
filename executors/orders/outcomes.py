"""What became of an intent, in words for the user and as the message for `ats.executions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from dhan.orders import BrokerOrder
from dhan.outcomes import RATE_LIMIT, Accepted, NotSent, Rejected
from executors.orders.correction_store import Correction
from executors.risk.gate import Denial
from executors.risk.preflight import REDS, Red
from executors.store import OrderOutcome
from executors.terms import OrderTerms
from schemas.evidence import SeenContext
from schemas.ids import OrderId, derive
from schemas.messages import Execution, OrderIntent, Outcome

CLAIM_STALE: Final = "claim_stale"
ORDER_UNRESOLVED: Final = "order_unresolved"  # the claim's own word
NO_SOURCE_ADDRESS: Final = "no_source_address"  # `dhan.egress.NoSourceAddress`, as its word
NOT_FOUND: Final = "not_found"
UNVERIFIABLE: Final = "unverifiable"
FOUND_LATE: Final = "found_late"
BY_HAND: Final = "by_hand"  # written by the database's functions for `ats claims`

EXPLANATIONS: Final[Mapping[str, str]] = {
    Denial.KILL_SWITCH: "all trading was stopped",
    Denial.HALTED: "trading was halted before the order left",
    Denial.MODE_REFUSES: "the running mode may not trade this account",
    Denial.NOT_A_MEMBER: "the Dhan account is not declared as a member of the operator's family",
    Denial.USER_INACTIVE: "trading was switched off, or the token ended, before the order left",
    Denial.PREFLIGHT_RED: "today's checks of the account are not green",
    Denial.ACCOUNT_MISMATCH: "the token is of another Dhan account than the connected one",
    Denial.ACCOUNT_UNVERIFIED: "Dhan did not say whose account the token is of",
    Denial.ACCOUNT_FAILING: "Dhan does not answer for this account",
    Denial.ADDRESS_MISMATCH: "Dhan sees the account's requests come from another address than the "
    "registered one",
    Denial.ADDRESS_UNVERIFIED: "Dhan did not say from which address it sees the account's requests",
    Denial.TOKEN_REFUSED: "Dhan no longer accepts the token: connect the account again",
    Denial.DECISION_EXPIRED: "the decision was too old when the order's turn came",
    Denial.OUTSIDE_SESSION: "the instrument is not in continuous trading now",
    Denial.AFTER_LAST_ENTRY: "positions of the day are being closed, so none is opened any more",
    Denial.DAY_NOT_IN_CALENDAR: "the calendar does not know this day, so the market counts as "
    "closed",
    Denial.FEED_DEAD: "no market data arrive",
    Denial.QUOTE_ABSENT: "no trade of this instrument has been seen",
    Denial.QUOTE_STALE: "the last trade of this instrument is too old",
    Denial.PRICE_FAR_FROM_MARKET: "the market has moved away from the decision's price",
    Denial.ORDER_TOO_LARGE: "the order's value is above the limit",
    Denial.ORDERS_OF_THE_DAY_USED_UP: "the day's number of orders is used up",
    Denial.TOO_MANY_ORDERS_A_SECOND: "too many orders in one second",
    Denial.LIMITS_UNKNOWN: "your own limits could not be read, so nothing is opened",
    Denial.SEGMENT_NOT_ALLOWED: "your limits do not allow this market segment",
    Denial.PRODUCT_NOT_ALLOWED: "your limits do not allow intraday positions",
    Denial.LONG_ONLY: "your limits allow no position that begins with a sale",
    Denial.TOO_MANY_POSITIONS: "you hold as many positions as your limits allow",
    Denial.SYMBOL_EXPOSURE_TOO_LARGE: "with this order more would be at stake in this share than "
    "your limits allow",
    Denial.EXPOSURE_TOO_LARGE: "with this order more would be at stake than your limits allow",
    Denial.DAILY_LOSS_REACHED: "the day's loss has reached your limit",
    Denial.AGAINST_POSITION: "you hold a position of the other side, and more than it would be "
    "traded",
    Denial.STOPPED: "all orders were stopped, closing ones too",
    Denial.TOO_MANY_REQUESTS: "the account's requests of the minute, hour or day are used up",
    "switched_off": "trading was switched off before the order left",
    "token_expired": "the Dhan token had expired: connect the account again",
    "no_token": "no Dhan token: connect the account",
    "no_account": "no Dhan account is connected",
    ORDER_UNRESOLVED: "an earlier order of the account is still being looked up",
    NO_SOURCE_ADDRESS: "the account has no source address here, so nothing of it leaves",
    CLAIM_STALE: "the order was not sent in time, so it was not sent at all",
    NOT_FOUND: "the reply was lost, and Dhan's order book does not hold the order",
    UNVERIFIABLE: "the reply was lost and Dhan can no longer be asked about it: check your order "
    "book at Dhan",
    FOUND_LATE: "Dhan's order book shows the order, which had been recorded as not found",
    BY_HAND: "a person recorded or corrected the order; their reason follows",
}


def denied(code: str) -> OrderOutcome:
    return OrderOutcome(Outcome.DENIED, str(code), EXPLANATIONS.get(code, ""))


def denied_as_seen(denial: Denial, seen: SeenContext | None) -> OrderOutcome:
    """The gate's denial; a red preflight with its own reason."""
    outcome = denied(denial)
    if denial is Denial.PREFLIGHT_RED and seen and seen.preflight in set(Red):
        return replace(outcome, text=f"{outcome.text}: {REDS[Red(seen.preflight)].user}")
    return outcome


def not_found(code: str) -> OrderOutcome:
    return OrderOutcome(Outcome.NOT_FOUND, code, EXPLANATIONS[code])


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
            return OrderOutcome(Outcome.DENIED, code, EXPLANATIONS.get(code, message))


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
    """The message of an outcome.

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
        evidence=terms.evidence,
    )


def correction(row: Correction) -> Execution:
    """The message of a correction: a function of its row alone.

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
        corrects=derive("correction", order, before) if before else execution_id(order),
        evidence=terms.evidence,
    )


def seen_late(order: BrokerOrder) -> OrderOutcome:
    """What an order of Dhan's book says of an outcome recorded before."""
    found = of_order(order)
    if found.outcome is Outcome.ACCEPTED:
        return replace(found, code=FOUND_LATE, text=EXPLANATIONS[FOUND_LATE])
    return found
