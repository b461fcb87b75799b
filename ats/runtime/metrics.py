"""Prometheus metrics and a health check over HTTP, on request (`--metrics-port`).

Services count in plain records on their hot path; this module reads those records when somebody
asks, so that counting costs nothing.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol, runtime_checkable

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from bus.metrics import AGE, Histogram
from schemas.errors import Misconfigured

HOST: Final = "127.0.0.1"  # put a reverse proxy in front where a scraper lives elsewhere


@dataclass(frozen=True, slots=True)
class Health:
    """What `/health` says.

    Attributes:
        ok: Decides the status code.
        why: For a person.
        done: Steps of a long start that are behind it.
        of: How many steps that start has; 0 when nobody counts them.
    """

    ok: bool
    why: str
    done: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a record.

    Attributes:
        name: Without the service, and without a counter's `_total`.
        value: A number, a mapping of numbers by label value, or a histogram.
        counter: It only grows while the process lives.
        labels: Names of the labels that a mapping's keys are values of.
    """

    name: str
    help: str
    value: object
    counter: bool = False
    labels: tuple[str, ...] = ("key",)

    @property
    def exposed(self) -> str:
        """As Prometheus sees it, without the service."""
        return f"{self.name}_total" if self.counter else self.name


@runtime_checkable
class Figures(Protocol):
    """A record that works its numbers out when asked."""

    def figures(self) -> Iterable[Figure]:
        """What to show now, asked anew at each scrape."""


class RecordCollector(Collector):
    """Shows the numeric fields of dataclass records: `ats_<service>_<field>`.

    Mappings get a `key` label. Fields marked `bus.metrics.COUNTER` or `counter_by` are counters,
    and end in `_total`. A `bus.metrics.Histogram` becomes a histogram. A moment of which the age
    matters becomes `ats_<service>_<field>_age_seconds`.
    """

    def __init__(self, service: str, records: Iterable[object]) -> None:
        self._service = service
        self._records = records  # a service adds to it while it starts

    def collect(self) -> Iterator[Metric]:
        """Turn the records' present figures into metrics; one without a sample is left out."""
        for record in list(self._records):
            for figure in figures_of(record):
                metric = _metric(f"ats_{self._service}_{figure.name}", figure)
                if metric.samples:
                    yield metric


def figures_of(record: object) -> Iterator[Figure]:
    """Every number that `record` has."""
    kind = type(record).__name__
    if isinstance(record, Figures):
        yield from record.figures()
    elif dataclasses.is_dataclass(record):
        for field in dataclasses.fields(record):
            value, help_ = getattr(record, field.name), f"{kind}.{field.name}"
            if field.metadata == AGE:
                yield Figure(f"{field.name}_age_seconds", help_, _age(value))
            elif "counter" in field.metadata:
                yield Figure(
                    field.name,
                    help_,
                    value,
                    counter=True,
                    labels=field.metadata["counter"] or ("key",),
                )
            else:
                yield Figure(field.name, help_, value)


def _age(moment: object) -> object:
    now = time.monotonic()
    if isinstance(moment, dict):
        return {key: now - inner for key, inner in moment.items()}
    return now - moment if isinstance(moment, float) else None


def _metric(name: str, figure: Figure) -> Metric:
    value = figure.value
    if isinstance(value, Histogram):
        return _histogram(name, figure.help, value)
    metric = Metric(name, figure.help, "counter" if figure.counter else "gauge")
    sample = f"{name}_total" if figure.counter else name
    if isinstance(value, int | float):
        metric.add_sample(sample, {}, float(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, int | float):
                metric.add_sample(sample, _labels(figure.labels, key), float(inner))
    return metric


def _labels(names: tuple[str, ...], key: object) -> dict[str, str]:
    values = key if len(names) > 1 and isinstance(key, tuple) else (key,)
    return {name: str(value) for name, value in zip(names, values, strict=True)}


def _histogram(name: str, help_: str, value: Histogram) -> Metric:
    limits = [*(str(float(bound)) for bound in value.bounds), "+Inf"]
    buckets = list(zip(limits, accumulate(map(float, value.counts)), strict=True))
    return HistogramMetricFamily(name, help_, buckets=buckets, sum_value=value.total)


class MetricsServer:
    """`/metrics` for Prometheus, `/health` answering 200 or 503 with the reason."""

    def __init__(
        self, service: str, port: int, records: Iterable[object], health: Callable[[], Health]
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(RecordCollector(service, records))
        self._health = health
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises Misconfigured when the port cannot be had."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._healthy)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            why = os.strerror(error.errno) if error.errno else str(error)
            raise Misconfigured(
                f"--metrics-port {self._port} cannot be had: {why}; name another"
            ) from None

    async def stop(self) -> None:
        """Close the port; does nothing when it was never opened."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _healthy(self, _: web.Request) -> web.Response:
        health = self._health()
        said: dict[str, object] = {"ok": health.ok, "why": health.why}
        if health.of:
            said |= {"done": health.done, "of": health.of}
        return web.json_response(said, status=200 if health.ok else 503)
