"""What the demo tells a person: who is who, what became of each decision, and what to type."""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path
from uuid import UUID

import pytest
import typer
from rich.console import Console

from ats.cli import app
from ats.demo import words
from ats.demo.report import SIGNED, summary
from ats.demo.result import Played
from ats.demo.tally import Promise, Tally
from ats.demo.users import DemoUser, Visitor
from ats.demo.view import View
from ats.runtime import exit_codes
from executors.reasons import for_user
from executors.risk.denial import Denial
from schemas import topics
from schemas.ids import UserId, derive
from schemas.market import Action, Side
from schemas.messages import FanOut, Outcome, WithoutOrder
from schemas.units import Quantity
from simulator.market.session import market_session
from tests.ats.factories import (
    ASHA,
    DAY,
    MADE_UNDER,
    TCS,
    a_batch,
    a_decision,
    a_record,
    a_signal,
    an_execution,
    an_intent,
    recorded,
)

BALA = UserId(UUID(int=2))
USED_UP = for_user(Denial.ORDERS_OF_THE_DAY_USED_UP)


def tally_of(*records: object) -> Tally:
    tally = Tally()
    for record in (recorded(topics.MANIFEST, MADE_UNDER), *records):
        tally.take(record)  # type: ignore[arg-type]
    return tally


def denied(**changes: object) -> object:
    whole = {
        "id": derive("execution", "denied"),
        "outcome": Outcome.DENIED,
        "reason_code": Denial.ORDERS_OF_THE_DAY_USED_UP,
        "reason": USED_UP,
        "dhan_order_id": None,
        "user_id": BALA,
        "order_id": an_intent(BALA).id,
    }
    return recorded(topics.EXECUTIONS, an_execution(**(whole | changes)))


def asked(user: UserId = ASHA) -> object:
    return recorded(topics.ORDERS, an_intent(user))


def a_day() -> list[object]:
    """One decision: accepted for asha, denied to bala."""
    return [
        a_record(topics.TICKS, a_batch(3)),
        recorded(topics.SIGNALS, a_signal()),
        recorded(topics.DECISIONS, a_decision()),
        asked(),
        recorded(topics.EXECUTIONS, an_execution()),
        asked(BALA),
        denied(),
    ]


def a_fan_out(*without: WithoutOrder) -> object:
    decision = a_decision()
    message = FanOut(
        id=derive("fanout", decision.id),
        event_time=decision.event_time,
        decision_id=decision.id,
        instrument=TCS,
        symbol="TCS",
        action=Action.BUY,
        orders=0,
        without=without,
    )
    return recorded(topics.FANOUTS, message)


@pytest.mark.parametrize(
    ("records", "fate"),
    [
        ([], "on its way to the users"),
        ([asked(), asked(BALA)], "2 under way"),
        (
            [asked(), asked(BALA), recorded(topics.EXECUTIONS, an_execution())],
            "1 accepted, 1 under way",
        ),
        (a_day()[3:], f"1 accepted, 1 denied: {USED_UP}"),
        (
            [a_fan_out(WithoutOrder(user_id=ASHA, reason_code="switched_off"))],
            "no order: Trading was switched off.",
        ),
        ([a_fan_out()], "no order: nobody trades"),
    ],
)
def test_each_decision_carries_what_became_of_it(records: list[object], fate: str) -> None:
    assert tally_of(*records).fate(a_decision()) == fate


def test_a_reason_without_words_is_given_by_its_code() -> None:
    tally = tally_of(denied(reason="", reason_code="DH-999"))

    assert tally.denials == {(Outcome.DENIED, "DH-999"): 1}


@pytest.mark.parametrize(("quantity", "broken"), [(10, True), (11, False)])
def test_a_closing_order_that_the_days_number_denied_breaks_a_promise(
    quantity: int, broken: bool
) -> None:
    bought = recorded(topics.EXECUTIONS, an_execution())
    refused = denied(user_id=ASHA, side=Side.SELL, quantity=Quantity(quantity))

    promises = tally_of(*a_day()[:4], bought, refused).promises()

    assert bool(promises[Promise.EXITS_WORK]) is broken


def panel(records: list[object], **console: object) -> str:
    out = io.StringIO()
    shown = Console(file=out, width=120, height=40, force_terminal=True, **console)  # type: ignore[arg-type]
    view = View(shown, tally_of(*records), market_session(DAY))
    with view:
        view.draw("market open")
    return out.getvalue()


def test_the_live_view_shows_decision_reason_and_outcome() -> None:
    shown = panel(a_day(), color_system=None)

    assert re.search(r"09:20  BUY  TCS at \S+: the trend is up", shown)
    assert f"→ 1 accepted, 1 denied: {USED_UP}" in shown


def test_sides_have_colours_that_no_color_takes_away() -> None:
    green = "\x1b[1;32mBUY"

    assert green in panel(a_day(), color_system="standard", _environ={})
    assert green not in panel(a_day(), color_system="standard", _environ={"NO_COLOR": "1"})
    assert "32m" not in panel(a_day(), color_system="standard", _environ={"NO_COLOR": "1"})


