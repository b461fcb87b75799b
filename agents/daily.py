"""The Scout of every trading day.

A service that runs for weeks has each morning's scan, and outlives mornings without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date
from datetime import time as clock_time
from typing import Final

import structlog

from agents.caches import ScanCache
from schemas.calendar import Calendar
from schemas.errors import Misconfigured
from schemas.market import trading_day
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# IST; Dhan has the day's instrument master by 08:30, and the market opens at 09:15
SCOUT_AT: Final = clock_time(8, 35)
LOOK_EVERY: Final = 20.0  # seconds; a machine that slept looks again at once
AGAIN_AFTER: Final = 300.0  # seconds after a scan that failed


def day_due(now: UtcNs, calendar: Calendar) -> date | None:
    """The trading day whose scan should be there at `now`.

    From 08:35 IST to the close of a day that trades.
    """
    day = trading_day(now)
    session = calendar.session(day)
    return day if session and now.ist().time() >= SCOUT_AT and now < session.close else None


class DailyScout:
    """Runs `scout` once for each day that is due and has no scan.

    What fails is logged and tried again later.

    Args:
        due: The day that should have a scan now, if any.
        scout: Makes and publishes the scan of a day.
        scan_timeout: Seconds to wait for a scan that another process made, each time before one is
            made here.
    """

    def __init__(
        self,
        scans: ScanCache,
        *,
        due: Callable[[], date | None],
        scout: Callable[[date], Awaitable[None]],
        scan_timeout: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._scans = scans
        self._due = due
        self._scout = scout
        self._scan_timeout = scan_timeout
        self._monotonic = monotonic
        self._sleep = sleep
        self._made: date | None = None
        self._not_before = monotonic()
        self._looked = asyncio.Event()
        self._misfit: Misconfigured | None = None

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            self._looked.set()
            await self._sleep(LOOK_EVERY)

    async def first(self, within: float) -> None:
        """Wait for the first look, at most `within` seconds.

        Signals of a day without a scan are HOLD.

        Raises:
            Misconfigured: a setting is wrong, and nobody has been served yet.
        """
        try:
            async with asyncio.timeout(within):
                await self._looked.wait()
        except TimeoutError:
            log.warning("first_scan_still_under_way", waited_s=within)
        if self._misfit is not None:
            raise self._misfit

    async def look(self) -> None:
        """Make the scan that is due, unless it is there or has just failed."""
        day = self._due()
        if day is None or day == self._made or self._monotonic() < self._not_before:
            return
        if await self._scans.has(day, self._scan_timeout):
            self._made = day
            return
        try:
            await self._scout(day)
        except Exception as error:
            self._misfit = error if isinstance(error, Misconfigured) else None
            self._not_before = self._monotonic() + AGAIN_AFTER
            log.exception("no_scan_yet", day=day.isoformat(), again_after_s=AGAIN_AFTER)
        else:
            self._made = day
