"""`ats replay` on a real broker: a piece of a day as the cores write it, and spoilt copies."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.journal import LlmCallCache
from agents.model import Model
from agents.recorded_news import NewsCache
from agents.scout import ScoutOptions
from ats.backtest.tape import records
from ats.ledger.replay import run as ledger_replay
from ats.replay.command import run
from ats.replay.options import ReplayOptions
from ats.runtime import exit_codes
from ats.services.streams import service_of
from ats.settings import Settings
from audit.ledger.keys import make_keys, read_signer
from audit.ledger.notes import KeyType
from audit.ledger.service import Ledger
from audit.replay.answers import AgentsAsSet, Recorded, decide_again
from audit.replay.folds import Fold
from audit.replay.publish import REPUBLISHED, Pace, into, republish
from audit.replay.recorded import span_of
from bus.connection import KafkaConnection, administrator
from bus.publisher import Publisher
from bus.reader import read_in_order
from bus.records import Output, Record, message_output
from schemas import ticks
from schemas.calendar import EVERY_DAY
from schemas.codec import decode
from schemas.errors import Misconfigured
from schemas.messages import Signal
from schemas.topics import (
    CANDLES,
    DAILY_BARS,
    LATER,
    LLM,
    SCANS,
    SIGNALS,
    TICKS,
    PartitionPlan,
)
from schemas.units import UtcNs
from simulator.market.generator import generate
from tests.agents.factories import DAY as MORNING
from tests.audit.conftest import anew
from tests.audit.test_replay_scans import a_morning

pytestmark = pytest.mark.asyncio(loop_scope="package")
DAY = date(2026, 11, 20)
PLAN = PartitionPlan(2, 1)


@dataclass(frozen=True)
class Tape:
    """Ticks and what the engine makes of them, each partition in its order."""

    ticks: list[Output]
    made: list[Output]


def a_tape(count: int = 120) -> Tape:
    """The first minutes of three shares."""
    batches = list(islice(records(generate(3, DAY, 3), PLAN.instrument), count))
    fold, offsets = Fold(service_of(Settings(_env_file=None), calendar=EVERY_DAY), PLAN), [0, 0]
    made: list[Output] = []
    for each in batches:
        partition = each.partition or 0
        place = TICKS.name, partition, offsets[partition]
        made += fold.apply(Record(*place, each.key, each.value, UtcNs(0)))
        offsets[partition] += 1
    return Tape(batches, made)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def tape() -> Tape:
    """With the decisions on its signals: without a scan of the day they are all a HOLD."""
    made, recorded = a_tape(), Recorded(LlmCallCache(), NewsCache())
    for each in [output for output in made.made if output.topic is SIGNALS]:
        signal = decode(Signal, each.value)
        answered, _ = await decide_again(signal, None, (), recorded, AgentsAsSet())
        made.made.extend(output._replace(partition=each.partition) for output in answered.outputs)
    return made


async def write(connection: KafkaConnection, outputs: Sequence[Output]) -> None:
    """As the only records of the topics."""
    await anew(connection, PLAN)
    async with Publisher(connection) as publisher:
        for output in outputs:
            await publisher.send(output)
        await publisher.flush()


class Replay:
    """`ats replay` of the day in this process: exit code and what it printed."""

    def __init__(self, connection: KafkaConnection, capsys: pytest.CaptureFixture[str]) -> None:
        self._connection, self._capsys = connection, capsys

    async def __call__(
        self, *, as_json: bool = True, verify: bool = True, day: date = DAY
    ) -> tuple[int, Any]:
        self._capsys.readouterr()
        code = await run(ReplayOptions(day, day, verify=verify, demo=None, as_json=as_json))
        said = self._capsys.readouterr().out
        # structlog is not told here to be silent, as the command line does
        return code, json.loads(said.splitlines()[-1]) if as_json else said


@pytest.fixture
def replay(
    broker: KafkaConnection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Replay:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv("ATS_CALENDAR", "every-day")
    return Replay(broker, capsys)


def of(topics: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in topics if each["topic"] == name)


async def test_what_a_restart_wrote_twice_is_the_same_day_and_nothing_diverges(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    await write(broker, [*tape.ticks, *tape.made, *tape.made[-20:]])

    code, found = await replay()

    candles = sum(output.topic is CANDLES for output in tape.made)
    assert code == exit_codes.DONE
    assert (found["equal"], found["first"]) == (True, None)
    assert of(found["topics"], "ats.candles")["equal"] == candles > 0
    assert sum(each["repeats"] for each in found["topics"]) == 20


@pytest.mark.usefixtures("replay")
async def test_a_replayed_day_has_the_root_that_the_ledger_signed(
    broker: KafkaConnection,
    tape: Tape,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ATS_LEDGER_KEYS", str(tmp_path / "ledger"))
    monkeypatch.setenv("ATS_STATE_DIR", str(tmp_path))
    make_keys(tmp_path / "ledger", "acme.example/ats", KeyType.LOG)
    await write(broker, [*tape.ticks, *tape.made, *tape.made[-20:]])  # some of it twice
    signer = read_signer(tmp_path / "ledger", KeyType.LOG)
    await Ledger(broker, signer).run(asyncio.Event(), until_end=True)

    capsys.readouterr()
    code = await ledger_replay(DAY, None, as_json=True)

    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (code, found["equal"]) == (exit_codes.DONE, True)
    assert found["root"] == found["replayed"]
    assert of(found["topics"], "ats.signals")["messages"] > 0


async def test_one_tick_altered_by_a_paisa_is_found_with_the_first_candle_and_what_follows_from_it(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    at = next(n for n, each in enumerate(tape.ticks) if len(ticks.decode(each.value).rows))
    await write(broker, [*tape.ticks[:at], a_paisa_more(tape.ticks[at]), *tape.ticks[at + 1 :],
                         *tape.made])  # fmt: skip

    code, found = await replay()
    _, words = await replay(as_json=False)

    first = found["first"]
    assert code == exit_codes.BROKEN
    assert (first["topic"], first["kind"]) == ("ats.candles", "different")
    assert first["field"] in {"open", "high", "low", "close"}
    assert int(first["replayed"]) - int(first["recorded"]) == 1
    assert found["downstream"]["ats.indicators"]["different"] > 0
    assert f"First divergence: ats.candles-{first['partition']}@{first['offset']}" in words


async def test_the_scan_is_compared_with_what_follows_from_the_recorded_daily_bars(
    broker: KafkaConnection, replay: Replay, model: Model
) -> None:
    morning = await a_morning(model, options=ScoutOptions())
    bars = [message_output(DAILY_BARS, each, "", 0) for each in morning.answers]
    told = [message_output(LLM, each, "", 0) for each in morning.calls.calls]
    scan = message_output(SCANS, morning.scan, MORNING.isoformat(), 0)
    await write(broker, [*bars, bars[0]._replace(value=b"\xff"), *told, scan])

    _, found = await replay(day=MORNING)

    scans = of(found["topics"], "ats.scans")
    assert (scans["derived"], scans["equal"]) == (1, 1)
    assert found["inputs"]["ats.daily-bars"] == len(bars)
    assert "1 records of ats.daily-bars are no message; they are passed over" in found["notes"]
    assert not any("taken as they stand" in note for note in found["notes"])


async def test_a_record_from_before_there_was_an_input_is_replayed_and_says_so(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    await write(broker, [*tape.ticks[:20], *tape.made[:20]])
    async with administrator(broker) as admin:
        await admin.delete_topics([each.name for each in LATER])

    code, found = await replay(verify=False)

    assert code == exit_codes.DONE
    assert sum(note.startswith("the record is older than ats.") for note in found["notes"]) == 3


async def test_without_verify_the_day_is_derived_and_nothing_is_judged(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    await write(broker, tape.ticks)

    code, found = await replay(verify=False)

    assert code == exit_codes.DONE
    assert of(found["topics"], "ats.indicators")["derived"] > 0


async def test_a_day_of_which_nothing_is_recorded_is_no_equal_one(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    await write(broker, [*tape.ticks[:20], *tape.made[:20]])

    with pytest.raises(Misconfigured, match="nothing is recorded of"):
        await replay(day=DAY + timedelta(days=1))


def a_paisa_more(record: Output) -> Output:
    """The same ticks, the first one paisa dearer."""
    batch = ticks.decode(record.value)
    rows = batch.rows.copy()
    rows["price"][0] += 1
    return record._replace(value=ticks.encode(replace(batch, rows=rows)))


@pytest.mark.parametrize(
    ("days", "why"),
    [
        ((None, None, None), "no day given"),
        ((DAY, DAY, None), "not both"),
        ((None, DAY, date(2026, 11, 19)), "is after"),
    ],
)
async def test_days_that_make_no_span_are_refused_with_the_reason(
    days: tuple[date | None, date | None, date | None], why: str
) -> None:
    with pytest.raises(Misconfigured, match=why):
        ReplayOptions.of(*days, verify=True, demo=None, as_json=False)


class FakeTime:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


async def test_a_day_that_is_written_again_has_the_same_records_in_order_and_with_its_pauses(
    broker: KafkaConnection, tape: Tape
) -> None:
    await write(broker, [*tape.ticks, *tape.made])
    original = [each async for each in read_in_order(broker, REPUBLISHED)]
    clock, prefix = FakeTime(), f"again{os.getpid()}."

    written = await republish(
        broker, span_of(DAY, DAY), prefix=prefix, pace=Pace(2.0, clock, clock.sleep)
    )
    with pytest.raises(Misconfigured, match="holds records already"):
        await republish(broker, span_of(DAY, DAY), prefix=prefix, pace=Pace(None))

    again = [into(topic, prefix) for topic in REPUBLISHED]
    copied = [each async for each in read_in_order(broker, again)]
    assert sorted(map(shape, original)) == sorted(map(shape, copied))
    for partition in {each.topic_partition for each in original}:
        assert [shape(each) for each in original if each.topic_partition == partition] == [
            shape(each) for each in copied if shape(each)[:2] == partition
        ]
    assert written[f"{prefix}ats.ticks"] == len(tape.ticks)
    span = original[-1].published_at - original[0].published_at
    assert clock.now == pytest.approx(span / 1e9 / 2.0)


async def test_a_day_of_which_nothing_is_recorded_is_not_written_again_and_no_topic_is_made(
    broker: KafkaConnection, tape: Tape
) -> None:
    await write(broker, tape.made)
    other, prefix = DAY + timedelta(days=1), f"none{os.getpid()}."

    with pytest.raises(Misconfigured, match="nothing is recorded of what was asked for"):
        await republish(broker, span_of(other, other), prefix=prefix, pace=Pace(None))

    async with administrator(broker) as admin:
        assert not [name for name in await admin.list_topics() if name.startswith(prefix)]


def shape(record: Record) -> tuple[object, ...]:
    """All that a consumer sees of a record, but when it was written."""
    name = record.topic[record.topic.index("ats.") :]
    headers = tuple(record.headers.items())
    return name, record.partition, record.offset, record.key, record.value, headers


@pytest.mark.parametrize("prefix", ["", "a b", "."])
async def test_a_prefix_that_makes_no_other_name_is_refused(prefix: str) -> None:
    with pytest.raises(Misconfigured, match="--into"):
        into(TICKS, prefix)
