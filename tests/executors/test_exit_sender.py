"""What is recorded of exits."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from dhan.orders import NewOrder, OrderChange
from dhan.outcomes import Accepted
from executors.clock import MonotonicClock
from executors.orders.book import DayBook
from executors.orders.exit_sender import ExitSender, Moment
from executors.orders.exits import ChangeStop, PlaceStop
from executors.orders.guardian_metrics import GuardianMetrics
from executors.orders.reading import Reading
from executors.risk.requests import MODIFICATIONS
from schemas.ids import DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import ExitAction, ExitOrder, ExitReason
from schemas.units import Price, Quantity, UtcNs
from tests.executors.factories import RELIANCE


def test_the_same_exit_for_two_reasons_at_one_moment_is_two_records() -> None:
    recorded: list[ExitOrder] = []
    nothing = cast("Any", None)
    sender = ExitSender(UserId(UUID(int=1)), recorded.append, nothing, GuardianMetrics())
    moment = Moment(date(2026, 11, 20), UtcNs(1), nothing, nothing, alone=False)

    for why in (ExitReason.STOP_EXCESS, ExitReason.DEADLINE):
        sender.tell(moment, None, ExitAction.CANCEL, why, outcome="accepted")

    assert len({each.id for each in recorded}) == 2


async def test_a_stop_that_dhan_acknowledged_is_waited_for_however_late_its_book_is() -> None:
    """Two stops of one position would turn it over."""
    now = 0.0
    machine = MonotonicClock(lambda: now)
    sender = ExitSender(UserId(UUID(int=1)), lambda _: None, machine, GuardianMetrics())
    orders = cast("Any", SimpleNamespace(place=_accept))
    clients = cast("Any", SimpleNamespace(orders=orders))
    nothing_shown = Reading(DayBook(), {}, frozenset(), frozenset(), began=5.0)
    moment = Moment(date(2026, 11, 20), UtcNs(1), nothing_shown, clients, alone=True)
    stop = PlaceStop(Side.SELL, Quantity(10), Price(9_900), Price(9_800))

    await sender.send([stop], RELIANCE.id, ExitReason.STOP_LOST, moment)
    sender.look_up(nothing_shown)

    assert sender.awaits(RELIANCE.id)
    sender.look_up(replace(nothing_shown, began=11.0))
    assert not sender.awaits(RELIANCE.id)


async def _accept(_: NewOrder) -> Accepted:
    return Accepted(DhanOrderId("1"), "PENDING")


async def test_a_stop_is_changed_twenty_five_times_and_then_placed_anew() -> None:
    number = DhanOrderId("7")
    seconds = iter(range(1_000))
    machine = MonotonicClock(lambda: float(next(seconds)))
    sender = ExitSender(UserId(UUID(int=1)), lambda _: None, machine, GuardianMetrics())
    clients = cast("Any", SimpleNamespace(orders=Changing()))
    reading = Reading(DayBook(), {}, frozenset(), frozenset(), began=0.0)
    moment = Moment(date(2026, 11, 20), UtcNs(1), reading, clients, alone=False)
    change = ChangeStop(number, Quantity(10), Price(100), Price(99))

    usable = []
    for _ in range(MODIFICATIONS):
        usable.append(number not in sender.unchangeable)
        await sender.send([change], RELIANCE.id, ExitReason.STOP_EXCESS, moment)

    assert usable == [True] * MODIFICATIONS
    assert number in sender.unchangeable


class Changing:
    """Takes every change."""

    async def modify(self, number: DhanOrderId, _: OrderChange) -> Accepted:
        return Accepted(number, "PENDING")
