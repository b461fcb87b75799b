"""No answer of any provider ends the service, and each ends in a decision with its own reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from agents.committee import run_committee
from agents.deadline import Deadline
from agents.model import Model
from agents.providers import Endpoint
from agents.wire import open_model_client
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.topics import create_topics
from schemas.market import Action
from schemas.messages import Decision
from schemas.topics import PartitionPlan
from tests.agents.factories import FixedNews, Topic, a_journal, a_scan, a_signal, an_entry
from tests.agents.quirk_service import OLD, recorded_poison, run
from tests.agents.quirks import ODD, SLOW
from tests.agents.raw_endpoint import RawEndpoint
from tests.database.fixtures import SupabaseStack


@pytest_asyncio.fixture
async def publisher(own_kafka: KafkaConnection) -> AsyncIterator[Publisher]:
    await create_topics(own_kafka, PartitionPlan())
    async with Publisher(own_kafka) as publisher:
        yield publisher


async def test_no_answer_ends_the_service_and_each_journalled_call_is_one_request_at_most(
    own_kafka: KafkaConnection, publisher: Publisher, supabase_stack: SupabaseStack, tmp_path: Path
) -> None:
    poison = recorded_poison()

    ran = await run(
        ODD, kafka=own_kafka, publisher=publisher, stack=supabase_stack, log=tmp_path / "agents.log"
    )

    codes = {name: ran.decisions[name].reason_code for name in ODD}
    assert codes == {name: code for name, (_, code) in ODD.items()}
    assert ran.decisions[OLD].reason_code == "schema"
    held = {each.action for each in ran.decisions.values() if each.reason_code != "decided"}
    assert held == {Action.HOLD}
    assert ran.each_request_is_a_call()
    assert poison.request["user"] not in ran.asked
    assert "sk-wire" not in ran.log
    await _stand_in_the_database(supabase_stack, ran.decisions)


@pytest.mark.parametrize("name", sorted(SLOW))
async def test_an_answer_that_does_not_end_is_a_hold_at_the_deadline(name: str) -> None:
    answer, code = SLOW[name]
    topic = Topic()
    async with RawEndpoint() as endpoint, open_model_client() as http:
        endpoint.answers["RELIANCE"] = answer
        model = Model(Endpoint(endpoint.base_url, "fake-1", "k"), http)

        result = await run_committee(
            a_signal(),
            a_scan(an_entry()),
            news=FixedNews(),
            journal=a_journal(model, topic),
            deadline=Deadline.after(0.5),
        )

    assert (result.decision.action, result.decision.reason_code) == (Action.HOLD, code)
    assert sum(endpoint.asked.values()) == len(topic.calls)


def test_the_corpus_has_at_least_120_quirks_and_every_way_a_call_can_fail() -> None:
    codes = [code for _, code in (ODD | SLOW).values()]

    assert len(codes) >= 120
    assert set(codes) == {
        "decided",
        "transport",
        "rejected",
        "unclean",
        "refusal",
        "schema",
        "wrong_symbol",
        "timeout",
    }


async def _stand_in_the_database(stack: SupabaseStack, found: dict[str, Decision]) -> None:
    database = await asyncpg.connect(stack.dsn)
    try:
        ids = [decision.id for decision in found.values()]
        rows = await database.fetch(
            "select symbol, action from trade_decisions where id = any($1)", ids
        )
    finally:
        await database.close()
    assert {row["symbol"]: row["action"] for row in rows} == {
        each.symbol: each.action.value for each in found.values()
    }


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1"], ids=["our own", "through a proxy"])
async def test_only_the_deadline_of_a_question_ends_its_request(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    async with open_model_client() as http:
        assert http.timeout == httpx.Timeout(None)
