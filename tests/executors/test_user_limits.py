"""Users' own limits on the way from the database to the order worker."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock
from uuid import UUID

import orjson
import pytest
from supabase import AsyncClient

from executors.limits import LimitsBoard, LimitsPoller, LimitStore, OwnLimits
from executors.orders.outcomes import execution, not_found
from executors.reasons import Reason
from executors.risk.order_rate import OrderRate
from executors.risk.sizing import UserLimits
from schemas.ids import Segment, UserId
from schemas.messages import Outcome
from schemas.units import Paise
from tests.dhan.broker import ScriptedDhan, json_answer, trading_error
from tests.executors.factories import LIMITS, TEN_O_CLOCK, USER, an_intent
from tests.executors.harness import FastMachine, World, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


OTHER = UserId(UUID(int=7))
COLUMNS = (
    *("max_order_value_paise", "risk_per_trade_paise", "max_orders_per_day", "max_open_positions"),
    *("max_symbol_exposure_paise", "max_exposure_paise", "max_daily_loss_paise", "long_only"),
    *("segments", "products", "stop_out_cooldown_minutes", "max_stop_outs_per_day"),
)


def answering(data: Any) -> AsyncClient:
    """A database that says only this."""
    execute = AsyncMock(return_value=SimpleNamespace(data=data))
    return cast(AsyncClient, SimpleNamespace(rpc=lambda *_: SimpleNamespace(execute=execute)))


async def set_limits(world: World, user: UserId, **limits: Any) -> None:
    await world.sql(
        "select public.set_user_limits($1, $2, 'Asha', 'agreed by phone')",
        user,
        orjson.dumps(limits).decode(),
    )


def a_board(*, real_money: bool = False) -> LimitsBoard:
    return LimitsBoard(LIMITS, real_money=real_money)


def a_poller(world: World, board: LimitsBoard) -> LimitsPoller:
    return LimitsPoller(LimitStore(world.client), board, FastMachine().time())


def test_before_the_databases_first_answer_nobodys_limits_are_known() -> None:
    assert not a_board().of(USER).known


async def test_the_platforms_limits_hold_for_whom_the_database_has_none(scripted: World) -> None:
    board = a_board()

    await a_poller(scripted, board).poll()

    assert board.of(USER) == LIMITS


async def test_real_money_is_long_only_unless_an_operator_says_otherwise(scripted: World) -> None:
    board, user = a_board(real_money=True), await scripted.user()
    await set_limits(scripted, user, long_only=False)
    await a_poller(scripted, board).poll()

    assert board.of(USER).long_only
    assert not board.of(user).long_only


def test_a_users_limits_only_tighten_the_platforms() -> None:
    wide = OwnLimits(max_order_value=Paise(10**12), max_orders_per_day=10**6)
    tight = OwnLimits(max_order_value=Paise(5), max_orders_per_day=3, max_exposure=Paise(7))

    assert wide.within(LIMITS, real_money=False) == LIMITS
    assert tight.within(LIMITS, real_money=False) == replace(
        LIMITS, max_order_value=Paise(5), max_orders_per_day=3, max_exposure=Paise(7)
    )


@pytest.mark.parametrize(
    ("platform", "own", "held_to"), [(15, 5, 15), (15, 30, 30), (15, None, 15), (None, 5, 5)]
)
def test_the_longer_of_two_cooldowns_counts(
    platform: int | None, own: int | None, held_to: int
) -> None:
    limits = replace(LIMITS, stop_out_cooldown=platform)

    held = OwnLimits(stop_out_cooldown=own).within(limits, real_money=False)

    assert held.stop_out_cooldown == held_to


async def test_a_change_arrives_with_the_next_look_and_is_read_whole(scripted: World) -> None:
    board, user = a_board(), await scripted.user()
    poller = a_poller(scripted, board)
    await poller.poll()
    await set_limits(
        scripted,
        user,
        max_order_value_paise=1_000,
        max_orders_per_day=2,
        max_open_positions=3,
        max_symbol_exposure_paise=4_000,
        max_exposure_paise=5_000,
        max_daily_loss_paise=600,
        segments=["NSE_EQ"],
        products=["INTRADAY"],
        long_only=True,
        stop_out_cooldown_minutes=30,
        max_stop_outs_per_day=3,
    )
    await poller.poll()

    assert board.of(user) == UserLimits(
        max_order_value=Paise(1_000),
        max_orders_per_day=2,
        max_open_positions=3,
        max_symbol_exposure=Paise(4_000),
        max_exposure=Paise(5_000),
        max_daily_loss=Paise(600),
        segments=frozenset({Segment.NSE_EQ}),
        products=frozenset({"INTRADAY"}),
        long_only=True,
        stop_out_cooldown=30,
        max_stop_outs_per_day=3,
    )
    again = await LimitStore(scripted.client).in_force(board.known)
    assert board.known
    assert again.of_user is board.known.of_user


async def test_limits_that_cannot_be_read_keep_only_their_own_user_from_entering() -> None:
    columns = dict.fromkeys(COLUMNS)
    odd = columns | {"user_id": str(USER), "segments": [["NSE_EQ"]]}
    plain = columns | {"user_id": str(OTHER), "max_open_positions": 2}
    board = a_board()

    board.replace(await LimitStore(answering({"version": 1, "limits": [odd, plain]})).in_force())

    assert not board.of(USER).known
    assert board.of(OTHER) == replace(LIMITS, max_open_positions=2)


async def test_an_order_is_held_to_what_the_user_may_have_at_stake(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/super/orders", PLACED)
    board = a_board()
    await set_limits(scripted, user, max_symbol_exposure_paise=2 * 1_503_000 - 1)
    await a_poller(scripted, board).poll()
    worker = scripted.worker(user, limits_of=board.of)

    first = await run(worker, await scripted.intent(user))
    second = await run(worker, await scripted.intent(user))

    assert first.outcome is Outcome.ACCEPTED
    assert (second.outcome, second.reason_code) == (Outcome.DENIED, "symbol_exposure_too_large")


async def test_an_order_that_is_tried_again_does_not_count_twice(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/super/orders", trading_error("DH-905", "no super orders"))
    dhan.on("POST", "/v2/orders", PLACED)
    limits = replace(LIMITS, max_symbol_exposure=Paise(1_503_000))

    execution = await run(
        scripted.worker(user, limits_of=lambda _: limits), await scripted.intent(user)
    )

    assert execution.outcome is Outcome.ACCEPTED


def test_an_order_whose_reply_is_lost_counts_as_held_until_it_is_known() -> None:
    budget, intent = OrderRate(), an_intent()

    budget.spend(intent, TEN_O_CLOCK)

    ordered = budget.ordered(USER, TEN_O_CLOCK)[intent.instrument]
    assert (ordered.bought, ordered.sold, ordered.price) == (10, 0, intent.price)


def test_an_order_that_was_not_found_counts_no_more() -> None:
    budget, intent = OrderRate(), an_intent()
    budget.spend(intent, TEN_O_CLOCK)

    budget.observe(execution(intent, not_found(Reason.NOT_FOUND)))

    assert [(each.bought, each.sold) for each in budget.ordered(USER, TEN_O_CLOCK).values()] == [
        (0, 0)
    ]
