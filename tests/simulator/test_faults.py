"""The script language and its dice: what is accepted, what is refused by name, and which thing is
struck.
"""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.faults import (
    Fault,
    FaultKind,
    Faults,
    Place,
    Script,
    Target,
    load_script,
    read_script,
)
from simulator.faults.journal import KEPT
from tests.simulator.factories import USER, call, running

SCRIPT = """
seed: 7
faults:
  - kind: stall
    delay: 2.5
    after: 1000
    times: 3
    connection: 2
  - kind: disconnect
    code: 807
    market_time: 10:15:00
    client_id: "1100000001"
  - {kind: error, code: DH-909, endpoint: "GET /v2/*", chance: 0.25, machine_time: 3}
"""
FEED = Target(endpoint="/feed", connection=1)
OPEN = UtcNs(1_795_405_500 * NS_PER_SECOND)  # 09:15 in India


class Clocks:
    """Both clocks in the hands of a test."""

    def __init__(self) -> None:
        self.machine = 0.0
        self.market = OPEN


def faults(*script: Fault, seed: int = 1, clocks: Clocks | None = None) -> Faults:
    clocks = clocks or Clocks()
    return Faults(script, seed, monotonic=lambda: clocks.machine, market_now=lambda: clocks.market)


def strikes(armed: Faults, count: int, step: int) -> list[int]:
    """Which of `count` packets are struck when they pass `step` at a time."""
    struck, passed = [], 0
    while passed < count:
        bundle = min(step, count - passed)
        strike = armed.next_hit(Place.STREAM, FEED, bundle)
        passed += bundle if strike is None else strike.at + 1
        if strike is not None:
            struck.append(passed - 1)
    return struck


def test_a_script_in_yaml_is_the_same_as_objects() -> None:
    assert read_script(SCRIPT) == Script(
        seed=7,
        faults=(
            Fault(FaultKind.STALL, delay=2.5, after=1000, times=3, connection=2),
            Fault(FaultKind.DISCONNECT, code=807, market_time=time(10, 15), client_id="1100000001"),
            Fault(
                FaultKind.ERROR, code="DH-909", endpoint="GET /v2/*", chance=0.25, machine_time=3
            ),
        ),
    )


