"""Scans, reports and decisions in Supabase, by the real client.

Every row has a deterministic id; writing twice is once. Rows are written before the message goes to
Kafka: whoever reads a decision finds it in the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import structlog
from postgrest import CountMethod, ReturnMethod
from supabase import AsyncClient

from bus.database import Answers, RowRefused, StoreAway
from schemas.errors import Unreadable
from schemas.messages import Decision, Report, Scan

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 0.2  # seconds between two attempts, doubled each time
LONGEST_PAUSE: Final = 3.0
_USERS: Final = "user_trading_keys"
_FOREIGN_KEY: Final = "23503"
_REMEDY: Final = (
    "check SUPABASE_SERVICE_KEY and that the migrations and the day's scan are in place"
)


class Store(Protocol):
    """Where the rows go."""

    async def save_scan(self, scan: Scan) -> None:
        """Write one row per symbol; writing twice is once."""
        ...

    async def save_result(self, reports: Sequence[Report], decision: Decision) -> None:
        """Write a decision and the reports it rests on; writing twice is once."""
        ...


class SupabaseStore:
    """The tables `daily_scans`, `analysis_reports` and `trade_decisions`.

    The client carries the service key.
    """

    def __init__(
        self,
        client: AsyncClient,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._answers = Answers(_REMEDY, monotonic)

    async def save_scan(self, scan: Scan) -> None:
        """Write one row per symbol, however long the database is away.

        The first scan of a day stands.

        Raises:
            Unreadable: the database refuses a row for what stands in it.
            Misconfigured: it keeps refusing for reasons that only a person can mend.
        """
        await self._insert("daily_scans", scan_rows(scan))

    async def save_result(self, reports: Sequence[Report], decision: Decision) -> None:
        """Write a decision, HOLD included, and the reports it rests on. Raises as `save_scan`."""
        await self._insert("analysis_reports", [report_row(report) for report in reports])
        await self._insert("trade_decisions", [decision_row(decision)])

    async def count_users(self) -> int:
        """How many users have switched trading on.

        Raises:
            StoreAway: the database did not say.
            Misconfigured: it keeps refusing for reasons that only a person can mend.
        """
        switched_on = (
            self._client.table(_USERS)
            .select("id", count=CountMethod.exact)
            .eq("is_trading_enabled", value=True)
            .limit(1)
        )
        counted: list[int | None] = []

        async def execute() -> Any:
            answer = await switched_on.execute()
            counted.append(answer.count)
            return answer

        await self._answers.of(_USERS, execute)
        if (users := counted[-1]) is None:
            raise StoreAway("the database did not say how many users there are")
        return users

    async def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        pause = FIRST_PAUSE
        while True:
            try:
                await self._write(table, rows)
            except StoreAway as error:
                log.warning(
                    "database_write_repeated", table=table, reason=str(error), pause_s=pause
                )
            else:
                return
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _write(self, table: str, rows: list[dict[str, Any]]) -> None:
        written = self._client.table(table).upsert(
            rows, on_conflict="id", ignore_duplicates=True, returning=ReturnMethod.minimal
        )
        try:
            await self._answers.of(table, written.execute)
        except RowRefused as refused:
            # the scan is not there, or not yet: the same for every row of the day
            if refused.code == _FOREIGN_KEY:
                raise self._answers.misfit(
                    table, f"the database refused rows: {refused}", "reference"
                ) from None
            raise Unreadable(f"{table}: the database refused rows: {refused}") from None


def scan_rows(scan: Scan) -> list[dict[str, Any]]:
    """The rows of `daily_scans`, one per symbol."""
    return [
        {
            "id": str(entry.scan_id),
            "date": scan.trading_date.isoformat(),
            "symbol": entry.symbol,
            "scan_result": entry.result.value,
            "initial_signal": entry.initial_signal.value,
        }
        for entry in scan.entries
    ]


def report_row(report: Report) -> dict[str, Any]:
    """The row of `analysis_reports`."""
    return {
        "id": str(report.id),
        "scan_id": str(report.scan_id),
        "agent_type": report.agent_type.value,
        "report_data": report.data
        | {
            "signal_id": str(report.signal_id),
            "symbol": report.symbol,
            "confidence": report.confidence,
            "summary": report.summary,
        },
        "sentiment_score": report.score,
    }


def decision_row(decision: Decision) -> dict[str, Any]:
    """The row of `trade_decisions`."""
    return {
        "id": str(decision.id),
        "scan_id": str(decision.scan_id) if decision.scan_id else None,
        "symbol": decision.symbol,
        "action": decision.action.value,
        "reasoning": decision.reasoning,
        "is_executed": False,
    }
