from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from schemas.codec import decode, encode, head_of
from schemas.errors import Unreadable
from schemas.messages import Candle, Scan
from schemas.topics import CATALOGUE
from schemas.units import Price
from tests.schemas.factories import a_candle, a_scan


def test_a_message_survives_the_wire_unchanged() -> None:
    candle = a_candle()

    assert decode(Candle, encode(candle)) == candle


def test_units_come_back_as_units() -> None:
    assert isinstance(decode(Candle, encode(a_candle())).open, Price)


def test_equal_messages_are_equal_bytes_whatever_the_order_of_their_making() -> None:
    payload = a_candle().model_dump()
    reversed_payload = dict(reversed(payload.items()))

    assert encode(Candle.model_validate(payload)) == encode(Candle.model_validate(reversed_payload))


def test_a_message_cannot_be_changed() -> None:
    candle = a_candle()

    with pytest.raises(ValidationError, match="frozen"):
        candle.close = Price(1)  # type: ignore[misc]


def test_a_producer_cannot_invent_a_field() -> None:
    with pytest.raises(ValidationError, match="mood"):
        a_candle(mood="good")


@pytest.mark.parametrize("version", [1, 2])
def test_a_field_that_a_newer_producer_added_is_ignored_at_any_depth(version: int) -> None:
    scan = orjson.loads(encode(a_scan()))
    newer = scan | {
        "mood": "good",
        "schema_version": version,
        "entries": [entry | {"mood": "good"} for entry in scan["entries"]],
    }

    assert decode(Scan, orjson.dumps(newer)) == a_scan()


def test_json_nested_deeper_than_we_could_write_is_unreadable() -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    value = encode(a_candle()).replace(b'"close":', b'"deep":' + deep + b',"close":')

    with pytest.raises(Unreadable, match="not JSON that we could write"):
        decode(Candle, value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"open": 0}, "open"),
        ({"open": 1.5}, "open"),
        ({"open": "100"}, "open"),
        ({"volume": -1}, "volume"),
        ({"timeframe": "2m"}, "timeframe"),
        ({"instrument": "NSE_EQ"}, "instrument"),
        ({"instrument": "NSE_EQ:99999999999"}, "instrument"),
        ({"event_time": None}, "event_time"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    value = orjson.dumps(orjson.loads(encode(a_candle())) | change)

    with pytest.raises(Unreadable) as caught:
        decode(Candle, value)

    assert caught.value.field == field


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_message_at_all_is_unreadable(value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        decode(Candle, value)


def test_every_json_topic_names_its_message_and_no_name_stands_twice() -> None:
    names = [topic.name for topic in CATALOGUE]

    assert len(set(names)) == len(names)
    assert {topic.name for topic in CATALOGUE if topic.message is None} == {
        "ats.ticks",
        "ats.snapshots",
        "ats.book-snapshots",
    }


def test_no_message_has_a_place_for_a_token() -> None:
    fields = {
        f"{t.name}.{field}" for t in CATALOGUE if t.message for field in t.message.model_fields
    }

    assert not [
        name
        for name in fields
        if "token" in name and not name.endswith(("token_expiry", "_tokens"))
    ]


def test_a_field_that_is_left_unread_cannot_spoil_its_message() -> None:
    candle = a_candle()
    spoilt = orjson.dumps(orjson.loads(encode(candle)) | {"causation_id": "nobody"})

    with pytest.raises(Unreadable):
        decode(Candle, spoilt)
    read = decode(Candle, spoilt, without="causation_id")
    assert read == candle.model_copy(update={"causation_id": None})


def test_a_record_that_repeats_a_message_s_time_and_has_no_id_is_looked_through_once() -> None:
    assert head_of(b'"event_time":1,' * 70_000) is None  # a megabyte: minutes, if each is tried
