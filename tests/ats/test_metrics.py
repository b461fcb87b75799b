from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ats.metrics import Health, MetricsServer
from bus.metrics import ShellMetrics
from bus.records import TopicPartition
from schemas.errors import Misconfigured


@dataclass
class Counters:
    records: int = 3
    lag: dict[tuple[str, int], int] = field(default_factory=lambda: {("ats.ticks", 0): 7})
    name: str = "not a number"


async def ask(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{port}{path}")


async def test_numbers_of_a_record_are_shown_as_they_are_when_asked(free_port: Callable[[], int]) -> None:
    counters = Counters()
    server = MetricsServer("streams", port := free_port(), [counters], lambda: Health(ok=True, why="running"))
    await server.start()
    try:
        counters.records = 4
        text = (await ask(port, "/metrics")).text
    finally:
        await server.stop()

    samples = {
        (s.name, tuple(s.labels.values())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }
    assert samples[("ats_streams_records", ())] == 4
    assert samples[("ats_streams_lag", (str(("ats.ticks", 0)),))] == 7
    assert not [name for name, _ in samples if name.endswith("name")]


async def test_ages_histograms_and_figures_worked_out_when_asked_are_shown(free_port: Callable[[], int]) -> None:
    class Engines:
        def figures(self) -> dict[str, object]:
            return {"late": {"3": 5}}

    shell, records = ShellMetrics(), list[object]()
    server = MetricsServer("streams", port := free_port(), records, lambda: Health(ok=True, why="running"))
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
        (s.name, tuple(s.labels.values())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }
    assert samples[("ats_streams_late", ("3",))] == 5
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
        MetricsServer("streams", port, [], lambda: Health(ok=True, why="running")) for port in [free_port()] * 2
    )
    await first.start()
    try:
        with pytest.raises(Misconfigured, match=r"--metrics-port \d+ cannot be had: Address already in use; name"):
            await second.start()
    finally:
        await first.stop()
