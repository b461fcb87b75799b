"""A day's loss at the user's limit halts them until the next session."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from executors.halts import HaltBoard, HaltPoller
from executors.limits import LimitsBoard, LimitsPoller, LimitStore
from executors.loss_watch import LossWatch, next_session
from executors.store import Store
from schemas.calendar import EVERY_DAY, Calendar
from schemas.ids import UserId
from schemas.messages import Outcome
from schemas.units import NS_PER_SECOND, UtcNs
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.factories import LIMITS, TEN_O_CLOCK
from tests.executors.harness import FastMachine, World, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})
NEXT_OPEN = UtcNs(TEN_O_CLOCK + UtcNs.minutes(23 * 60 + 15))  # 09:15 of the next day


class Watched:
    """A watch over one user who may lose 500 rupees a day; `result` is what they made."""

    def __init__(self, world: World, calendar: Calendar = EVERY_DAY) -> None:
        self.world, self.machine, self.result = world, FastMachine().time(), 0
        self.wall = int(datetime.now(UTC).timestamp()) * NS_PER_SECOND
        self.limits, self.halts = LimitsBoard(LIMITS, real_money=False), HaltBoard()
        self.watch = LossWatch(
            Store(world.client),
            self.limits,
            lambda *_: self.result,
            lambda: TEN_O_CLOCK,
            calendar,
            self.machine,
            lambda: self.wall,
        )

    async def user(self) -> UserId:
        user = await self.world.user()
        await self.world.sql(
            "select public.set_user_limits($1, $2, 'Asha', 'agreed')",
            user,
            orjson.dumps({"max_daily_loss_paise": 50_000}).decode(),
        )
        await LimitsPoller(LimitStore(self.world.client), self.limits, self.machine).poll()
        return user

    async def look(self) -> None:
        await self.watch.look()
        await HaltPoller(Store(self.world.client), self.halts, self.machine).poll()


async def test_who_has_lost_less_than_the_limit_goes_on(scripted: World) -> None:
    watched = Watched(scripted)
    user, watched.result = await watched.user(), -49_999

    await watched.look()

    assert not watched.halts.halted(user)


async def test_the_halt_stays_when_the_market_turns_and_ends_with_the_next_session(
    scripted: World,
) -> None:
    watched = Watched(scripted)
    user, watched.result = await watched.user(), -50_000
    other = await watched.world.user()
    await watched.look()
    watched.result = 10_000
    await watched.look()

    (halt,) = watched.halts.of(user)
    rows = await scripted.sql("select until, own from trading_halts where user_id = $1", user)
    ahead = (NEXT_OPEN - TEN_O_CLOCK) // NS_PER_SECOND
    assert [(int(row["until"].timestamp()), row["own"]) for row in rows] == [
        (watched.wall // NS_PER_SECOND + ahead, False)
    ]
    assert "500" in halt.reason
    assert not halt.all_orders
    assert not watched.halts.halted(other)


async def test_after_it_no_entry_is_claimed_anywhere(scripted: World, dhan: ScriptedDhan) -> None:
    watched = Watched(scripted)
    user, watched.result = await watched.user(), -50_000
    dhan.on("POST", "/v2/super/orders", PLACED)
    await watched.look()

    execution = await run(scripted.worker(user), await scripted.intent(user))

    assert (execution.outcome, execution.reason_code) == (Outcome.DENIED, "halted")


def test_a_calendar_that_knows_no_next_session_names_none() -> None:
    assert next_session(EVERY_DAY, TEN_O_CLOCK) == NEXT_OPEN
    assert next_session(Calendar(coverage=()), TEN_O_CLOCK) is None
