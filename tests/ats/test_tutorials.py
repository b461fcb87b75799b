"""What the tutorials have a reader write works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import numpy as np
import pytest

from ats.commands.rules_new import RULE
from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import message_output
from bus.topics import create_topics
from schemas.market import Action
from schemas.topics import DECISIONS, PartitionPlan
from tests.ats.factories import a_decision

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
TEMPLATE = RULE.format(name="wide_range")


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (TUTORIALS / page).read_text(), re.DOTALL)


def test_the_rule_that_the_page_shows_is_the_one_that_ats_writes() -> None:
    assert programs("first-rule.md")[0] in TEMPLATE


def test_the_changed_rule_fires_less_often() -> None:
    _, condition, needs = programs("first-rule.md")
    (wide,) = (line for line in TEMPLATE.splitlines(keepends=True) if "wide = " in line)
    (old,) = (line for line in TEMPLATE.splitlines(keepends=True) if "needs = " in line)
    changed = TEMPLATE.replace(
        wide, "".join(f"        {line}\n" for line in condition.splitlines())
    ).replace(old, f"    {needs}")
    module = ModuleType("wide_range")
    exec(changed, vars(module))
    rule = module.wide_range()
    bar = {"open": 10_000, "high": 10_250, "low": 9_990, "close": 10_200, "previous_atr_14": 100}
    bars = {name: np.full(2, value, float) for name, value in bar.items()}
    bars |= {"volume": np.array([5.0, 5.0]), "previous_volume": np.array([4.0, 6.0])}

    assert set(rule.needs) == set(bars)
    assert rule.evaluate(bars, 2).tolist() == [1, 0]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_consumer_prints_each_decision_once_and_counts_them(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    connection = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(connection, PartitionPlan(1, 1), topics=[DECISIONS])
    buy = a_decision(id=uuid4(), symbol="TUTORIAL", action=Action.BUY)
    async with Publisher(connection) as publisher:
        for decision in (buy, buy):
            output = message_output(DECISIONS, decision, str(decision.instrument), partition=0)
            await publisher.send_and_wait(output)
    (program,) = programs("first-consumer.md")
    (tmp_path / "decisions.py").write_text(program)

    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "decisions.py", kafka.bootstrap_servers],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    price = f"{buy.reference_price / 100:.2f}"
    lines = done.stdout.splitlines()
    assert [line for line in lines if "TUTORIAL" in line] == [f"TUTORIAL BUY {price}"]
    assert "'BUY': " in lines[-1]
