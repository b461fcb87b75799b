"""Commands that run the services."""

from __future__ import annotations

from typing import Annotated

import typer

from ats.cli.options import MOST_PORT, finish

MetricsPort = Annotated[
    int,
    typer.Option(
        help="Serve /metrics (Prometheus) and /health on 127.0.0.1 at this port; 0 is off.",
        min=0,
        max=MOST_PORT,
    ),
]


def feed(metrics_port: MetricsPort = 0) -> None:
    """Gateway: Dhan's market feed into ats.ticks."""
    service("feed", metrics_port)


def warm_up() -> None:
    """Past bars into ats.ticks, from ats.candles or Dhan's history, so that indicators are ready.
    Run before `ats feed`.
    """
    service("warmup", 0)


def streams(metrics_port: MetricsPort = 0) -> None:
    """Engine: ticks into candles, indicators and signals."""
    service("streams", metrics_port)


def agents(
    metrics_port: MetricsPort = 0,
    scout_only: Annotated[
        bool, typer.Option("--scout-only", help="Make today's shortlist and end.")
    ] = False,
) -> None:
    """Agents: signals into reports and BUY, SELL or HOLD decisions.

    Runs the Scout on each trading day without a shortlist.
    """
    service("scout" if scout_only else "agents", metrics_port)


def executors(metrics_port: MetricsPort = 0) -> None:
    """Order workers: decisions into each active user's orders."""
    service("executors", metrics_port)


def books(metrics_port: MetricsPort = 0) -> None:
    """Books: what became of every order, what each user holds, kept true by what Dhan shows.

    Observes every connected account, also while its switch is off.
    """
    service("books", metrics_port)


def gateway(metrics_port: MetricsPort = 0) -> None:
    """Read gateway: what users see of the topics, each their own, as JSON and server-sent events.

    Checks Supabase's access tokens; writes nothing. Listens at ATS_GATEWAY_HOST, ATS_GATEWAY_PORT.
    """
    service("gateway", metrics_port)


def service(name: str, metrics_port: int) -> None:
    """Run the service `name` until a signal, and end with its exit code."""
    from ats.services import run_service

    finish(run_service(name, metrics_port))
