"""What the decision service knows from topics.

The day's scans, and the answers that are already written down.
"""

from __future__ import annotations

import asyncio
from datetime import date

import structlog

from agents.budget import Ledger
from agents.journal import AnswerBook
from bus.connection import KafkaConnection
from bus.reader import Since, read_topics
from schemas import topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.market import trading_day
from schemas.messages import CallOutcome, LlmCall, Scan

log = structlog.get_logger(__name__)


class ScanBook:
    """Scans by trading date.

    The first scan of a date stands: a repeated one must not change decisions under way.
    """

    def __init__(self) -> None:
        self._scans: dict[date, Scan] = {}
        self._missed: set[date] = set()
        self._news = asyncio.Condition()

    async def add(self, scan: Scan) -> None:
        async with self._news:
            self._scans.setdefault(scan.trading_date, scan)
            self._news.notify_all()

    async def of(self, day: date, patience: float) -> Scan | None:
        """The scan of `day`, waiting up to `patience` seconds for one that is on its way, but in vain only once."""
        if day in self._missed or day in self._scans:
            return self._scans.get(day)
        if not await self.has(day, patience):
            self._missed.add(day)
        return self._scans.get(day)

    async def has(self, day: date, patience: float) -> bool:
        """Whether the scan of `day` is there, or comes within `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._news:
                await self._news.wait_for(lambda: day in self._scans)
        except TimeoutError:
            return False
        return True


async def follow_scans(connection: KafkaConnection, book: ScanBook) -> None:
    """Keep `book` up to date until cancelled. An unreadable scan is logged and skipped."""
    async for record in read_topics(connection, [topics.SCANS], since="start"):
        try:
            await book.add(decode(Scan, record.value))
        except Unreadable as error:
            log.error("scan_unreadable", at=str(record), reason=str(error))


async def follow_answers(
    connection: KafkaConnection,
    book: AnswerBook,
    ledger: Ledger,
    since: Since,
    *,
    until_end: bool = False,
) -> None:
    """Learn recorded calls, of this and other processes, and what they cost.

    Endless unless `until_end`.
    """
    async for record in read_topics(connection, [topics.LLM], since=since, until_end=until_end):
        try:
            call = decode(LlmCall, record.value)
        except Unreadable as error:
            log.error("llm_call_unreadable", at=str(record), reason=str(error))
            continue
        if book.remember(call) or call.outcome is CallOutcome.CANCELLED:
            ledger.spend(trading_day(call.event_time), call.cost)
