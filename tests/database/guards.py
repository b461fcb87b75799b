"""What policies and locks promise, each as one check of a whole database: `test_guards.py` runs
them over ours, and over mutants.

A lock is tried by two transactions: the first stays open, the second must wait for an advisory
lock. That the second waits for something is not enough, because a unique index would make it wait
too, and then fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg

from tests.database.conftest import Connection, acting_as
from tests.database.fixtures import SupabaseStack, trading_user

Check: TypeAlias = Callable[[SupabaseStack], Awaitable[None]]
Actor: TypeAlias = Callable[[Connection], AbstractAsyncContextManager[None]]


CLAIM = "select claim_order($1, $2, $3, $4)"
ACCEPT = "select record_order_outcome($1, $2, $3, 'accepted', '1')"
HALT = "select halt_trading($1, 'Asha', 'drill')"
CORRECT = "select correct_order($1, $2, $3, 'rejected', null, 'REJECTED')"


@dataclass(frozen=True, slots=True)
class Statement:
    """A call, and who makes it."""

    actor: Actor
    query: str
    arguments: tuple[Any, ...] = ()


async def order_times_are_ones_own(stack: SupabaseStack) -> None:
    (mine, _), (theirs, _) = await trading_user(stack), await trading_user(stack)
    async with connected(stack) as superuser:
        decisions = {user.id: await a_decision(superuser) for user in (mine, theirs)}
        for user, decision in decisions.items():
            await superuser.execute(
                "select record_order_outcome($1, $2, $3, 'denied', null, 'x')",
                user,
                decision,
                uuid4(),
            )
        async with acting_as(superuser, "authenticated", mine.id):
            rows = await superuser.fetch("select decision_id from own_order_times()")

    assert [row["decision_id"] for row in rows] == [decisions[mine.id]]


async def corrections_are_ones_own(stack: SupabaseStack) -> None:
    (mine, _), (theirs, _) = await trading_user(stack), await trading_user(stack)
    async with connected(stack) as superuser:
        decisions = {}
        for user in (mine, theirs):
            order = await an_accepted_order(superuser, user.id)
            await superuser.execute(CORRECT, user.id, *order)
            decisions[user.id] = order[0]
        async with acting_as(superuser, "authenticated", mine.id):
            rows = await superuser.fetch("select decision_id from own_corrections()")

    assert [row["decision_id"] for row in rows] == [decisions[mine.id]]


async def corrections_of_an_order_are_made_one_by_one(stack: SupabaseStack) -> None:
    user, _ = await trading_user(stack)
    async with connected(stack) as superuser:
        order = await an_accepted_order(superuser, user.id)
    correction = Statement(as_service, CORRECT, (user.id, *order))
    await second_waits(stack, correction, correction)


async def a_correction_waits_for_orders_of_its_decision(stack: SupabaseStack) -> None:
    accepted, correction = await accepted_and_correction(stack)
    await second_waits(stack, accepted, correction)


async def an_accepted_order_waits_for_corrections_of_its_decision(stack: SupabaseStack) -> None:
    accepted, correction = await accepted_and_correction(stack)
    await second_waits(stack, correction, accepted)


async def accepted_and_correction(stack: SupabaseStack) -> tuple[Statement, Statement]:
    """One user's order that is accepted, and another's of the same decision that is no longer."""
    (one, _), (other, _) = await trading_user(stack), await trading_user(stack)
    async with connected(stack) as superuser:
        decision, order = await an_accepted_order(superuser, other.id)
        mine = uuid4()
        await superuser.execute(CLAIM, one.id, decision, mine, mine.hex[:25])
    accepted = Statement(as_service, ACCEPT, (one.id, decision, mine))
    return accepted, Statement(as_service, CORRECT, (other.id, decision, order))


async def an_accepted_order(connection: Connection, user: Any) -> tuple[Any, Any]:
    """Its decision and its id."""
    decision, order = await a_decision(connection), uuid4()
    await connection.execute(CLAIM, user, decision, order, order.hex[:25])
    await connection.execute(ACCEPT, user, decision, order)
    return decision, order


async def a_user_turns_no_other_switch(stack: SupabaseStack) -> None:
    (mine, _), (theirs, _) = await trading_user(stack), await trading_user(stack)
    async with connected(stack) as superuser, acting_as(superuser, "authenticated", mine.id):
        # without RETURNING and without a condition: no policy for reading helps
        await superuser.execute("update user_trading_keys set is_trading_enabled = false")
        await superuser.execute("reset role")
        switches = await superuser.fetch(
            "select user_id, is_trading_enabled as on from user_trading_keys where user_id = any "
            "($1)",
            [mine.id, theirs.id],
        )

    assert {row["user_id"]: row["on"] for row in switches} == {mine.id: False, theirs.id: True}


async def a_claim_waits_for_the_denial_of_its_order(stack: SupabaseStack) -> None:
    denial, claim = await claim_and_denial(stack)
    await second_waits(stack, denial, claim)


async def a_denial_waits_for_the_claim_of_its_order(stack: SupabaseStack) -> None:
    denial, claim = await claim_and_denial(stack)
    await second_waits(stack, claim, denial)


async def claim_and_denial(stack: SupabaseStack) -> tuple[Statement, Statement]:
    user, _ = await trading_user(stack)
    async with connected(stack) as superuser:
        decision, order = await a_decision(superuser), uuid4()
    denial = Statement(
        as_service,
        "select record_order_outcome($1, $2, $3, 'denied', null, 'x')",
        (user.id, decision, order),
    )
    claim = Statement(
        as_service, "select claim_order($1, $2, $3, $4)", (user.id, decision, order, order.hex[:25])
    )
    return denial, claim


async def a_claim_waits_for_a_halt_of_everybody(stack: SupabaseStack) -> None:
    """Not of the table: the halt's row is seen by whoever asks after the halt."""
    _, claim = await claim_and_denial(stack)
    await second_waits(stack, Statement(as_service, HALT, (None,)), claim)


