"""A small run of `python -m tests.crash.streams`: one fault of each kind, on a generated market."""

from __future__ import annotations

import signal

import pytest

from bus.records import TopicPartition
from schemas.lineage import Cause
from schemas.topics import CANDLES, INDICATORS, SIGNALS
from tests.crash.streams import Options, crash, plan_of
from tests.crash.verdict import Message, differences

SMALL = Options(
    kills=3, seed=22, generated=True, shares=6, partitions=3, pause=(0.5, 1.5), kill_broker=False
)


@pytest.mark.timeout(300)  # kernels may have to be compiled first
async def test_killed_ended_and_frozen_workers_write_what_a_calm_run_writes() -> None:
    outcome = await crash(SMALL)

    assert outcome.wrong == []
    written = outcome.verdict.expected
    assert set(written) == {topic.name for topic in (SIGNALS, CANDLES, INDICATORS)}
    assert all(count > 10 for count in written.values())
    assert outcome.run.workers[0].starts + outcome.run.workers[1].starts >= 4


def test_a_seed_gives_the_same_faults_again_and_every_kind_of_them() -> None:
    assert plan_of(SMALL) == plan_of(SMALL)
    assert plan_of(SMALL) != plan_of(Options(kills=3, seed=13))
    assert {fault.kind for fault in plan_of(SMALL)} == {
        signal.SIGKILL,
        signal.SIGTERM,
        signal.SIGSTOP,
    }
    assert max(fault.lasting for fault in plan_of(SMALL)) < 3  # a short test


def _message(number: int, value: bytes = b"") -> Message:
    return Message(
        TopicPartition("t", 0), Cause(number, 0), b"key", value or b'{"id":"m%d"}' % number
    )


@pytest.mark.parametrize(
    ("got", "told"),
    [
        ([0, 1, 2], []),
        ([0, 1, 0, 1, 2], []),
        ([0, 2], ["missing", "hole"]),
        ([0, 2, 1], ["hole"]),
        ([0, 1, 2, 3], ["unknown", "hole"]),
    ],
)
def test_the_verdict_finds_what_is_missing_unknown_or_out_of_order(
    got: list[int], told: list[str]
) -> None:
    found = list(differences([_message(n) for n in range(3)], [_message(n) for n in got]))

    assert len(found) == len(told)
    assert all(word in difference for word, difference in zip(told, found, strict=True))


def test_the_verdict_finds_a_repeat_with_other_bytes() -> None:
    want = [_message(0), _message(1)]

    found = list(differences(want, [*want, _message(0, b'{"id":"m0","close":1}')]))

    assert len(found) == 1
    assert "different" in found[0]
    assert '"close":1' in found[0]
