from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.errors import Misconfigured
from schemas.export import FOLDER, broken_promises, exported, write

SCHEMAS = exported()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_code_s_own(name: str) -> None:
    assert orjson.loads((FOLDER / name).read_bytes()) == SCHEMAS[name], "run: python -m schemas.export"


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

    assert broken_promises(old, new) == []


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda s: s["properties"].pop("close"), "close"),
        (lambda s: s["required"].remove("close"), "close"),
        (lambda s: s["properties"]["close"].update(type="string"), "close"),
        (lambda s: s["$defs"]["Timeframe"]["enum"].remove("5m"), "5m"),
    ],
    ids=["field gone", "no longer required", "type changed", "enum value gone"],
)
def test_what_a_reader_would_miss_is_named(damage: Callable[[dict[str, Any]], object], names: str) -> None:
    old = SCHEMAS["ats.candles.json"]
    new = copy.deepcopy(old)

    damage(new)

    assert names in " ".join(broken_promises(old, new))
