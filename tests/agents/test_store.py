from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web
from supabase import acreate_client

from agents.committee import convene
from agents.deadline import Deadline
from agents.model import Model
from agents.store import SupabaseStore, _may_pass
from schemas.errors import Misconfigured, TryLater
from schemas.ids import ScanId
from schemas.market import ScanResult
from tests.agents.factories import FixedNews, Topic, a_journal, a_scan, a_signal, an_entry, an_instrument
from tests.database.fixtures import SupabaseStack


async def rows(stack: SupabaseStack, query: str, *values: object) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(stack.dsn)
    try:
        return [dict(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


def fresh_entry(symbol: str) -> Any:
    """The database is shared by the whole run, so every test has scan ids of its own."""
    return an_entry(symbol=symbol).model_copy(update={"scan_id": ScanId(uuid4())})


async def test_scan_reports_and_decision_are_rows_written_once_however_often_they_are_saved(
    supabase_stack: SupabaseStack, model: Model
) -> None:
    store = SupabaseStore(await supabase_stack.service())
    discarded = an_entry(an_instrument(7).id, "TCS", ScanResult.DISCARDED).model_copy(
        update={"scan_id": ScanId(uuid4())}
    )
    entry = fresh_entry("RELIANCE")
    scan, signal = a_scan(entry, discarded), a_signal(rule=f"rule-{uuid4().hex}")
    verdict = await convene(
        signal, scan, news=FixedNews(), journal=a_journal(model, Topic()), deadline=Deadline.after(10)
    )

    for _ in range(2):
        await store.save_scan(scan)
        await store.save_verdict(verdict.reports, verdict.decision)

    scans = await rows(
        supabase_stack, "select * from daily_scans where id = any($1)", [entry.scan_id, discarded.scan_id]
    )
    assert {row["scan_result"] for row in scans} == {"SHORTLISTED", "DISCARDED"}
    reports = await rows(supabase_stack, "select * from analysis_reports where scan_id = $1", entry.scan_id)
    assert {(row["agent_type"], row["sentiment_score"]) for row in reports} == {("TECHNICAL", 40), ("SENTIMENT", 21)}
    (decision,) = await rows(supabase_stack, "select * from trade_decisions where id = $1", verdict.decision.id)
    assert (decision["symbol"], decision["action"], decision["is_executed"]) == ("RELIANCE", "BUY", False)


async def test_saving_again_does_not_undo_what_the_executors_wrote(supabase_stack: SupabaseStack, model: Model) -> None:
    store = SupabaseStore(await supabase_stack.service())
    verdict = await convene(
        a_signal(rule=f"rule-{uuid4().hex}"),
        None,
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )
    await store.save_verdict((), verdict.decision)
    await rows(supabase_stack, "update trade_decisions set is_executed = true where id = $1", verdict.decision.id)

    await store.save_verdict((), verdict.decision)

    (row,) = await rows(supabase_stack, "select * from trade_decisions where id = $1", verdict.decision.id)
    assert row["is_executed"] is True
    assert (row["action"], row["scan_id"]) == ("HOLD", None)


async def test_a_report_without_its_scan_is_refused_with_the_remedy(
    supabase_stack: SupabaseStack, model: Model
) -> None:
    store = SupabaseStore(await supabase_stack.service())
    verdict = await convene(
        a_signal(rule=f"rule-{uuid4().hex}"),
        a_scan(fresh_entry("RELIANCE")),
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )

    with pytest.raises(Misconfigured, match=r"analysis_reports: .*23503.*scan"):
        await store.save_verdict(verdict.reports, verdict.decision)


async def test_a_browser_key_cannot_write_decisions(supabase_stack: SupabaseStack, model: Model) -> None:
    store = SupabaseStore(await supabase_stack.anonymous())
    verdict = await convene(
        a_signal(), None, news=FixedNews(), journal=a_journal(model, Topic()), deadline=Deadline.after(10)
    )

    with pytest.raises(Misconfigured, match="trade_decisions"):
        await store.save_verdict((), verdict.decision)


@pytest.mark.parametrize(("bad_answers", "written"), [(2, True), (99, False)], ids=["a moment", "for good"])
async def test_a_database_that_is_away_is_tried_again_a_few_times(
    bad_answers: int, written: bool, unserved: list[int]
) -> None:
    pages = (
        lambda: web.json_response({"message": "away"}, status=503),
        lambda: web.Response(text="<html>bad gateway</html>", status=502),
        lambda: web.json_response({"code": "PGRST001", "message": "no connection"}, status=503),
    )

    async def answer(_: web.Request) -> web.Response:
        unserved.append(1)
        away = len(unserved) <= bad_answers
        if not away:
            return web.Response(status=201)
        return pages[len(unserved) % 3]()

    app = web.Application()
    app.router.add_post("/rest/v1/daily_scans", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = await acreate_client(f"http://127.0.0.1:{runner.addresses[0][1]}", "sb_secret_x")
    store = SupabaseStore(client, sleep)

    try:
        if written:
            await store.save_scan(a_scan())
        else:
            with pytest.raises(TryLater, match="daily_scans: not written after 4 attempts"):
                await store.save_scan(a_scan())
    finally:
        await runner.cleanup()

    assert len(unserved) == (3 if written else 4)
    assert len(slept) == len(unserved) - 1


async def test_a_database_nobody_serves_is_a_reason_to_try_later() -> None:
    async def sleep(_: float) -> None:
        return None

    client = await acreate_client("http://127.0.0.1:9", "sb_secret_x")

    with pytest.raises(TryLater):
        await SupabaseStore(client, sleep).save_scan(a_scan())


@pytest.fixture
def unserved() -> list[int]:
    return []


@pytest.mark.parametrize("code", ["22P02", "23514", "42501", "PGRST204", "PGRST301", "401", "403", "404"])
def test_a_refusal_that_will_not_change_is_not_repeated(code: str) -> None:
    assert not _may_pass(code)


@pytest.mark.parametrize(
    "code", ["", "408", "429", "500", "502", "503", "PGRST000", "PGRST003", "08006", "57P03", "40P01"]
)
def test_a_refusal_that_may_change_is_repeated(code: str) -> None:
    assert _may_pass(code)
