"""The ledger and its witness on a real broker: what stands there is what is signed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from ats.ledger.prove import proof_of, records_of
from audit.ledger.entries import Entry
from audit.ledger.log import LOGGED, Logs, batches_of, day_of
from audit.ledger.reading import day_records, leaves, read_ledger
from audit.ledger.service import Ledger
from audit.ledger.verification import DayLog, Kind, Verdict, verify
from audit.ledger.witness import SignedHeads, Witness, watch
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record, message_output
from schemas import topics
from schemas.codec import encode
from schemas.errors import Misconfigured
from schemas.messages import Message
from schemas.topics import LEDGER, PartitionPlan, Topic
from tests.audit.conftest import anew
from tests.audit.ledger import rfc9162
from tests.audit.ledger.tampering import LOG, TRUST, WITNESS
from tests.audit.test_story import CHAIN, INTENT, OURS

pytestmark = pytest.mark.asyncio(loop_scope="package")
OF: dict[type[Message], Topic] = {
    topic.message: topic for topic in topics.CATALOGUE if topic.message is not None
}
NEVER = asyncio.Event()


@pytest_asyncio.fixture(loop_scope="package")
async def cluster(broker: KafkaConnection) -> KafkaConnection:
    """A broker with the story of an order, some of it written twice."""
    await anew(broker, PartitionPlan(2, 2))
    async with Publisher(broker) as publisher:
        for message in (*CHAIN, *OURS, *OURS):
            await publisher.send(Output(OF[type(message)], b"1", encode(message), 1))
        await publisher.flush()
    return broker


async def everything(connection: KafkaConnection) -> list[Record]:
    records = read_topics(connection, LOGGED, since="start", until_end=True)
    return [record async for record in records]


async def keep(connection: KafkaConnection) -> None:
    await Ledger(connection, LOG).run(NEVER, until_end=True)


async def cosign(connection: KafkaConnection, folder: Path) -> Witness:
    witness = Witness(LOG.public, WITNESS, SignedHeads(folder), lambda: 1_795_156_260 * 10**9)
    await watch(connection, witness, NEVER, until_end=True)
    return witness


async def verdict_of(connection: KafkaConnection) -> Verdict:
    (day,) = {day_of(each) for each in await everything(connection)}
    log = DayLog.of(day, *await read_ledger(connection))
    return verify(log, leaves(await day_records(connection, day, log)), TRUST)


async def test_every_record_has_a_leaf_that_is_signed_and_cosigned(
    cluster: KafkaConnection, tmp_path: Path
) -> None:
    count = len(await everything(cluster))

    await keep(cluster)
    await cosign(cluster, tmp_path)
    await keep(cluster)  # nothing new: nothing is written

    verdict = await verdict_of(cluster)
    assert verdict.findings == []
    assert verdict.signed == verdict.cosigned == verdict.checked == count > 10
    assert len((await read_ledger(cluster)).heads) == 2


async def test_a_proof_of_an_order_is_verified_by_code_that_is_not_ours(
    cluster: KafkaConnection, tmp_path: Path
) -> None:
    await keep(cluster)
    await cosign(cluster, tmp_path)
    ledgers = await read_ledger(cluster)

    for record in await records_of(cluster, INTENT.id):
        proof = proof_of(record, ledgers, TRUST)
        keys = str(LOG.public), str(WITNESS.public)
        origin, _ = rfc9162.check(str(proof), Entry.of(record).encoded, *keys)
        assert origin == f"{LOG.public.name}/{day_of(record)}"


async def test_what_a_death_kept_from_being_signed_is_signed_after_it(
    cluster: KafkaConnection, tmp_path: Path
) -> None:
    records = await everything(cluster)
    (batch,) = batches_of(records[:5], Logs())
    async with Publisher(cluster) as publisher:
        for _ in range(2):  # in flight when it died, and sent again
            await publisher.send_and_wait(message_output(LEDGER, batch, "1", 0))

    await keep(cluster)
    await cosign(cluster, tmp_path)

    verdict = await verdict_of(cluster)
    assert verdict.findings == []
    assert verdict.signed == len(records)


async def test_a_leaf_that_is_not_of_its_record_is_never_signed(cluster: KafkaConnection) -> None:
    (batch,) = batches_of((await everything(cluster))[:5], Logs())
    forged = batch.entries[0].model_copy(update={"message": "A" * 43 + "="})
    other = batch.model_copy(update={"entries": (forged, *batch.entries[1:])})
    async with Publisher(cluster) as publisher:
        await publisher.send_and_wait(message_output(LEDGER, other, "1", 0))

    with pytest.raises(Misconfigured, match="is not of the record that stands there"):
        await keep(cluster)

    assert (await read_ledger(cluster)).heads == []


async def test_a_witness_cosigns_no_log_that_was_written_again(
    cluster: KafkaConnection, tmp_path: Path
) -> None:
    await keep(cluster)
    await cosign(cluster, tmp_path)
    records = await everything(cluster)
    await anew(cluster, PartitionPlan(2, 2))
    async with Publisher(cluster) as publisher:
        for record in [*records[1:], records[0], records[0]]:
            topic = topics.BY_NAME[record.topic]
            await publisher.send(Output(topic, b"1", record.value or b"", 1))
        await publisher.flush()
    await keep(cluster)

    with pytest.raises(Misconfigured, match="is not the one that this witness signed"):
        await cosign(cluster, tmp_path)

    assert Kind.FORGED in {each.kind for each in (await verdict_of(cluster)).findings}
