"""The page of metrics: the records that each service hangs up for `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.metrics import DecisionMetrics
from ats.gateway.metrics import ViewerMetrics
from ats.runtime.metrics import Figure, Figures, figures_of
from ats.services.paper import PaperMetrics
from ats.services.streams import EngineFigures
from bus.metrics import Histogram, ShellMetrics
from executors.metrics import BookMetrics, OrderMetrics
from executors.orders.guardian_metrics import GuardianMetrics
from streams.feed.config import GatewayMetrics
from streams.service import EngineStats
from tools.reference.markdown import code, table
from tools.reference.markdown import page as page_of
from tools.reference.source import attributes

# What `ats/services/NAME.py` appends to `context.records`; a test compares.
SERVICES: Final[Mapping[str, tuple[object, ...]]] = {
    "feed": (GatewayMetrics(),),
    "streams": (ShellMetrics(), EngineFigures(EngineStats())),
    "agents": (ShellMetrics(), DecisionMetrics()),
    "executors": (ShellMetrics(), OrderMetrics()),
    "books": (ShellMetrics(), BookMetrics(oldest_reading=0.0), GuardianMetrics()),
    "gateway": (ShellMetrics(), ViewerMetrics()),
    "paper": (PaperMetrics(),),
}


INTRODUCTION: Final = (
    "`ats SERVICE --metrics-port N` serves them at `http://127.0.0.1:N/metrics` in Prometheus' "
    "format, and `/health` beside them. A metric with a label has one sample per topic and "
    "partition."
)


def names() -> frozenset[str]:
    """Every metric's full name."""
    return frozenset(
        f"ats_{service}_{name}"
        for service, records in SERVICES.items()
        for name, _, _ in _of(records)
    )


def page() -> str:
    parts = [INTRODUCTION]
    for service, records in SERVICES.items():
        rows = [(code(f"ats_{service}_{name}"), kind, words) for name, kind, words in _of(records)]
        parts += [f"## ats {service}", table(("Metric", "Kind", "What"), rows)]
    return page_of("Metrics", "the counters that the services keep", *parts)


def _of(records: tuple[object, ...]) -> list[tuple[str, str, str]]:
    return [
        (figure.exposed, _kind(figure), _words(record, figure))
        for record in records
        for figure in figures_of(record)
    ]


def _words(record: object, figure: Figure) -> str:
    told = attributes(type(record)).get(figure.name.removesuffix("_age_seconds"))
    return told or (figure.help if isinstance(record, Figures) else figure.name.replace("_", " "))


def _kind(figure: Figure) -> str:
    if isinstance(figure.value, Histogram):
        return "histogram"
    kind = "counter" if figure.counter else "gauge"
    labels = ", ".join(code(label) for label in figure.labels)
    return f"{kind}, by {labels}" if isinstance(figure.value, Mapping) else kind
