"""The market's clock under a test's hand, in Python and over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.server import Simulator
from tests.simulator.factories import RELIANCE, call, feed_client, running, until


async def turn(simulator: Simulator, **body: Any) -> tuple[int, Any]:
    return await call(simulator, "POST", "/control/clock", json=body)


def due(simulator: Simulator) -> int:
    """Prints up to the market's now."""
    return int((simulator.market.prints["second"] <= simulator.exchange.second).sum())


async def test_steps_play_exactly_their_seconds_and_reach_the_feed_before_they_return() -> None:
    async with running() as simulator, feed_client(simulator) as client:
        await client.subscribe(15, [RELIANCE])
        await client.packets(1)
        for seconds in (1, 59, 600):
            before = (
                simulator.exchange.second
                if simulator.exchange.started
                else simulator.exchange.second - 1
            )
            await simulator.exchange.step(seconds)
            assert simulator.exchange.second == before + seconds
            assert simulator.exchange.prints == due(simulator)
        mine = simulator.market.prints[
            simulator.market.prints["security_id"] == RELIANCE.security_id
        ]
        heard = await client.packets(int((mine["second"] <= simulator.exchange.second).sum()) + 2)

    assert sum(packet[0] == 7 for packet in heard) == 2  # the market opened, for both segments


async def test_a_held_market_stands_still_and_a_resumed_one_reaches_the_close() -> None:
    async with running() as simulator:
        await simulator.exchange.step(100)
        await asyncio.sleep(0.05)
        assert simulator.exchange.prints == due(simulator)
        assert not simulator.exchange.finished
        simulator.exchange.resume()
        await until(lambda: simulator.exchange.finished)

    assert (
        simulator.exchange.prints == simulator.market.source.total == len(simulator.market.prints)
    )


@pytest.mark.parametrize("speed", [None, 100_000.0])
async def test_a_market_paused_from_a_later_second_comes_there_at_its_speed_and_stands(
    speed: float | None,
) -> None:
    async with running(speed=speed, packets_per_frame=64) as simulator:
        seconds = simulator.market.prints["second"]
        wanted = int(seconds[len(seconds) // 2]) - 1
        await turn(simulator, do="pause", **{"from": wanted})
        await call(simulator, "POST", "/control/start")
        await until(lambda: simulator.exchange.paused)
        await asyncio.sleep(0.05)
        stood = simulator.exchange.second
        played = simulator.exchange.prints
        await turn(simulator, do="resume")
        await until(lambda: simulator.exchange.finished)

    assert stood == seconds[seconds >= wanted][0]
    assert played == (seconds <= stood).sum()
    assert simulator.exchange.prints == len(seconds)


async def test_a_market_that_is_past_the_second_is_paused_where_it_stands() -> None:
    async with running() as simulator:
        await simulator.exchange.step(100)
        simulator.exchange.resume()
        simulator.exchange.pause_from(simulator.exchange.second - 50)

        assert simulator.exchange.paused


async def test_a_market_paused_before_it_starts_plays_nothing_until_it_is_sent_on() -> None:
    async with running() as simulator:
        await turn(simulator, do="pause")
        await call(simulator, "POST", "/control/start")
        await asyncio.sleep(0.05)
        held = simulator.exchange.prints
        await turn(simulator, do="resume")
        await until(lambda: simulator.exchange.finished)

    assert held == 0


async def test_stepping_over_the_close_ends_the_session_once() -> None:
    async with running() as simulator:
        await simulator.exchange.step(1_000_000)
        await simulator.exchange.step(10)
        await until(lambda: simulator.exchange.finished)

        assert simulator.exchange.second == simulator.market.close_second
        assert simulator.exchange.prints == len(simulator.market.prints)


async def test_a_slow_market_can_be_stepped_and_speeded_up_over_http() -> None:
    async with running(speed=0.001) as simulator:
        _, stepped = await turn(simulator, do="step", seconds=301)
        _, resumed = await turn(simulator, do="resume", speed="max")
        await until(lambda: simulator.exchange.finished)

    assert stepped == {"market_time": "2026-11-23T09:20:00+05:30", "paused": True, "speed": 0.001}
    assert (resumed["paused"], resumed["speed"]) == (False, "max")


async def test_a_running_slow_market_can_be_speeded_up_in_the_middle_of_its_sleep() -> None:
    async with running(speed=0.001, autostart=True) as simulator:
        await asyncio.sleep(0.05)
        await turn(simulator, speed="max")
        await until(lambda: simulator.exchange.finished)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"do": "rewind"},
        {"do": "step"},
        {"do": "step", "seconds": -1},
        {"do": "step", "seconds": True},
        {"speed": 0},
        {"do": "pause", "from": "15:05"},
        {"do": "resume", "from": 1_795_600_000},
    ],
)
async def test_what_the_clock_does_not_understand_is_refused_and_moves_nothing(
    body: dict[str, Any],
) -> None:
    async with running() as simulator:
        status, answer = await turn(simulator, **body)

        assert status == 400
        assert "do is pause (maybe from a second), step (with seconds) or resume" in answer["error"]
        assert not simulator.exchange.paused
