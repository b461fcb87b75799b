"""What `ats paper` makes of the settings, and what the doctor says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ats.commands.doctor import CHECKS
from ats.services.paper import PaperMetrics, _Tape, address_of
from ats.settings import Settings, load
from bus.connection import KafkaConnection
from bus.records import Record
from schemas.errors import Misconfigured, TryLater
from schemas.topics import TICKS
from schemas.units import UtcNs
from simulator.config import SimulatorConfig
from simulator.server import Simulator
from tests.simulator.paper import PARTITION, Paper, placed


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ATS_ENV_FILE", str(tmp_path / ".env"))


def test_it_listens_where_paper_orders_go_by_default() -> None:
    assert address_of(load()) == ("127.0.0.1", 8791)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.dhan.co/v2",
        "http://127.0.0.1/v2",
        "http://127.0.0.1:8791",
        "http://127.0.0.1:8791/v3",
        "https://127.0.0.1:8791/v2",
        "http://10.0.0.1:8791/v2",
    ],
)
def test_an_address_it_cannot_listen_at_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        address_of(load(dhan_order_url=url))


def test_it_does_not_run_beside_real_orders() -> None:
    with pytest.raises(Misconfigured, match="ATS_MODE=paper"):
        address_of(load(ats_mode="self", dhan_order_url="http://127.0.0.1:8791/v2"))


async def test_the_doctor_says_whether_paper_orders_find_their_exchange(
    free_port: Callable[[], int],
) -> None:
    simulator = Simulator(SimulatorConfig(shares=1))
    await simulator.start()
    try:
        there = await CHECKS["orders"](load(dhan_order_url=f"{simulator.url}/v2"))
    finally:
        await simulator.stop()
    with pytest.raises(TryLater, match="start `ats paper`"):
        await CHECKS["orders"](load(dhan_order_url=f"http://127.0.0.1:{free_port()}/v2"))
    real = await CHECKS["orders"](load(ats_mode="self", dhan_order_url="https://api.dhan.co/v2"))

    assert there.endswith("which answers")
    assert real.endswith("was not asked")


async def test_orders_and_fills_are_counted_once_and_not_again_after_a_restart(
    tmp_path: Path,
) -> None:
    paper, first, second = Paper(tmp_path), PaperMetrics(), PaperMetrics()
    server, again = paper.server(), paper.server()
    server.on_change(first.changed)
    again.on_change(second.changed)

    await server.recover({PARTITION: 0})
    await paper.trades(server, 149_000, 500)
    await placed(server)
    await paper.arrives(server)
    paper.later()
    await paper.trades(server, 149_500, 500)
    await server.stop()
    await again.recover({})
    await again.stop()

    assert (first.orders, first.fills) == (1, 1)
    assert (second.orders, second.fills) == (0, 0)


async def test_a_record_of_ticks_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """Else it ends every start from then on: the tape begins at it again."""
    paper = Paper(tmp_path)
    server = paper.server()
    await server.recover({PARTITION: 0})
    tape = _Tape(KafkaConnection("127.0.0.1:1"), server, PaperMetrics(), {})

    for value in (b"no batch", b"", None):
        await tape._take(
            Record(TICKS.name, PARTITION, 7, None, value, UtcNs(0), {})
        )  # no Kafka here
    positions = dict(server.day.positions)
    await server.stop()

    assert positions[PARTITION] == 8