async def a_claim_waits_for_a_halt_of_its_user(stack: SupabaseStack) -> None:
    _, claim = await claim_and_denial(stack)
    await second_waits(stack, Statement(as_service, HALT, (claim.arguments[0],)), claim)


async def a_halt_waits_for_claims(stack: SupabaseStack) -> None:
    _, claim = await claim_and_denial(stack)
    await second_waits(stack, claim, Statement(as_service, HALT, (claim.arguments[0],)))


async def a_halt_waits_for_no_claim_that_hangs(stack: SupabaseStack) -> None:
    _, claim = await claim_and_denial(stack)
    async with connected(stack) as one, connected(stack) as two:
        async with claim.actor(one):
            await one.execute(claim.query, *claim.arguments)
            halt = asyncio.create_task(two.fetchval(HALT, claim.arguments[0]))
            await asyncio.wait([halt], timeout=5)
            came_through = halt.done()
        await halt
        await two.execute("select lift_halt($1, 'Asha', 'over')", claim.arguments[0])

    assert came_through


async def attempts_to_connect_are_counted_one_by_one(stack: SupabaseStack) -> None:
    user, _ = await trading_user(stack)
    first, second = (
        Statement(as_user(user.id), "select begin_dhan_consent('1100000001', $1)", (digit * 64,))
        for digit in "ab"
    )
    await second_waits(stack, first, second)


async def returns_from_dhan_are_counted_one_by_one(stack: SupabaseStack) -> None:
    user, _ = await trading_user(stack)
    back = Statement(as_user(user.id), "select take_dhan_consents($1)", (["c" * 64],))
    await second_waits(stack, back, back)


async def doubts_are_counted_one_by_one(stack: SupabaseStack) -> None:
    user, _ = await trading_user(stack)
    doubt = Statement(as_user(user.id), "select doubt_dhan_token()")
    await second_waits(stack, doubt, doubt)


async def stored_tokens_are_counted_one_by_one(stack: SupabaseStack) -> None:
    user, _ = await trading_user(stack)
    stores = [
        Statement(
            as_user(user.id),
            "select store_dhan_token($1, 'token-of-the-test', now() + interval '1 day')",
            (client_id,),
        )
        for client_id in ("7700000001", "7700000002")
    ]
    await second_waits(stack, *stores)


async def users_of_one_account_connect_one_by_one(stack: SupabaseStack) -> None:
    (one, _), (other, _) = await trading_user(stack), await trading_user(stack)
    stores = [
        Statement(
            as_user(user.id),
            "select store_dhan_token('7700000003', 'token-of-the-test', now() + interval '1 day')",
        )
        for user in (one, other)
    ]
    await second_waits(stack, *stores)


async def switching_on_waits_for_a_report_of_the_platform(stack: SupabaseStack) -> None:
    report, switch = await report_and_switch(stack)
    await second_waits(stack, report, switch)


async def a_report_of_the_platform_waits_for_switching_on(stack: SupabaseStack) -> None:
    report, switch = await report_and_switch(stack)
    await second_waits(stack, switch, report)


async def report_and_switch(stack: SupabaseStack) -> tuple[Statement, Statement]:
    user, _ = await trading_user(stack)
    await user.switch(on=False)
    report = Statement(as_service, "select report_platform('another', 'paper', null, 50000, 40)")
    on = "update user_trading_keys set is_trading_enabled = true where user_id = $1"
    return report, Statement(as_user(user.id), on, (user.id,))


async def a_decision(connection: Connection) -> Any:
    row = (
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
        "returning id"
    )
    return await connection.fetchval(row)


async def second_waits(stack: SupabaseStack, first: Statement, second: Statement) -> None:
    """While the transaction of `first` is open, `second` waits for an advisory lock; then it gets
    through.
    """
    async with AsyncExitStack() as opened:
        superuser, one, two = [await opened.enter_async_context(connected(stack)) for _ in range(3)]
        async with second.actor(two):
            async with first.actor(one):
                await one.execute(first.query, *first.arguments)
                waiting = asyncio.create_task(two.execute(second.query, *second.arguments))
                waits_for = await what_it_waits_for(superuser, two.get_server_pid(), waiting)
            await waiting

    assert waits_for == "advisory"


async def what_it_waits_for(superuser: Connection, pid: int, call: asyncio.Task[Any]) -> str | None:
    """The kind of lock that the session `pid` waits for, None when its call ended; one of them must
    come in ten seconds.
    """
    query = "select wait_event from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not call.done():
            if kind := await superuser.fetchval(query, pid):
                return str(kind)
            await asyncio.sleep(0.01)
    return None


@asynccontextmanager
async def connected(stack: SupabaseStack) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(stack.dsn)
    try:
        yield connection
    finally:
        await connection.close()


def as_user(user: object) -> Actor:
    return lambda connection: acting_as(connection, "authenticated", user)


def as_service(connection: Connection) -> AbstractAsyncContextManager[None]:
    return acting_as(connection, "service_role")
