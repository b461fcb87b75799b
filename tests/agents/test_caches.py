from __future__ import annotations

import asyncio

import pytest

from agents.caches import ScanCache
from tests.agents.factories import DAY, a_scan, an_entry


async def test_a_signal_waits_for_the_scan_that_is_on_its_way() -> None:
    cache, scan = ScanCache(), a_scan()
    waiting = asyncio.create_task(cache.of(DAY, max_wait=30))
    await asyncio.sleep(0)

    await cache.add(scan)

    assert await waiting == scan


async def test_the_first_scan_of_a_day_stands() -> None:
    cache, first = ScanCache(), a_scan()
    await cache.add(first)

    await cache.add(a_scan(an_entry(symbol="OTHER")))

    assert await cache.of(DAY, max_wait=0) == first


async def test_a_day_without_a_scan_is_waited_for_once_and_a_late_scan_still_counts() -> None:
    cache, scan = ScanCache(), a_scan()

    assert await cache.of(DAY, max_wait=0.01) is None
    async with asyncio.timeout(5):
        assert await cache.of(DAY, max_wait=600) is None
    await cache.add(scan)

    assert await cache.of(DAY, max_wait=0) == scan


async def test_a_cancelled_wait_leaves_the_book_usable() -> None:
    cache = ScanCache()
    waiting = asyncio.create_task(cache.of(DAY, max_wait=30))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await cache.add(a_scan())
    assert await cache.of(DAY, max_wait=0) is not None