@pytest.mark.parametrize(
    "text", ["kind: reset", "[{kind: reset}]", '{"faults": [{"kind": "reset"}]}']
)
def test_one_fault_a_list_and_json_are_scripts_too(text: str) -> None:
    assert read_script(text) == Script((Fault(FaultKind.RESET),))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("faults: [", "line 1: not YAML"),
        ("", "script: None is not a fault"),
        ("faults: {}", "faults: is not a list"),
        ("[]", "faults: is not a list of at least one fault"),
        ("{faults: [{kind: reset}], sead: 1}", "sead: unknown"),
        ("{faults: [], seed: x}", "seed: 'x' is not a whole number"),
        ("[reset]", "faults[0]: 'reset' is not a fault"),
        ("[{kind: reset}, {kind: meteor}]", "faults[1].kind: 'meteor' is not one of"),
        ("[{kind: reset, colour: red}]", "faults[0].colour: unknown field"),
        (
            "[{kind: reset, delay: 1}]",
            "faults[0].delay: reset does not take it; its parameters: none",
        ),
        (
            "[{kind: lag, copies: 1}]",
            "faults[0].copies: lag does not take it; its parameters: delay, lasting",
        ),
        ("[{kind: lag, delay: soon}]", "faults[0].delay: 'soon' is not a number of seconds"),
        ("[{kind: lag, delay: true}]", "faults[0].delay: True is not a number of seconds"),
        ("[{kind: reset, times: 0}]", "faults[0].times: 0 is not a whole number from 1"),
        ("[{kind: reset, chance: 0}]", "faults[0].chance: 0 is not a probability"),
        ("[{kind: reset, after: -1}]", "faults[0].after: -1 is not a whole number from 0"),
        ("[{kind: reset, client_id: 1100000001}]", "faults[0].client_id: 1100000001 is not a text"),
        (
            "[{kind: reset, market_time: noon}]",
            "faults[0].market_time: 'noon' is not a time of day",
        ),
        (
            "[{kind: error, code: DH-999}]",
            "faults[0].code: 'DH-999' is not one of DH-901 to DH-911",
        ),
        ("[{kind: disconnect, code: DH-901}]", "faults[0].code: 'DH-901' is not a reason"),
        (
            "[{kind: stall, instrument: RELIANCE}]",
            "faults[0].instrument: 'RELIANCE' is not an instrument like",
        ),
        ("[{kind: reset, code: 805}]", "faults[0].code: reset does not take it"),
    ],
)
def test_a_bad_script_is_refused_by_the_name_of_the_field(text: str, complaint: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_script(text)

    assert str(refused.value).startswith(complaint)


def test_a_file_is_named_when_it_is_absent_or_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("kind: meteor")

    with pytest.raises(Misconfigured, match=r"absent.yaml: cannot be read"):
        load_script(tmp_path / "absent.yaml")
    with pytest.raises(Misconfigured, match=r"wrong.yaml: kind: 'meteor'"):
        load_script(wrong)


def test_a_fault_in_python_is_checked_as_in_a_script() -> None:
    with pytest.raises(ValueError, match=r"^times: 0"):
        Fault(FaultKind.RESET, times=0)
    with pytest.raises(ValueError, match=r"^code: 805 is not used by this kind"):
        Fault(FaultKind.RESET, code=805)


def test_a_fault_strikes_the_thing_after_the_nth_as_often_as_asked_and_then_never() -> None:
    assert strikes(faults(Fault(FaultKind.RESET, after=3, times=2)), 10, 1) == [3, 4]


def test_of_two_due_faults_the_first_strikes_and_the_other_takes_the_next_thing() -> None:
    armed = faults(Fault(FaultKind.RESET, after=2), Fault(FaultKind.STALL, after=2))

    assert strikes(armed, 10, 10) == [2, 3]
    assert [entry.kind for entry in armed.journal] == [FaultKind.RESET, FaultKind.STALL]


def test_a_thing_that_was_struck_has_passed_for_the_others() -> None:
    assert strikes(
        faults(Fault(FaultKind.RESET, after=1), Fault(FaultKind.STALL, after=3)), 10, 10
    ) == [1, 3]


@settings(deadline=None)  # each strike writes a line of log
@given(st.integers(0, 50), st.integers(1, 80), st.floats(0.01, 1.0), st.integers(0, 50))
def test_how_packets_are_bundled_changes_nothing(
    seed: int, step: int, chance: float, after: int
) -> None:
    script = (
        Fault(FaultKind.RESET, chance=chance, times=1_000),
        Fault(FaultKind.LOSE, after=after, times=3),
    )

    assert strikes(faults(*script, seed=seed), 120, step) == strikes(
        faults(*script, seed=seed), 120, 1
    )


def test_chance_is_seeded_and_about_right() -> None:
    script = Fault(FaultKind.RESET, chance=0.1, times=10_000)

    once, again, other = (strikes(faults(script, seed=seed), 10_000, 64) for seed in (5, 5, 6))

    assert once == again != other
    assert 900 < len(once) < 1_100  # ten standard deviations are 300


def test_a_fault_waits_for_its_market_time_and_its_machine_time() -> None:
    clocks = Clocks()
    armed = faults(
        Fault(FaultKind.RESET, market_time=time(10, 0)),
        Fault(FaultKind.STALL, machine_time=5.0),
        clocks=clocks,
    )

    before = armed.next_hit(Place.STREAM, FEED)
    clocks.machine = 5.0
    first = armed.next_hit(Place.STREAM, FEED)
    clocks.market = UtcNs(OPEN + 45 * 60 * NS_PER_SECOND)
    second = armed.next_hit(Place.STREAM, FEED)

    assert before is None
    assert first is not None
    assert second is not None
    assert (first.fault.kind, second.fault.kind) == (FaultKind.STALL, FaultKind.RESET)


@pytest.mark.parametrize(
    ("fault", "target", "struck"),
    [
        (Fault(FaultKind.RESET, client_id="1"), Target("1", "/feed", 1), True),
        (Fault(FaultKind.RESET, client_id="1"), Target("2", "/feed", 1), False),
        (Fault(FaultKind.RESET, connection=2), Target("1", "/feed", 1), False),
        (Fault(FaultKind.RESET), Target("1", "/twentydepth", 1), False),
        (Fault(FaultKind.RESET, endpoint="/twenty*"), Target("1", "/twentydepth", 1), True),
    ],
)
def test_a_fault_hits_only_what_it_is_meant_for(fault: Fault, target: Target, struck: bool) -> None:
    assert (faults(fault).next_hit(Place.STREAM, target) is not None) is struck


def test_a_reply_is_spoiled_only_for_placed_orders_unless_another_endpoint_is_named() -> None:
    armed = faults(Fault(FaultKind.HTML_429), Fault(FaultKind.ERROR, endpoint="GET /v2/*"))

    struck: list[Any] = [
        armed.next_hit(Place.REQUEST, Target("1", endpoint))
        for endpoint in ("DELETE /v2/orders/1", "GET /v2/positions", "POST /v2/orders")
    ]

    assert [one and one.fault.kind for one in struck] == [None, FaultKind.ERROR, FaultKind.HTML_429]


def test_the_journal_says_what_was_hit_and_keeps_the_newest() -> None:
    armed = faults(Fault(FaultKind.LOSE, times=KEPT + 5))

    for number in range(KEPT + 5):
        armed.next_hit(Place.STREAM, Target("1", "/feed", 3, thing=f"packet {number}"))
    newest = list(armed.journal)[-1]

    assert (len(armed.journal), armed.journal.total) == (KEPT, KEPT + 5)
    assert (newest.client_id, newest.endpoint, newest.connection) == ("1", "/feed", 3)
    assert (newest.thing, newest.number, newest.fault) == (f"packet {KEPT + 4}", KEPT + 5, 0)


async def test_faults_are_set_listed_and_cleared_and_the_journal_read_over_http() -> None:
    async with running() as simulator:
        script = {"seed": 3, "faults": [{"kind": "reject", "message": "no"}, {"kind": "reset"}]}
        status, set_ = await call(simulator, "POST", "/control/faults", json=script)
        await call(simulator, "POST", "/v2/orders", json={})
        _, waiting = await call(simulator, "GET", "/control/faults")
        _, journal = await call(simulator, "GET", "/control/journal")
        _, cleared = await call(simulator, "DELETE", "/control/faults")

    assert (status, set_["waiting"], cleared["waiting"]) == (201, 2, 0)
    assert waiting == [{"kind": "reset", "endpoint": "/feed"}]
    assert journal["total"] == 1
    (entry,) = journal["entries"]
    assert (entry["kind"], entry["place"], entry["endpoint"]) == (
        "reject",
        "request",
        "POST /v2/orders",
    )
    assert (entry["client_id"], entry["market_time"]) == (
        USER.client_id,
        "2026-11-23T09:15:00+05:30",
    )
