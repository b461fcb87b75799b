"""The corpus of quirks before a service that starts for it alone, as a table."""

from __future__ import annotations

import shutil
import sys

from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.topics import create_topics
from schemas.messages import CallOutcome
from schemas.topics import PartitionPlan
from tests.agents.quirk_service import Corpus, Ran, run
from tests.conftest import started_broker
from tests.database.fixtures import own_stack, short_home

SECONDS = 20.0  # the deadline of a decision; five quirks take all of it
LATE = 0.1  # seconds beyond the deadline that are allowed


async def report(corpus: Corpus) -> int:
    """Print a line for each quirk and a verdict; 1 when anything is not as it should be."""
    home = short_home()
    broker = await started_broker(home / "kafka")
    postgres = EmbeddedPostgres(home / "pg", durable=False)
    try:
        await postgres.start()
        kafka = KafkaConnection(broker.bootstrap_servers)
        await create_topics(kafka, PartitionPlan())
        async with Publisher(kafka) as publisher, own_stack(postgres, "quirks") as stack:
            ran = await run(
                corpus,
                kafka=kafka,
                publisher=publisher,
                stack=stack,
                log=home / "agents.log",
                seconds=SECONDS,
            )
    finally:
        await broker.stop()
        await postgres.stop()
        shutil.rmtree(home, ignore_errors=True)
    return _tell(corpus, ran)


def _tell(corpus: Corpus, ran: Ran) -> int:
    wrong = 0
    for name, (_, code) in corpus.items():
        found, seconds = ran.decisions[name].reason_code, ran.seconds[name]
        as_it_should = found == code and seconds <= SECONDS + LATE
        wrong += not as_it_should
        mark = "" if as_it_should else f"   WRONG, {code} expected"
        _say(f"{name:45} {found:13} {1_000 * seconds:>7.0f} ms{mark}")
    equal = ran.each_request_is_a_call()
    cancelled = sum(call.outcome is CallOutcome.CANCELLED for call in ran.sent)
    never = len(ran.journal) - 1 - len(ran.sent)  # one is the recorded poison
    _say(
        f"{len(corpus)} quirks, {ran.asked.total()} requests, {len(ran.sent)} journalled calls "
        f"that left, {cancelled} of them cancelled: {'equal' if equal else 'NOT EQUAL'}; "
        f"{never} more were over before anything left"
    )
    _say(f"longest {1_000 * max(ran.seconds.values()):.0f} ms, deadline {1_000 * SECONDS:.0f} ms")
    _say("the service ran through, and ended when it was told to")
    return int(bool(wrong) or not equal)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
