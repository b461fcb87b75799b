"""The page of topics: the catalogue, and of each topic the fields of its JSON Schema."""

from __future__ import annotations

import inspect
from typing import Any, Final

import orjson

from schemas.codec import json_schema
from schemas.topics import CATALOGUE, Topic
from tools.reference.markdown import code, table
from tools.reference.markdown import page as page_of

INTRODUCTION: Final = (
    "`ats topics create` makes them. A topic of the family `instrument` or `user` has as many "
    "partitions as the setting `ATS_INSTRUMENT_PARTITIONS` or `ATS_USER_PARTITIONS` says; `single` "
    "has one. Prices are whole paise, times are UTC nanoseconds. Schemas only grow: a reader "
    "ignores fields that it does not know."
)


def page() -> str:
    rows = [
        (
            f"[{topic.name}](#{topic.name.replace('.', '')})",
            topic.key,
            topic.family.value,
            _kept(topic),
            _kind(topic),
        )
        for topic in CATALOGUE
    ]
    parts = [
        INTRODUCTION,
        table(("Topic", "Key", "Partitioned by", "Kept", "Value"), rows),
    ]
    for topic in CATALOGUE:
        parts += [f"## {topic.name}", *_details(topic)]
    return page_of("Topics", "`schemas/topics.py` and `schemas/json/`", *parts)


def _kept(topic: Topic) -> str:
    return "compacted" if topic.compacted else f"{topic.retention_days} days"


def _kind(topic: Topic) -> str:
    return code(topic.message.__name__) if topic.message else "binary"


def _details(topic: Topic) -> list[str]:
    if topic.message is None:
        return [f"Binary, at most {topic.max_message_bytes:,} bytes a record."]
    schema = json_schema(topic.message)
    defined = schema.get("$defs", {})
    parts = [inspect.cleandoc(schema.get("description", "")), _fields(schema)]
    for name, part in defined.items():
        if "properties" in part:
            parts += [f"`{name}`: {part.get('description', '')}", _fields(part)]
        elif "enum" in part:
            parts += [
                (
                    f"`{name}`: {part.get('description', '')} One of "
                    f"{', '.join(map(code, map(str, part['enum'])))}."
                )
            ]
    whole = orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    indented = "\n".join(f"    {line}" for line in ("```json", *whole.splitlines(), "```"))
    return [*parts, f'??? note "JSON Schema of {topic.name}"\n\n{indented}']


def _fields(schema: dict[str, Any]) -> str:
    always = schema.get("required", [])
    rows = [
        (code(name), _type(field), "yes" if name in always else "no", field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    return table(("Field", "Type", "Always there", "What"), rows)


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return code(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "const" in field:
        return code(str(field["const"]))
    kind = field.get("format") or field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    limits = [
        f"{word} {field[name]}"
        for name, word in (("minimum", "from"), ("maximum", "to"))
        if name in field
    ]
    longest = [f"at most {field['maxLength']} characters"] if "maxLength" in field else []
    return " ".join((str(kind), *limits, *longest))
