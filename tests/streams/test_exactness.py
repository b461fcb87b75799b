"""The same ticks give the same bytes: any batching, any partition count, any crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.records import Output
from schemas.binary import Rows
from schemas.errors import Misconfigured, Unreadable
from schemas.market import trading_day
from schemas.ticks import Batch, decode, encode
from schemas.topics import SIGNALS
from streams.engine import bars, indicators, kernels, snapshot
from streams.engine.compiled import _SOURCES, STAMP
from streams.engine.engine import Engine, ProvisionalValues
from streams.engine.machine import EngineMachine
from streams.rules import RULES
from tests.streams.factories import (
    at,
    batch_of,
    heartbeat,
    machine,
    markets,
    random_market,
    record,
    run,
    shards,
    split,
    streams_of,
    tick,
)  # fmt: skip


@given(markets(), st.data())
@settings(deadline=None, max_examples=60)
def test_any_split_into_batches_gives_the_same_bytes_in_the_same_order(
    rows: Rows, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(rows))))

    assert streams_of(run(split(rows, cuts))) == streams_of(run([batch_of(rows)]))


@given(markets(), st.data())
@settings(deadline=None, max_examples=40)
def test_any_split_into_batches_gives_the_same_values_after_every_tick(
    rows: Rows, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(rows))))

    assert forming_values(split(rows, cuts)) == forming_values([batch_of(rows)])


def test_as_many_ticks_as_a_record_may_hold_have_their_values_each() -> None:
    rows = random_market(4, 3_000, instruments=3)

    each = forming_values(split(rows, range(len(rows))))

    assert forming_values([batch_of(rows)]) == each
    assert 2_500 < len(each) < len(rows)  # late ticks have none


def forming_values(batches: list[Batch]) -> list[tuple[int, bytes]]:
    """Of each tick that counts: its instrument's number and the values of all its forming bars."""
    engine, found = Engine(rules=()), []

    def note(forming: ProvisionalValues) -> None:
        frames = [forming.of(place) for place in range(len(engine.config.timeframes))]
        for nth, number in enumerate(forming.ticks[:, 1].tolist()):
            found.append((number, b"".join(frame[nth].tobytes() for frame in frames)))

    for batch in batches:
        engine.process(batch, note)
    return found


@given(markets(), st.data())
@settings(deadline=None, max_examples=40)
def test_heartbeats_between_ticks_change_neither_bytes_nor_order(
    rows: Rows, data: st.DataObject
) -> None:
    clocks = [int(clock) for clock in rows["clock"]]
    end = clocks[-1] + 3_600 * 10**9
    beats: list[Batch] = []
    for nth, (clock, following) in enumerate(pairwise([*clocks, end])):
        # not beyond midnight: being there at the next day's open is something an engine may know
        # (see `complete`)
        latest = min(following, int(at("23:59:59", trading_day(clock))))
        beats += [batch_of(rows[nth : nth + 1]), heartbeat(data.draw(st.integers(clock, latest)))]

    assert streams_of(run([*beats, heartbeat(end)])) == streams_of(
        run([batch_of(rows), heartbeat(end)])
    )


@pytest.mark.parametrize("cut", [1, 7, 128, 5_000])
def test_a_whole_market_is_the_same_in_batches_of_any_size(cut: int) -> None:
    rows = random_market(3, 6_000, days=2)

    outputs = run(split(rows, range(cut, len(rows), cut)))

    assert streams_of(outputs) == streams_of(run([batch_of(rows)]))
    assert any(output.topic is SIGNALS for output in outputs)


@pytest.mark.parametrize("partitions", [2, 4])
def test_the_number_of_partitions_changes_no_message_of_any_instrument(partitions: int) -> None:
    rows = random_market(5, 6_000, instruments=12, days=2)

    def everything(count: int) -> list[tuple[str, bytes, bytes]]:
        return sorted(
            (o.topic.name, o.key, o.value) for shard in shards(rows, count) for o in run(shard)
        )

    assert everything(partitions) == everything(1)


