from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from agents.metrics import DecisionMetrics
from ats.runtime.metrics import Figure, Health, MetricsServer
from bus.metrics import ShellMetrics
from bus.records import TopicPartition
from executors.metrics import MAX_SERIES, OTHER, OrderMetrics
from executors.orders.outcomes import denied, execution
from schemas.errors import Misconfigured
from tests.executors.factories import a_decision, an_intent
from tools.reference import metrics


@dataclass
class Counters:
    records: int = 3
    lag: dict[tuple[str, int], int] = field(default_factory=lambda: {("ats.ticks", 0): 7})
    name: str = "not a number"


async def ask(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{port}{path}")


async def test_numbers_of_a_record_are_shown_as_they_are_when_asked(
    free_port: Callable[[], int],
) -> None:
    counters = Counters()
    server = MetricsServer(
        "streams", port := free_port(), [counters], lambda: Health(ok=True, why="running")
    )
    await server.start()
    try:
        counters.records = 4
        text = (await ask(port, "/metrics")).text
    finally:
        await server.stop()

    samples = {
        (s.name, tuple(s.labels.values())): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }
    assert samples[("ats_streams_records", ())] == 4
    assert samples[("ats_streams_lag", (str(("ats.ticks", 0)),))] == 7
    assert not [name for name, _ in samples if name.endswith("name")]


async def test_ages_histograms_and_figures_worked_out_when_asked_are_shown(
    free_port: Callable[[], int],
) -> None:
    class Engines:
        def figures(self) -> list[Figure]:
            return [Figure("late", "Late ticks.", {"3": 5}, counter=True, labels=("partition",))]

    shell, records = ShellMetrics(), list[object]()
    server = MetricsServer(
        "streams", port := free_port(), records, lambda: Health(ok=True, why="running")
    )
    await server.start()
    try:
        records += [shell, Engines()]  # as a service does, after the server was made
        shell.latency.observe(0.004)
        shell.latency.observe(99.0)
        shell.snapshot[TopicPartition("ats.ticks", 2)] = time.monotonic() - 60
        text = (await ask(port, "/metrics")).text
    finally:
        await server.stop()

    samples = {
        (s.name, tuple(s.labels.values())): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }
    assert samples[("ats_streams_late_total", ("3",))] == 5
    assert samples[("ats_streams_latency_bucket", ("0.002",))] == 0
    assert samples[("ats_streams_latency_bucket", ("0.005",))] == 1
    assert samples[("ats_streams_latency_bucket", ("+Inf",))] == 2
    assert samples[("ats_streams_latency_sum", ())] == 99.004
    assert samples[("ats_streams_snapshot_age_seconds", ("ats.ticks-2",))] >= 60


async def test_health_answers_200_or_503_with_the_reason(free_port: Callable[[], int]) -> None:
    health = Health(ok=True, why="running")
    server = MetricsServer("streams", port := free_port(), [], lambda: health)
    await server.start()
    try:
        well = await ask(port, "/health")
        health = Health(ok=False, why="no progress for 31 s")
        ill = await ask(port, "/health")
    finally:
        await server.stop()

    assert (well.status_code, ill.status_code) == (200, 503)
    assert ill.json() == {"ok": False, "why": "no progress for 31 s"}


async def test_a_port_that_is_taken_is_named(free_port: Callable[[], int]) -> None:
    first, second = (
        MetricsServer("streams", port, [], lambda: Health(ok=True, why="running"))
        for port in [free_port()] * 2
    )
    await first.start()
    try:
        with pytest.raises(
            Misconfigured, match=r"--metrics-port \d+ cannot be had: Address already in use; name"
        ):
            await second.start()
    finally:
        await first.stop()


async def families(port: int, service: str, *records: object) -> dict[str, Metric]:
    server = MetricsServer(service, port, records, lambda: Health(ok=True, why="running"))
    await server.start()
    try:
        return {
            family.name: family
            for family in text_string_to_metric_families((await ask(port, "/metrics")).text)
        }
    finally:
        await server.stop()


async def test_counts_are_counters_with_the_labels_that_an_alarm_asks_for(
    free_port: Callable[[], int],
) -> None:
    decisions, orders = DecisionMetrics(), OrderMetrics()
    decision = a_decision()
    decisions.decided(decision)
    decisions.decided(decision)
    intent = an_intent()
    orders.told(execution(intent, denied("quote_stale")))

    agents = await families(free_port(), "agents", decisions)
    executors = await families(free_port(), "executors", orders, ShellMetrics(dead_letters=2))

    (decided,) = agents["ats_agents_decisions"].samples
    assert decided.labels == {"action": decision.action.value, "origin": decision.origin.value}
    (order,) = executors["ats_executors_orders"].samples
    assert (order.labels, order.value) == ({"outcome": "denied", "code": "quote_stale"}, 1)
    assert executors["ats_executors_dead_letters"].samples[0].value == 2
    counted = [each for each in agents.values() if each.name != "ats_agents_decision_seconds"]
    assert {family.type for family in (*counted, executors["ats_executors_orders"])} == {"counter"}


def test_codes_that_a_broker_makes_up_do_not_become_series_without_end() -> None:
    orders = OrderMetrics()
    told = execution(an_intent(), denied("quote_stale"))

    for number in range(3 * MAX_SERIES):
        orders.told(told.model_copy(update={"reason_code": f"DH-{number}"}))
    orders.told(told.model_copy(update={"reason_code": "two words"}))

    assert len(orders.orders) == MAX_SERIES + 1
    assert orders.orders["denied", OTHER] == 2 * MAX_SERIES + 1


def test_every_metric_that_operations_tells_to_alarm_on_exists_and_counters_are_named_as_such() -> (
    None
):
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    told = set(re.findall(r"`(ats_[a-z*_]+)", page))

    known = metrics.names()

    assert told
    for name in told:
        pattern = re.compile(name.replace("*", "[a-z]+"))
        assert any(pattern.fullmatch(each) for each in known), name
