"""Order workers that leave decisions for an operator's yes, in the test's own process: their real
fan-out on the place's database, and the gateway for Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from bus.records import Output
from executors.approvals import Approvals, ApprovalStore
from executors.clock import MonotonicClock, ReplayClock
from executors.fanout import FanOut
from executors.metrics import OrderMetrics
from executors.sessions import ACTIVE, ActiveUsers, UserState
from schemas.codec import decode
from schemas.ids import UserId
from schemas.market import AgentType
from schemas.messages import Decision, Report
from schemas.strategy import StrategyMode
from schemas.topics import DECISIONS
from schemas.units import UtcNs
from tests.executors.factories import LIMITS, RELIANCE, a_decision, a_record
from tests.gateway.filled import Marks, filled
from tests.gateway.gate import TOPIC_OF
from tests.web.browser.place import Place

SAID = "Volume confirms the break of yesterday’s high; the news of the quarter is good."


class Worker:
    """Takes decisions, and says to the gateway what comes of them."""

    def __init__(self, place: Place, approvals: Approvals, fan_out: FanOut) -> None:
        self._place = place
        self._approvals = approvals
        self._fan_out = fan_out

    async def decide(self, **changes: Any) -> Decision:
        """A decision of the committee, with its row, both its reports and its fan-out."""
        decision = a_decision(**{"reasoning": SAID} | changes)
        await self._place.sql(
            "insert into trade_decisions (id, symbol, action, reasoning) values ($1, $2, $3, $4)",
            *(decision.id, decision.symbol, decision.action.value, decision.reasoning),
        )
        for analyst in AgentType:
            report = filled(Report, Marks(analyst, 10**6), signal_id=str(decision.signal_id))
            said = {"agent_type": analyst, "score": 40, "confidence": 70, "summary": SAID}
            self._place.gate.tell(report.model_copy(update=said))
        self._place.gate.tell(decision)
        record = a_record(decision, decision.instrument, DECISIONS, published_at=UtcNs(5))
        await self.send(await self._fan_out(record))
        return decision

    async def send(self, outputs: Sequence[Output]) -> None:
        """Acknowledged at once."""
        for output in outputs:
            (model,) = (each for each, topic in TOPIC_OF.items() if topic is output.topic)
            self._place.gate.tell(decode(model, output.value))

    async def look_for_answers(self) -> None:
        """For ever."""
        await self._approvals.run(self._fan_out.answered, self.send)


@asynccontextmanager
async def working(place: Place) -> AsyncIterator[Worker]:
    """While it is open; everybody who has an account by now is active."""
    machine = MonotonicClock(lambda: 0.0)  # who is active stays known, however slow we are
    active = ActiveUsers(machine)
    users = [UserId(user) for (user,) in await place.sql("select id from auth.users")]
    active.replace({user: UserState(ACTIVE) for user in users}, 0.0)
    approvals = Approvals(ApprovalStore(await place.stack.service()), machine, OrderMetrics())
    fan_out = FanOut(
        active,
        {RELIANCE.id: RELIANCE},
        lambda _: LIMITS,
        ReplayClock(wall=lambda: 0),
        machine,
        platform=StrategyMode.PAPER,
        approvals=approvals,
    )
    worker = Worker(place, approvals, fan_out)
    looking = asyncio.create_task(worker.look_for_answers())
    try:
        yield worker
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
