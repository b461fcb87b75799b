from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.errors import Misconfigured
from schemas.export import FOLDER, breaking_changes, exported, write

SCHEMAS = exported()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_code_s_own(name: str) -> None:
    assert orjson.loads((FOLDER / name).read_bytes()) == SCHEMAS[name], (
        "run: python -m schemas.export"
    )


def test_a_schema_that_shrank_cannot_be_exported(tmp_path: Path) -> None:
    write(tmp_path)
    promised = orjson.loads((tmp_path / "ats.candles.json").read_bytes())
    promised["properties"]["turnover"] = {"type": "integer"}
    (tmp_path / "ats.candles.json").write_bytes(orjson.dumps(promised))

    with pytest.raises(Misconfigured, match="turnover: gone"):
        write(tmp_path)


def test_a_new_field_is_growth() -> None:
    old = SCHEMAS["ats.candles.json"]
    new = copy.deepcopy(old)
    new["properties"]["turnover"] = {"type": "integer"}

    assert breaking_changes(old, new) == []


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda s: s["properties"].pop("close"), "close"),
        (lambda s: s["required"].remove("close"), "close"),
        (lambda s: s["properties"]["close"].update(type="string"), "close"),
        (lambda s: s["$defs"]["Timeframe"]["enum"].remove("5m"), "5m"),
        (lambda s: s.update(additionalProperties=False), "closed to new fields"),
        (lambda s: s["properties"].update(last=s["properties"].pop("close")), "close: gone"),
        (lambda s: s["properties"]["ticks"].update(minimum=2), "ticks: narrower minimum"),
        (lambda s: s["properties"]["instrument"].update(maxLength=9), "instrument: narrower max"),
        (lambda s: s["properties"]["instrument"].update(pattern="N"), "instrument: narrower pat"),
        (lambda s: s["properties"]["id"].pop("format"), "id: type changed"),
        (lambda s: s["properties"]["causation_id"]["anyOf"].pop(), "causation_id: type changed"),
        (
            lambda s: s["properties"]["causation_id"]["anyOf"][0].update(type="integer"),
            "causation_id: type changed",
        ),
    ],
    ids=[
        "field gone",
        "no longer required",
        "type changed",
        "enum value gone",
        "closed",
        "renamed",
        "bound raised",
        "text shortened",
        "pattern added",
        "format gone",
        "null gone",
        "other choice",
    ],
)
def test_what_a_reader_would_miss_is_named(
    damage: Callable[[dict[str, Any]], object], names: str
) -> None:
    old = SCHEMAS["ats.candles.json"]
    new = copy.deepcopy(old)

    damage(new)

    assert names in " ".join(breaking_changes(old, new))


def test_what_a_list_or_a_table_holds_is_looked_at_too() -> None:
    old = {"type": "array", "items": {"type": "string"}}
    table = {"type": "object", "additionalProperties": {"type": "integer"}}

    assert breaking_changes(old, old | {"items": {"type": "integer"}}) == ["[]: type changed"]
    assert breaking_changes(table, table | {"additionalProperties": {"type": "null"}}) == [
        "{}: type changed"
    ]


def test_a_wider_bound_is_growth() -> None:
    old = SCHEMAS["ats.candles.json"]
    new = copy.deepcopy(old)

    new["properties"]["ticks"].pop("minimum")

    assert breaking_changes(old, new) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_open_for_fields_and_versions_to_come_and_closed_for_what_is_wrong(
    name: str,
) -> None:
    parts = {"": SCHEMAS[name]} | SCHEMAS[name].get("$defs", {})

    assert [
        title for title, part in parts.items() if part.get("additionalProperties") is False
    ] == []
    version = SCHEMAS[name]["properties"]["schema_version"]
    assert (version["type"], version["minimum"], "const" in version) == ("integer", 1, False)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_number_says_its_unit(name: str) -> None:
    unsaid = [field for field, schema in _numbers(SCHEMAS[name]) if not _says(schema)]

    assert unsaid == []


def test_what_a_model_call_cost_is_said_in_paise() -> None:
    assert SCHEMAS["ats.llm.json"]["properties"]["cost"]["description"].startswith(
        "paise, 100 are one rupee"
    )


def test_an_order_is_of_one_unit_at_least() -> None:
    assert SCHEMAS["ats.orders.json"]["properties"]["quantity"]["minimum"] == 1


def _numbers(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in (schema, *schema.get("$defs", {}).values()):
        for field, inner in part.get("properties", {}).items():
            kinds = {option.get("type") for option in (inner, *inner.get("anyOf", []))}
            if kinds & {"integer", "number"} or inner.get("additionalProperties"):
                yield field, inner


def _says(schema: dict[str, Any]) -> bool:
    return any(option.get("description") for option in (schema, *schema.get("anyOf", [])))
