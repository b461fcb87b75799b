"""The operator's routes: how database and topics become one answer, and who is let in."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import httpx
import orjson
import pytest

from ats.gateway.console import (
    AskedApprovals,
    DhanAccount,
    Halt,
    OperatorAction,
    TradingState,
    state_of,
)
from ats.gateway.lags import FRESH, LagReader
from ats.gateway.office import STAYS, DatabaseAway, NoOperator, Roles, SupabaseOffice
from schemas.errors import TryLater
from schemas.messages import Preflight, Report, Signal
from schemas.units import UtcNs
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, a_decision, some_ticks
from tests.gateway.filled import DAY, NOW, Marks, filled, rising
from tests.gateway.gate import ASHA, BIMAL, SECRET, OpenOffice, StoredRecords, gate, token_of

CONSOLE: Final = "/v1/operator/console"
ROW: Final = {
    "id": 3,
    "user_id": str(BIMAL),
    "own": False,
    "halted_by": "Asha",
    "reason": "mute feed",
    "flatten": False,
    "all_orders": True,
    "since": "2026-11-20T09:15:00+05:30",
    "until": None,
}
USER: Final = {
    "user_id": str(BIMAL),
    "email": "b@example.org",
    "dhan_client_id": "1100000002",
    "is_trading_enabled": True,
    "token_expiry": None,
}
ASKED: Final = {
    "decision_id": str(uuid4()),
    "instrument": str(RELIANCE.id),
    "symbol": "RELIANCE",
    "action": "BUY",
    "price_paise": 150_000,
    "users": 1_200,
    "value_paise": 54_000_000,
    "asked_at": "2026-11-20T10:00:00+05:30",
    "deadline": "2026-11-20T10:01:00+05:30",
    "left_ms": 41_000,
    "answer": None,
    "answered_at": None,
    "answered_by": None,
    "answer_reason": None,
}
NO: Final = {
    "answer": "no",
    "answered_at": "2026-11-20T10:00:20+05:30",
    "answered_by": "Asha",
    "answer_reason": "thin",
}
MODE: Final = {
    "seconds": 60,
    "began_by": "Asha",
    "reason": "expiry day",
    "since": "2026-11-20T09:15:00+05:30",
}
APPROVALS: Final = {"mode": MODE, "waiting": [ASKED], "answered": [ASKED | NO]}
VIEW: Final = {"operator": "Asha", "users": [USER], "halts": [ROW], "approvals": APPROVALS}


def halts(*changes: dict[str, Any]) -> tuple[Halt, ...]:
    return tuple(Halt.of(ROW | change) for change in changes)


def office(status: int, answer: Any) -> tuple[SupabaseOffice, list[httpx.Request]]:
    """One whose database answers so, and what it was asked."""
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(
            status, content=answer if isinstance(answer, bytes) else orjson.dumps(answer)
        )

    http = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    return SupabaseOffice("http://supabase", "anon", http, lambda: 7), asked


class Machine:
    """A clock of seconds that a test moves."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("held", "state"),
    [
        ((), "ACTIVE"),
        (({"user_id": str(ASHA)},), "ACTIVE"),
        (({"all_orders": False},), "REDUCING"),
        (({"user_id": None, "all_orders": False},), "REDUCING"),
        (({"all_orders": False}, {"user_id": None}), "HALTED"),
    ],
)
def test_a_users_state_is_the_strictest_of_their_own_and_everybodys_halts(
    held: tuple[dict[str, Any], ...], state: str
) -> None:
    assert state_of(BIMAL, halts(*held)) is TradingState(state)


async def test_the_console_tells_each_user_once_with_account_state_and_day() -> None:
    async with gate(lags={"ats-streams": 4}) as made:
        made.office.operators = frozenset({ASHA})
        account = DhanAccount.of(USER)
        made.office.accounts, made.office.halts = (account,), halts({})
        made.tell(filled(Preflight, Marks("x", 1), user_id=str(ASHA), green=True, reds=[]))

        told = await made.json(CONSOLE)

    users = {user["user_id"]: user for user in told["users"]}
    assert users[str(BIMAL)]["account"]["email"] == "b@example.org"
    assert (users[str(BIMAL)]["state"], users[str(BIMAL)]["day"]) == ("HALTED", None)
    assert (users[str(ASHA)]["state"], users[str(ASHA)]["account"]) == ("ACTIVE", None)
    assert users[str(ASHA)]["day"]["positions"] == 0
    assert (told["operator"], told["state"], told["database_away"]) == ("Asha", "ACTIVE", False)
    assert (told["lags_known"], told["pipeline"]["lags"]) == (True, {"ats-streams": 4})


async def test_the_console_tells_what_waits_with_its_reasons_and_the_price_of_now() -> None:
    decision = a_decision()
    report = filled(Report, Marks("r", 1), signal_id=str(decision.signal_id))
    async with gate() as made:
        made.office.operators = frozenset({ASHA})
        named = APPROVALS | {"waiting": [ASKED | {"decision_id": str(decision.id)}, ASKED]}
        made.office.approvals = AskedApprovals.of(named)
        made.tell(decision, report)
        made.tell_prices(some_ticks((RELIANCE, TEN_O_CLOCK, 151_250)))

        told = (await made.json(CONSOLE))["approvals"]

    known, unknown = told["waiting"]
    assert (known["reasoning"], unknown["reasoning"]) == (decision.reasoning, None)
    assert [each["id"] for each in known["reports"]] == [str(report.id)]
    assert (known["reports"][0]["data"], unknown["reports"]) == ({}, [])
    assert (known["asked"]["price"], known["last_price"]["price"]) == (150_000, 151_250)
    assert (known["asked"]["answer"], known["asked"]["left_ms"]) == ("waiting", 41_000)
    assert (told["mode"]["seconds"], told["answered"][0]["answered_by"]) == (60, "Asha")


