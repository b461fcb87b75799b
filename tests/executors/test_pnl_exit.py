"""Dhan's own exit at the day's loss: armed once a day, read back, told, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

from dhan.outcomes import NotSent, Rejected, TokenRefused, Unknown
from dhan.trader_control import Done, PnlExit, PnlExitState, TraderControlClient
from dhan.transport import OrderUrl
from executors.clock import MonotonicClock
from executors.orders.pnl_exit import AGAIN_AFTER, PnlExitKeeper, exit_at_loss
from executors.orders.reading import AccountClients
from schemas.messages import ExitAction, ExitOrder, ExitReason
from schemas.units import Paise, UtcNs
from tests.executors.factories import USER
from tests.executors.guarded import CREDENTIALS
from tests.simulator.factories import DAY, running

WANTED = exit_at_loss(Paise.from_rupees(5_000))
assert WANTED is not None
NONE = PnlExitState(False, Decimal(0), Decimal(0), frozenset(), kill_switch=False)
STANDS = PnlExitState(
    True, WANTED.profit.rupees(), Decimal(5_000), frozenset({"INTRADAY"}), kill_switch=True
)

DONE = Done("")


class Dhan:
    """An account whose exit stands as `shows` says, until it is set."""

    def __init__(self, shows: Any = NONE, answer: Any = DONE, then: Any = STANDS) -> None:
        self.shows, self.answer, self.then = shows, answer, then
        self.asked = 0
        self.set: list[PnlExit] = []

    async def pnl_exit(self) -> Any:
        self.asked += 1
        return self.shows

    async def set_pnl_exit(self, wanted: PnlExit) -> Any:
        self.set.append(wanted)
        if isinstance(self.answer, Done | Unknown):
            self.shows = self.then
        return self.answer


class Life:
    """One life of the process that keeps the account's exit."""

    def __init__(self, dhan: Any, wanted: PnlExit | None = WANTED) -> None:
        self.told: list[ExitOrder] = []
        self.counted: list[tuple[str, str]] = []
        self.now, self.wanted = 1_000.0, wanted
        self._dhan = cast(TraderControlClient, dhan)
        self._keeper = PnlExitKeeper(
            USER,
            lambda: self.wanted,
            self.told.append,
            MonotonicClock(lambda: self.now),
            lambda why, outcome: self.counted.append((why, outcome)),
        )

    async def keep(self, day: date = DAY) -> Sequence[str]:
        await self._keeper.keep(day, UtcNs(1), self._dhan)
        return [each.outcome for each in self.told]


async def test_the_simulated_dhan_holds_what_was_armed(http: httpx.AsyncClient) -> None:
    async with running() as simulator:
        base = OrderUrl.parse(f"{simulator.url}/v2")
        control = AccountClients.open(http, base, CREDENTIALS).control
        told = await Life(control).keep()
        shown = await control.pnl_exit()

    assert told == ["armed"]
    assert isinstance(shown, PnlExitState)
    assert WANTED
    assert shown.is_set_as(WANTED)


async def test_it_is_armed_once_a_day_and_told_once() -> None:
    dhan = Dhan()
    life = Life(dhan)

    for _ in range(3):
        await life.keep()
        life.now += AGAIN_AFTER
    [told] = life.told
    asked = dhan.asked
    dhan.shows = NONE  # Dhan forgets it overnight
    await life.keep(DAY + timedelta(days=1))

    assert (told.action, told.reason_code, told.outcome) == (
        ExitAction.PNL_EXIT,
        ExitReason.DAY_LOSS,
        "armed",
    )
    assert life.counted == [("day_loss", "armed")] * 2
    assert dhan.set == [WANTED, WANTED]
    assert asked == 2  # before it was set, and after


@pytest.mark.parametrize(("shows", "again"), [(STANDS, []), (NONE, [WANTED])])
async def test_after_a_restart_it_is_armed_again_only_where_dhan_shows_none(
    shows: PnlExitState, again: list[PnlExit]
) -> None:
    dhan = Dhan(shows)

    told = await Life(dhan).keep()

    assert told == ["armed"]
    assert dhan.set == again


async def test_another_bound_that_stands_at_dhan_is_told_and_left() -> None:
    dhan = Dhan(replace(STANDS, profit=Decimal(9_000), loss=Decimal(2_000)))
    life = Life(dhan)

    await life.keep()
    life.now += AGAIN_AFTER
    told = await life.keep()

    assert told == ["differs"]
    assert "loss 2000" in life.told[0].reason
    assert dhan.set == []


async def test_a_bound_that_is_tightened_during_the_day_takes_the_place_of_ours() -> None:
    dhan = Dhan()
    life = Life(dhan)
    tighter = exit_at_loss(Paise.from_rupees(2_000))
    assert tighter

    await life.keep()
    life.wanted = tighter
    dhan.then = replace(STANDS, loss=Decimal(2_000))

    assert await life.keep() == ["armed", "armed"]
    assert dhan.set == [WANTED, tighter]


@pytest.mark.parametrize(
    ("bounds", "loss"),
    [((None, None), None), ((500, None), 500), ((500, 300), 300), ((None, 300), 300)],
)
def test_the_tighter_of_the_platforms_and_the_users_bound_counts(
    bounds: tuple[int | None, ...], loss: int | None
) -> None:
    found = exit_at_loss(*(None if each is None else Paise(each) for each in bounds))

    assert (found and found.loss) == loss


def test_who_may_lose_nothing_has_no_exit_at_a_loss() -> None:
    assert exit_at_loss(Paise(0), Paise(500)) is None


@pytest.mark.parametrize(
    ("answer", "then", "outcome"),
    [
        (Rejected("DH-905", "no such value"), NONE, "rejected"),
        (NotSent("DH-904", "too many"), NONE, "not_sent"),
        (Done(""), NONE, "differs"),
        (Done(""), Unknown("timeout"), "unknown"),
        (Done(""), replace(STANDS, kill_switch=False), "differs"),
    ],
)
async def test_what_is_not_armed_as_asked_is_told_with_dhans_words(
    answer: Any, then: Any, outcome: str
) -> None:
    life = Life(Dhan(answer=answer, then=then))

    assert await life.keep() == [outcome]
    assert life.told[0].reason


async def test_a_refused_one_is_tried_again_after_a_minute_and_told_once() -> None:
    dhan = Dhan(answer=Rejected("DH-905", "no such value"))
    life = Life(dhan)

    await life.keep()
    life.now += AGAIN_AFTER - 1
    await life.keep()
    early = len(dhan.set)
    life.now += 1
    await life.keep()
    dhan.answer = Done("")
    life.now += AGAIN_AFTER

    assert await life.keep() == ["rejected", "armed"]
    assert (early, len(dhan.set)) == (1, 3)


async def test_one_that_dhan_took_and_does_not_show_is_tried_again() -> None:
    dhan = Dhan(then=NONE)
    life = Life(dhan)

    await life.keep()
    life.now += AGAIN_AFTER
    dhan.then = STANDS

    assert await life.keep() == ["differs", "armed"]


async def test_a_reply_that_was_lost_is_read_back() -> None:
    assert await Life(Dhan(answer=Unknown("timeout"))).keep() == ["armed"]


async def test_a_refused_token_is_left_to_others() -> None:
    life = Life(Dhan(shows=TokenRefused("DH-901", in_words=True)))

    assert await life.keep() == []


async def test_without_a_bound_nobody_is_asked() -> None:
    dhan = Dhan()

    assert await Life(dhan, wanted=None).keep() == []
    assert dhan.asked == 0
