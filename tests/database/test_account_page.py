"""What the account page is told: orders and denials at market time, halts, the day used up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from tests.database.conftest import Connection
from tests.database.fixtures import (
    SignedInUser,
    SupabaseStack,
    an_order_worker_reports,
    signed_in_user,
    trading_user,
)

# of a replayed day: market time, never the time of recording
OPEN = datetime(2026, 11, 20, 3, 45, tzinfo=UTC)
USED_UP = "orders_of_the_day_used_up: the day's number of orders is used up"
LIMITS = "50000, 3"  # of each order in rupees, and orders a day


@pytest_asyncio.fixture
async def reports(supabase_stack: SupabaseStack, superuser: Connection) -> AsyncIterator[None]:
    """Only what a test reports; afterwards it is again as the other tests need it."""
    await superuser.execute("delete from private.platform_reports")
    await report(superuser)
    yield
    await superuser.execute("delete from private.platform_reports")
    await an_order_worker_reports(supabase_stack.dsn)


async def report(
    superuser: Connection,
    halted: str | None = None,
    market_time: datetime | None = OPEN,
    instance: str = "one",
    mode: str = "paper",
) -> None:
    await superuser.execute(
        f"select report_platform($1, $2, null, {LIMITS}, $3, $4)",
        *(instance, mode, halted, market_time),
    )


async def settle(
    superuser: Connection,
    user: SignedInUser,
    outcome: str,
    reason: str | None = None,
    *,
    after: timedelta = timedelta(),
    symbol: str = "TCS",
    terms: bool = True,
) -> UUID:
    """An order of the replayed day, `after` its opening."""
    decision: UUID = await superuser.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ($1, 'BUY', 'because') "
        "returning id",
        symbol,
    )
    order = uuid4()
    said = {"side": "BUY", "quantity": 1, "price": 100, "symbol": symbol, "instrument": "NSE_EQ:1"}
    event_time = int((OPEN + after).timestamp()) * 1_000_000_000
    text = orjson.dumps(said | {"event_time": event_time}).decode() if terms else None
    if outcome != "denied":
        claim = "select claim_order($1, $2, $3, $4, $5)"
        await superuser.execute(claim, user.id, decision, order, order.hex[:20], text)
    await superuser.execute(
        "select record_order_outcome($1, $2, $3, $4, $5, $6, $7)",
        *(user.id, decision, order, outcome),
        *("112233" if outcome == "accepted" else None, reason, text),
    )
    return decision


async def account(user: SignedInUser) -> Any:
    return (await user.client.rpc("own_account", {}).execute()).data


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


async def test_denials_of_one_day_with_the_same_reason_are_one_entry_and_orders_stay(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await settle(superuser, user, "accepted", symbol="RELIANCE")
    await settle(superuser, user, "rejected", "RMS: margin short", symbol="INFY")
    for at in range(34):
        await settle(superuser, user, "denied", USED_UP, after=minutes(at))
    for at in range(60):
        await settle(superuser, user, "denied", "quote_stale: too old", after=minutes(at))

    shown = await account(user)

    assert {order["symbol"] for order in shown["orders"]} == {"RELIANCE", "INFY"}
    assert [(one["code"], one["count"], one["day"]) for one in shown["denials"]] == [
        ("quote_stale", 60, "2026-11-20"),
        ("orders_of_the_day_used_up", 34, "2026-11-20"),
    ]


async def test_a_folded_entry_names_its_newest_ten_decisions(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    made = [
        await settle(superuser, user, "denied", f"{reason}: {at}", after=minutes(at))
        for at, reason in enumerate(["quote_stale"] * 12)
    ]

    (entry,) = (await account(user))["denials"]

    assert [UUID(one["decision_id"]) for one in entry["decisions"]] == made[:1:-1]
    assert entry["reason"] == "quote_stale: 11"
    assert datetime.fromisoformat(entry["market_time"]) == OPEN + minutes(11)


async def test_the_same_reason_on_another_market_day_is_another_entry(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    # 18:29 and 18:31 UTC: the Indian day begins between them
    for after in (timedelta(hours=14, minutes=44), timedelta(hours=14, minutes=46)):
        await settle(superuser, user, "denied", "feed_dead", after=after)

    shown = await account(user)

    assert [one["day"] for one in shown["denials"]] == ["2026-11-21", "2026-11-20"]


async def test_orders_stand_at_their_market_time_and_in_its_order(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await settle(superuser, user, "accepted", symbol="LATER", after=minutes(9))
    await settle(superuser, user, "accepted", symbol="EARLIER", after=minutes(2))
    before = datetime.now(UTC) - timedelta(minutes=5)
    await settle(superuser, user, "accepted", symbol="OLD_WORKER", terms=False)

    recorded, *orders = (await account(user))["orders"]

    assert [order["symbol"] for order in orders] == ["LATER", "EARLIER"]
    assert datetime.fromisoformat(orders[0]["market_time"]) == OPEN + minutes(9)
    assert recorded["symbol"] == "OLD_WORKER"
    assert datetime.fromisoformat(recorded["market_time"]) > before


async def test_the_newest_fifty_orders_are_shown(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    for at in range(52):
        await settle(superuser, user, "accepted", after=minutes(at), symbol=f"S{at}")

    orders = (await account(user))["orders"]

    assert [order["symbol"] for order in orders] == [f"S{at}" for at in range(51, 1, -1)]


async def test_nobody_reads_the_denials_of_another(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    mine, _ = await trading_user(supabase_stack)
    theirs, _ = await trading_user(supabase_stack)
    await settle(superuser, theirs, "denied", USED_UP)
    await settle(superuser, theirs, "accepted")

    shown = await account(mine)

    assert (shown["denials"], shown["orders"], shown["orders_used_up"]) == ([], [], False)


async def test_a_halt_is_told_with_the_mode_and_ends_when_it_ends(
    supabase_stack: SupabaseStack, superuser: Connection, reports: None
) -> None:
    user, _ = await trading_user(supabase_stack)

    await report(superuser, "outside_session")
    closed = (await account(user))["platform"]["halted"]
    await report(superuser)
    open_ = (await account(user))["platform"]["halted"]

    assert (closed, open_) == ("outside_session", None)


async def test_one_halted_order_worker_is_told_the_operators_stop_before_all_else(
    supabase_stack: SupabaseStack, superuser: Connection, reports: None
) -> None:
    user, _ = await trading_user(supabase_stack)

    await report(superuser, "kill_switch", instance="one")
    await report(superuser, "feed_dead", instance="two")
    await report(superuser, None, instance="three")
    stopped = (await account(user))["platform"]["halted"]
    aged = (
        "update private.platform_reports set reported_at = reported_at - interval '1 minute' "
        "where instance = $1"
    )
    await superuser.execute(aged, "one")
    gone = (await account(user))["platform"]["halted"]
    await superuser.execute(aged, "two")

    assert (stopped, gone) == ("kill_switch", "feed_dead")
    assert (await account(user))["platform"]["halted"] is None


async def test_a_halt_that_comes_or_goes_changes_no_terms(
    supabase_stack: SupabaseStack, superuser: Connection, reports: None
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()
    await report(superuser, "outside_session")
    shown = (await account(user))["platform"]
    await report(superuser)

    agreed = await user.client.rpc("switch_trading_on", {"p_terms": shown}).execute()

    assert agreed.data is True


async def test_a_halt_is_a_code(superuser: Connection, reports: None) -> None:
    with pytest.raises(Exception, match="platform_reports_halted_check"):
        await report(superuser, "Ask me <b>later</b>")


async def test_the_days_orders_are_used_up_from_the_first_denial_for_it_until_the_next_market_day(
    supabase_stack: SupabaseStack, superuser: Connection, reports: None
) -> None:
    user, _ = await trading_user(supabase_stack)

    for _ in range(3):
        await settle(superuser, user, "accepted")
    sent = (await account(user))["orders_used_up"]
    await settle(superuser, user, "denied", USED_UP)
    denied = (await account(user))["orders_used_up"]
    await report(superuser, market_time=OPEN + timedelta(days=1))
    next_day = (await account(user))["orders_used_up"]

    assert (sent, denied, next_day) == (False, True, False)


async def test_a_raised_limit_leaves_orders_again(
    supabase_stack: SupabaseStack, superuser: Connection, reports: None
) -> None:
    user, _ = await trading_user(supabase_stack)
    for _ in range(3):
        await settle(superuser, user, "accepted")
    await settle(superuser, user, "denied", USED_UP)

    await superuser.execute("update private.platform_reports set max_orders_per_day = 4")

    assert (await account(user))["orders_used_up"] is False
