"""The messages as TypeScript types."""

from __future__ import annotations

import json
from typing import Any, Final

from ats.gateway.openapi import EVENTS, document
from tools.messages import model

_PLAIN: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
_NOTE: Final = """\
// Amounts are paise. Times are UTC nanoseconds, more than a JavaScript number holds exactly: good
// to a microsecond. An enum may get values: expect one that is not listed."""

_GATEWAY_HEAD: Final = "Made by `python -m tools.messages` from ats/gateway: change that, not this."


def module() -> str:
    """The whole file: an enum is a union of its words, a record an interface."""
    parts = [f"// {model.HEAD}\n{_NOTE}"]
    parts += [_union(each) if each.values else _interface(each) for each in model.shapes()]
    topics = "".join(f'  readonly "{each}": {name};\n' for each, name in model.topics().items())
    parts.append(f"/** What stands on each topic. */\nexport interface Topics {{\n{topics}}}")
    return "\n\n".join(parts) + "\n"


def gateway() -> str:
    """The gateway's answers and events, which are made of the messages."""
    messages = {shape.name for shape in model.shapes()}
    shapes = model.shapes_of(document()["components"]["schemas"])
    own = [shape for shape in shapes if shape.name not in messages]
    events = {name: view.__name__ for name, view in EVENTS.items()}
    named = {part for shape in own for field in shape.fields for part in model.parts_of(field.kind)}
    imported = ", ".join(sorted(messages & (named | set(events.values()))))
    rows = "".join(f"  readonly {name}: {view};\n" for name, view in events.items())
    parts = [f"// {_GATEWAY_HEAD}\n{_NOTE}", f'import type {{ {imported} }} from "@/lib/messages";']
    parts += [_union(each) if each.values else _interface(each) for each in own]
    parts.append(
        f"/** What each event of the stream holds. */\nexport interface Events {{\n{rows}}}"
    )
    return "\n\n".join(parts) + "\n"


def _union(shape: model.Shape) -> str:
    words = " | ".join(json.dumps(value) for value in shape.values)
    return f"{_comment(shape.says)}export type {shape.name} = {words};"


def _interface(shape: model.Shape) -> str:
    rows = "".join(
        f"{_comment(field.says, '  ')}  readonly {field.name}{'?' if field.optional else ''}: "
        f"{_type(field.kind)};\n"
        for field in shape.fields
    )
    return f"{_comment(shape.says)}export interface {shape.name} {{\n{rows}}}"


def _comment(says: str, indent: str = "") -> str:
    return f"{indent}/** {' '.join(says.split())} */\n" if says else ""


def _type(kind: dict[str, Any]) -> str:
    real, may_be_null = model.nullable(kind)
    found = _bare(real)
    return f"{found} | null" if may_be_null else found


def _bare(kind: dict[str, Any]) -> str:
    if name := model.target(kind):
        return name
    if words := kind.get("enum"):
        return " | ".join(json.dumps(word) for word in words)
    match kind.get("type"):
        case "array":
            inner = _type(kind["items"])
            return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
        case "object":
            values = kind.get("additionalProperties")
            value = _type(values) if isinstance(values, dict) else "unknown"
            return f"Readonly<Record<string, {value}>>"
        case str() as plain:
            return _PLAIN[plain]
    return "unknown"
