"""The scripted bad day, as `python -m tests.bad_day` plays it."""

from __future__ import annotations

import httpx

from executors.risk.denial import Denial
from tests.bad_day.story import Story

ACTED = {
    Denial.BOOK_NOT_RECONCILED,
    Denial.COOLING_DOWN,
    Denial.SYMBOL_EXPOSURE_TOO_LARGE,
    Denial.EXPOSURE_TOO_LARGE,
    Denial.LONG_ONLY,
    Denial.LOCKED_AT_CIRCUIT,
    Denial.STOP_OUTSIDE_BAND,
    Denial.UNDERLYING_BANNED,
    Denial.FEED_DEAD,
    Denial.TOO_MANY_STOP_OUTS,
    Denial.DAILY_LOSS_REACHED,
    Denial.HALTED,
    Denial.PRICE_BAND_UNKNOWN,
    Denial.BAN_LIST_UNKNOWN,
    Denial.ORDERS_OF_THE_DAY_USED_UP,
}


async def test_each_protection_acts_at_its_limit_on_a_bad_day_and_ends_with_it(
    http: httpx.AsyncClient,
) -> None:
    watched = await Story(http).play()

    assert set(watched.denials) == ACTED
    assert watched.rejudged > len(watched.denials)
