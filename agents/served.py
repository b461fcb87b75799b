"""How many users the day's decisions serve: the cap of a day grows with them, where one is set.

A decision serves all users, so no user has a cap of their own that a call could reach. What an
operator can say is what a day's thinking may cost for each user whom it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from agents.spend import SpendLedger
from schemas.errors import TryLater

log = structlog.get_logger(__name__)

EVERY: Final = 60.0  # seconds between two counts
PAUSE: Final = 3.0  # seconds after a count that failed

Count = Callable[[], Awaitable[int]]
Sleep = Callable[[float], Awaitable[None]]


async def count_users(ledger: SpendLedger, count: Count, sleep: Sleep = asyncio.sleep) -> None:
    """Tell `ledger` how many users there are, however long the database is away.

    Raises:
        Misconfigured: the database keeps refusing for reasons that only a person can mend.
    """
    while True:
        try:
            users = await count()
        except TryLater as error:
            log.warning("users_not_counted", reason=str(error), pause_s=PAUSE)
            await sleep(PAUSE)
        else:
            ledger.users = users
            return


async def keep_users(ledger: SpendLedger, count: Count, sleep: Sleep = asyncio.sleep) -> None:
    """Count again and again, endless; while nobody answers the last count stands.

    Raises as `count_users`.
    """
    while True:
        await sleep(EVERY)
        await count_users(ledger, count, sleep)
