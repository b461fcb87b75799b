"""What is recorded of exits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from dhan.orders import LegName, NewOrder, OrderChange
from dhan.outcomes import Accepted, PlaceResult, Unknown
from executors.clock import MonotonicClock
from executors.orders.book import DayBook
from executors.orders.exit_sender import ExitSender, Moment
from executors.orders.exits import Cancel, ChangeStop, PlaceClose, PlaceStop
from executors.orders.guardian_metrics import GuardianMetrics
from executors.orders.reading import Reading
from executors.risk.requests import GUARDIANS, MODIFICATIONS
from schemas.ids import DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import ExitAction, ExitOrder, ExitReason, Leg
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


def test_two_tries_at_one_moment_whose_answers_took_differently_long_are_two_records() -> None:
    recorded: list[ExitOrder] = []
    nothing = cast("Any", None)
    sender = ExitSender(UserId(UUID(int=1)), recorded.append, nothing, GuardianMetrics())
    moment = Moment(date(2026, 11, 20), UtcNs(1), nothing, nothing, alone=False)

    for waited in (900, 1_100, 900):
        sender.tell(
            moment,
            None,
            ExitAction.CANCEL,
            ExitReason.SQUARE_OFF,
            waited_us=waited,
            outcome="accepted",
        )

    assert len({each.id for each in recorded}) == 2


async def test_a_stop_that_dhan_acknowledged_is_waited_for_however_late_its_book_is() -> None:
    """Two stops of one position would turn it over."""
    sender = a_sender()

    await sender.send([STOP], RELIANCE.id, ExitReason.STOP_LOST, a_moment(ACCEPTED))
    sender.look_up(shown_nothing(5.0))

    assert sender.awaits(RELIANCE.id)
    sender.look_up(shown_nothing(11.0))
    assert not sender.awaits(RELIANCE.id)


async def test_a_stop_that_a_page_turned_away_is_lost_when_the_next_reading_lacks_it() -> None:
    sender = a_sender()

    await sender.send([STOP], RELIANCE.id, ExitReason.STOP_LOST, a_moment(TURNED_AWAY))
    sender.look_up(shown_nothing(0.1))

    assert not sender.awaits(RELIANCE.id)


async def test_a_closing_order_that_a_page_turned_away_is_waited_for_two_seconds() -> None:
    """A second one would turn the position over."""
    sender = a_sender()

    await sender.send([CLOSE], RELIANCE.id, ExitReason.HALT, a_moment(TURNED_AWAY))
    sender.look_up(shown_nothing(1.9))

    assert sender.awaits(RELIANCE.id)
    sender.look_up(shown_nothing(2.1))
    assert not sender.awaits(RELIANCE.id)


async def test_a_stop_may_follow_a_closing_order_only_while_nobody_acknowledged_it() -> None:
    sent = []
    for answer in (UNKNOWN, ACCEPTED):
        sender = a_sender()
        await sender.send([CLOSE], RELIANCE.id, ExitReason.HALT, a_moment(answer))
        moment = a_moment(ACCEPTED)
        sent.append(await sender.send([STOP], RELIANCE.id, ExitReason.STOP_LOST, moment))

    assert sent == [1, 0]


async def test_cancellations_leave_together_as_many_as_the_rate_allows() -> None:
    sender, asked, answer = a_sender(), list[DhanOrderId](), asyncio.Event()

    async def cancel(number: DhanOrderId, _: LegName) -> Accepted:
        asked.append(number)
        await answer.wait()
        return ACCEPTED

    supers = SimpleNamespace(cancel=cancel)
    clients = cast("Any", SimpleNamespace(orders=None, super_orders=supers))
    moment = replace(a_moment(ACCEPTED), clients=clients, alone=False)
    steps = [Cancel(DhanOrderId(str(n)), Leg.TARGET, super_order=True) for n in range(5)]
    sending = asyncio.create_task(sender.send(steps, RELIANCE.id, ExitReason.HALT, moment))
    for _ in range(5):
        await asyncio.sleep(0)

    assert len(asked) == GUARDIANS.second == 4
    answer.set()
    assert await sending == 4
    assert sender.held_back


STOP = PlaceStop(Side.SELL, Quantity(10), Price(9_900), Price(9_800))
CLOSE = PlaceClose(Side.SELL, Quantity(10), Price(9_900))
ACCEPTED = Accepted(DhanOrderId("1"), "PENDING")
UNKNOWN = Unknown("timeout")
TURNED_AWAY = Unknown("http_429_not_json", turned_away=True)


def a_sender(now: Callable[[], float] = lambda: 0.0) -> ExitSender:
    return ExitSender(UserId(UUID(int=1)), lambda _: None, MonotonicClock(now), GuardianMetrics())


def shown_nothing(began: float) -> Reading:
    return Reading(DayBook(), {}, frozenset(), frozenset(), began)


def a_moment(answer: PlaceResult) -> Moment:
    async def place(_: NewOrder) -> PlaceResult:
        return answer

    clients = cast("Any", SimpleNamespace(orders=SimpleNamespace(place=place)))
    return Moment(date(2026, 11, 20), UtcNs(1), shown_nothing(0.0), clients, alone=False)


async def test_a_stop_is_changed_twenty_five_times_and_then_placed_anew() -> None:
    number = DhanOrderId("7")
    seconds = iter(range(1_000))
    sender = a_sender(lambda: float(next(seconds)))
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