def summary_of(records: list[object], **changes: object) -> tuple[int, str]:
    out = io.StringIO()
    asha = DemoUser("asha", "1100000001", "token", active=True, id=ASHA)
    whole = {
        "tally": tally_of(*records),
        "users": [asha],
        "comparisons": [],
        "ticks_sent": 3,
        "bad_rows": [],
        "restarts": 0,
        "seconds": 60.0,
    }
    played = Played(**(whole | changes))  # type: ignore[arg-type]
    return summary(Console(file=out, width=200), played), out.getvalue()


def test_the_summary_names_every_promise_and_says_that_the_model_is_scripted() -> None:
    _, said = summary_of(a_day())

    for promise in Promise:
        assert f"held    {promise}" in said
    assert "Scripted: the model. It is called `simulated`" in said


def test_a_broken_promise_is_named_with_what_breaks_it() -> None:
    code, said = summary_of(a_day()[:-1])

    assert code == exit_codes.BROKEN
    assert re.search(f"broken  {Promise.ANSWERED}\n +1 orders without an outcome", said)
    assert "Every promise that was checked held." not in said


def test_the_summary_says_in_words_what_was_denied_and_that_exits_are_not_counted() -> None:
    _, said = summary_of(a_day())

    assert f"1 denied: {USED_UP}\n" in said
    assert words.CUT_OFF in said


def test_who_came_in_by_the_page_stands_among_the_users() -> None:
    _, said = summary_of(a_day(), visitors=[Visitor("you@example.com", active=True, id=BALA)])

    assert re.search(r"you@example.com\W+on\W+0", said)


def test_a_day_without_signals_breaks_no_promise_under_rules_of_ones_own(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"

    _, said = summary_of([a_record(topics.TICKS, a_batch(3))], rules=rules)

    assert "there are ticks and candles" in said
    assert "got an order" not in said
    assert f"paper --rules {rules} --keep" in words.next_steps(None, DAY, rules)


def test_kept_data_can_be_served_again_by_a_command_that_is_named(tmp_path: Path) -> None:
    assert f"demo --serve {tmp_path}  " in words.next_steps(tmp_path, None)
    assert "--serve" not in words.next_steps(None, DAY)


def test_a_kept_day_that_is_not_as_it_was_signed_breaks_a_promise() -> None:
    _, said = summary_of(a_day(), unsigned=[])
    _, told = summary_of(a_day(), unsigned=["changed ats.orders-0@1"])
    _, unkept = summary_of(a_day())

    assert f"held    {SIGNED}" in said
    assert re.search(f"broken  {SIGNED}\n +changed ats.orders-0@1", told)
    assert SIGNED not in unkept


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own in `my folder/.venv`, not on PATH; one is in `my folder`."""
    home = tmp_path / "my folder"
    scripts = home / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "ats").write_text("")
    (scripts / "ats").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(home)
    return scripts


def test_ats_is_typed_by_its_place_when_it_is_not_on_path(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert words.typed() == ".venv/bin/ats"

    monkeypatch.chdir("/usr")
    assert words.typed() == f"'{installed}/ats'"


def test_ats_is_typed_by_its_name_when_that_is_this_one(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(installed))

    assert words.typed() == "ats"


def test_another_ats_on_path_is_not_ours(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ats").write_text("")
    (tmp_path / "ats").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert words.typed() == ".venv/bin/ats"


def test_without_a_script_the_module_is_run(installed: Path) -> None:
    (installed / "ats").unlink()

    assert words.typed() == f"'{installed}/python' -m ats"


def commands_in(text: str) -> list[list[str]]:
    lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    return [shlex.split(re.split(r"  +", line)[0]) for line in lines]


@pytest.mark.parametrize(
    "text",
    [
        words.meanwhile("127.0.0.1:9", other_kafka=False, page=None),
        words.kept_at("127.0.0.1:9", "http://127.0.0.1:8", Path("keys"), other_kafka=False),
        words.next_steps(None, DAY),
        words.next_steps(Path("kept"), DAY),
    ],
    ids=["meanwhile", "kept", "next", "next of kept"],
)
def test_every_command_that_is_suggested_is_one(text: str) -> None:
    ats = typer.main.get_command(app)
    found = commands_in(text)

    assert len(found) >= 3
    for _, name, *arguments in found:
        if name.startswith("-"):  # an option of `ats` itself, which answers and ends
            with pytest.raises(typer.Exit):
                ats.make_context("ats", [name, *arguments])
        else:
            ats.commands[name].make_context(name, arguments)  # type: ignore[attr-defined]


def test_the_broker_and_the_page_are_told_and_a_broker_of_ones_own_is_not_asked() -> None:
    said = words.meanwhile("127.0.0.1:9", other_kafka=True, page="http://127.0.0.1:3")

    assert "Kafka is at 127.0.0.1:9. The page is at http://127.0.0.1:3" in said
    assert said.count("  KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9 ") == 4
