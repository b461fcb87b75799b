from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Any

import pytest
from pydantic import JsonValue

from schemas import manifest
from schemas.codec import decode, encode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId
from schemas.manifest import (
    INLINE_BYTES,
    Manifest,
    ManifestContent,
    contents_of,
    digest_of,
    manifest_of,
    plain,
    unpacked,
)
from schemas.market import Timeframe
from schemas.units import Paise, UtcNs

OPENS = UtcNs.seconds(1_800_000_000)
LONG: JsonValue = {"holidays": plain([f"2026-01-{day:02}" for day in range(1, 29)] * 4)}
INPUTS: dict[str, JsonValue] = {"calendar": LONG, "rules": {"ema_cross": {"fast": 9}}}


def test_equal_inputs_have_one_id_and_the_same_bytes_whatever_their_order() -> None:
    turned: dict[str, JsonValue] = {
        "rules": {"ema_cross": {"fast": 9}},
        "calendar": LONG,
    }

    assert encode(manifest_of("streams", INPUTS, OPENS)) == encode(
        manifest_of("streams", turned, OPENS)
    )


def test_the_day_is_no_part_of_the_id() -> None:
    tomorrow = UtcNs(OPENS + UtcNs.minutes(24 * 60))

    assert manifest_of("streams", INPUTS, OPENS).id == manifest_of("streams", INPUTS, tomorrow).id


@pytest.mark.parametrize(
    ("service", "inputs"),
    [
        ("books", INPUTS),
        ("streams", INPUTS | {"rules": {"ema_cross": {"fast": 8}}}),
        ("streams", INPUTS | {"calendar": None}),
        ("streams", {"calendar": LONG}),
    ],
)
def test_another_service_or_input_has_another_id(
    service: str, inputs: dict[str, JsonValue]
) -> None:
    assert manifest_of(service, inputs, OPENS).id != manifest_of("streams", INPUTS, OPENS).id


def test_a_long_input_stands_apart_and_comes_back_whole() -> None:
    written = decode(Manifest, encode(manifest_of("streams", INPUTS, OPENS)))
    (content,) = contents_of(written, INPUTS)

    assert written.inputs["calendar"].apart
    assert written.inputs["calendar"].value is None
    assert written.inputs["rules"].value == {"ema_cross": {"fast": 9}}
    assert content.digest == written.inputs["calendar"].digest == digest_of(LONG)
    assert unpacked(decode(ManifestContent, encode(content))) == LONG


def test_a_manifest_is_small_however_large_its_inputs_are() -> None:
    inputs: dict[str, JsonValue] = {str(nth): "x" * 2 * INLINE_BYTES * nth for nth in range(1, 21)}

    assert len(encode(manifest_of("streams", inputs, OPENS))) < 20 * INLINE_BYTES


def test_a_content_that_no_record_can_hold_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_PACKED", 10)

    assert contents_of(manifest_of("streams", INPUTS, OPENS), INPUTS) == []


@pytest.mark.parametrize("packed", ["", "%", "eJw=", "eJyrVsrMK1GyUqpWqgUAE5gDJg=="])
def test_a_content_that_is_not_what_its_digest_names_is_unreadable(packed: str) -> None:
    (content,) = contents_of(manifest_of("streams", INPUTS, OPENS), INPUTS)

    with pytest.raises(Unreadable, match="packed"):
        unpacked(content.model_copy(update={"packed": packed}))


@dataclass(frozen=True)
class Limits:
    most: Paise
    frames: tuple[Timeframe, ...]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Limits(Paise(5), (Timeframe.M1,)), {"most": 5, "frames": ["1m"]}),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({InstrumentId.parse("NSE_EQ:1"): time(9, 15)}, {"NSE_EQ:1": "09:15:00"}),
        ([date(2026, 1, 2), None, True, 0.5], ["2026-01-02", None, True, 0.5]),
    ],
)
def test_records_sets_and_units_become_json(value: Any, written: JsonValue) -> None:
    assert plain(value) == written


def test_what_has_no_content_is_refused() -> None:
    with pytest.raises(TypeError, match="function"):
        plain({"rule": lambda: None})
