"""The real `ats agents`, with real Kafka and Postgres, before an endpoint that sends whatever bytes
it likes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import asyncpg
import pytest_asyncio

from agents.entries import Circumstances
from agents.evidence import evidence_of
from agents.journal import Question
from agents.prompts import Agent, technical_message
from agents.store import SupabaseStore
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import message_output
from bus.topics import create_topics
from schemas import topics
from schemas.calendar_file import exchange_calendar
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment, derive, scan_id
from schemas.market import Action
from schemas.messages import CallOutcome, Decision, LlmCall, Scan, Signal
from schemas.topics import PartitionPlan
from schemas.units import UtcNs
from simulator.market.session import market_session
from tests.agents.factories import a_scan, a_signal, an_entry
from tests.agents.raw_endpoint import ODD, RawEndpoint
from tests.database.fixtures import SupabaseStack

ROOT = Path(__file__).parents[2]
DAY = date(2025, 6, 4)  # no other test's: the first scan of a day stands
MOMENT = UtcNs(market_session(DAY).open + UtcNs.minutes(30))
NAMES = {f"ODD{number:02}": name for number, name in enumerate(ODD)}
OLD = "OLDPOISON"


def instrument_of(symbol: str) -> InstrumentId:
    return InstrumentId(Segment.NSE_EQ, 7_000 + sorted([*NAMES, OLD]).index(symbol))


def the_scan() -> Scan:
    entries = [
        an_entry(instrument_of(symbol), symbol).model_copy(
            update={"scan_id": scan_id(DAY, instrument_of(symbol))}
        )
        for symbol in (*NAMES, OLD)
    ]
    changes = {
        "id": derive("scans", DAY.isoformat()),
        "event_time": market_session(DAY).open,
        "trading_date": DAY,
    }
    return a_scan(*entries).model_copy(update=changes)


def signal_of(symbol: str) -> Signal:
    return a_signal(instrument_of(symbol), "odd", MOMENT)


def recorded_poison() -> LlmCall:
    """What an older version wrote down before it died of it, again and again."""
    signal = signal_of(OLD)
    entry = next(entry for entry in the_scan().entries if entry.symbol == OLD)
    around = Circumstances(exchange_calendar().session(DAY))
    message = technical_message(signal, entry, evidence_of(signal, around))
    question = Question(Agent.TECHNICAL, signal.id, signal.event_time, message)
    return LlmCall(
        id=question.id(),
        event_time=MOMENT,
        agent="technical",
        model="old",
        request=question.request(),
        response=f'{{"symbol": "{OLD}", "score": 50, "confidence": 60, "summary": "up\\u0000"}}',
        outcome=CallOutcome.OK,
        latency_ms=1.0,
    )


@pytest_asyncio.fixture
async def publisher(own_kafka: KafkaConnection) -> AsyncIterator[Publisher]:
    await create_topics(own_kafka, PartitionPlan())
    async with Publisher(own_kafka) as publisher:
        yield publisher


def agents_process(
    kafka: KafkaConnection, stack: SupabaseStack, model_url: str, log: Path
) -> subprocess.Popen[bytes]:
    foreign = {name.upper() for name in Settings.model_fields}
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "SUPABASE_URL": stack.url,
        "SUPABASE_SERVICE_KEY": stack.secret_key,
        "ADMIN_DHAN_CLIENT_ID": "1000000001",
        "ADMIN_DHAN_ACCESS_TOKEN": "not-asked-for",
        "OPENAI_API_KEY": "sk-wire",
        "OPENAI_BASE_URL": model_url,
        "ATS_MODEL_BUDGET_RUPEES": "1000000",
        "ATS_CLOCK": "market",
        "ATS_NEWS": "sample",
        "ATS_TRADING_DATE": DAY.isoformat(),
        "ATS_INSTANCE": "wire",
        "ATS_STATE_DIR": str(log.parent / "state"),
        "ATS_ENV_FILE": os.devnull,
    }
    kept = {name: value for name, value in os.environ.items() if name.upper() not in foreign}
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "ats", "agents"],
            cwd=ROOT,
            env=kept | settings,
            stdout=out,
            stderr=out,
        )


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-6_000:]


async def decisions(
    kafka: KafkaConnection, process: subprocess.Popen[bytes], log: Path
) -> dict[str, Decision]:
    """The decisions of the day by symbol, when there is one for each signal; fails when the process
    ends before.
    """
    wanted = {*NAMES, OLD}
    async with asyncio.timeout(180):
        while True:
            assert process.poll() is None, _end_of(log)
            records = read_topics(kafka, [topics.DECISIONS], since="start", until_end=True)
            found = {
                d.symbol: d
                async for r in records
                if (d := decode(Decision, r.value)).event_time == MOMENT
            }
            if found.keys() >= wanted:
                return found
            await asyncio.sleep(0.5)


async def test_no_answer_ends_the_service_and_each_journalled_call_is_one_request_at_most(
    own_kafka: KafkaConnection, publisher: Publisher, supabase_stack: SupabaseStack, tmp_path: Path
) -> None:
    log, scan, poison = tmp_path / "agents.log", the_scan(), recorded_poison()
    await SupabaseStore(await supabase_stack.service()).save_scan(scan)
    await publisher.send_and_wait(message_output(topics.SCANS, scan, DAY.isoformat()))
    await publisher.send_and_wait(message_output(topics.LLM, poison, str(poison.id)))
    async with RawEndpoint() as endpoint:
        endpoint.answers = {symbol: ODD[name][0] for symbol, name in NAMES.items()}
        process = agents_process(own_kafka, supabase_stack, endpoint.base_url, log)
        try:
            for symbol in (*NAMES, OLD):
                await publisher.send_and_wait(
                    message_output(topics.SIGNALS, signal_of(symbol), str(instrument_of(symbol)))
                )

            found = await decisions(own_kafka, process, log)

            process.terminate()
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            process.wait()
    codes = {name: found[symbol].reason_code for symbol, name in NAMES.items()}
    assert codes == {name: code for name, (_, code) in ODD.items()}
    assert found[OLD].reason_code == "schema"
    assert {d.action for d in found.values() if d.reason_code != "decided"} == {Action.HOLD}
    journal = await _journalled(own_kafka)
    asked_for = Counter(str(call.request["user"]) for call in journal if call.id != poison.id)
    assert endpoint.asked == asked_for
    assert not [user for user in endpoint.asked if user == poison.request["user"]]
    assert "sk-wire" not in log.read_text(errors="replace")
    await _stand_in_the_database(supabase_stack, found)


async def _journalled(kafka: KafkaConnection) -> list[LlmCall]:
    """The calls of our moment; other tests leave other things on the topic."""
    calls = []
    async for record in read_topics(kafka, [topics.LLM], since="start", until_end=True):
        with suppress(Unreadable):
            calls.append(decode(LlmCall, record.value))
    return [call for call in calls if call.event_time == MOMENT]


async def _stand_in_the_database(stack: SupabaseStack, found: dict[str, Decision]) -> None:
    database = await asyncpg.connect(stack.dsn)
    try:
        ids = [decision.id for decision in found.values()]
        rows = await database.fetch(
            "select symbol, action from trade_decisions where id = any($1)", ids
        )
    finally:
        await database.close()
    assert {row["symbol"]: row["action"] for row in rows} == {
        s: d.action.value for s, d in found.items()
    }
