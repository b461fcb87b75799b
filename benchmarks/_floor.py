"""The least that a way of two hops through Kafka takes: bare clients in C, and no engine.

It reads `ats.ticks` and writes what an engine would, as many records of the same size when the same
bars close, but computes nothing: prices stand in texts made before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from confluent_kafka import Consumer, Producer

from benchmarks._load import speaks
from bus.connection import KafkaConnection
from bus.librdkafka import record_from
from schemas.lineage import HEADER, header_value
from schemas.ticks import Batch, decode
from schemas.topics import CANDLES, INDICATORS, SIGNALS, TICKS, Topic
from schemas.units import NS_PER_SECOND

MINUTE: Final = 60 * NS_PER_SECOND
LATENESS: Final = 2 * NS_PER_SECOND  # after which the market clock closes a bar, as the engine's
AT_ONCE: Final = 256  # records
SIZES: Final = {SIGNALS: 490, CANDLES: 306, INDICATORS: 1_206}  # bytes, as the engine's on average
CLIENT: Final = {"socket.nagle.disable": True}


class Bar(NamedTuple):
    """One that closed."""

    security_id: int
    minute: int
    close: int


class Bars:
    """Which 1-minute bars of a partition close, and when."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, int]] = {}
        self._swept = 0

    def closed_by(self, batch: Batch) -> Iterator[Bar]:
        rows = batch.rows
        minutes = (rows["exchange_time"] // MINUTE).tolist()
        ids, prices = rows["security_id"].tolist(), rows["price"].tolist()
        for id_, minute, price in zip(ids, minutes, prices, strict=True):
            before, close = self._open.get(id_, (minute, price))
            if before < minute:
                yield Bar(id_, before, close)
            self._open[id_] = minute, price
        if (minute := (int(batch.clock) - LATENESS) // MINUTE) > self._swept:
            self._swept = minute
            yield from self._sweep(minute)

    def _sweep(self, minute: int) -> Iterator[Bar]:
        for id_, (begun, close) in [*self._open.items()]:
            if begun < minute:
                del self._open[id_]
                yield Bar(id_, begun, close)


def value_of(bar: Bar, topic: Topic) -> bytes:
    """What those who read the benchmark's topics look at, and no more."""
    head = (
        b'{"close":%d,"event_time":%d,"id":"%d-%d","instrument":"NSE_EQ:%d","timeframe":"1m","_":"'
    )
    said = head % (
        *(bar.close, (bar.minute + 1) * MINUTE),
        *(bar.security_id, bar.minute, bar.security_id),
    )
    return said + b"." * (SIZES[topic] - len(said) - 2) + b'"}'


def floor(connection: KafkaConnection, group: str) -> None:
    """Read and write for ever."""
    options = connection.librdkafka_options() | CLIENT
    reading = {"group.id": group, "auto.offset.reset": "earliest", "fetch.queue.backoff.ms": 1}
    consumer = Consumer(options | reading)
    producer = Producer(options | {"enable.idempotence": True, "linger.ms": 0})
    consumer.subscribe([TICKS.name])
    partitions: dict[int, Bars] = {}
    while True:
        producer.poll(0)
        if (first := consumer.poll(0.1)) is None:
            continue
        for message in (first, *consumer.consume(AT_ONCE, 0)):
            record = record_from(message)
            bars = partitions.setdefault(record.partition, Bars())
            closed = [*bars.closed_by(decode(record.value or b""))]
            spoken = [bar for bar in closed if speaks(bar.close)]
            for topic, of in ((SIGNALS, spoken), (CANDLES, closed), (INDICATORS, closed)):
                for nth, bar in enumerate(of):
                    producer.produce(
                        topic.name,
                        value_of(bar, topic),
                        b"NSE_EQ:%d" % bar.security_id,
                        record.partition,
                        headers=[(HEADER, header_value(record.offset, nth))],
                    )
