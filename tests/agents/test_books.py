from __future__ import annotations

import asyncio

import pytest

from agents.books import ScanBook
from tests.agents.factories import DAY, a_scan, an_entry


async def test_a_signal_waits_for_the_scan_that_is_on_its_way() -> None:
    book, scan = ScanBook(), a_scan()
    waiting = asyncio.create_task(book.of(DAY, patience=30))
    await asyncio.sleep(0)

    await book.add(scan)

    assert await waiting == scan


async def test_the_first_scan_of_a_day_stands() -> None:
    book, first = ScanBook(), a_scan()
    await book.add(first)

    await book.add(a_scan(an_entry(symbol="OTHER")))

    assert await book.of(DAY, patience=0) == first


async def test_a_day_without_a_scan_is_waited_for_once_and_a_late_scan_still_counts() -> None:
    book, scan = ScanBook(), a_scan()

    assert await book.of(DAY, patience=0.01) is None
    async with asyncio.timeout(5):
        assert await book.of(DAY, patience=600) is None
    await book.add(scan)

    assert await book.of(DAY, patience=0) == scan


async def test_a_cancelled_wait_leaves_the_book_usable() -> None:
    book = ScanBook()
    waiting = asyncio.create_task(book.of(DAY, patience=30))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await book.add(a_scan())
    assert await book.of(DAY, patience=0) is not None
