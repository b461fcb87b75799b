"""PostgREST's query language to SQL: the part our clients use. Pure.

Every value becomes a bind parameter cast to its column's type; every identifier is looked up in the
catalogue and quoted. What is not understood is refused (`errors.unsupported`), because a filter
silently ignored is a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from simulator.supabase.catalogue import Table, quoted
from simulator.supabase.errors import RestError, unparsable, unsupported

# Supabase's default `max_rows`: longer results are cut, so clients must page
MAX_ROWS: Final = 1_000
MODIFIERS: Final = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict"})

_COMPARISONS: Final = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PATTERNS: Final = {"like": "like", "ilike": "ilike"}
_IS: Final = {
    "null": "null",
    "not_null": "not null",
    "true": "true",
    "false": "false",
    "unknown": "unknown",
}
# PostgREST has them, the stand-in does not.
_OTHER_OPERATORS: Final = frozenset(
    {
        "match",
        "imatch",
        "fts",
        "plfts",
        "phfts",
        "wfts",
        "cs",
        "cd",
        "ov",
        "sl",
        "sr",
        "nxr",
        "nxl",
        "adj",
        "isdistinct",
    }
)
_DIRECTIONS: Final = {"asc": "asc", "desc": "desc"}
_NULLS: Final = {"nullsfirst": "nulls first", "nullslast": "nulls last"}
_PIECES: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^,"]+|,|"', re.DOTALL)
_ALIASED: Final = re.compile(r"(?:(?P<alias>[^:]+):)?(?P<column>[^:]+)")

Parameters = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Binds:
    """Values on their way to Postgres, apart from the SQL text."""

    values: list[object] = field(default_factory=list)

    def bind(self, value: object, sql_type: str) -> str:
        """Add a parameter and return the SQL that stands for it."""
        self.values.append(value)
        return f"(${len(self.values)}::{sql_type})"


def one(parameters: Parameters, name: str) -> str | None:
    """The value of a modifier; None when absent."""
    return next((value for key, value in parameters if key == name), None)


def where(binds: Binds, table: Table, parameters: Parameters) -> str:
    """The filters, joined by AND; empty when there are none."""
    conditions = [
        _condition(binds, table, name, test) for name, test in parameters if name not in MODIFIERS
    ]
    return f" where {' and '.join(conditions)}" if conditions else ""


def _condition(binds: Binds, table: Table, name: str, test: str) -> str:
    if name in {"and", "or", "not.and", "not.or"}:
        raise unsupported(f"a logic tree ({name}=…)")
    if name not in table.columns and ("." in name or "->" in name):
        raise unsupported(f"a filter on an embedded resource or a JSON path ({name})")
    column = table.column(name)
    positive = test.removeprefix("not.")
    operator, dot, value = positive.partition(".")
    if not dot:
        raise unparsable("filter", test)
    sql = _comparison(binds, column, table.columns[name], operator, value)
    return f"not ({sql})" if test.startswith("not.") else f"({sql})"


def _comparison(binds: Binds, column: str, sql_type: str, operator: str, value: str) -> str:
    if operator in _COMPARISONS:
        return f"{column} {_COMPARISONS[operator]} {binds.bind(value, 'text')}::{sql_type}"
    if operator in _PATTERNS:  # a star stands for %, which needs escaping in addresses
        return f"{column}::text {_PATTERNS[operator]} {binds.bind(value.replace('*', '%'), 'text')}"
    if operator == "in":
        return f"{column} = any ({binds.bind(_list(value), 'text[]')}::{sql_type}[])"
    if operator == "is":
        if value.lower() not in _IS:
            raise unparsable("filter", f"is.{value}")
        return f"{column} is {_IS[value.lower()]}"
    if operator.partition("(")[0] in _OTHER_OPERATORS | _COMPARISONS.keys() | _PATTERNS.keys():
        raise unsupported(f"the operator {operator}")
    raise unparsable("filter", f"{operator}.{value}")


def _list(text: str) -> list[str]:
    """The items of `(a,"b,c",d)`."""
    if not (text.startswith("(") and text.endswith(")")):
        raise unparsable("filter", f"in.{text}")
    inside = text[1:-1]
    return [_unquoted(item) for item in split(inside)]


def _unquoted(item: str) -> str:
    if len(item) >= 2 and item[0] == item[-1] == '"':
        return re.sub(r"\\(.)", r"\1", item[1:-1])
    return item


def split(text: str) -> list[str]:
    """Split at commas outside double quotes; inside, a backslash escapes the next character."""
    items = [""]
    for piece in _PIECES.findall(text):
        if piece == ",":
            items.append("")
        else:
            items[-1] += piece
    return items if text else []


def select_list(table: Table, select: str | None) -> str:
    """Columns to give back, `alias:column` included."""
    return ", ".join(_selected(table, item.strip()) for item in split(select or "*"))


def _selected(table: Table, item: str) -> str:
    if item == "*":
        return f"{table.sql}.*"
    if any(sign in item for sign in ("(", "->", "::", "...")):
        raise unsupported(f"an embedded resource, aggregate, cast or JSON path in select ({item})")
    match = _ALIASED.fullmatch(item)
    if not match:
        raise unparsable("select parameter", item)
    name = match["column"].strip('"')
    return f"{table.column(name)} as {quoted(match['alias'] or name)}"


def order_by(table: Table, order: str | None) -> str:
    """SQL of `?order=`, empty without one."""
    terms = [_ordered(table, item.strip()) for item in split(order or "")]
    return f" order by {', '.join(terms)}" if terms else ""


def _ordered(table: Table, item: str) -> str:
    name, *words = item.split(".")
    known = [(_DIRECTIONS | _NULLS).get(word) for word in words]
    directions_first = all(word in _NULLS for word in words[1:])
    if None in known or len(words) > 2 or not directions_first:
        raise unparsable("order", item)
    return " ".join([table.column(name), *filter(None, known)])


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of the result are wanted."""

    limit: int
    offset: int

    @property
    def sql(self) -> str:
        """SQL of limit and offset."""
        return f" limit {self.limit} offset {self.offset}"


def window(parameters: Parameters) -> Window:
    """Read `?limit=` and `?offset=`; no answer has more than `MAX_ROWS` rows."""
    limit, offset = (_count(parameters, name) for name in ("limit", "offset"))
    return Window(MAX_ROWS if limit is None else min(limit, MAX_ROWS), offset or 0)


def _count(parameters: Parameters, name: str) -> int | None:
    text = one(parameters, name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            f"{name}={text} is not a number of rows",
        )
    return int(text)


def columns_of(rows: Iterable[dict[str, object]], columns: str | None) -> list[str]:
    """The columns a write names.

    `?columns=` lists them; else they are the keys, which must be the same in every row. With
    `?columns=` a key missing from a row becomes NULL, as PostgREST has it.
    """
    if columns is not None:
        return [_unquoted(name.strip()) for name in split(columns)]
    keys = [list(row) for row in rows]
    if any(set(other) != set(keys[0]) for other in keys):
        raise RestError(400, "PGRST102", "All object keys must match")
    return keys[0] if keys else []
