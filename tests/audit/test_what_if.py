"""`ats replay` with a change, on a recorded morning: what differs, what is asked, what stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ats.replay.changes import Changes
from ats.replay.options import ReplayOptions
from ats.replay.whatif import WhatIfOptions, run
from bus.connection import KafkaConnection
from bus.reader import extents_of
from schemas.errors import Misconfigured
from schemas.topics import CATALOGUE, SIGNALS
from tests.audit.recorded_day import ScriptedModel, a_recorded_day
from tests.audit.test_replay_command import DAY, Tape, a_tape, write

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def tape() -> Tape:
    """Long enough for half a dozen signals."""
    return await asyncio.to_thread(a_tape, 300)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def record(broker: KafkaConnection, tape: Tape) -> KafkaConnection:
    """A recorded morning; what-ifs only read it, so all tests share it."""
    await write(broker, await asyncio.to_thread(a_recorded_day, tape))
    return broker


class WhatIf:
    """`ats replay` with changes in this process, and what it printed."""

    def __init__(self, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._answers, self._capsys = answers, capsys
        self.models: list[ScriptedModel] = []

    async def __call__(
        self,
        *sets: str,
        limits: Sequence[str] = (),
        prompts: Path | None = None,
        yes: bool = False,
        as_json: bool = True,
    ) -> Any:
        changes = Changes.of(sets, limits, rules=None, prompts=prompts, model="")
        day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=as_json)
        self._capsys.readouterr()
        await run(WhatIfOptions(day, changes, yes, self._answers))
        said = self._capsys.readouterr().out
        return json.loads(said.splitlines()[-1]) if as_json else said

    def model(self, _endpoint: object, _http: object, prompts: Any) -> ScriptedModel:
        """Stands in for `agents.model.Model`."""
        self.models.append(ScriptedModel(prompts))
        return self.models[-1]

    @property
    def asked(self) -> int:
        """Questions that models were asked."""
        return sum(len(each.asked) for each in self.models)


@pytest.fixture
def what_if(
    record: KafkaConnection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> WhatIf:
    made = WhatIf(tmp_path / "answers.jsonl", capsys)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", record.bootstrap_servers)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ATS_RULES", str(tmp_path / "no-such-rules.toml"))
    monkeypatch.setattr("ats.replay.asking.Model", made.model)
    return made


@pytest.fixture
def holding(tmp_path: Path) -> Path:
    """Another prompt for the Commander."""
    path = tmp_path / "commander.toml"
    path.write_text('commander = "Hold, whatever they report."\n')
    return path


def signals_of(tape: Tape) -> int:
    return sum(output.topic is SIGNALS for output in tape.made)


def changes_of(found: Any) -> list[str]:
    return [pair["change"] for pair in found["pairs"]]


async def everything(connection: KafkaConnection) -> object:
    return await extents_of(connection, *CATALOGUE)


async def test_a_limit_that_binds_nobody_makes_no_difference(what_if: WhatIf, tape: Tape) -> None:
    found = await what_if("limits.max_orders_per_day=41")
    words = await what_if("limits.max_orders_per_day=41", as_json=False)

    assert (found["differs"], found["pairs"]) == (False, [])
    assert found["before"] == found["after"]
    assert found["before"]["orders"] > 0
    assert found["notes"] == []
    assert f"No difference: {signals_of(tape)} signals" in words


async def test_a_lower_limit_makes_smaller_orders_of_the_same_decisions(what_if: WhatIf) -> None:
    found = await what_if(limits=["max_order_value_rupees=20000"])

    assert set(changes_of(found)) == {"other orders"}
    for pair in found["pairs"]:
        before, after = pair["before"], pair["after"]
        assert before["action"] == after["action"]
        assert 0 < after["quantity"] < before["quantity"]
    assert found["difference_paise"] == found["after"]["net_paise"] - found["before"]["net_paise"]
    assert found["difference_paise"] != 0


async def test_a_rules_parameter_changes_signals_and_their_orders_go_with_them(
    what_if: WhatIf,
) -> None:
    found = await what_if("rules.rsi_reversal.low=20", "rules.rsi_reversal.high=80")

    gone = [pair for pair in found["pairs"] if pair["change"] == "no signal"]
    assert gone
    assert all(pair["after"] is None for pair in gone)
    assert found["after"]["orders"] < found["before"]["orders"]


async def test_without_a_yes_nobody_is_asked_and_those_decisions_count_apart(
    what_if: WhatIf, holding: Path
) -> None:
    found = await what_if(prompts=holding)

    asking = found["asking"]
    assert what_if.asked == 0
    assert asking["asked"] == 0
    assert asking["questions"] == found["not_asked"] > 0
    assert asking["most_paise"] > 0
    assert set(changes_of(found)) == {"not asked"}
    assert found["before"] == found["after"]


async def test_with_a_yes_a_prompts_answers_are_asked_once_and_then_found_in_the_file(
    what_if: WhatIf, holding: Path
) -> None:
    found = await what_if(prompts=holding, yes=True)
    first = what_if.asked
    again = await what_if(prompts=holding, yes=True)

    asking = found["asking"]
    # a HOLD in the place of a BUY changes what later signals on the share are asked about
    bound = asking["questions"] + asking["further_at_most"]
    assert asking["questions"] <= first == asking["asked"] <= bound
    assert 0 < asking["spent_paise"] <= asking["most_paise"]
    assert "other decision" in changes_of(found)
    assert found["after"]["orders"] == 0
    assert what_if.asked == first
    assert (again["pairs"], again["not_asked"]) == (found["pairs"], 0)


async def test_the_record_stays_as_it_is(
    what_if: WhatIf, holding: Path, record: KafkaConnection
) -> None:
    before = await everything(record)

    await what_if(prompts=holding, yes=True)

    assert what_if.asked > 0
    assert await everything(record) == before


async def test_the_days_rules_are_those_of_its_manifest_and_not_of_the_folder(
    what_if: WhatIf, tape: Tape
) -> None:
    found = await what_if("decisions.flip_minutes=1")  # ATS_RULES names no file here

    assert found["before"]["signals"] == signals_of(tape) > 2


@pytest.mark.usefixtures("what_if")
async def test_another_day_than_the_recorded_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ATS_RULES")
    monkeypatch.setenv("ATS_CALENDAR", "every-day")
    changes = Changes.of(["decisions.min_reward=1"], (), rules=None, prompts=None, model="")
    other = DAY.replace(day=DAY.day + 1)

    with pytest.raises(Misconfigured, match="is it another day"):
        await run(
            WhatIfOptions(
                ReplayOptions(other, other, verify=False, demo=None, as_json=True), changes
            )
        )
