"""The demo's market waits for the square-off: for how long, and what ends the wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from ats.demo.square_off import WAIT_AT_MOST, SquareOffPause
from schemas.units import UtcNs
from simulator.server import Simulator
from tests.simulator.factories import running, until


class Day:
    """A simulated day that is held at noon, and what its books and topics say."""

    def __init__(self, simulator: Simulator) -> None:
        session = simulator.market.session
        self.simulator, self.now = simulator, 100.0
        self.open: Sequence[str] = ("asha holds +10 TCS",)
        self.on_its_way = False
        self.opens_late: Sequence[str] = ()
        due = UtcNs((session.open + session.close) // 2)
        self.pause = SquareOffPause(
            simulator.url, due, self._still_open, self._drained, lambda: self.now
        )

    async def _still_open(self) -> Sequence[str]:
        return self.open

    async def _drained(self) -> bool:
        self.open = self.open or self.opens_late
        return not self.on_its_way

    async def come_to_the_square_off(self) -> None:
        await self.pause.ask()
        self.simulator.exchange.open_market()
        await until(lambda: self.simulator.exchange.paused)

    async def look(self) -> str:
        return await self.pause.look(self.pause.due)

    @property
    def plays(self) -> bool:
        return not self.simulator.exchange.paused


@pytest.fixture
async def day() -> AsyncIterator[Day]:
    async with running() as simulator:
        yield Day(simulator)


async def test_the_market_stands_at_the_square_off_until_everybody_is_flat(day: Day) -> None:
    await day.come_to_the_square_off()

    waiting, stood = await day.look(), not day.plays
    day.open, day.now = (), 103.4
    over = await day.look()

    assert (waiting, stood) == ("the market waits for the square-off: 1 still open", True)
    assert (over, day.plays) == ("", True)
    assert "the market waited 3.4 s, until everybody was flat" in str(day.pause.ended)


async def test_before_the_square_off_nothing_is_waited_for(day: Day) -> None:
    await day.come_to_the_square_off()

    assert await day.pause.look(UtcNs(day.pause.due - 1)) == ""
    assert not day.plays


async def test_flat_is_not_believed_while_an_entry_may_be_on_its_way(day: Day) -> None:
    await day.come_to_the_square_off()
    day.open, day.on_its_way = (), True

    await day.look()
    assert not day.plays


async def test_what_was_opened_while_the_last_records_were_waited_for_is_closed_too(
    day: Day,
) -> None:
    await day.come_to_the_square_off()
    day.open, day.opens_late = (), ("bala holds +1 LT",)

    await day.look()
    assert not day.plays


async def test_a_square_off_that_does_not_come_holds_the_market_no_longer_and_is_told(
    day: Day,
) -> None:
    await day.come_to_the_square_off()

    await day.look()
    day.now += WAIT_AT_MOST + 1
    await day.look()

    assert day.plays
    assert "not everybody was flat by the broker's own book: asha holds +10 TCS" in str(
        day.pause.ended
    )
