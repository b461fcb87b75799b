from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ats.metrics import Health, MetricsServer


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
