"""What is published of an outcome, by whoever brought it about or found it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bus.records import Output, message_output
from executors.metrics import OrderMetrics
from executors.orders.observations import placement_event
from executors.orders.outcomes import execution, execution_output
from executors.reasons import for_operator
from executors.risk.order_rate import OrderRate
from executors.store import OrderOutcome
from schemas.messages import OrderIntent
from schemas.topics import ORDER_EVENTS

log = structlog.get_logger(__name__)


class Telling:
    """Makes the messages of outcomes, and counts them."""

    def __init__(self, budget: OrderRate, metrics: OrderMetrics) -> None:
        self._budget = budget
        self._metrics = metrics

    def outputs(self, intent: OrderIntent, outcome: OrderOutcome) -> Sequence[Output]:
        """The messages of `outcome`: functions of the intent's ids and of what was recorded."""
        message = execution(intent, outcome)
        self._budget.observe(message)
        self._metrics.told(message)
        meaning = for_operator(outcome.code)
        log.info(
            "order_settled",
            order=str(intent.id),
            user=str(intent.user_id),
            symbol=intent.symbol,
            outcome=outcome.outcome,
            code=outcome.code,
            **({"meaning": meaning} if meaning else {}),
        )
        outputs = [execution_output(message, outcome.terms)]
        if placed := placement_event(intent, outcome):
            outputs.append(message_output(ORDER_EVENTS, placed, str(intent.user_id)))
        return outputs
