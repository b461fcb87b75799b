"""What a record was made under is compared with what is set here, before anything is replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ats.replay.day_settings import DaySettings, day_settings
from ats.replay.inputs import calendar_for, inputs_here, read_instruments, told_by
from ats.replay.source import Source
from ats.services import calendars
from ats.services.manifests.common import instruments_of
from ats.services.streams import computed_under
from ats.settings import Settings
from audit.manifest import RecordedManifest
from bus.connection import KafkaConnection
from dhan.instruments import Master
from schemas.calendar import EVERY_DAY, Calendar
from schemas.calendar_file import exchange_calendar
from schemas.errors import Misconfigured, TryLater
from schemas.ids import derive
from schemas.manifest import Inputs
from schemas.units import Quantity, UtcNs
from tests.executors.factories import RELIANCE

DAY = date(2026, 11, 20)
RULES = '[rules.ema_cross]\ntimeframe = "15m"\n'


def here(calendar: Calendar = EVERY_DAY, **settings: Any) -> dict[str, Inputs]:
    chosen = Settings(_env_file=None, **settings)
    return inputs_here(chosen, computed_under(chosen, calendar), calendar)


def a_record(inputs: dict[str, Inputs]) -> list[RecordedManifest]:
    """The manifests of a day that was made under `inputs`."""
    return [
        RecordedManifest(derive("manifest", service), service, DAY, UtcNs(1), given, {})
        for service, given in inputs.items()
    ]


def test_a_record_that_was_made_under_the_same_inputs_differs_in_none() -> None:
    assert told_by(a_record(here()), here()).differing == ()


def test_another_rules_file_is_named(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)

    found = told_by(a_record(here()), here(ats_rules=rules))

    assert found.differing
    assert all(line.startswith("streams: rules: ") for line in found.differing)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ats_news": "sample"}, "agents: news: "),
        ({"ats_min_confidence": 60}, "agents: decisions: "),
        ({"ats_shortlist": 3}, "agents: scout: "),
        ({"ats_max_order_value_rupees": 7}, "executors: limits: "),
        ({"ats_timeframes": ("1m", "5m")}, "streams: timeframes: "),
        ({"calendar": exchange_calendar()}, "streams: calendar: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_input_that_is_another_here_is_named(changed: dict[str, Any], named: str) -> None:
    found = told_by(a_record(here()), here(**changed))

    assert any(line.startswith(named) for line in found.differing), found.differing


async def test_the_record_says_which_shares_close_in_an_auction_and_no_master_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(_: Settings) -> Master:
        raise TryLater("the instrument master did not come")

    monkeypatch.setattr(calendars, "instrument_master", away)
    settings = Settings(_env_file=None)
    shares = frozenset({RELIANCE.id})
    told = a_record(here(exchange_calendar().with_auction_shares(shares)))

    assert (await calendar_for(told, settings)).auction_shares == shares
    with pytest.raises(TryLater):
        await calendar_for(a_record(here()), settings)


def test_an_archive_without_the_day_says_which_days_it_holds() -> None:
    source = Source(KafkaConnection("nowhere:1"), Settings(_env_file=None), (DAY,))

    source.check_holds(DAY, DAY)
    with pytest.raises(Misconfigured, match="holds 2026-11-20 and nothing of 2026-11-21"):
        source.check_holds(DAY + timedelta(days=1), DAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("streams", "calendar", {"regular": [1]}),
        ("streams", "timeframes", 5),
        ("agents", "decisions", {"limits": {"cooldown": "soon"}}),
        ("executors", "user_limits", {"nobody": {}}),
        ("executors", "square_off", {"clock": 2**70}),
    ],
)
def test_what_another_build_wrote_and_nobody_here_understands_is_refused_in_one_line(
    service: str, name: str, value: Any
) -> None:
    with pytest.raises(Misconfigured, match="this version of ATS") as refused:
        day_settings(a_record({service: {name: value}}), DaySettings())

    assert "\n" not in str(refused.value)


def test_another_prompt_is_named_and_another_build_only_noted() -> None:
    recorded = here()
    recorded["agents"] = {**recorded["agents"], "prompts": {"version": "1"}, "build": "older"}

    found = told_by(a_record(recorded), here())

    assert [line[:17] for line in found.differing] == ["agents: prompts: "]
    assert [note[:36] for note in found.notes] == ["another build made the record: agent"]


def test_instruments_are_those_of_the_record() -> None:
    odd = replace(RELIANCE, lot_size=Quantity(RELIANCE.lot_size * 7), freeze_quantity=None)

    assert read_instruments(instruments_of([odd])) == {odd.id: odd}
    assert read_instruments({"columns": ["symbol"], "rows": {"NSE_EQ:1": ["X"]}}) is None
    assert read_instruments(None) is None
