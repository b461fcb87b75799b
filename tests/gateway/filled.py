"""Messages with every field filled, each value recognisable: made from their own JSON Schemas."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4, uuid5

import orjson

from schemas.messages import Candle, Message
from schemas.units import Price, UtcNs
from tests.schemas.factories import a_candle

M = TypeVar("M", bound=Message)

DAY: Final = date(2026, 7, 14)
NOW: Final = UtcNs.seconds(1_784_003_400)  # 10:00 IST of that day
INSTRUMENT: Final = "NSE_EQ:2885"


class Marks:
    """Values that nobody else has.

    Attributes:
        used: As JSON shows them.
    """

    def __init__(self, name: str, first: int) -> None:
        self._name = name
        self._numbers = count(first)
        self.used: set[str] = set()

    def number(self, least: int | None, most: int | None) -> int:
        if most is not None or (least or 0) < 0:
            return least or 0  # too small a range to be recognised in
        number = next(self._numbers)
        self.used.add(str(number))
        return number

    def text(self, most: int) -> str:
        return self._kept(f"{self._name}{next(self._numbers)}"[:most])

    def uuid(self) -> str:
        return self._kept(str(uuid5(UUID(int=0), f"{self._name}{next(self._numbers)}")))

    def _kept(self, value: str) -> str:
        self.used.add(value)
        return value


def filled(model: type[M], marks: Marks, **fixed: Any) -> M:
    """A whole message; `fixed` are values as JSON has them."""
    schema = model.model_json_schema(mode="validation")
    made = _object(schema, schema.get("$defs", {}), marks)
    made |= {"event_time": int(NOW), "schema_version": 1} | fixed
    if "trading_date" in made:
        made["trading_date"] = DAY.isoformat()
    return model.model_validate_json(orjson.dumps(made))


def _object(schema: dict[str, Any], known: dict[str, Any], marks: Marks) -> dict[str, Any]:
    return {
        name: INSTRUMENT if name == "instrument" else _value(part, known, marks)
        for name, part in schema["properties"].items()
    }


def _value(schema: dict[str, Any], known: dict[str, Any], marks: Marks) -> Any:  # noqa: PLR0911, PLR0912
    if "$ref" in schema:
        return _value(known[schema["$ref"].rpartition("/")[2]], known, marks)
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        return _value(parts[0], known, marks)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    match schema.get("type"):
        case "object" if "properties" in schema:
            return _object(schema, known, marks)
        case "object":
            inner = schema.get("additionalProperties")
            return {marks.text(40): _value(inner if isinstance(inner, dict) else {}, known, marks)}
        case "array" if "prefixItems" in schema:
            return [_value(part, known, marks) for part in schema["prefixItems"]]
        case "array":
            return [_value(schema["items"], known, marks)]
        case "integer":
            return marks.number(schema.get("minimum", schema.get("ge")), schema.get("maximum"))
        case "number":
            return float(marks.number(None, schema.get("maximum")))
        case "boolean":
            return True
    match schema.get("format"):
        case "uuid":
            return marks.uuid()
        case "date":
            return DAY.isoformat()
        case "date-time":
            return "2026-07-14T10:00:00Z"
    if "pattern" in schema:  # of evidence: a time of the day
        return "15:20:00"
    return marks.text(schema.get("maxLength", 40))


def rising(minute: int) -> Candle:
    """A bar of a share that gains a rupee a minute from ten o'clock on."""
    start, price = UtcNs(NOW + UtcNs.minutes(minute)), 150_000 + 100 * minute
    prices = dict.fromkeys(("open", "high", "low", "close"), Price(price))
    end = UtcNs(start + UtcNs.minutes(1))
    return a_candle(id=uuid4(), start=start, event_time=end, **prices)
