"""Fixtures every room's tests share: real Apache Kafka and Postgres, free ports, the market data
beside the repository.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import platformdirs
import pytest
import pytest_asyncio
from hypothesis import settings

from ats.embedded.kafka import EmbeddedKafka
from schemas.errors import TryLater

pytest_plugins = ["tests.database.fixtures"]

# how long an example takes tells of the machine's other work, not of the code
settings.register_profile("ats", deadline=None)
settings.load_profile("ats")

MARKET_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that names a TCP port nobody listens on."""
    return unused_port


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command run in this process sets the level of its log, and the stream, which its test takes
    away again.
    """
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The real market data, which is not part of the repository."""
    if not MARKET_DATA.is_dir():
        pytest.skip("no market data: expected a folder shared/data beside the repository")
    return MARKET_DATA


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedKafka]:
    """One real broker for the whole run. Tests keep apart by topic and group names of their own."""
    broker = await started_broker(tmp_path_factory.mktemp("kafka"))
    yield broker
    await broker.stop()


async def started_broker(home: Path) -> EmbeddedKafka:
    """A broker on free ports. A port may be taken between probing and binding, so there is a second
    try.
    """
    for attempt in (1, 2):
        broker = EmbeddedKafka(
            home / str(attempt),
            cache=Path(platformdirs.user_cache_dir("ats")),
            port=unused_port(),
            controller_port=unused_port(),
        )
        try:
            await broker.start()
        except TryLater:
            await broker.stop()
            if attempt == 2:
                raise
        else:
            break
    return broker
