from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, time

import pytest

from agents.caches import ScanCache
from agents.daily import AGAIN_AFTER, DailyScout, day_due
from schemas.calendar import Calendar, Holiday, Special
from schemas.errors import Misconfigured, TryLater
from schemas.units import IST, UtcNs
from tests.agents.factories import DAY, a_scan

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
SATURDAY, SUNDAY = date(2026, 11, 28), date(2026, 11, 8)
CALENDAR = Calendar(
    closed_weekdays=frozenset({6, 7}),
    holidays=(Holiday(day=TUESDAY),),
    special=(Special(day=SUNDAY, open=time(18), close=time(19)),),
)


def at(day: date, clock: str) -> UtcNs:
    return UtcNs.from_datetime(datetime.combine(day, time.fromisoformat(clock), tzinfo=IST))


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (at(MONDAY, "00:10"), None),
        (at(MONDAY, "08:34"), None),
        (at(MONDAY, "08:35"), MONDAY),
        (at(MONDAY, "15:29"), MONDAY),
        (at(MONDAY, "15:30"), None),
        (at(TUESDAY, "10:00"), None),
        (at(SATURDAY, "10:00"), None),
        (at(SUNDAY, "08:35"), SUNDAY),
        (at(SUNDAY, "18:59"), SUNDAY),
        (at(SUNDAY, "19:00"), None),
    ],
)
def test_a_scan_is_due_from_the_morning_to_the_close_of_days_that_trade(
    moment: UtcNs, due: date | None
) -> None:
    assert day_due(moment, CALENDAR) == due


class Scout:
    """Fails as told, then makes scans; its clocks stand still unless moved."""

    def __init__(self, *failures: Exception) -> None:
        self.days: list[date] = []
        self.due: date | None = DAY
        self.now = 0.0
        self._failures = list(failures)

    async def __call__(self, day: date) -> None:
        self.days.append(day)
        if self._failures:
            raise self._failures.pop(0)

    def daily(
        self, scans: ScanCache, sleep: Callable[[float], asyncio.Future[None]] | None = None
    ) -> DailyScout:
        more = {"sleep": sleep} if sleep else {}
        return DailyScout(
            scans,
            due=lambda: self.due,
            scout=self,
            scan_timeout=0.0,
            monotonic=lambda: self.now,
            **more,
        )


async def test_a_process_that_is_left_running_scans_each_day_that_is_due_once() -> None:
    scout = Scout()
    daily = scout.daily(ScanCache())

    for due in (DAY, DAY, None, None, MONDAY, MONDAY, TUESDAY):
        scout.due = due
        await daily.look()

    assert scout.days == [DAY, MONDAY, TUESDAY]


async def test_a_day_that_has_a_scan_is_not_scanned_again() -> None:
    scans, scout = ScanCache(), Scout()
    await scans.add(a_scan())

    await scout.daily(scans).look()

    assert scout.days == []


async def test_looking_for_a_scan_does_not_shorten_the_patience_of_the_first_signal() -> None:
    scans = ScanCache()
    await Scout().daily(scans).look()

    waiting = asyncio.create_task(scans.of(DAY, max_wait=20))
    await asyncio.sleep(0)
    await scans.add(a_scan())

    assert await waiting == a_scan()


@pytest.mark.parametrize(
    "error", [TryLater("no history"), OSError("disk"), KeyError("odd bar")], ids=repr
)
async def test_a_scan_that_fails_is_made_later_and_stops_nobody(error: Exception) -> None:
    scout = Scout(error)
    daily = scout.daily(ScanCache())

    await daily.look()
    scout.now = AGAIN_AFTER - 1
    await daily.look()
    assert len(scout.days) == 1
    scout.now = AGAIN_AFTER
    await daily.look()
    await daily.look()

    assert len(scout.days) == 2


async def test_a_wrong_setting_ends_the_start_and_nothing_later() -> None:
    scout = Scout(Misconfigured("ATS_UNIVERSE names strangers"), Misconfigured("again"))
    slept = asyncio.Event()

    async def sleep(_: float) -> None:
        slept.set()
        await asyncio.Event().wait()

    daily = scout.daily(ScanCache(), sleep)  # type: ignore[arg-type]
    keeping = asyncio.create_task(daily.keep())

    with pytest.raises(Misconfigured, match="strangers"):
        await daily.first(within=20)
    scout.now = AGAIN_AFTER
    await daily.look()
    assert slept.is_set()
    assert not keeping.done()
    keeping.cancel()


async def test_a_first_scan_that_takes_long_does_not_keep_signals_waiting() -> None:
    class Slow(Scout):
        async def __call__(self, day: date) -> None:  # noqa: ARG002
            await asyncio.Event().wait()

    daily = Slow().daily(ScanCache())
    keeping = asyncio.create_task(daily.keep())

    await daily.first(within=0.01)

    assert not keeping.done()
    keeping.cancel()
