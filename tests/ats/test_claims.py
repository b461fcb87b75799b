"""`ats claims` as a person types it, against our migrations on Postgres."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio

from ats.commands.claims import OpenClaim, Verdict, correct, list_open, settle, why_open
from ats.runtime import exit_codes
from executors.orders.reconcile import CLAIM_LEASE, UNCLEAR_LIMIT
from schemas.errors import Misconfigured, TryLater
from schemas.ids import UserId
from schemas.messages import OrderIntent
from tests.database.fixtures import SupabaseStack, trading_user
from tests.executors.factories import an_intent

ORDER = str(uuid4())


def environment(stack: SupabaseStack) -> dict[str, str]:
    return {
        "ATS_ENV_FILE": "/dev/null",
        "SUPABASE_URL": stack.url,
        "SUPABASE_SERVICE_KEY": stack.secret_key,
    }


@pytest.fixture(autouse=True)
def settings(supabase_stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(supabase_stack).items():
        monkeypatch.setenv(name, value)


def verdict(order: object, outcome: str = "not_found", number: str | None = None) -> Verdict:
    return Verdict.of(str(order), outcome, number, reason="Dhan's order book shows it", by="Asha")


@pytest_asyncio.fixture
async def claimed(supabase_stack: SupabaseStack) -> OrderIntent:
    """An open claim, a minute old."""
    person, _ = await trading_user(supabase_stack)
    connection = await asyncpg.connect(supabase_stack.dsn)
    decision = await connection.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('RELIANCE', 'BUY', 'r')"
        " returning id"
    )
    intent = an_intent(UserId(person.id)).model_copy(
        update={"decision_id": decision, "id": uuid4()}
    )
    terms = {
        "event_time": int(intent.event_time),
        "instrument": str(intent.instrument),
        "symbol": "RELIANCE",
        "side": "BUY",
        "quantity": 10,
        "price": 150_300,
    }
    await connection.execute(
        "select claim_order($1, $2, $3, $4, $5)",
        person.id,
        decision,
        intent.id,
        intent.id.hex[:25],
        orjson.dumps(terms).decode(),
    )
    older = (
        "update private.order_claims set claimed_at = now() - interval '1 minute' where "
        "order_id = $1"
    )
    await connection.execute(older, intent.id)
    await connection.close()
    return intent


async def test_open_claims_are_json_lines_in_a_pipe(
    claimed: OrderIntent, capsys: pytest.CaptureFixture[str]
) -> None:
    await list_open()

    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["order_id"] == str(claimed.id)]
    assert (line["side"], line["quantity"], line["symbol"]) == ("BUY", 10, "RELIANCE")
    assert line["age_seconds"] >= 60
    assert line["why"] == "being looked up, if order workers are running"


async def printed_to(terminal: int) -> str:
    """All that comes until nobody holds its other end."""
    said = b""
    with suppress(OSError):  # EIO: that is how it ends
        while part := await asyncio.to_thread(os.read, terminal, 65_536):
            said += part
    return said.decode()


async def test_open_claims_are_a_table_on_a_terminal(
    supabase_stack: SupabaseStack, claimed: OrderIntent
) -> None:
    ours, theirs = pty.openpty()
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "COLUMNS": "250"}

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ats", "claims", "list"),
        stdout=theirs,
        stderr=theirs,
        env=bare | environment(supabase_stack),
    )
    os.close(theirs)

    printed = await printed_to(ours)
    assert await process.wait() == exit_codes.DONE
    (row,) = [line for line in printed.splitlines() if str(claimed.id) in line]
    assert "BUY 10 RELIANCE" in row


async def test_a_claim_is_settled_by_hand_once_and_then_only_corrected(
    claimed: OrderIntent, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(verdict(claimed.id))
    with pytest.raises(Misconfigured, match=r"settled already: not_found.*ats claims correct"):
        await settle(verdict(claimed.id))
    for _ in range(2):
        await correct(verdict(claimed.id, "accepted", "77"))

    said = capsys.readouterr().out
    assert "is settled: not_found (by_hand: Dhan's order book shows it)" in said
    assert "is corrected: accepted, Dhan's order 77" in said
    assert "needs no correction: accepted, Dhan's order 77" in said


async def test_an_order_that_may_still_be_on_its_way_is_left_alone(
    supabase_stack: SupabaseStack, claimed: OrderIntent
) -> None:
    connection = await asyncpg.connect(supabase_stack.dsn)
    younger = "update private.order_claims set claimed_at = now() where order_id = $1"
    await connection.execute(younger, claimed.id)
    await connection.close()

    with pytest.raises(TryLater, match="may still be on its way"):
        await settle(verdict(claimed.id))


async def test_an_open_order_is_settled_and_not_corrected(claimed: OrderIntent) -> None:
    with pytest.raises(Misconfigured, match="still open"):
        await correct(verdict(claimed.id))


@pytest.mark.parametrize("command", [settle, correct])
async def test_an_order_that_nobody_claimed_is_named(
    command: Callable[[Verdict], Awaitable[None]],
) -> None:
    with pytest.raises(Misconfigured, match=f"no order worker ever claimed order {ORDER}"):
        await command(verdict(ORDER))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"order": "52211"}, "no order id"),
        ({"outcome": "denied"}, "accepted, rejected, not_found"),
        ({"outcome": "accepted"}, "--dhan-order-id"),
        ({"dhan_order_id": "77"}, "leave out --dhan-order-id"),
        ({"outcome": "rejected", "dhan_order_id": "7 7"}, "no order id of Dhan's"),
        ({"reason": " "}, "--reason is empty"),
        ({"by": ""}, "--by is empty"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    changes: dict[str, str], says: str
) -> None:
    options = {
        "order": ORDER,
        "outcome": "not_found",
        "dhan_order_id": None,
        "reason": "looked",
        "by": "Asha",
    } | changes

    with pytest.raises(Misconfigured, match=says):
        Verdict.of(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age", "refusal", "says"),
    [
        (CLAIM_LEASE - 1, "token_expired", "may still be sending"),
        (CLAIM_LEASE, "token_expired", "the token has expired"),
        (CLAIM_LEASE, "other_account", "another account"),
        (CLAIM_LEASE, None, "being looked up"),
        (UNCLEAR_LIMIT, None, "are order workers running?"),
    ],
)
def test_why_a_claim_is_open_is_said_in_words(age: float, refusal: str | None, says: str) -> None:
    assert says in why_open(age, refusal)


def test_a_claim_of_an_older_version_has_no_terms() -> None:
    row = {"order_id": ORDER, "user_id": ORDER, "age_ms": 20_000, "correlation_id": "AT1"}
    unknown = dict.fromkeys(("symbol", "side", "quantity", "dhan_client_id", "refusal"))

    assert OpenClaim.read(row | unknown).symbol is None