async def test_the_console_stays_while_the_database_is_away_and_kafka_says_nothing() -> None:
    async with gate() as made:
        made.office.operators, made.office.halts = frozenset({ASHA}), halts({})
        await made.json(CONSOLE)
        made.office.away = True

        told = await made.json(CONSOLE)
        stranger, _, _ = await made.get(CONSOLE, BIMAL)

    assert (told["database_away"], told["database_read_at"], len(told["halts"])) == (True, 1, 1)
    assert told["lags_known"] is False
    assert stranger == 503


async def test_actions_are_told_from_the_newest_on_and_before_one() -> None:
    row = {"operator": "Asha", "action": "halt", "user_id": None, "reason": "mute feed"}
    async with gate() as made:
        made.office.operators = frozenset({ASHA})
        made.office.done = tuple(
            OperatorAction.of(row | {"id": n, "at": ROW["since"]}) for n in (9, 8, 7)
        )
        told = await made.json("/v1/operator/actions")
        before = await made.json("/v1/operator/actions?before=8")

    assert [one["id"] for one in told["actions"]] == [9, 8, 7]
    assert [one["id"] for one in before["actions"]] == [7]


async def test_the_database_is_asked_with_the_operators_own_token() -> None:
    asking, asked = office(200, VIEW)

    view = await asking.view("token-of-asha")

    (request,) = asked
    assert str(request.url) == "http://supabase/rest/v1/rpc/operator_view"
    assert request.headers["authorization"] == "Bearer token-of-asha"
    assert request.headers["apikey"] == "anon"
    assert (view.operator, view.read_at, view.halts[0].state) == ("Asha", 7, TradingState.HALTED)
    assert view.halts[0].since == UtcNs(1_795_146_300_000_000_000)


async def test_what_the_database_answers_says_who_is_none_and_when_it_is_away() -> None:
    with pytest.raises(NoOperator):
        await office(403, {"code": "42501", "message": "only operators may"})[0].view("t")
    for status, answer in (
        *((500, b"<html>"), (403, b"<html>"), (401, {"code": "PGRST301"}), (200, {"users": 1})),
        *((200, b"[" + b" " * (5 << 20) + b"]"), (404, {"code": "PGRST202"})),
    ):
        with pytest.raises(DatabaseAway):
            await office(status, answer)[0].view("t")


async def test_who_was_an_operator_stays_one_for_half_an_hour_of_a_database_away() -> None:
    told, machine = OpenOffice(frozenset({ASHA})), Machine()
    roles, token = Roles(told, machine), token_of(ASHA, secret=SECRET)
    await roles.view(ASHA, token)
    told.away, machine.at = True, STAYS - 1
    _, away = await roles.view(ASHA, token)
    machine.at = STAYS
    with pytest.raises(DatabaseAway):
        await roles.view(ASHA, token)

    assert away


async def test_who_was_removed_is_none_at_once_and_stays_none_without_a_database() -> None:
    told = OpenOffice(frozenset({ASHA}))
    roles, token = Roles(told, Machine()), token_of(ASHA, secret=SECRET)
    await roles.view(ASHA, token)
    told.operators = frozenset()
    with pytest.raises(NoOperator):
        await roles.view(ASHA, token)
    told.away = True

    with pytest.raises(DatabaseAway):
        await roles.view(ASHA, token)


async def test_kafka_is_asked_what_waits_once_for_all_who_ask_within_seconds() -> None:
    machine, looks = Machine(), list[int]()

    async def look() -> dict[str, int]:
        looks.append(1)
        if len(looks) > 1:
            raise TryLater("no broker answers")
        return {"ats-streams": 4}

    reader = LagReader(look, machine)
    first, same = await reader.read(), await reader.read()
    machine.at = FRESH
    gone = await reader.read()

    assert first == same == {"ats-streams": 4}
    assert (gone, len(looks)) == (None, 2)


SCORES: Final = "/v1/operator/scorecard"


async def test_the_score_card_is_made_of_the_record_once_for_all_operators_who_ask() -> None:
    decision = a_decision(event_time=NOW, instrument=RELIANCE.id)
    signal = filled(Signal, Marks("s", 10**6), id=str(decision.signal_id))
    bars = [rising(minute) for minute in range(20)]
    record = StoredRecords(signal, decision, *bars)
    async with gate(record=record) as made:
        stranger, _, _ = await made.get(SCORES)
        made.office.operators = frozenset({ASHA, BIMAL})
        empty = await made.json(SCORES)
        made.tell(decision)
        told, again = await made.json(SCORES), await made.json(SCORES)

    assert stranger == 404
    assert (empty["trading_date"], empty["sections"], empty["decisions"]) == (None, [], 0)
    assert (told["trading_date"], told["decisions"]) == (DAY.isoformat(), 1)
    rules = next(each for each in told["sections"] if each["title"] == "Rules, BUY and SELL")
    (line,) = rules["lines"]
    assert (line["name"], line["count"], line["too_few"]) == (signal.rule, 1, True)
    assert line["gain"]["value"] > 0
    assert line["right"] == {"value": 1.0, "low": None, "high": None}
    assert again == told
    assert told["remarks"][0].startswith("Too few to say anything")


async def test_a_score_card_that_cannot_be_read_says_so() -> None:
    record = StoredRecords()
    record.away = TryLater("no broker answers")
    async with gate(record=record) as made:
        made.office.operators = frozenset({ASHA})
        made.tell(a_decision())
        status, body, _ = await made.get(SCORES)

    assert (status, orjson.loads(body)["error"]) == (503, "record_away")
