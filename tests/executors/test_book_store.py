"""The book and the halts, as the order workers write and read them, on real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from bus.database import RowRefused
from executors.orders.book_store import AT_ONCE, BookStore, OrderRow, PositionRow, TradeRow
from executors.store import Claimed, Halts, Refused, Store
from schemas.ids import DhanOrderId, InstrumentId, Segment, UserId
from schemas.market import Side
from schemas.messages import Leg, ObservedFill, ObservedOrder, OrderStatus, Position, Trade
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.executors.harness import World

DAY = date(2026, 11, 27)
AT = UtcNs.seconds(1_795_000_000)
RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)
ORDER = ObservedOrder(
    dhan_order_id=DhanOrderId("112111182198"),
    leg=Leg.STOP_LOSS,
    dhan_correlation_id="AT1",
    instrument=RELIANCE,
    side=Side.BUY,
    product="INTRADAY",
    order_type="LIMIT",
    status=OrderStatus.PENDING,
    status_word="PENDING",
    quantity=Quantity(10),
    filled=Quantity(3),
    filled_value=Paise(450_001),
    price=Price(150_000),
    trigger=Price(149_000),
    updated_at=AT,
    reason="as told",
)
FILL = ObservedFill(
    trade_id="15112111182045",
    dhan_order_id=DhanOrderId("112111182198"),
    instrument=RELIANCE,
    side=Side.BUY,
    product="INTRADAY",
    quantity=Quantity(10),
    price=Price(150_000),
)


def a_trade(user: UserId) -> Trade:
    return Trade(id=uuid4(), event_time=AT, user_id=user, trading_date=DAY, fill=FILL)


def a_position(user: UserId, **changes: Any) -> Position:
    fields: dict[str, Any] = {
        "instrument": RELIANCE,
        "bought": Quantity(10),
        "bought_value": Paise(1_500_000),
        "sold": Quantity(3),
        "sold_value": Paise(451_000),
        "net": 7,
        "realised": Paise(-1_000),
        "resting_stop": Quantity(7),
        "by_trades": True,
        "agrees": None,
    }
    said: dict[str, Any] = {"id": uuid4(), "event_time": AT, "user_id": user, "trading_date": DAY}
    return Position(**(said | fields | changes))


async def row(world: World, table: str, user: UserId) -> dict[str, Any]:
    (found,) = await world.sql(f"select * from public.{table} where user_id = $1", user)
    return dict(found)


async def test_an_order_stands_as_it_was_observed(scripted: World) -> None:
    user = await scripted.user()

    changed = await BookStore(scripted.client).record_order_states(
        [OrderRow(user, DAY, ORDER, "RELIANCE", version=7)]
    )

    stands = await row(scripted, "order_states", user)
    assert changed == 1
    assert UtcNs.from_datetime(stands.pop("updated_at")) == AT
    del stands["recorded_at"]
    # the page shows each leg under its own number; whose leg it is stands on the topic
    told_elsewhere = {"filled_value", "price", "trigger", "updated_at", "super_order"}
    assert stands == {
        **ORDER.model_dump(exclude=told_elsewhere),
        "user_id": user,
        "trading_date": DAY,
        "symbol": "RELIANCE",
        "version": 7,
        "instrument": "NSE_EQ:2885",
        "order_id": None,
        "decision_id": None,
        "filled_value_paise": 450_001,
        "price_paise": 150_000,
        "trigger_paise": 149_000,
    }


async def test_a_fill_stands_with_its_charges_once_they_are_known(scripted: World) -> None:
    user, store = await scripted.user(), BookStore(scripted.client)
    trade = a_trade(user)

    await store.record_trades([TradeRow(trade, "RELIANCE", None, version=3)])
    before = await row(scripted, "trades", user)
    await store.record_trades([TradeRow(trade, "RELIANCE", Paise(812), version=4)])
    after = await row(scripted, "trades", user)

    assert (before["charges_paise"], after["charges_paise"]) == (None, 812)
    assert (after["trade_id"], after["quantity"], after["price_paise"], after["traded_at"]) == (
        *(FILL.trade_id, 10, 150_000),
        None,
    )


async def test_a_position_stands_as_the_fold_last_had_it(scripted: World) -> None:
    user, store = await scripted.user(), BookStore(scripted.client)
    opened = PositionRow(a_position(user), "RELIANCE", None, 0.25, None, version=8)
    closed = PositionRow(
        a_position(user, sold=Quantity(10), net=0, agrees=True),
        *("RELIANCE", Paise(1_800), 0.25, "target"),
        version=9,
    )

    changed = [await store.record_positions([each]) for each in (opened, closed, opened)]

    stands = await row(scripted, "positions", user)
    assert changed == [1, 1, 0]
    assert (stands["net"], stands["closed_by"], stands["unprotected_ms"]) == (0, "target", 250)
    assert (stands["realised_paise"], stands["charges_paise"], stands["agrees"]) == (
        *(-1_000, 1_800),
        True,
    )


async def test_whoever_takes_a_position_over_does_not_lessen_its_time_without_a_stop(
    scripted: World,
) -> None:
    user, store = await scripted.user(), BookStore(scripted.client)

    for version, unprotected in ((8, 2.5), (9, 0.25)):
        held = a_position(user)
        await store.record_positions(
            [PositionRow(held, "RELIANCE", None, unprotected, None, version=version)]
        )

    stands = await row(scripted, "positions", user)
    assert (stands["version"], stands["unprotected_ms"]) == (9, 2_500)


async def test_any_number_of_rows_goes_in_thousands(scripted: World) -> None:
    user = await scripted.user()
    rows = [
        OrderRow(
            user,
            DAY,
            ORDER.model_copy(update={"dhan_order_id": DhanOrderId(str(number))}),
            *("RELIANCE", 1),
        )
        for number in range(AT_ONCE + 1)
    ]

    assert await BookStore(scripted.client).record_order_states(rows) == AT_ONCE + 1
    assert await BookStore(scripted.client).record_order_states([]) == 0


async def test_a_row_of_an_unknown_user_is_refused_with_all_beside_it(scripted: World) -> None:
    user, store = await scripted.user(), BookStore(scripted.client)
    rows = [TradeRow(a_trade(each), "RELIANCE", None, 1) for each in (user, UserId(UUID(int=1)))]

    with pytest.raises(RowRefused):
        await store.record_trades(rows)

    assert await scripted.sql("select from public.trades where user_id = $1", user) == []


@pytest_asyncio.fixture
async def halting(scripted: World) -> AsyncIterator[World]:
    yield scripted
    await scripted.client.rpc("lift_halt", halt(None)).execute()


def halt(user: UserId | None, **more: bool) -> dict[str, Any]:
    said = {"p_user": str(user) if user else None, "p_by": "Asha", "p_reason": "drill"}
    return said | {f"p_{name}": value for name, value in more.items()}


def of(halts: Halts, user: UserId) -> Sequence[tuple[bool, bool, bool]]:
    return [(each.user is None, each.flatten, each.broker_kill) for each in halts.of(user)]


async def test_halts_in_force_are_told_to_the_order_workers(halting: World) -> None:
    mine, theirs, store = await halting.user(), await halting.user(), Store(halting.client)
    before = await store.halts_in_force()
    await halting.client.rpc("halt_trading", halt(mine, flatten=True)).execute()
    during = await store.halts_in_force(before)
    same = await store.halts_in_force(during)
    await halting.client.rpc("halt_trading", halt(None, broker_kill=True)).execute()
    everybody = await store.halts_in_force(during)
    await halting.client.rpc("lift_halt", halt(None)).execute()
    await halting.client.rpc("lift_halt", halt(mine)).execute()
    after = await store.halts_in_force(everybody)

    assert (of(before, mine), of(during, mine), of(during, theirs)) == (
        [],
        [(False, True, False)],
        [],
    )
    assert same is during
    assert sorted(of(everybody, mine)) == [(False, True, False), (True, False, True)]
    assert of(everybody, theirs) == [(True, False, True)]
    assert of(after, mine) == of(after, theirs) == []


async def test_during_a_halt_only_what_closes_is_claimed(halting: World) -> None:
    user, store = await halting.user(), Store(halting.client)
    opening, closing = await halting.intent(user), await halting.intent(user)
    await halting.client.rpc("halt_trading", halt(user)).execute()

    assert await store.claim(opening) == Refused("halted")
    assert isinstance(await store.claim(closing, closes=True), Claimed)
