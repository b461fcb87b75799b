"""A running `ats agents` before the corpus of quirks: real Kafka, real Postgres, real HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson

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
from schemas import topics
from schemas.calendar_file import exchange_calendar
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment, derive, scan_id
from schemas.messages import CallOutcome, Decision, LlmCall, Scan, Signal
from schemas.units import UtcNs
from simulator.market.session import market_session
from tests.agents.factories import a_scan, a_signal, an_entry
from tests.agents.raw_endpoint import Answer, RawEndpoint
from tests.database.fixtures import SupabaseStack

ROOT = Path(__file__).parents[2]
DAY = date(2025, 6, 4)  # no other test's: the first scan of a day stands
MOMENT = UtcNs(market_session(DAY).open + UtcNs.minutes(30))
OLD = "OLDPOISON"
OLD_NUMBER = 8_999


def instrument_of(symbol: str) -> InstrumentId:
    number = OLD_NUMBER if symbol == OLD else 7_000 + int(symbol.removeprefix("ODD"))
    return InstrumentId(Segment.NSE_EQ, number)


Corpus = Mapping[str, tuple[Answer, str]]  # name -> the answer, and the reason code


def symbols_of(corpus: Corpus) -> dict[str, str]:
    """A symbol for each name."""
    return {name: f"ODD{number:03}" for number, name in enumerate(corpus)}


def the_scan(corpus: Corpus) -> Scan:
    entries = [
        an_entry(instrument_of(symbol), symbol).model_copy(
            update={"scan_id": scan_id(DAY, instrument_of(symbol))}
        )
        for symbol in (*symbols_of(corpus).values(), OLD)
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
    entry = next(entry for entry in the_scan({}).entries if entry.symbol == OLD)
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


def agents_process(
    kafka: KafkaConnection, stack: SupabaseStack, model_url: str, log: Path, seconds: float
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
        "ATS_DECISION_SECONDS": str(seconds),
        "ATS_LOG_FORMAT": "json",
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
    kafka: KafkaConnection, process: subprocess.Popen[bytes], log: Path, wanted: set[str]
) -> dict[str, Decision]:
    """The decisions of the day by symbol, when there is one for each signal; fails when the process
    ends before.
    """
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


@dataclass(frozen=True)
class Ran:
    """What came of a corpus.

    Attributes:
        decisions: By name of the quirk; `OLD` for the recorded poison.
        seconds: By name, from the start of the committee to the decision, by the service's clock.
        asked: How often each question came over the wire.
        journal: The calls of this run.
        log: All the service said.
    """

    decisions: dict[str, Decision]
    seconds: dict[str, float]
    asked: Counter[str]
    journal: list[LlmCall]
    log: str

    def each_request_is_a_call(self) -> bool:
        """Whether each question came over the wire as often as the journal says it left."""
        return Counter(str(call.request["user"]) for call in self.sent) == self.asked

    @property
    def sent(self) -> list[LlmCall]:
        """The calls of which a request left."""
        return [call for call in self.journal if call.sent and call.id != recorded_poison().id]


async def run(
    corpus: Corpus,
    *,
    kafka: KafkaConnection,
    publisher: Publisher,
    stack: SupabaseStack,
    log: Path,
    seconds: float = 45.0,
) -> Ran:
    """Send a signal for each quirk to one service, and end it by hand.

    Fails when the service ends before.
    """
    scan, poison, symbols = the_scan(corpus), recorded_poison(), symbols_of(corpus) | {OLD: OLD}
    await SupabaseStore(await stack.service()).save_scan(scan)
    await publisher.send_and_wait(message_output(topics.SCANS, scan, DAY.isoformat()))
    await publisher.send_and_wait(message_output(topics.LLM, poison, str(poison.id)))
    async with RawEndpoint() as endpoint:
        endpoint.answers = {symbols[name]: answer for name, (answer, _) in corpus.items()}
        process = agents_process(kafka, stack, endpoint.base_url, log, seconds)
        try:
            for symbol in symbols.values():
                await publisher.send_and_wait(
                    message_output(topics.SIGNALS, signal_of(symbol), str(instrument_of(symbol)))
                )

            found = await decisions(kafka, process, log, set(symbols.values()))

            process.terminate()
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            process.wait()
    said = await asyncio.to_thread(log.read_text, errors="replace")
    took = _seconds(said)
    return Ran(
        {name: found[symbol] for name, symbol in symbols.items()},
        {name: took[symbol] for name, symbol in symbols.items()},
        endpoint.asked,
        await _journalled(kafka),
        said,
    )


def _seconds(log: str) -> dict[str, float]:
    lines = [orjson.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {line["symbol"]: line["seconds"] for line in lines if line.get("event") == "decided"}


async def _journalled(kafka: KafkaConnection) -> list[LlmCall]:
    """The calls of our moment; other tests leave other things on the topic."""
    calls = []
    async for record in read_topics(kafka, [topics.LLM], since="start", until_end=True):
        with suppress(Unreadable):
            calls.append(decode(LlmCall, record.value))
    return [call for call in calls if call.event_time == MOMENT]
