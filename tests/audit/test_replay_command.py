"""`ats replay` on a real broker: a piece of a day as the cores write it, and spoilt copies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

import pytest

from ats.replay.command import run
from ats.replay.options import ReplayOptions
from ats.runtime import exit_codes
from ats.services.streams import service_of
from ats.settings import Settings
from audit.replay.folds import Fold
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output, Record
from schemas import ticks
from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.topics import CANDLES, TICKS, PartitionPlan
from schemas.units import UtcNs
from simulator.market.generator import generate
from tests.audit.conftest import anew
from tests.crash.tape import records

pytestmark = pytest.mark.asyncio(loop_scope="package")
DAY = date(2026, 11, 20)
PLAN = PartitionPlan(2, 1)


@dataclass(frozen=True)
class Tape:
    """Ticks and what the engine makes of them, each partition in its order."""

    ticks: list[Output]
    made: list[Output]


def a_tape() -> Tape:
    """The first minutes of three shares."""
    batches = list(islice(records(generate(3, DAY, 3), PLAN.instrument), 120))
    fold, offsets = Fold(service_of(Settings(_env_file=None), calendar=EVERY_DAY), PLAN), [0, 0]
    made: list[Output] = []
    for each in batches:
        partition = each.partition or 0
        place = TICKS.name, partition, offsets[partition]
        made += fold.apply(Record(*place, each.key, each.value, UtcNs(0)))
        offsets[partition] += 1
    return Tape(batches, made)


@pytest.fixture(scope="module")
def tape() -> Tape:
    return a_tape()


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

    async def __call__(self, *, as_json: bool = True, verify: bool = True) -> tuple[int, Any]:
        self._capsys.readouterr()
        code = await run(ReplayOptions(DAY, DAY, verify=verify, demo=None, as_json=as_json))
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


async def test_without_verify_the_day_is_derived_and_nothing_is_judged(
    broker: KafkaConnection, replay: Replay, tape: Tape
) -> None:
    await write(broker, tape.ticks)

    code, found = await replay(verify=False)

    assert code == exit_codes.DONE
    assert of(found["topics"], "ats.indicators")["derived"] > 0


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
