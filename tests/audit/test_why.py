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
from audit.reading import Reader
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
from tests.audit.test_story import BALA, CHAIN, INTENT, NUMBER, OTHERS, OURS, THEIRS

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
    assert story["missing"] == []


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
    start = await reader.find(name)
    assert start

    story = await reader.story(start.message)

    assert story
    assert story.subject.user == user
