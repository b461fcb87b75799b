"""Caches of topics: the day's scans, and the model calls that are already recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import date

from agents.journal import LlmCallCache
from agents.recorded import messages_on
from agents.spend import SpendLedger
from bus.connection import KafkaConnection
from bus.stored import Since
from schemas import topics
from schemas.ids import InstrumentId
from schemas.market import trading_day
from schemas.messages import LlmCall, Scan, ScanEntry


class ScanCache:
    """Scans by trading date.

    The first scan of a date stands: a repeated one must not change decisions under way.
    """

    def __init__(self) -> None:
        self._scans: dict[date, Scan] = {}
        self._missed: set[date] = set()
        self._shortlisted: frozenset[InstrumentId] | None = None
        self._news = asyncio.Condition()

    async def add(self, scan: Scan) -> None:
        """Keep `scan`, unless its date has one, and wake whoever waits for it."""
        async with self._news:
            if scan.trading_date not in self._scans and scan.trading_date >= max(
                self._scans, default=date.min
            ):
                self._shortlisted = frozenset(
                    entry.instrument for entry in scan.entries if entry.rank is not None
                )
            self._scans.setdefault(scan.trading_date, scan)
            self._news.notify_all()

    def may_trade(self, instrument: InstrumentId) -> bool:
        """Whether the newest scan lists `instrument`; before any scan every one may."""
        return self._shortlisted is None or instrument in self._shortlisted

    async def of(self, day: date, max_wait: float) -> Scan | None:
        """The scan of `day`, or None; waits up to `max_wait` seconds for one that is on its way.

        After one vain wait for a day, later calls return at once.
        """
        if day in self._missed or day in self._scans:
            return self._scans.get(day)
        if not await self.has(day, max_wait):
            self._missed.add(day)
        return self._scans.get(day)

    async def has(self, day: date, max_wait: float) -> bool:
        """Whether the scan of `day` is there, or comes within `max_wait` seconds."""
        try:
            async with asyncio.timeout(max_wait), self._news:
                await self._news.wait_for(lambda: day in self._scans)
        except TimeoutError:
            return False
        return True


async def sync_scans(
    connection: KafkaConnection,
    cache: ScanCache,
    learn: Callable[[Iterable[ScanEntry]], None] = lambda _: None,
) -> None:
    """Keep `cache` up to date until cancelled; `learn` is told of each day's entries first."""
    async with aclosing(messages_on(connection, topics.SCANS, Scan, "start")) as scans:
        async for scan in scans:
            learn(scan.entries)
            await cache.add(scan)


async def sync_llm_calls(
    connection: KafkaConnection,
    cache: LlmCallCache,
    ledger: SpendLedger,
    since: Since,
    *,
    until_end: bool = False,
) -> None:
    """Keep `cache` and `ledger` up to date with the calls that this and other processes record.

    Endless unless `until_end`.
    """
    told = messages_on(connection, topics.LLM, LlmCall, since, until_end=until_end)
    async with aclosing(told) as calls:
        async for call in calls:
            if cache.remember(call):
                ledger.spend(trading_day(call.event_time), call.cost)
