"""`ats evaluate`: two ways of deciding on the same signals, and what the difference is worth."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from ats.replay.options import ReplayOptions
from ats.scorecard.evaluate import EvaluateOptions, _Days, names_of, run
from audit.scorecard.forecasts import Forecast, Recorded, forecasts_of
from audit.scorecard.paired import paired
from audit.scorecard.prices import Prices
from audit.whatif.asking import Bill
from bus.connection import KafkaConnection
from schemas.errors import Misconfigured
from schemas.market import Action
from schemas.messages import Candle, Decision, Signal
from schemas.units import Paise
from tests.audit.recorded_day import ScriptedModel, a_recorded_day
from tests.audit.scorecard_days import at_once, walks
from tests.audit.test_replay_command import DAY, a_tape, write
from tests.audit.test_scorecard import coins


@pytest.fixture(scope="module")
def market() -> list[Candle]:
    return walks(3, 8)


def forecasts(pairs: list[tuple[Signal, Decision]]) -> tuple[Forecast, ...]:
    signals, decisions = [each for each, _ in pairs], [each for _, each in pairs]
    return forecasts_of(Recorded(signals, (), decisions), at_once).decisions


def test_a_way_of_deciding_differs_from_itself_by_nothing(market: list[Candle]) -> None:
    same = forecasts(coins(3, 8))

    found = paired(same, same, Prices(market), seed=7)

    assert (found.changed, found.difference.value) == (0, 0.0)
    assert "cannot be told from the first" in found.sentence


def test_who_leaves_out_what_would_lose_is_better_beyond_chance(market: list[Candle]) -> None:
    pairs, prices = coins(3, 8), Prices(market)
    wiser = []
    for signal, decision in pairs:
        gained = prices.after(decision.instrument, decision.event_time)
        assert gained is not None
        loses = bool(gained[1] > 0) is (decision.action is Action.SELL)
        action = Action.HOLD if loses else decision.action
        wiser.append((signal, decision.model_copy(update={"action": action})))

    found = paired(forecasts(pairs), forecasts(wiser), prices, seed=7)
    back = paired(forecasts(wiser), forecasts(pairs), prices, seed=7)

    assert found.changed > 0
    assert found.sentence.startswith("The second is better beyond chance")
    assert back.sentence.startswith("The second is worse beyond chance")


def test_signals_of_one_side_alone_are_left_out(market: list[Candle]) -> None:
    whole = forecasts(coins(3, 8))

    found = paired(whole, whole[:5], Prices(market), seed=7)

    assert found.signals == 5
    assert found.sentence.startswith("Too few")


@pytest.mark.parametrize("count", [0, 3])
def test_neither_no_prompt_nor_three_can_be_compared(count: int) -> None:
    day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=True)
    with pytest.raises(Misconfigured, match="one --prompt"):
        EvaluateOptions(day, (Path("a.toml"),) * count)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def record(broker: KafkaConnection) -> KafkaConnection:
    """A recorded morning, which is only read."""
    tape = await asyncio.to_thread(a_tape)
    await write(broker, await asyncio.to_thread(a_recorded_day, tape))
    return broker


@pytest.mark.asyncio(loop_scope="package")
async def test_a_prompt_is_asked_after_a_yes_only_and_held_against_the_record(
    record: KafkaConnection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models: list[ScriptedModel] = []

    def model(_endpoint: object, _http: object, prompts: Any) -> ScriptedModel:
        models.append(ScriptedModel(prompts))
        return models[-1]

    async def evaluated(*, yes: bool) -> Any:
        day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=True)
        capsys.readouterr()
        await run(EvaluateOptions(day, (holding,), yes=yes, answers=tmp_path / "answers.jsonl"))
        said = capsys.readouterr()
        assert "must be asked anew" in said.err or not yes
        return json.loads(said.out.splitlines()[-1])

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", record.bootstrap_servers)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr("ats.replay.asking.Model", model)
    holding = tmp_path / "holding.toml"
    holding.write_text('commander = "Hold, whatever they report."\n')

    unasked, asked = await evaluated(yes=False), await evaluated(yes=True)

    assert unasked["unknown"] > 0
    assert asked["unknown"] == 0
    assert sum(len(each.asked) for each in models) > 0
    assert [each["name"] for each in asked["ways"]] == ["as recorded", "holding.toml"]
    assert asked["ways"][1]["card"]["acted"]["count"] == 0
    assert asked["paired"]["changed"] == asked["ways"][0]["card"]["acted"]["count"]


@pytest.mark.asyncio(loop_scope="package")
async def test_a_model_of_unknown_price_is_not_asked_whatever_was_agreed_to(
    record: KafkaConnection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def model(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", record.bootstrap_servers)
    monkeypatch.setenv("ATS_MODEL_API_KEY", "k")
    monkeypatch.setattr("ats.replay.asking.Model", model)
    holding = tmp_path / "holding.toml"
    holding.write_text('commander = "Hold."\n')
    day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=True)
    unheard_of = "https://llm.example/v1#unheard-of"

    await run(EvaluateOptions(day, (holding,), unheard_of, yes=True, answers=tmp_path / "a"))

    said = capsys.readouterr().err
    assert "price unknown" in said
    assert "Nobody is asked" in said


def test_two_prompts_of_one_file_name_are_told_apart() -> None:
    paths = Path("old/commander.toml"), Path("new/commander.toml")

    assert names_of(paths) == ["old/commander.toml", "new/commander.toml"]
    assert names_of(paths[:1]) == ["as recorded", "commander.toml"]


class _Asked:
    """A model with a key."""

    def has_key(self, _: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("line", "agreed"),
    [("y\n", True), ("yes\n", True), ("nay\n", False), ("\n", False), ("", False)],
)
async def test_nothing_but_a_yes_lets_a_prompt_be_asked(
    line: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def typed() -> str:
        return line

    monkeypatch.setattr("ats.replay.asking.typed_line", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=True)
    options = EvaluateOptions(day, (Path("a.toml"),))
    unused: Any = None
    source: Any = SimpleNamespace(settings=None)
    asked: Any = _Asked()
    days = _Days(options, source, unused, asked, unused, Console(stderr=True))

    assert await days.agreed([Bill("m", 1, 0, Paise(5))]) is agreed


async def test_a_prompt_file_that_cannot_be_used_is_said_before_a_record_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    day = ReplayOptions(DAY, DAY, verify=False, demo=None, as_json=True)

    with pytest.raises(Misconfigured, match="nofile"):
        await run(EvaluateOptions(day, (tmp_path / "nofile.toml",)))
