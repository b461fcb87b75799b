"""`ats why` on a real broker with the real topics."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from ats.runtime import exit_codes
from audit.reading import MOST_NAMED, Found, Reader
from audit.story import names_of
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output
from schemas import topics
from schemas.codec import encode
from schemas.ids import UserId, derive
from schemas.messages import Message
from schemas.topics import PartitionPlan, Topic
from tests.ats.factories import ASHA
from tests.audit.conftest import anew
from tests.audit.test_story import (
    BALA,
    CHAIN,
    DECISION,
    INTENT,
    NUMBER,
    OTHERS,
    OURS,
    SIGNAL,
    THEIRS,
)

pytestmark = pytest.mark.asyncio(loop_scope="package")
OF: dict[type[Message], Topic] = {
    topic.message: topic for topic in topics.CATALOGUE if topic.message is not None
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def cluster(broker: KafkaConnection) -> str:
    """A broker with a story among other people's, told twice as after a crash, and poison."""
    await anew(broker, PartitionPlan(2, 2))
    async with Publisher(broker) as publisher:
        for message in (*OTHERS, *CHAIN, *OURS, *CHAIN, *OURS):
            topic = OF[type(message)]
            await publisher.send(Output(topic, b"1", encode(message), 0))
            await publisher.send(Output(topic, b"1", b'{"odd":"%s"}' % str(INTENT.id).encode(), 0))
        await publisher.flush()
    return broker.bootstrap_servers


async def why(cluster: str, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ats", "why", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(Path.home()),
            "ATS_ENV_FILE": os.devnull,
            "KAFKA_BOOTSTRAP_SERVERS": cluster,
        },
    )
    out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def test_the_story_of_an_order_is_whole_and_each_record_says_where_it_stands(
    cluster: str,
) -> None:
    code, out, _ = await why(cluster, str(INTENT.id))

    story = json.loads(out)
    assert code == exit_codes.DONE
    assert {each["value"]["id"] for each in story["records"]} == {
        str(each.id) for each in (*CHAIN, *OURS)
    }
    assert {(each["topic"], each["offset"] >= 0) for each in story["records"]} == {
        (OF[type(each)].name, True) for each in (*CHAIN, *OURS)
    }
    *named, more = story["missing"]  # the poison beside each record
    assert all("@" in each and " tells of it and cannot be read: " in each for each in named)
    assert len(named) == MOST_NAMED
    assert more.endswith("more records tell of it and cannot be read")


async def test_an_id_that_nothing_has_is_said_with_what_may_be_given(cluster: str) -> None:
    code, out, errors = await why(cluster, str(derive("nobody", "has", "this")))

    assert (code, out) == (exit_codes.MISCONFIGURED, "")
    assert "nothing recorded is named" in errors
    assert "an order, execution, trade" in errors


@pytest.mark.parametrize(
    ("name", "user"),
    [(NUMBER, ASHA), (str(THEIRS.id), BALA)],
    ids=["by Dhan's number", "somebody else's"],
)
async def test_each_order_has_its_own_users_story(cluster: str, name: str, user: UserId) -> None:
    reader = Reader(KafkaConnection(cluster), "start")
    found = await reader.find(name)
    assert found.start

    story = await reader.story(found.start.message)

    assert story
    assert story.subject.user == user


@pytest.mark.parametrize("start", [*CHAIN[2:], *OURS], ids=lambda each: type(each).__name__)
async def test_every_id_of_a_story_leads_to_the_signal_that_began_it(
    cluster: str, start: Message
) -> None:
    reader = Reader(KafkaConnection(cluster), "start")

    found = await reader.find(str(start.id))
    story = await reader.story(found.start.message) if found.start else None

    assert story
    assert {SIGNAL.id, DECISION.id, INTENT.id} <= {each.message.id for each in story.records}
    assert [each for each in story.missing if "cannot be read" not in each] == []


async def test_the_begin_of_an_id_may_stand_for_it_and_its_place_too(cluster: str) -> None:
    reader = Reader(KafkaConnection(cluster), "start")
    whole = str(INTENT.id)

    part, shouted = await reader.find(f" {whole[:8]} "), await reader.find(whole.upper())
    assert part.start
    assert shouted.start
    by_place = await reader.find(part.start.place)

    assert part.meant == (whole,)
    assert whole in names_of(part.start.message) & names_of(shouted.start.message)
    assert by_place.start == part.start


async def test_a_begin_that_several_ids_share_names_none_and_lists_them(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.reading.PREFIX", 1)

    found = await Reader(KafkaConnection(cluster), "start").find(str(INTENT.id)[0])

    assert found.start is None
    assert str(INTENT.id) in found.meant
    assert len(found.meant) > 1


@pytest.mark.parametrize(
    "name", ["", " ", "%s", '"', "ats.orders-0@99999", "ats.orders-7@0", "\x00"]
)
async def test_a_name_of_nothing_finds_nothing(cluster: str, name: str) -> None:
    found = await Reader(KafkaConnection(cluster), "start").find(name)

    assert found == Found()
