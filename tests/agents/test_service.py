"""The service whole: Kafka, the real client over Postgres, HTTP to a provider, in a process that
may be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
import pytest_asyncio

from agents.app import LlmGateway, run_scout
from agents.caches import ScanCache, sync_llm_calls, sync_scans
from agents.decision_inputs import DecisionInputs
from agents.journal import LlmCallCache, ModelTier
from agents.market import LiveMarket
from agents.model import Model
from agents.recorded_market import ContextCache, read_volumes, sync_bars, sync_contexts
from agents.spend import SpendLedger
from agents.store import SupabaseStore
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, message_output
from bus.topics import create_topics
from schemas import topics
from schemas.codec import decode, encode
from schemas.ids import SignalId, decision_id
from schemas.market import Action, Timeframe
from schemas.market_context import MarketContext
from schemas.messages import DeadLetter, Decision, LlmCall, Message, Report, Scan, Signal
from schemas.topics import PartitionPlan, Topic
from schemas.units import Paise, UtcNs
from tests.agents.bars import a_bar, values_of
from tests.agents.factories import AS_OF, DAY, OPENS, RELIANCE, a_signal, an_instrument
from tests.agents.provider import Provider, with_field
from tests.agents.test_scout import Histories, Unhurried
from tests.database.fixtures import SupabaseStack

ROOT = Path(__file__).parents[2]
UNIVERSE = [an_instrument(number, f"E2E{number:02}") for number in range(1, 9)]
M = TypeVar("M", bound=Message)
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(
    own_kafka: KafkaConnection, provider: Provider, supabase_stack: SupabaseStack, tmp_path: Path
) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "service.log").open("wb") as log:

        def begin(instance: str) -> subprocess.Popen[bytes]:
            command = [
                sys.executable,
                "-m",
                "tests.agents.decision_process",
                own_kafka.bootstrap_servers,
            ]
            command += [provider.base_url, supabase_stack.url, instance]
            environment = os.environ | {"SECRET_KEY": supabase_stack.secret_key}
            running.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            )
            return running[-1]

        yield begin
        for process in running:
            process.kill()
            process.wait()
    print((tmp_path / "service.log").read_text(errors="replace")[-6_000:])  # noqa: T201 - shown when a test fails


@dataclass(frozen=True)
class Stage:
    """Everything around the service."""

    kafka: KafkaConnection
    publisher: Publisher
    provider: Provider
    model: Model
    stack: SupabaseStack

    async def scout(self) -> Scan:
        llm = LlmGateway([ModelTier(self.model)], SpendLedger(Paise(0)))
        store = SupabaseStore(await self.stack.service())
        return await run_scout(
            DAY,
            UNIVERSE,
            Histories(),
            opens=OPENS,
            llm=llm,
            store=store,
            publisher=self.publisher,
            limiter=Unhurried(),
        )

    async def send(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            await self.publisher.send_and_wait(
                message_output(topics.SIGNALS, signal, str(signal.instrument))
            )

    async def everything(self, topic: Topic, kind: type[M]) -> list[M]:
        records = read_topics(self.kafka, [topic], since="start", until_end=True)
        return [decode(kind, record.value) async for record in records]

    async def decisions_for(self, signals: list[Signal]) -> list[Decision]:
        """All decisions on the topic, as soon as every one of `signals` has one."""
        wanted = {decision_id(SignalId(signal.id)) for signal in signals}
        async with asyncio.timeout(60):
            while True:
                found = [
                    d for d in await self.everything(topics.DECISIONS, Decision) if d.id in wanted
                ]
                if {decision.id for decision in found} == wanted:
                    return found
                await asyncio.sleep(0.3)


@pytest.fixture
def stage(
    own_kafka: KafkaConnection,
    publisher: Publisher,
    provider: Provider,
    model: Model,
    supabase_stack: SupabaseStack,
) -> Stage:
    return Stage(own_kafka, publisher, provider, model, supabase_stack)


@pytest_asyncio.fixture
async def publisher(own_kafka: KafkaConnection) -> AsyncIterator[Publisher]:
    await create_topics(own_kafka, PartitionPlan())
    async with Publisher(own_kafka) as publisher:
        yield publisher


async def test_every_signal_gets_one_decision_that_stands_in_kafka_and_in_the_database(
    stage: Stage, start: Start
) -> None:
    scan = await stage.scout()
    signals = [
        a_signal(entry.instrument, rule)
        for entry in scan.entries
        for rule in ("ema_cross", "breakout")
    ]
    process = start("one")

    await stage.publisher.send_and_wait(
        Output(topics.SIGNALS, str(scan.entries[0].instrument).encode(), b"{}")
    )
    await stage.send(signals)
    decisions = await stage.decisions_for(signals)

    assert scan.origin == "model"
    assert len(decisions) == len(signals)
    assert {decision.action for decision in decisions} == {Action.BUY}
    assert [letter.topic for letter in await stage.everything(topics.DEAD_LETTER, DeadLetter)] == [
        "ats.signals"
    ]
    await _stands_everywhere(stage, signals, decisions)
    process.terminate()
    assert process.wait(20) == 0


async def test_a_service_killed_in_the_middle_of_its_calls_decides_every_signal_and_never_two_ways(
    stage: Stage, start: Start
) -> None:
    scan = await stage.scout()
    instrument_of = {entry.symbol: entry.instrument for entry in scan.entries}
    signals = [a_signal(entry.instrument, f"kill{n}") for entry in scan.entries for n in range(4)]
    stage.provider.delay = 0.4
    first = start("killed")
    await stage.send(signals)
    async with asyncio.timeout(40):
        while len(stage.provider.requests) < 40:  # noqa: ASYNC110 - a server counts, nothing to wait on
            await asyncio.sleep(0.02)

    first.kill()
    first.wait()
    # the model would answer otherwise now
    stage.provider.misbehave["commander"] = with_field(action="HOLD")
    second = start("killed")
    decisions = await stage.decisions_for(signals)

    versions = defaultdict(set)
    for decision in decisions:
        versions[decision.id].add(encode(decision))
    assert all(len(each) == 1 for each in versions.values())
    assert {decision.action for decision in decisions} == {Action.BUY, Action.HOLD}, (
        "killed too early or too late"
    )
    bought = {(d.symbol, d.signal_id) for d in decisions if d.action is Action.BUY}
    commands = Counter(
        (
            message["symbol"],
            a_signal(instrument_of[message["symbol"]], message["data"]["signal"]["rule"]).id,
        )
        for message in map(_user_message, stage.provider.requests)
        if message["task"] == "commander"
    )
    assert {commands[signal] for signal in bought} == {1}, "a recorded answer was asked for again"
    await _stands_everywhere(stage, signals, decisions)
    second.terminate()
    assert second.wait(20) == 0


async def test_books_learn_scans_and_answers_from_the_topics_and_survive_what_cannot_be_read(
    stage: Stage,
) -> None:
    scan = await stage.scout()
    own_kafka, publisher = stage.kafka, stage.publisher
    await publisher.send_and_wait(Output(topics.SCANS, b"2025-06-02", b"{}"))
    await publisher.send_and_wait(Output(topics.LLM, b"x", b"not JSON"))
    cache, ledger, scans = LlmCallCache(), SpendLedger(Paise(0)), ScanCache()

    await sync_llm_calls(own_kafka, cache, ledger, "start", until_end=True)
    following = asyncio.create_task(sync_scans(own_kafka, scans))
    found = await scans.of(DAY, max_wait=20)
    following.cancel()
    await _bars_are_known(own_kafka, publisher)

    calls = [
        decode(LlmCall, record.value)
        async for record in read_topics(own_kafka, [topics.LLM], since="start", until_end=True)
        if record.value != b"not JSON"
    ]
    assert found is not None
    assert found.id == scan.id
    assert not any(cache.remember(call) for call in calls)


class HeardContexts(ContextCache):
    """Says what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.Queue[MarketContext]()

    def add(self, message: MarketContext) -> MarketContext:
        self.heard.put_nowait(message)
        return super().add(message)


