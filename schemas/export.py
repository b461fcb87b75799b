"""The committed JSON Schemas, and the rule that they only grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.codec import json_schema
from schemas.errors import Misconfigured
from schemas.topics import CATALOGUE

FOLDER: Final = Path(__file__).with_name("json")
_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT: Final = ("pattern", "const")


def exported() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema of every topic that carries JSON."""
    return {
        f"{topic.name}.json": json_schema(topic.message) for topic in CATALOGUE if topic.message
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every schema, sorted and indented, so that a change reads well in a diff.

    Raises:
        Misconfigured: a schema would break a promise its committed version made to readers.
    """
    folder.mkdir(exist_ok=True)
    paths = []
    for name, schema in exported().items():
        path = folder / name
        if path.exists() and (broken := breaking_changes(orjson.loads(path.read_bytes()), schema)):
            raise Misconfigured(
                f"{name} may only grow: {'; '.join(broken)}. Add a field instead of changing one."
            )
        path.write_bytes(
            orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        )
        paths.append(path)
    return paths


def breaking_changes(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """What a reader of `old` would miss in `new`, as dotted paths; empty when the schema only grew.

    A field may be added. It may not vanish, become optional, change its type, or lose an enum
    value, and where a reader may meet fields it does not know, that stays so. No bound may become
    narrower, for what was written yesterday is read with the schema of today.
    """
    missing = [name for name in old.get("required", []) if name not in new.get("required", [])]
    problems = [f"{path}{name}: no longer always written" for name in missing]
    for section in ("properties", "$defs"):
        for name, before in old.get(section, {}).items():
            after = new.get(section, {}).get(name)
            if after is None:
                problems.append(f"{path}{name}: gone")
            else:
                problems += breaking_changes(before, after, f"{path}{name}.")
    problems += [
        f"{path}{value}: enum value gone"
        for value in old.get("enum", [])
        if value not in new.get("enum", [])
    ]
    problems += [f"{path.rstrip('.')}: narrower {name}" for name in _narrower(old, new)]
    for name, before, after in _inner(old, new):
        problems += breaking_changes(before, after, f"{path}{name}.")
    if old.get("additionalProperties") is not False and new.get("additionalProperties") is False:
        problems.append(f"{path.rstrip('.') or 'message'}: closed to new fields")
    if any(old.get(name) != new.get(name) for name in ("type", "$ref", "format")) or len(
        old.get("anyOf", ())
    ) != len(new.get("anyOf", ())):
        problems.append(f"{path.rstrip('.')}: type changed")
    return problems


def _narrower(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The bounds that let less through than before."""
    found = [
        name
        for names, sign in ((_LEAST, 1), (_MOST, -1))
        for name in names
        if name in new and (name not in old or sign * new[name] > sign * old[name])
    ]
    return found + [name for name in _EXACT if name in new and new[name] != old.get(name)]


def _inner(
    old: dict[str, Any], new: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The types that a type is made of, before and after."""
    for before, after in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=False):
        yield "", before, after
    for name, shown in (("items", "[]"), ("additionalProperties", "{}")):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield shown, before, after


if __name__ == "__main__":
    write()
