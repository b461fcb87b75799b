"""Prometheus metrics and a health check over HTTP, on request (`--metrics-port`).

Services count in plain records on their hot path; this module reads those records when somebody asks, so that counting
costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

HOST: Final = "127.0.0.1"  # put a reverse proxy in front where a scraper lives elsewhere


@dataclass(frozen=True, slots=True)
class Health:
    """`ok` decides the status code; `why` is for a person."""

    ok: bool
    why: str


class RecordCollector(Collector):
    """Shows the numeric fields of dataclass records: `ats_<service>_<field>`; mappings get a `key` label."""

    def __init__(self, service: str, records: Iterable[object]) -> None:
        self._service = service
        self._records = list(records)

    def collect(self) -> Iterator[Metric]:
        for record in self._records:
            if not dataclasses.is_dataclass(record):
                continue
            for field in dataclasses.fields(record):
                metric = Metric(f"ats_{self._service}_{field.name}", f"{type(record).__name__}.{field.name}", "gauge")
                _add(metric, getattr(record, field.name))
                if metric.samples:
                    yield metric


def _add(metric: Metric, value: object) -> None:
    if isinstance(value, int | float):
        metric.add_sample(metric.name, {}, float(value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, int | float):
                metric.add_sample(metric.name, {"key": str(key)}, float(inner))


class MetricsServer:
    """`/metrics` for Prometheus, `/health` answering 200 or 503 with the reason."""

    def __init__(self, service: str, port: int, records: Iterable[object], health: Callable[[], Health]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(RecordCollector(service, records))
        self._health = health
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._healthy)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthy(self, _: web.Request) -> web.Response:
        health = self._health()
        return web.json_response({"ok": health.ok, "why": health.why}, status=200 if health.ok else 503)