async def test_what_is_recorded_between_reading_up_and_following_is_known_too(
    own_kafka: KafkaConnection, publisher: Publisher
) -> None:
    llm = LlmGateway([], SpendLedger(Paise(0)))
    contexts = HeardContexts()
    market = LiveMarket(lambda _day, _segment: None)
    inputs = DecisionInputs(llm, market, contexts=contexts)
    signal, now = a_signal(rule="between"), UtcNs(time.time_ns())
    context = MarketContext(
        id=signal.id, event_time=AS_OF, signal_id=SignalId(signal.id), instrument=RELIANCE
    )

    read_up = await inputs.read_up(own_kafka, now)
    await publisher.send_and_wait(message_output(topics.MARKET_CONTEXT, context, str(RELIANCE)))
    following = [asyncio.create_task(each) for each in inputs.following(own_kafka, now, read_up)]
    try:
        async with asyncio.timeout(20):
            found = await contexts.heard.get()
    finally:
        for task in following:
            task.cancel()

    assert found == context


async def _bars_are_known(kafka: KafkaConnection, publisher: Publisher) -> None:
    bar, quarter = a_bar(30), a_bar(30, timeframe=Timeframe.M15)
    context = MarketContext(
        id=bar.id, event_time=AS_OF, signal_id=SignalId(a_signal().id), instrument=RELIANCE
    )
    key = str(RELIANCE)
    for topic, message in (
        (topics.CANDLES, bar),
        (topics.CANDLES, quarter),
        (topics.INDICATORS, values_of(bar)),
        (topics.MARKET_CONTEXT, context),
    ):
        await publisher.send_and_wait(Output(topic, key.encode(), b"no bar"))
        await publisher.send_and_wait(message_output(topic, message, key))
    market, volumes, cache = (
        LiveMarket(lambda _day, _segment: None, 20.0),
        LiveMarket(lambda _day, _segment: None),
        ContextCache(),
    )
    market.note_candle(a_bar(29))

    reading = asyncio.create_task(sync_bars(kafka, market, "start", lambda _: True))
    told = await market.context(a_signal(), ())
    reading.cancel()
    await read_volumes(kafka, volumes, "start")
    await sync_contexts(kafka, cache, "start", until_end=True)

    assert told.frames[0].end == AS_OF
    assert (await volumes.context(a_signal(), ())).volume is not None
    assert cache.of(SignalId(a_signal().id)) == context


def _user_message(request: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(request["messages"][-1]["content"])
    return message


async def _stands_everywhere(
    stage: Stage, signals: list[Signal], decisions: list[Decision]
) -> None:
    """Two reports a decision, all in the database as in Kafka."""
    wanted = {signal.id for signal in signals}
    reports = {
        r.id: r for r in await stage.everything(topics.REPORTS, Report) if r.signal_id in wanted
    }
    decided = {decision.id: decision for decision in decisions}
    assert len(reports) == 2 * len(decided)
    database = await asyncpg.connect(stage.stack.dsn)
    try:
        rows = await database.fetch(
            "select * from trade_decisions where id = any($1)", list(decided)
        )
        report_rows = await database.fetch(
            "select id from analysis_reports where id = any($1)", list(reports)
        )
    finally:
        await database.close()
    assert {(row["id"], row["action"], row["reasoning"]) for row in rows} == {
        (decision.id, decision.action.value, decision.reasoning) for decision in decided.values()
    }
    assert {row["id"] for row in report_rows} == set(reports)
