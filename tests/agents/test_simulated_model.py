"""The simulator's model and our agents were written apart; here they meet over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from agents.committee import run_committee
from agents.deadline import Deadline
from agents.model import Model
from agents.news import SampleNews
from agents.providers import Endpoint
from agents.scout import ScoutOptions, scan
from agents.wire import open_model_client
from schemas.market import Action, Direction, ScanResult
from schemas.messages import Origin
from simulator.llm.endpoint import ChatApi
from tests.agents.factories import DAY, OPENS, Topic, a_journal, a_signal
from tests.agents.test_scout import UNIVERSE, Histories, Unhurried


@pytest_asyncio.fixture
async def simulated() -> AsyncIterator[Model]:
    app = web.Application()
    app.add_routes(ChatApi(latency=0.0).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with open_model_client() as http:
        yield Model(
            Endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "gpt-4o", "any"), http
        )
    await runner.cleanup()


async def test_the_simulated_scout_is_understood(simulated: Model) -> None:
    found = await scan(
        DAY,
        UNIVERSE,
        Histories(),
        opens=OPENS,
        journal=a_journal(simulated, Topic()),
        model_seconds=10,
        limiter=Unhurried(),
        options=ScoutOptions(shortlist=3),
    )

    assert found.origin == "model"
    assert [entry.rank for entry in found.entries if entry.result is ScanResult.SHORTLISTED] == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("direction", "fast"),
    [(Direction.BULLISH, 101.0), (Direction.BEARISH, 99.0)],
    ids=["up", "down"],
)
async def test_the_simulated_committee_is_understood_and_trades_some_signals_in_their_direction(
    simulated: Model, direction: Direction, fast: float
) -> None:
    topic = Topic()
    found = await scan(
        DAY,
        UNIVERSE,
        Histories(),
        opens=OPENS,
        journal=a_journal(simulated, topic),
        model_seconds=10,
        limiter=Unhurried(),
    )
    signals = [
        a_signal(entry.instrument).model_copy(
            update={
                "direction": direction,
                "features": {"ema_9": fast, "ema_21": 100.0, "rsi_14": 50.0},
            }
        )
        for entry in found.entries
    ]

    results = [
        await run_committee(
            each,
            found,
            news=SampleNews(),
            journal=a_journal(simulated, topic),
            deadline=Deadline.after(10),
        )
        for each in signals
    ]

    wanted = Action.BUY if direction is Direction.BULLISH else Action.SELL
    actions = {result.decision.action for result in results}
    assert {result.decision.origin for result in results} == {Origin.COMMITTEE}
    assert wanted in actions <= {wanted, Action.HOLD}
    assert {result.decision.model for result in results} == {"simulated"}
    assert {call.agent for call in topic.calls} == {"scout", "technical", "sentiment", "commander"}
