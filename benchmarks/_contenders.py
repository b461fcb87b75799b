"""The processes that `benchmarks.pipeline` compares.

python -m benchmarks._contenders {ats,ats-aiokafka,aiokafka,quix,floor} BOOTSTRAP PARTITIONS GROUP

`floor` has no engine (`benchmarks._floor`). The others have the same one; each carries records to
and from it in another way. They read `ats.ticks`, run `EngineMachine` and write signals, candles
and indicators with the header that names their cause. `ats` is the service as it runs in
production: snapshots, commits, dead letters, watch. In `ats-aiokafka` aiokafka fetches in place of
the client in C. `aiokafka` and `quix` are what one would write with the library at hand: they keep
their state in memory, commit now and then, and are not exact after a crash.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks._floor import floor
from bus.connection import KafkaConnection
from bus.reader import record_of
from bus.records import Output, Record
from bus.routing import Router
from bus.stateful import StatefulService, run_stateful
from schemas.market import Timeframe
from schemas.topics import TICKS, PartitionPlan
from schemas.units import UtcNs
from streams.engine.machine import warm_up
from streams.rules import Columns, Directions, Rule
from streams.service import engine_service


def _evaluate(bars: Columns) -> Directions:
    return (bars["close"] % 10 < 5).astype(np.int8)


def service() -> StatefulService:
    """The engine with one rule that speaks often: real rules are silent most of the time."""
    return engine_service((Rule("benchmark", Timeframe.M1, _evaluate, ("close",), UtcNs(0)),))


async def ats(connection: KafkaConnection, plan: PartitionPlan, group: str) -> None:
    await run_stateful(service(), connection, plan, instance=group, stop=asyncio.Event())


async def aiokafka(connection: KafkaConnection, plan: PartitionPlan, group: str) -> None:
    """A bare loop: fetch, apply, send each output."""
    options = connection.client_options()
    consumer = AIOKafkaConsumer(
        TICKS.name,
        **options,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(**options, enable_idempotence=True, acks="all", linger_ms=0)
    machine = _Machines(plan)
    await producer.start()
    await consumer.start()
    committed = time.monotonic()
    while True:
        for rows in (await consumer.getmany(timeout_ms=100)).values():
            for row in rows:
                for output in machine.apply(record_of(row)):
                    await producer.send(
                        output.topic.name,
                        output.value,
                        key=output.key,
                        partition=output.partition,
                        headers=list(output.headers),
                    )
        if time.monotonic() - committed > 1:
            await producer.flush()
            await consumer.commit()
            committed = time.monotonic()


def quix(connection: KafkaConnection, plan: PartitionPlan, group: str) -> None:
    """Quix Streams: a stateless application whose one step is the engine."""
    from quixstreams import Application, message_context  # noqa: PLC0415 (often not installed)
    from quixstreams.models.serializers import Serializer  # noqa: PLC0415

    class Value(Serializer):  # type: ignore[misc]
        def __call__(self, value: Output, ctx: object) -> bytes:  # noqa: ARG002 (called by name)
            return value.value

    app = Application(
        broker_address=connection.bootstrap_servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"enable.idempotence": True, "linger.ms": 0},
    )
    machine = _Machines(plan)
    source = app.topic(TICKS.name, value_deserializer="bytes", key_deserializer="bytes")
    targets = {
        topic.name: app.topic(topic.name, value_serializer=Value(), key_serializer="bytes")
        for topic in machine.service.outputs
    }

    def apply(value: bytes) -> list[Output]:
        place = message_context()
        return machine.apply(
            Record(place.topic, place.partition, place.offset, None, value, UtcNs(0))
        )

    frame = app.dataframe(source).apply(apply, expand=True)
    frame = frame.set_headers(lambda output, *_: list(output.headers))
    for name, target in targets.items():
        chosen = frame[frame.apply(lambda output, name=name: output.topic.name == name)]
        chosen.to_topic(target, key=lambda output: output.key)
    app.run()


class _Machines:
    """The engine of each partition, and the router that the shell of ATS uses too."""

    def __init__(self, plan: PartitionPlan) -> None:
        self.service = service()
        self._router = Router({TICKS.name: TICKS}, self.service.outputs, plan)
        self._of = {number: self.service.fresh(number) for number in range(TICKS.partitions(plan))}

    def apply(self, record: Record) -> list[Output]:
        return list(self._router.route(record, self._of[record.partition].apply(record)))


def main() -> None:
    name, bootstrap, partitions, group = sys.argv[1:]
    connection, plan = KafkaConnection(bootstrap), PartitionPlan(int(partitions), 1)
    if name != "floor":
        warm_up()
    if name == "quix":
        quix(connection, plan, group)
    elif name == "floor":
        floor(connection, group)
    else:
        if name == "ats-aiokafka":
            connection = replace(connection, fetch_client="aiokafka")
        contender = aiokafka if name == "aiokafka" else ats
        asyncio.run(contender(connection, plan, group))


if __name__ == "__main__":
    main()
