"""A made-up token keeps nobody's account from its owner."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from bus.connection import KafkaConnection
from executors.clock import MonotonicClock
from executors.contests import ASK_AGAIN_AFTER, ContestSweep
from executors.store import Store, TokenVersion
from executors.tokens import RefusedTokens
from schemas.errors import Unreadable
from schemas.ids import UserId
from tests.database.fixtures import SignedInUser, signed_in_user, trading_user
from tests.dhan.broker import (
    Answer,
    ScriptedDhan,
    hang_up,
    json_answer,
    text_answer,
    trading_error,
)
from tests.executors.harness import World
from tests.executors.test_sick_account import connection, executors

__all__ = ["connection"]  # the fixture: a broker of our own

DEAD = trading_error("DH-901", "Client ID or user generated access token is invalid", 401)


async def contested(world: World) -> tuple[SignedInUser, SignedInUser]:
    """Who has the account, and who was just turned away."""
    holder, _ = await trading_user(world.stack)
    challenger = await signed_in_user(world.stack)
    assert (
        await challenger.store_token(holder.dhan_client_id, "token-of-a-login") == "account_taken"
    )
    return holder, challenger


async def ask(world: World, user: SignedInUser, dhan: ScriptedDhan) -> int:
    """One round of a new order worker; how often Dhan was asked about the token of `user`."""
    dhan.seen.clear()
    rules = world.surroundings().pre_trade.rules
    store, machine = Store(world.client), MonotonicClock()
    tokens = RefusedTokens(store, machine)
    await ContestSweep(store, rules, world.http, tokens, machine).round()
    return sum(seen.headers.get("client-id") == user.dhan_client_id for seen in dhan.seen)


@pytest.mark.parametrize(
    "answer",
    [DEAD, json_answer({"dhanClientId": "1199999999"})],
    ids=["Dhan refuses it", "it is of another account"],
)
async def test_an_account_held_by_a_token_that_proves_nothing_goes_to_the_next_login(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    holder, challenger = await contested(scripted)
    dhan.on("GET", "/v2/profile", answer)

    await ask(scripted, holder, dhan)

    assert await challenger.store_token(holder.dhan_client_id, "token-of-a-login") == "stored"


@pytest.mark.parametrize(
    "answer",
    [
        hang_up,
        text_answer("<html>401</html>", 401),
        text_answer("<html>", 502),
        json_answer([]),
        json_answer({"dhanClientId": "\u0000"}),
    ],
    ids=["no answer", "a gateway's 401", "502", "no profile", "no digits"],
)
async def test_while_dhan_says_nothing_the_account_stays_and_dhan_is_asked_again_but_not_at_once(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    holder, challenger = await contested(scripted)
    dhan.on("GET", "/v2/profile", answer)

    first, at_once = await ask(scripted, holder, dhan), await ask(scripted, holder, dhan)
    await scripted.sql(
        "update private.stored_tokens set asked_at = asked_at - $2 * interval '1 second'"
        " where user_id = $1",
        holder.id,
        ASK_AGAIN_AFTER,
    )

    assert (first, at_once, await ask(scripted, holder, dhan)) == (1, 0, 1)
    assert (
        await challenger.store_token(holder.dhan_client_id, "token-of-a-login") == "account_taken"
    )


async def test_a_token_that_dhan_vouches_for_is_asked_about_once_a_contest(
    scripted: World, dhan: ScriptedDhan
) -> None:
    holder, challenger = await contested(scripted)
    dhan.on("GET", "/v2/profile", json_answer({"dhanClientId": holder.dhan_client_id}))
    asked = [await ask(scripted, holder, dhan)]
    await scripted.sql(
        "update private.stored_tokens set asked_at = asked_at - interval '1 hour'"
        " where user_id = $1",
        holder.id,
    )

    asked.append(await ask(scripted, holder, dhan))
    await challenger.store_token(holder.dhan_client_id, "token-of-a-login")
    asked.append(await ask(scripted, holder, dhan))

    assert asked == [1, 0, 1]


async def test_whose_made_up_token_was_refused_does_not_get_the_account_back_before_its_owner(
    scripted: World, dhan: ScriptedDhan
) -> None:
    squatter, owner = await contested(scripted)
    dhan.on("GET", "/v2/profile", DEAD)
    await ask(scripted, squatter, dhan)

    again = await squatter.store_token(squatter.dhan_client_id, "another-made-up-token")

    assert again == "account_taken"
    assert await owner.store_token(squatter.dhan_client_id, "token-of-a-login") == "stored"


async def test_a_new_token_of_an_account_that_was_contested_is_asked_about_at_once(
    scripted: World, dhan: ScriptedDhan
) -> None:
    squatter, owner = await contested(scripted)
    dhan.on("GET", "/v2/profile", DEAD)
    await ask(scripted, squatter, dhan)
    await owner.store_token(squatter.dhan_client_id, "token-of-a-login")
    dhan.on("GET", "/v2/profile", json_answer({"dhanClientId": squatter.dhan_client_id}))

    assert await ask(scripted, squatter, dhan) == 1
    assert await ask(scripted, squatter, dhan) == 0


class Refusing(Store):
    """Cannot note the refusal of one user's token."""

    of: UUID

    async def refuse_token(self, user: UserId, version: TokenVersion, code: str) -> bool:
        if user == self.of:
            raise Unreadable("no text for a database", "code")
        return await super().refuse_token(user, version, code)


async def test_a_token_that_cannot_be_noted_keeps_no_other_from_being_asked_about(
    scripted: World, dhan: ScriptedDhan
) -> None:
    (first, _), (second, challenger) = await contested(scripted), await contested(scripted)
    dhan.on("GET", "/v2/profile", DEAD)
    store, machine = Refusing(scripted.client), MonotonicClock()
    store.of = first.id
    rules = scripted.surroundings().pre_trade.rules
    tokens = RefusedTokens(store, machine)

    await ContestSweep(store, rules, scripted.http, tokens, machine).round()

    assert await challenger.store_token(second.dhan_client_id, "token-of-a-login") == "stored"


async def test_a_token_whose_account_nobody_else_named_is_not_asked_about(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user, _ = await trading_user(scripted.stack)

    assert await ask(scripted, user, dhan) == 0


async def test_running_order_workers_ask_by_themselves(
    scripted: World, dhan: ScriptedDhan, connection: KafkaConnection, tmp_path: Path
) -> None:
    holder, challenger = await contested(scripted)
    dhan.on("GET", "/v2/profile", DEAD)

    with executors(tmp_path, connection, scripted) as (worker, _):
        worker.start()
        await worker.serving()
        async with asyncio.timeout(60):
            while not refused(worker.log, holder):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)

    assert await challenger.store_token(holder.dhan_client_id, "token-of-a-login") == "stored"


def refused(log: Path, user: SignedInUser) -> bool:
    """Whether the process says so of this user; others may be in the same database."""
    lines = log.read_text(errors="replace").splitlines()
    return any("token_refused" in line and str(user.id) in line for line in lines)
