"""Our headers as CloudEvents' own library reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from schemas.cloud_events import headers_of, type_of
from schemas.codec import encode
from schemas.topics import CANDLES, CATALOGUE, SCANS, SNAPSHOTS, TICKS, Topic
from schemas.units import NS_PER_SECOND, UtcNs
from tests.schemas.factories import a_candle, a_scan

KEY = b"NSE_EQ:2885"
NOON = UtcNs(1_795_761_000 * NS_PER_SECOND)


def test_the_official_library_reads_a_record_as_the_event_that_it_is() -> None:
    candle = a_candle(event_time=NOON)
    value = encode(candle)

    event = from_kafka_event(KafkaMessage(dict(headers_of(CANDLES, KEY, value)), KEY, value))

    assert event.get_specversion() == "1.0"
    assert event.get_id() == str(candle.id)
    assert event.get_source() == "/ats/candles"
    assert event.get_type() == "in.ats.candle.v1"
    assert event.get_subject() == "NSE_EQ:2885"
    assert event.get_time() == datetime(2026, 11, 27, 6, 30, tzinfo=UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == orjson.loads(value)


def test_the_time_has_every_nanosecond_of_the_message() -> None:
    headers = dict(headers_of(CANDLES, KEY, encode(a_candle(event_time=UtcNs(NOON + 1)))))

    assert headers["ce_time"] == b"2026-11-27T06:30:00.000000001Z"


def test_a_name_within_a_text_is_not_taken_for_the_message_s_own() -> None:
    scan = a_scan()
    (entry,) = scan.entries
    misleading = entry.model_copy(update={"reason": '"event_time":9,"id":"' + "0" * 36})
    value = encode(scan.model_copy(update={"entries": (misleading,)}))

    assert dict(headers_of(SCANS, b"2026-11-23", value))["ce_id"] == str(scan.id).encode()


@pytest.mark.parametrize("topic", [TICKS, SNAPSHOTS], ids=lambda topic: topic.name)
def test_a_binary_record_is_no_event(topic: Topic) -> None:
    assert headers_of(topic, KEY, encode(a_candle())) == ()


@pytest.mark.parametrize("value", [b"", b"{}", b'{"event_time":1', b'{"id":"x","event_time":"y"}'])
def test_what_is_no_message_is_no_event(value: bytes) -> None:
    assert headers_of(CANDLES, KEY, value) == ()


def test_each_kind_of_message_has_a_type_of_its_own() -> None:
    kinds = {topic.message for topic in CATALOGUE if topic.message}

    assert len({type_of(kind) for kind in kinds}) == len(kinds)
