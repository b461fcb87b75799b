from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from agents.committee import run_committee
from agents.deadline import Deadline
from agents.model import Model
from agents.store import SupabaseStore
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import ScanId
from schemas.market import ScanResult
from tests.agents.factories import (
    FixedNews,
    Topic,
    a_journal,
    a_scan,
    a_signal,
    an_entry,
    an_instrument,
)
from tests.database.fixtures import (
    SupabaseStack,
    an_order_worker_reports,
    client,
    trading_user,
)
from tests.database.pages import PAGES
from tests.web.front import Answer, Front


async def rows(stack: SupabaseStack, query: str, *values: object) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(stack.dsn)
    try:
        return [dict(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


class Time:
    """Machine time in which sleeping takes none; `then` happens at the `turn`-th pause."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.now = 0.0
        self.slept: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) == self.turn:
            self.then()


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
    result = await run_committee(
        signal,
        scan,
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )

    for _ in range(2):
        await store.save_scan(scan)
        await store.save_result(result.reports, result.decision)

    scans = await rows(
        supabase_stack,
        "select * from daily_scans where id = any($1)",
        [entry.scan_id, discarded.scan_id],
    )
    assert {row["scan_result"] for row in scans} == {"SHORTLISTED", "DISCARDED"}
    reports = await rows(
        supabase_stack, "select * from analysis_reports where scan_id = $1", entry.scan_id
    )
    assert {(row["agent_type"], row["sentiment_score"]) for row in reports} == {
        ("TECHNICAL", 40),
        ("SENTIMENT", 21),
    }
    (decision,) = await rows(
        supabase_stack, "select * from trade_decisions where id = $1", result.decision.id
    )
    assert (decision["symbol"], decision["action"], decision["is_executed"]) == (
        "RELIANCE",
        "BUY",
        False,
    )


async def test_saving_again_does_not_undo_what_the_executors_wrote(
    supabase_stack: SupabaseStack, model: Model
) -> None:
    store = SupabaseStore(await supabase_stack.service())
    result = await run_committee(
        a_signal(rule=f"rule-{uuid4().hex}"),
        None,
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )
    await store.save_result((), result.decision)
    await rows(
        supabase_stack,
        "update trade_decisions set is_executed = true where id = $1",
        result.decision.id,
    )

    await store.save_result((), result.decision)

    (row,) = await rows(
        supabase_stack, "select * from trade_decisions where id = $1", result.decision.id
    )
    assert row["is_executed"] is True
    assert (row["action"], row["scan_id"]) == ("HOLD", None)


async def test_a_report_without_its_scan_is_refused_with_the_remedy(
    supabase_stack: SupabaseStack, model: Model
) -> None:
    time = Time(0)
    store = SupabaseStore(await supabase_stack.service(), time.sleep, time)
    result = await run_committee(
        a_signal(rule=f"rule-{uuid4().hex}"),
        a_scan(fresh_entry("RELIANCE")),
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )

    with pytest.raises(Misconfigured, match=r"analysis_reports: .*23503.*scan"):
        await store.save_result(result.reports, result.decision)


async def test_a_browser_key_cannot_write_decisions(
    supabase_stack: SupabaseStack, model: Model
) -> None:
    time = Time(0)
    store = SupabaseStore(await supabase_stack.anonymous(), time.sleep, time)
    result = await run_committee(
        a_signal(),
        None,
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10),
    )

    with pytest.raises(Misconfigured, match="trade_decisions"):
        await store.save_result((), result.decision)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_a_page_of_a_gateway_is_waited_out_however_long_it_stays(
    supabase_stack: SupabaseStack, page: Answer
) -> None:
    scan, time = a_scan(fresh_entry("RELIANCE")), Time(5)
    async with Front(supabase_stack.url).serving() as gateway:
        gateway.instead["/rest/v1/daily_scans"] = page
        time.then = gateway.instead.clear

        await SupabaseStore(
            await client(gateway.url, supabase_stack.secret_key), time.sleep, time
        ).save_scan(scan)

    assert gateway.given == 5
    assert (
        len(
            await rows(
                supabase_stack, "select id from daily_scans where id = $1", scan.entries[0].scan_id
            )
        )
        == 1
    )


async def test_a_database_nobody_serves_is_waited_for(supabase_stack: SupabaseStack) -> None:
    scan, time = a_scan(fresh_entry("RELIANCE")), Time(3)
    async with Front(supabase_stack.url).serving() as gateway:
        gateway.away = True

        def back() -> None:
            gateway.away = False

        time.then = back

        await SupabaseStore(
            await client(gateway.url, supabase_stack.secret_key), time.sleep, time
        ).save_scan(scan)

    assert time.slept == [0.2, 0.4, 0.8]


async def test_a_row_that_the_database_refuses_is_said_to_be_unreadable_and_not_sent_again(
    supabase_stack: SupabaseStack,
) -> None:
    refusal = Answer(400, '{"code": "22P05", "message": "unsupported Unicode escape sequence"}')
    time = Time(0)
    async with Front(supabase_stack.url).serving() as gateway:
        gateway.instead["/rest/v1/daily_scans"] = refusal
        store = SupabaseStore(
            await client(gateway.url, supabase_stack.secret_key), time.sleep, time
        )

        with pytest.raises(Unreadable, match=r"daily_scans: .*22P05"):
            await store.save_scan(a_scan())

    assert gateway.given == 1


async def test_users_are_counted_by_their_switch(supabase_stack: SupabaseStack) -> None:
    await an_order_worker_reports(supabase_stack.dsn)
    store = SupabaseStore(await supabase_stack.service())
    before = await store.count_users()  # the database is shared
    user, _ = await trading_user(supabase_stack)

    on = await store.count_users()
    await user.switch(on=False)

    assert (on - before, await store.count_users() - before) == (1, 0)
