"""Creates the topics of the catalogue and checks them.

An explicit step: nothing in ATS creates a topic in passing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from bus.connection import KafkaConnection, administrator
from bus.patience import until_known
from schemas.errors import Misconfigured, TryLater
from schemas.topics import CATALOGUE, PartitionPlan, Topic

log = structlog.get_logger(__name__)

# seconds from "created" to "every broker knows it"; one node needs about 0.1
VISIBLE_WITHIN: Final = 10.0


async def create_topics(
    connection: KafkaConnection,
    plan: PartitionPlan,
    replication_factor: int = 1,
    topics: Iterable[Topic] = CATALOGUE,
) -> list[str]:
    """Create what is missing and return its names; running it again changes nothing.

    Settings of a topic that exists are left alone: an operator may have changed them on purpose.

    Raises:
        Misconfigured: a topic exists with another number of partitions, or the broker refuses one.
        TryLater: no broker answers.
    """
    async with administrator(connection) as admin:
        wanted = {topic.name: topic for topic in topics}
        existing = await _partition_counts(admin)
        _refuse_mismatch(existing, plan, wanted.values())
        missing = [topic for name, topic in wanted.items() if name not in existing]
        created = await _create(admin, missing, plan, replication_factor) if missing else []
        await _until_visible(admin, created)
    for name in created:
        log.info("topic_created", topic=name, partitions=wanted[name].partitions(plan))
    return created


async def check_topics(
    connection: KafkaConnection, plan: PartitionPlan, topics: Iterable[Topic]
) -> None:
    """Make sure that `topics` exist as `plan` says.

    Raises:
        Misconfigured: naming what is missing or has another number of partitions, and the remedy.
        TryLater: no broker answers.
    """
    wanted, existing = list(topics), dict[str, int]()
    async with administrator(connection) as admin:

        async def look() -> bool | None:
            existing.update(await _partition_counts(admin))
            return {topic.name for topic in wanted} <= existing.keys() or None

        await until_known(look)
    if missing := sorted({topic.name for topic in wanted} - existing.keys()):
        where = connection.bootstrap_servers
        raise Misconfigured(
            f"topic missing at {where}: {', '.join(missing)}; run `ats topics create`"
        )
    _refuse_mismatch(existing, plan, wanted)


async def settings_of(connection: KafkaConnection, names: list[str]) -> dict[str, dict[str, str]]:
    """Of each topic that exists its settings, by name.

    Raises:
        TryLater: no broker answers.
    """
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    async with administrator(connection) as admin:
        answers = await admin.describe_configs(asked)
    return {
        topic: {name: value for name, value, *_ in settings}
        for answer in answers
        for _, _, _, topic, settings in answer.resources
    }


def _refuse_mismatch(
    existing: dict[str, int], plan: PartitionPlan, topics: Iterable[Topic]
) -> None:
    for topic in topics:
        count, planned = existing.get(topic.name), topic.partitions(plan)
        if count is not None and count != planned:
            raise Misconfigured(
                f"topic {topic.name} has {count} partitions, the plan says {planned}; set the plan "
                f"to {count}, or drain and delete the topic and run `ats topics create` (more "
                "partitions move keys, so it is never done in place)"
            )


async def _partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {
        topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0
    }


async def _create(
    admin: AIOKafkaAdminClient, topics: list[Topic], plan: PartitionPlan, replication_factor: int
) -> list[str]:
    response = await admin.create_topics(
        [
            NewTopic(t.name, t.partitions(plan), replication_factor, topic_configs=t.config())
            for t in topics
        ]
    )
    created = []
    for name, code, *reason in response.topic_errors:
        if code == TopicAlreadyExistsError.errno:  # another process was faster
            continue
        if code:
            raise Misconfigured(
                f"the broker refuses topic {name}: {for_code(code).__name__} "
                f"{' '.join(map(str, reason))}"
            )
        created.append(name)
    return created


async def _until_visible(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until the metadata shows the new topics.

    It lags behind creation: a producer that starts too early is told that the topic does not exist.
    """
    try:
        async with asyncio.timeout(VISIBLE_WITHIN):
            while not set(names) <= (await _partition_counts(admin)).keys():  # noqa: ASYNC110  # a broker has no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TryLater(
            f"topics were created but no broker shows them within {VISIBLE_WITHIN:.0f} s: {names}"
        ) from None
