from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import FetchClient, KafkaConnection
from tests.bus.programs.process import kafka_at
from tests.bus.workers import Worker


@pytest.fixture
def connection(kafka: EmbeddedKafka, request: pytest.FixtureRequest) -> KafkaConnection:
    """With the client that the test names as its parameter, else the one that is told or usual."""
    usual = kafka_at(kafka.bootstrap_servers)
    return replace(usual, fetch_client=getattr(request, "param", usual.fetch_client))


both_clients = pytest.mark.parametrize("connection", get_args(FetchClient), indirect=True)


@pytest.fixture
def prefix() -> str:
    """A name for the topics and groups of one test alone."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def worker(
    connection: KafkaConnection, prefix: str, tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Makes workers of a program; ends them with the test and shows what they logged."""
    workers = []

    def make(module: str, instance: str, *more: str) -> Worker:
        log = tmp_path / f"{instance}.log"
        workers.append(Worker(log, module, connection, prefix, instance, *more))
        return workers[-1]

    yield make
    for each in workers:
        each.kill()
    for log in sorted(tmp_path.glob("*.log")):  # pytest shows it when a test fails
        sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-20_000:]}")