@given(markets(), st.data())
@settings(deadline=None, max_examples=40)
def test_a_restored_engine_goes_on_as_if_nothing_had_happened(
    rows: Rows, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    before, after = split(rows, [cut])[:1] if cut else [], split(rows[cut:], [])
    unbroken = machine()
    whole = [run(before, unbroken), run(after, unbroken)]
    first = machine()

    run(before, first)
    second = EngineMachine(snapshot.restore(first.dump(), RULES))

    assert run(after, second) == whole[1]
    assert second.dump() == unbroken.dump()


def test_a_restored_engine_keeps_cooldowns_and_warm_up_over_days() -> None:
    rows = random_market(8, 9_000, days=3)
    unbroken, outputs = machine(), []
    resumed: EngineMachine = machine()
    for batch in split(rows, range(500, len(rows), 500)):
        expected = run([batch], unbroken)

        resumed = EngineMachine(snapshot.restore(resumed.dump(), RULES))

        assert run([batch], resumed) == expected
        outputs += expected
    assert any(output.topic is SIGNALS for output in outputs)


def test_a_snapshot_of_another_engine_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = machine().dump()
    made_by = snapshot.ENGINE_VERSION
    monkeypatch.setattr(snapshot, "ENGINE_VERSION", made_by + 1)

    with pytest.raises(
        Misconfigured, match=f"made by engine version {made_by}, this is {made_by + 1}"
    ):
        snapshot.restore(old, RULES)


def test_a_snapshot_names_its_parts_as_older_builds_of_this_engine_version_do() -> None:
    dumped = _some_machine().dump()

    header = json.loads(dumped[8 : 8 + int.from_bytes(dumped[4:8], "little")])

    assert snapshot.ENGINE_VERSION == 3, (
        "ENGINE_VERSION was raised: put the new number here, and say in CHANGELOG.md that "
        "snapshots of the old engine are refused until an operator deletes ats.snapshots"
    )
    assert header.keys() == {"engine_version", "timeframes", "studies", "arrays"}
    assert [name for name, *_ in header["arrays"]] == [
        *("market", "live", "due", "bars", "days", "studies", "prices", "volumes", "finals"),
        *("fired:ema_cross@5m", "fired:rsi_reversal@1m"),
    ]
    sizes = {name: size for name, _, size in header["arrays"]}
    assert sizes["studies"] == 8 * 7 * 43 * 8  # instruments, timeframes, numbers, bytes


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:3], lambda b: b"ATSE" + b[5:], lambda b: b + b"\0"]
)
def test_a_damaged_snapshot_is_refused(damage: object) -> None:
    dumped = _some_machine().dump()

    with pytest.raises(Misconfigured):
        snapshot.restore(damage(dumped), RULES)  # type: ignore[operator]


@pytest.mark.parametrize("value", [None, b"", b"nonsense", b"\0" * 88])
def test_a_record_that_cannot_be_read_leaves_the_state_untouched(value: bytes | None) -> None:
    engine = _some_machine()
    before = engine.dump()

    with pytest.raises(Unreadable):
        engine.apply(record(value))

    assert engine.dump() == before


IMPOSSIBLE = [
    ("price", 0), ("price", -5), ("volume", -2), ("exchange_time", 0), ("exchange_time", 2**62),
    ("segment", 6), ("segment", 64), ("segment", 255),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE)
@pytest.mark.parametrize(("bad", "never_seen"), [(0, 300), (299, 300), (299, 0)])
def test_one_impossible_row_refuses_the_record_whole_in_the_words_of_decode(
    field: str, value: int, bad: int, never_seen: int
) -> None:
    rows, engine = random_market(1, 300), _some_machine()
    rows["security_id"][never_seen:] += 1_000
    rows[field][bad] = value
    before, refused = engine.dump(), encode(batch_of(rows, clock=int(at("15:30:00"))))

    with pytest.raises(Unreadable) as ours:
        engine.apply(record(refused))

    with pytest.raises(Unreadable) as theirs:
        decode(refused)
    assert str(ours.value) == str(theirs.value)
    assert engine.dump() == before


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_an_engine_reads_exactly_the_records_that_decode_reads(data: st.DataObject) -> None:
    known = encode(batch_of(random_market(1, 2)))
    engine, value = machine(), bytearray(known)
    engine.apply(record(known))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(value[: data.draw(st.sampled_from([len(value), len(value), 31, 88]))])

    assert _refusal(engine.apply, record(cut)) == _refusal(decode, cut)


def _refusal(read: Callable[[Any], object], given: object) -> str:
    try:
        read(given)
    except Unreadable as error:
        return str(error)
    return ""


def test_a_rule_a_snapshot_does_not_know_starts_without_cooldowns() -> None:
    only_first = EngineMachine(Engine(rules=RULES[:1]))
    run([batch_of(tick(at("09:15:00"), 100))], only_first)

    engine = snapshot.restore(only_first.dump(), RULES)

    assert set(engine.runner.fired_at) == {rule.key for rule in RULES}


def _some_machine() -> EngineMachine:
    engine = machine()
    _: list[Output] = run([batch_of(random_market(1, 300))], engine)
    return engine


def test_the_bytes_of_a_batch_survive_the_codec() -> None:
    rows = random_market(2, 50)

    assert run([batch_of(rows)]) == list(machine().apply(record(encode(batch_of(rows)))))


def test_machine_code_on_disk_belongs_to_the_sources_it_was_made_from() -> None:
    kernel: Any = kernels.apply_record
    file = kernel._cache._cache_file

    assert file._source_stamp == STAMP
    assert STAMP.encode() in Path(file._index_path).read_bytes()
    assert {name.replace(".", "/") + ".py" for name in _compiled_from()} <= set(_SOURCES)


def _compiled_from() -> set[str]:
    """Our modules that kernels take functions and constants from."""
    spaces = [each for module in (kernels, bars, indicators) for each in vars(module).values()]
    modules = {each.__name__ for each in spaces if isinstance(each, ModuleType)}
    modules |= {getattr(each, "__module__", "") or "" for each in spaces}
    return {name for name in modules if name.startswith(("streams.", "schemas."))} | {
        "schemas.ids",
        "schemas.ticks",
        "schemas.units",
        "streams.columns.names",
        "streams.engine.hours",
    }
