"""The messages as pydantic models of `ats_client`."""

from __future__ import annotations

import json
import textwrap
from typing import Any, Final

from schemas.messages import Message
from tools.messages import model

_PLAIN: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_FORMATS: Final = {"uuid": "UUID", "date": "date", "date-time": "datetime"}
_WIDTH: Final = 100  # of a line, as everywhere in this repository
_TOP: Final = f'''\
"""The messages of each topic. Amounts are paise, times UTC nanoseconds.

{model.HEAD}
"""

from __future__ import annotations

from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from ats_client.base import Message, OpenEnum, Part
'''
_COMMON: Final = tuple(Message.model_fields)


def module() -> str:
    """The whole file."""
    parts = [_TOP]
    parts += [_enum(each) if each.values else _record(each) for each in model.shapes()]
    topics = "".join(f'        "{each}": {name},\n' for each, name in model.topics().items())
    table = f"TOPICS: Final = MappingProxyType(\n    {{\n{topics}    }}\n)\n"
    parts.append(f'{table}"""What stands on each topic."""\n')
    return "\n\n".join(parts)


def _enum(shape: model.Shape) -> str:
    rows = "".join(f"    {_member(value)} = {json.dumps(value)}\n" for value in shape.values)
    return f"class {shape.name}(OpenEnum):\n{_docstring(shape)}\n{rows}"


def _member(value: str) -> str:
    """`1m` is no name in Python: `M1`, as the engine has it."""
    name = value.upper().replace("-", "_")
    return name if name.isidentifier() else f"{name.lstrip('0123456789')}{_digits(name)}"


def _digits(name: str) -> str:
    return name[: len(name) - len(name.lstrip("0123456789"))]


def _record(shape: model.Shape) -> str:
    base, known = ("Message", _COMMON) if shape.message else ("Part", ())
    rows = "".join(_row(field) for field in shape.fields if field.name not in known)
    return f"class {shape.name}({base}):\n{_docstring(shape)}\n{rows}"


def _row(field: model.Field) -> str:
    line = f"    {field.name}: {_type(field.kind)}"
    if "default" in field.kind:
        line += f" = {_default(field.kind)}"
    says = textwrap.wrap(field.says, _WIDTH - 6)
    return "".join(f"    # {each}\n" for each in says) + f"{line}\n"


def _default(kind: dict[str, Any]) -> str:
    value = kind["default"]
    if isinstance(value, list):
        return "()"
    name = model.target(kind)
    if isinstance(value, dict):
        assert name is not None, "an object of no named shape"
        assert value == _defaults_of(name), f"another default than {name} has itself"
        return f"{name}()"
    if isinstance(value, str):
        return f"{name}.{_member(value)}" if name else json.dumps(value)
    return repr(value)


def _defaults_of(name: str) -> dict[str, Any]:
    (shape,) = (each for each in model.shapes() if each.name == name)
    return {each.name: each.kind["default"] for each in shape.fields}


def _docstring(shape: model.Shape) -> str:
    first, _, rest = shape.says.partition("\n\n")
    whole = "\n\n".join(
        textwrap.fill(" ".join(each.split()), _WIDTH - 7) for each in (first, rest) if each
    )
    text = whole or f"Values of {shape.name}."
    closing = "\n" if "\n" in text else ""
    return textwrap.indent(f'"""{text}{closing}"""', "    ") + "\n"


def _type(kind: dict[str, Any]) -> str:
    real, may_be_null = model.nullable(kind)
    found = _bare(real)
    return f"{found} | None" if may_be_null else found


def _bare(kind: dict[str, Any]) -> str:
    if name := model.target(kind):
        return name
    match kind.get("type"):
        case "string" if kind.get("format") in _FORMATS:
            return _FORMATS[kind["format"]]
        case "array":
            return f"tuple[{_type(kind['items'])}, ...]"
        case "object":
            inner = kind.get("additionalProperties")
            return f"dict[str, {_type(inner) if isinstance(inner, dict) else 'Any'}]"
        case str() as plain:
            return _PLAIN[plain]
    return "Any"
