"""Scans, reports and decisions in Supabase, by the real client. Every row has a deterministic id; writing twice is once.

Rows are written before the message goes to Kafka: whoever reads a decision finds it in the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import httpx
import structlog
from postgrest import APIError, ReturnMethod
from supabase import AsyncClient

from schemas.errors import Misconfigured, TryLater
from schemas.messages import Decision, Report, Scan

log = structlog.get_logger(__name__)

PAUSES: Final = (0.2, 1.0, 3.0)  # seconds: over a restart of the API, well within one decision's patience
_PASSING_STATES: Final = ("08", "40", "53", "57")  # SQLSTATE classes: connection, deadlock, resources, shutdown
_BUSY: Final = ("408", "429")


class Store(Protocol):
    """Where the rows go."""

    async def save_scan(self, scan: Scan) -> None: ...

    async def save_verdict(self, reports: Sequence[Report], decision: Decision) -> None: ...


class SupabaseStore:
    """The tables `daily_scans`, `analysis_reports` and `trade_decisions`. The client carries the service key."""

    def __init__(self, client: AsyncClient, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._client = client
        self._sleep = sleep

    async def save_scan(self, scan: Scan) -> None:
        """Write one row per symbol; the first scan of a day stands.

        Raises:
            TryLater: the database stayed away.
            Misconfigured: it refused the rows.
        """
        await self._insert("daily_scans", scan_rows(scan))

    async def save_verdict(self, reports: Sequence[Report], decision: Decision) -> None:
        """Write a decision, HOLD included, and the reports it rests on. Raises as `save_scan`."""
        await self._insert("analysis_reports", [report_row(report) for report in reports])
        await self._insert("trade_decisions", [decision_row(decision)])

    async def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        for pause in (*PAUSES, None):
            try:
                await (
                    self._client.table(table)
                    .upsert(rows, on_conflict="id", ignore_duplicates=True, returning=ReturnMethod.minimal)
                    .execute()
                )
                return
            except (httpx.TransportError, APIError) as error:
                reason = _passing_reason(table, error)
            if pause is not None:
                log.warning("database_write_repeated", table=table, reason=reason, pause_s=pause)
                await self._sleep(pause)
        raise TryLater(f"{table}: not written after {len(PAUSES) + 1} attempts ({reason}); start the process again")


def _passing_reason(table: str, error: httpx.TransportError | APIError) -> str:
    """Why another attempt may help.

    Raises:
        Misconfigured: it cannot.
    """
    if isinstance(error, httpx.TransportError):
        return type(error).__name__
    code = str(error.code or "")
    if _may_pass(code):
        return code or "an error without a code"
    raise Misconfigured(
        f"{table}: the database refused rows: {code} {error.message}; check SUPABASE_SERVICE_KEY and that the migrations "
        "and the day's scan are in place"
    ) from None


def _may_pass(code: str) -> bool:
    """Whether another attempt may end otherwise. A gateway's error page carries a status or no code at all."""
    if code.startswith("PGRST"):
        return code.startswith("PGRST00")  # PostgREST has no connection to the database
    if len(code) == len("23503"):
        return code.startswith(_PASSING_STATES)
    return code in _BUSY or not code.startswith("4")


def scan_rows(scan: Scan) -> list[dict[str, Any]]:
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
    return {
        "id": str(decision.id),
        "scan_id": str(decision.scan_id) if decision.scan_id else None,
        "symbol": decision.symbol,
        "action": decision.action.value,
        "reasoning": decision.reasoning,
        "is_executed": False,
    }
