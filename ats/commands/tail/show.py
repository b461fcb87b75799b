"""Entries as text: a JSON object a line for machines, units and Indian time for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import AwareDatetime
from rich.text import Text

from ats.commands.tail.entries import Entry
from ats.commands.tail.fields import fields_of, inside, plain_type
from audit.amounts import rupees
from audit.shown import clean
from schemas.cloud_events import CONTENT_TYPE, PREFIX
from schemas.units import IST, Paise, UtcNs

LONGEST_RAW: Final = 120  # characters of an unreadable value that a person is shown


def json_line(entry: Entry) -> str:
    """One object of always the same names; `row`, `unreadable` and `raw` only where needed.

    Times are UTC nanoseconds and money is in paise, as on the topic.
    """
    body: dict[str, object] = {
        "topic": entry.topic.name,
        "partition": entry.partition,
        "offset": entry.offset,
        "published_at": int(entry.published_at),
        "key": entry.key,
        "headers": entry.headers,
        "value": entry.value,
    }
    if entry.row is not None:
        body["row"] = entry.row
    if entry.odd:
        body["unreadable"] = entry.odd
    if entry.raw is not None:
        body["raw"] = entry.raw
    return clean(orjson.dumps(body).decode())


def text(entry: Entry) -> Text:
    """A line on where the record stands and one with its fields."""
    whole = Text(clean(_head(entry)), style="dim")
    body = Text("\n  ", end="")
    for number, part in enumerate(_body(entry)):
        body.append("  " if number else "").append_text(part)
    return Text.assemble(whole, body)


def _head(entry: Entry) -> str:
    row = "" if entry.row is None else f" row {entry.row}"
    place = f"{entry.topic.name}-{entry.partition}@{entry.offset}{row}"
    headers = "".join(
        f"  {name} {value}"
        for name, value in entry.headers.items()
        if name != CONTENT_TYPE and not name.startswith(PREFIX)  # the value says the same
    )
    return f"{_moment(entry.published_at)}  {place}  key {entry.key or 'none'}{headers}"


def _body(entry: Entry) -> Iterator[Text]:
    if entry.odd:
        shown = entry.raw if entry.raw is not None else orjson.dumps(entry.value).decode()
        kind, more = "base64 " if entry.raw else "", "…" if len(shown) > LONGEST_RAW else ""
        yield _field("unreadable", entry.odd, "bold red")
        yield Text(clean(f"{kind}{shown[:LONGEST_RAW]}{more}"), style="red")
    elif not isinstance(entry.value, Mapping):
        yield Text("tombstone: the key was deleted", style="yellow")
    else:
        types = fields_of(entry.topic)
        for name, value in entry.value.items():
            if value is not None:
                yield _field(name, said(value, types.get(name, Any)), "cyan")


def _field(name: str, value: str, style: str) -> Text:
    return Text.assemble((clean(name), style), " ", clean(value))


def said(value: Any, annotation: Any) -> str:
    """A value for a person: rupees, Indian time, numbers without a float's dust."""
    plain = plain_type(annotation)
    if isinstance(value, list):
        return f"[{', '.join(said(each, _element(plain)) for each in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{name}: {said(each, _inner(plain, name))}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if value is None or isinstance(value, bool):
        return orjson.dumps(value).decode()
    if plain is AwareDatetime:
        return f"{datetime.fromisoformat(value).astimezone(IST):%Y-%m-%d %H:%M:%S} IST"
    return _number(value, plain) if isinstance(value, int | float) else str(value)


def _number(value: float, plain: Any) -> str:
    if isinstance(plain, type) and issubclass(plain, Paise):
        return rupees(value)
    if plain is UtcNs:
        return _moment(UtcNs(value))
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _moment(at: UtcNs) -> str:
    try:
        return f"{at.ist():%Y-%m-%d %H:%M:%S.%f}"[:-3] + " IST"
    except (ValueError, OverflowError, OSError):  # before or after what a calendar holds
        return f"{int(at)} ns"


def _element(plain: Any) -> Any:
    arguments = getattr(plain, "__args__", ())
    return arguments[0] if arguments else Any


def _inner(plain: Any, name: str) -> Any:
    try:
        return inside(plain, name)
    except KeyError:
        return Any
