"""The demo's market waits: for what, for how long, and what ends the wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from ats.demo.pauses import STAND, STRIDE, STRIDE_AT_MOST, WAIT_AT_MOST, Pauses
from schemas.market import Side, to_tick
from schemas.units import Paise, Quantity, UtcNs
from simulator.matching.order_manager import Order, Validity
from simulator.server import Simulator
from tests.simulator.factories import RELIANCE, USER, a_request, running, until


class Day:
    """A simulated day that is held at noon, and what its books and topics say."""

    def __init__(self, simulator: Simulator) -> None:
        session = simulator.market.session
        self.simulator, self.now = simulator, 100.0
        self.open: Sequence[str] = ("asha holds +10 TCS",)
        self.on_its_way = False
        self.opens_late: Sequence[str] = ()
        self.pending = ""
        self.heard = True
        self.pause = Pauses(
            simulator.url,
            session.open,
            UtcNs((session.open + session.close) // 2),
            self._still_open,
            self._drained,
            lambda: self.pending,
            self._fed,
            monotonic=lambda: self.now,
        )

    async def _still_open(self) -> Sequence[str]:
        return self.open

    async def _drained(self) -> bool:
        self.open = self.open or self.opens_late
        return not self.on_its_way

    async def _fed(self) -> bool:
        return self.heard

    async def come_to_the_pause(self) -> None:
        await self.pause.ask()
        self.simulator.exchange.open_market()
        await until(lambda: self.simulator.exchange.paused)

    async def look(self) -> str:
        return await self.pause.look(self.pause.due)

    async def come_to_the_first_stride(self) -> UtcNs:
        """At full speed; returns where the market stands."""
        self.pause.in_strides = True
        await self.come_to_the_pause()
        return self.simulator.exchange.now

    @property
    def plays(self) -> bool:
        return not self.simulator.exchange.paused


@pytest.fixture
async def day() -> AsyncIterator[Day]:
    async with running(users=(replace(USER, funds=10_000_000),)) as simulator:
        yield Day(simulator)


async def test_the_market_stands_at_the_square_off_until_everybody_is_flat(day: Day) -> None:
    await day.come_to_the_pause()

    waiting, stood = await day.look(), not day.plays
    day.open, day.now = (), 103.4
    over = await day.look()

    assert (waiting, stood) == ("the market waits for the square-off: 1 still open", True)
    assert (over, day.plays) == ("", True)
    assert "the market waited 3.4 s, until everybody was flat" in str(day.pause.ended)


async def test_before_the_square_off_nothing_is_waited_for(day: Day) -> None:
    await day.come_to_the_pause()

    assert await day.pause.look(UtcNs(day.pause.due - 1)) == ""
    assert not day.plays


async def test_flat_is_not_believed_while_an_entry_may_be_on_its_way(day: Day) -> None:
    await day.come_to_the_pause()
    day.open, day.on_its_way = (), True

    await day.look()
    assert not day.plays


async def test_what_was_opened_while_the_last_records_were_waited_for_is_closed_too(
    day: Day,
) -> None:
    await day.come_to_the_pause()
    day.open, day.opens_late = (), ("bala holds +1 LT",)

    await day.look()
    assert not day.plays


async def test_a_square_off_that_does_not_come_holds_the_market_no_longer_and_is_told(
    day: Day,
) -> None:
    await day.come_to_the_pause()

    await day.look()
    day.now += WAIT_AT_MOST + 1
    await day.look()

    assert day.plays
    assert "not everybody was flat by the broker's own book: asha holds +10 TCS" in str(
        day.pause.ended
    )


async def test_at_full_speed_the_market_waits_for_what_it_has_caused_and_goes_on(day: Day) -> None:
    stands = await day.come_to_the_first_stride()

    day.pending = "3 signals without a decision"
    waiting, stood = await day.pause.look(stands), not day.plays
    day.pending = ""
    over = await day.pause.look(stands)
    await until(lambda: day.simulator.exchange.paused)
    second = day.simulator.exchange.now

    assert (waiting, stood) == ("the market waits: 3 signals without a decision", True)
    assert over == ""
    assert stands - day.pause.opens >= STRIDE
    assert second - stands >= STRIDE
    assert second < day.pause.due


async def test_what_never_comes_to_its_end_holds_a_stride_no_longer(day: Day) -> None:
    stands = await day.come_to_the_first_stride()
    day.pending = "1 orders without an outcome"

    await day.pause.look(stands)
    day.now += STRIDE_AT_MOST + 1
    await day.pause.look(stands)
    await until(lambda: day.simulator.exchange.now > stands)


async def test_the_strides_end_at_the_square_off(day: Day) -> None:
    stands = await day.come_to_the_first_stride()
    day.open = ()

    while not day.pause.ended:
        await until(lambda: day.simulator.exchange.paused)
        await day.pause.look(day.simulator.exchange.now)

    assert stands < day.pause.due <= day.simulator.exchange.now


async def test_what_no_price_level_takes_now_is_sold_when_the_square_off_waits_on(day: Day) -> None:
    await day.come_to_the_pause()
    exchange, held = day.simulator.exchange, 10_000  # five levels take 5,245 at most

    def sell() -> None:
        nonlocal held
        last = exchange.book.last(RELIANCE)
        assert last is not None
        price = to_tick(last * 0.95, Paise(5))
        order = exchange.book.place(
            a_request(side=Side.SELL, quantity=Quantity(held), price=price, validity=Validity.IOC),
            exchange.second,
        )
        assert isinstance(order, Order)
        held -= order.filled
        day.open = (f"asha holds +{held} RELIANCE",) if held else ()

    while not day.pause.ended:
        if held:
            sell()
        stands = exchange.second
        await day.look()
        day.now += 1

    assert day.pause.ended.open == ()
    assert UtcNs.seconds(stands) > day.pause.due


async def test_the_steps_of_the_longest_wait_end_before_the_broker_squares_off(day: Day) -> None:
    await day.come_to_the_pause()
    brokers = day.pause.due + UtcNs.minutes(5)

    while not day.pause.ended:
        stands = day.simulator.exchange.now
        await day.look()
        day.now += STAND

    assert brokers - UtcNs.minutes(1) < stands < brokers


async def test_the_market_stands_while_guardians_can_still_send_what_is_due(day: Day) -> None:
    await day.come_to_the_pause()
    stood = day.simulator.exchange.now

    await day.look()
    day.now += STAND - 0.1
    await day.look()

    assert day.simulator.exchange.now == stood


async def test_the_market_does_not_go_on_while_nobody_hears_it(day: Day) -> None:
    await day.come_to_the_pause()
    day.open, day.heard = (), False

    waiting, stood = await day.look(), not day.plays
    day.heard = True
    await day.look()

    assert (waiting, stood) == ("the market waits for the feed", True)
    assert day.plays
