"""What differs between a recorded manifest and today's inputs, in a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue

from agents.news import FileNews, Headline, NewsSource, NoNews
from agents.prompts import PROMPTS, Agent
from ats.services.calendars import calendar_of
from ats.services.llm import endpoints_of, options_of, prices_of, scout_options_of
from ats.services.manifests.committee import agent_inputs
from ats.services.manifests.common import instruments_of
from ats.services.manifests.market import engine_inputs
from ats.services.manifests.orders import (
    ban_inputs,
    egress_of,
    halt_inputs,
    limit_inputs,
    member_inputs,
)
from ats.services.streams import computed_under
from ats.settings import Settings
from audit.manifest import Manifests, RecordedManifest, differences, named_by
from bus.records import Record
from executors.limits import LimitsInForce, OwnLimits
from executors.members import Member, Members
from executors.modes import Mode, validate_mode
from executors.risk.ban_list import BanList
from executors.store import Halt, Halts
from schemas.calendar import Calendar
from schemas.codec import encode
from schemas.errors import Unreadable
from schemas.ids import DhanClientId, UserId
from schemas.manifest import HEADER, Inputs, canonical, contents_of, manifest_of
from schemas.market import Instrument
from schemas.messages import Message
from schemas.topics import MANIFEST, MANIFEST_CONTENTS, Topic
from schemas.units import Paise, Quantity, UtcNs
from streams.engine.config import EngineConfig
from streams.rules.config import rule_set_of
from tests.ats.factories import OPEN, TCS

DAY = date(2026, 11, 20)
WRITTEN = UtcNs(OPEN + UtcNs.minutes(1))
SECRETS = {"openai_api_key": "sk-never-write-this", "ats_small_model_api_key": "sk-nor-this"}


def a_record(topic: Topic, message: Message, published_at: UtcNs = WRITTEN) -> Record:
    return Record(topic.name, 0, 0, b"", encode(message), published_at)


def recorded(inputs: Inputs, service: str = "streams") -> RecordedManifest:
    """`inputs` as they are read back."""
    manifest, manifests = manifest_of(service, inputs, OPEN), Manifests()
    manifests.take(a_record(MANIFEST, manifest))
    for content in contents_of(manifest, inputs):
        manifests.take(a_record(MANIFEST_CONTENTS, content))
    found = manifests.get(manifest.id)
    assert found is not None
    return found


def the_sentence(before: Inputs, after: Inputs) -> str:
    (only,) = differences(recorded(before), after)
    return only.sentence


def engine(tmp_path: Path, rules: str, calendar: str = "") -> Inputs:
    (tmp_path / "rules.toml").write_text(rules)
    (tmp_path / "calendar.toml").write_text(calendar)
    settings = Settings(
        _env_file=None,
        ats_rules=tmp_path / "rules.toml",
        ats_calendar=tmp_path / "calendar.toml",
    )
    return engine_inputs(*computed_under(settings, calendar_of(settings)))


def committee(news: NewsSource) -> Inputs:
    settings = Settings(
        _env_file=None,
        openai_base_url="https://llm.example:8443/v1?key=hidden",
        ats_small_model="https://small.example/v1#small",
        ats_small_model_price_rupees=(13, 50),
        **SECRETS,  # type: ignore[arg-type]
    )
    return agent_inputs(
        settings,
        endpoints=endpoints_of(settings),
        prices=prices_of(settings, endpoints_of(settings)),
        news=news,
        options=options_of(settings),
        scout=scout_options_of(settings),
        calendar=calendar_of(settings),
        symbols=("TCS",),
    )


def headlines(text: str) -> FileNews:
    headline = Headline(published_at=OPEN, source="wire", text=text)
    return FileNews({"TCS": [headline]})


RSI = "[rules.rsi_reversal]\nlow = {}\n"


def test_equal_configuration_differs_in_nothing(tmp_path: Path) -> None:
    assert differences(recorded(engine(tmp_path, "")), engine(tmp_path, "")) == ()


def test_a_parameter_of_a_rule_is_named_with_both_values(tmp_path: Path) -> None:
    before, after = (engine(tmp_path, RSI.format(low)) for low in (25, 20))

    assert "rules.rsi_reversal.parameters.low is 25.0 in the record and 20.0 here" in the_sentence(
        before, after
    )


def test_a_holiday_that_only_one_calendar_has_is_named(tmp_path: Path) -> None:
    closed = '[[holidays]]\nday = 2026-11-20\nname = "A strike"\n'
    before, after = engine(tmp_path, "", closed), engine(tmp_path, "")

    sentence = the_sentence(before, after)

    assert sentence.startswith("calendar: holidays has ")
    assert "'2026-11-20'" in sentence
    assert sentence.endswith("in the record and not here")


def test_another_lot_size_is_named_with_its_instrument() -> None:
    small = Instrument(TCS, "TCS", "TCS", "EQUITY", Quantity(1), Paise(5))
    large = Instrument(TCS, "TCS", "TCS", "EQUITY", Quantity(25), Paise(5))
    before, after = ({"instruments": instruments_of([each])} for each in (small, large))

    assert the_sentence(before, after) == (
        "instruments: NSE_EQ:11536.lot_size is 1 in the record and 25 here"
    )


def test_other_headlines_are_named() -> None:
    before, after = (committee(headlines(text)) for text in ("wins an order", "loses an order"))

    sentence = the_sentence(before, after)

    assert sentence == (
        "news: content.TCS[0].text is 'wins an order' in the record and 'loses an order' here"
    )


def test_another_prompt_is_named_with_its_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    before = committee(NoNews())
    spec = replace(PROMPTS[Agent.COMMANDER], instructions="Always buy.")
    monkeypatch.setattr(
        "ats.services.manifests.committee.PROMPTS", {**PROMPTS, Agent.COMMANDER: spec}
    )

    sentence = the_sentence(before, committee(NoNews()))

    assert sentence.startswith("prompts: agents.commander.instructions is ")
    assert sentence.endswith("in the record and 'Always buy.' here")


def test_a_user_whose_limits_are_others_is_named() -> None:
    user = UserId(UUID(int=7))
    before, after = (
        limit_inputs(LimitsInForce(1, {user: OwnLimits(max_order_value=Paise(paise))}))
        for paise in (100, 200)
    )

    assert the_sentence(before, after) == (
        f"user_limits: {user}.max_order_value is 100 in the record and 200 here"
    )


PAPER, LEAVES = "http://127.0.0.1:1", "1100000001=127.0.0.1"
HALT = Halt(
    None, flatten=False, broker_kill=False, since=datetime.now(UTC), reason="because of Bala"
)
SAIL, BHEL = (BanList(date(2026, 11, 20), frozenset({name})) for name in ("SAIL", "BHEL"))
MEMBER = Member(UserId(UUID(int=7)), DhanClientId("1100000001"), "203.0.113.7", in_force=True)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ban_inputs(SAIL), ban_inputs(BHEL), "ban_list: symbols[0] is 'SAIL' in the record"),
        (ban_inputs(SAIL), ban_inputs(None), "ban_list: "),
        (halt_inputs(Halts("1", ())), halt_inputs(Halts("2", (HALT,))), "halts: {"),
        (
            member_inputs(Members("1", (MEMBER,))),
            member_inputs(Members("2", (replace(MEMBER, in_force=False),))),
            "members: ",
        ),
        (
            {"egress": egress_of(validate_mode(Mode.PAPER, PAPER))},
            {"egress": egress_of(validate_mode(Mode.PAPER, PAPER, egress=[LEAVES]))},
            "egress: accounts is 0 in the record and 1 here",
        ),
    ],
    ids=["ban list", "no ban list", "halt", "member", "egress"],
)
def test_what_lets_an_order_leave_or_not_is_named_when_it_changes(
    before: Inputs, after: Inputs, said: str
) -> None:
    assert said in the_sentence(before, after)


def test_accounts_addresses_and_reasons_of_people_stay_out_of_manifests() -> None:
    rules = validate_mode(Mode.PAPER, PAPER, egress=[LEAVES])
    written = canonical(
        {
            "egress": egress_of(rules),
            **halt_inputs(Halts("1", (HALT,))),
            **member_inputs(Members("1", (MEMBER,))),
        }
    )

    for private in (b"1100000001", b"127.0.0.1", b"203.0.113.7", b"Bala"):
        assert private not in written


def test_at_most_three_places_are_told() -> None:
    before: Inputs = {"limits": dict.fromkeys("abcdef", 1)}
    after: Inputs = {"limits": dict.fromkeys("abcdef", 2)}

    sentence = the_sentence(before, after)

    assert sentence.count("in the record") == 3
    assert sentence.endswith(", and more")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"talib": 1}, {}, "talib: recorded, but not given here"),
        ({}, {"talib": 1}, "talib: given here, but not recorded"),
        ({"flag": 1}, {"flag": True}, "flag: 1 in the record and True here"),
        ({"order": ["a", "b"]}, {"order": ["b", "a"]}, "order: it has another order"),
    ],
)
def test_an_input_that_only_one_side_has_is_named(
    before: dict[str, JsonValue], after: dict[str, JsonValue], said: str
) -> None:
    assert the_sentence(before, after).startswith(said)


def test_a_content_that_was_not_kept_is_compared_by_its_digest() -> None:
    long: list[JsonValue] = [f"NSE_EQ:{nth}" for nth in range(200)]
    manifest, manifests = manifest_of("feed", {"watch_list": long}, OPEN), Manifests()
    manifests.take(a_record(MANIFEST, manifest))
    found = manifests.get(manifest.id)
    assert found is not None

    assert differences(found, {"watch_list": long}) == ()
    assert [each.name for each in differences(found, {"watch_list": long[1:]})] == ["watch_list"]


def test_what_a_manifest_keeps_makes_the_same_rules_and_calendar_again(tmp_path: Path) -> None:
    inputs = recorded(engine(tmp_path, RSI.format(25))).inputs
    rules = inputs["rules"]
    assert isinstance(rules, dict)
    assert isinstance(rules["document"], dict)

    again = engine_inputs(
        rule_set_of(rules["document"]),
        EngineConfig(calendar=Calendar.model_validate(inputs["calendar"])),
    )

    assert again == inputs


def test_no_key_and_no_more_of_an_address_than_its_host_is_written_down() -> None:
    written = repr(committee(NoNews()))

    assert "llm.example" in written
    assert "small.example" in written
    assert not [each for each in (*SECRETS.values(), "hidden", ":8443", "/v1") if each in written]


def test_manifests_of_a_day_stand_in_the_order_written_each_start_for_itself() -> None:
    manifests = Manifests()
    first, second = (manifest_of("streams", {"nth": nth}, OPEN) for nth in (1, 2))
    other_day = manifest_of("streams", {"nth": 1}, UtcNs(OPEN - UtcNs.minutes(24 * 60)))
    for minute, manifest in ((3, first), (1, first), (2, second), (4, other_day)):
        manifests.take(a_record(MANIFEST, manifest, UtcNs(OPEN + UtcNs.minutes(minute))))
    manifests.take(Record(MANIFEST.name, 0, 9, b"", b"poison", WRITTEN))

    assert [each.inputs["nth"] for each in manifests.of_day(DAY, "streams")] == [1, 2, 1]
    assert manifests.of_day(DAY, "books") == []


def test_a_record_names_its_manifest_in_a_header() -> None:
    manifest = manifest_of("streams", {}, OPEN)
    record = a_record(MANIFEST, manifest)

    assert named_by(record) is None
    assert named_by(replace(record, headers={HEADER: str(manifest.id).encode()})) == manifest.id
    with pytest.raises(Unreadable, match="not an id"):
        named_by(replace(record, headers={HEADER: b"\xff"}))
