"""What is recorded of exits."""

from __future__ import annotations

from datetime import date
from typing import Any, cast
from uuid import UUID

from executors.orders.exit_sender import ExitSender, Moment
from executors.orders.guardian_metrics import GuardianMetrics
from schemas.ids import UserId
from schemas.messages import ExitAction, ExitOrder, ExitReason
from schemas.units import UtcNs


def test_the_same_exit_for_two_reasons_at_one_moment_is_two_records() -> None:
    recorded: list[ExitOrder] = []
    nothing = cast("Any", None)
    sender = ExitSender(UserId(UUID(int=1)), recorded.append, nothing, GuardianMetrics())
    moment = Moment(date(2026, 11, 20), UtcNs(1), nothing, nothing, alone=False)

    for why in (ExitReason.STOP_EXCESS, ExitReason.DEADLINE):
        sender.tell(moment, None, ExitAction.CANCEL, why, outcome="accepted")

    assert len({each.id for each in recorded}) == 2
