"""REST calls to SQL. Pure: a call and the catalogue's table or function give one statement."""

# ruff: noqa: S608 values are bind parameters, identifiers are looked up in the catalogue and quoted
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from simulator.supabase.catalogue import SCHEMA, Function, Returns, Table, quoted
from simulator.supabase.errors import RestError, unsupported
from simulator.supabase.query import (
    MODIFIERS,
    Binds,
    Parameters,
    columns_of,
    one,
    order_by,
    select_list,
    split,
    where,
    window,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read but not yet understood.

    Attributes:
        prefer: The preferences of the header `Prefer`, all of them understood.
        single: One row is asked for as an object instead of an array.
        body: The JSON text as sent; numbers reach Postgres digit by digit.
    """

    method: str
    parameters: Parameters
    prefer: Mapping[str, str]
    single: bool
    body: str

    def json(self) -> Any:
        """The body.

        Raises:
            RestError: PGRST102, it is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise RestError(400, "PGRST102", "Empty or invalid json") from None


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement.

    It gives one row: `body` (JSON text), `found` (rows in it) and, for reads, `total`.
    """

    sql: str
    binds: Binds
    read_only: bool = False
    exactly_one: bool = False


def _answer(
    rows: str,
    binds: Binds,
    call: Call,
    *,
    more: str = "",
    value: str = "_row",
    read_only: bool = False,
) -> Statement:
    """Wrap the statement `rows`; Postgres builds the JSON, from the column or row `value`."""
    body = (
        f"coalesce(json_agg({value}) -> 0, 'null')"
        if call.single
        else f"coalesce(json_agg({value}), '[]')"
    )
    sql = (
        f"with answer as ({rows}) select {body}::text as body, count(*) as found{more} from "
        "answer _row"
    )
    return Statement(sql, binds, read_only, exactly_one=call.single)


def read_statement(table: Table, call: Call) -> Statement:
    """GET and HEAD: the rows of the window, and how many match in all when that is asked for."""
    binds = Binds()
    condition = where(binds, table, call.parameters)
    ordered = order_by(table, one(call.parameters, "order"))
    rows = (
        f"select {select_list(table, one(call.parameters, 'select'))} from "
        f"{table.sql}{condition}{ordered}"
    )
    total = (
        f"(select count(*) from {table.sql}{condition})"
        if "count" in call.prefer
        else "null::bigint"
    )
    windowed = rows + window(call.parameters).sql
    return _answer(windowed, binds, call, more=f", {total} as total", read_only=True)


def write_statement(table: Table, call: Call) -> Statement | None:
    """POST, PATCH and DELETE; None when there is nothing to write."""
    if unused := {"order", "limit", "offset"} & {name for name, _ in call.parameters}:
        raise unsupported(f"{', '.join(sorted(unused))} on a write")
    binds = Binds()
    match call.method:
        case "POST":
            change = _insert(binds, table, call)
        case "PATCH":
            change = _update(binds, table, call)
        case "DELETE":
            change = (
                "delete from "
                f"{table.sql}{_required(where(binds, table, call.parameters), 'DELETE')}"
            )
        case _:
            raise RestError(405, "PGRST117", f"Unsupported HTTP method: {call.method}")
    if change is None:
        return None
    wanted = call.prefer.get("return") == "representation"
    returning = select_list(table, one(call.parameters, "select")) if wanted else "1"
    return _answer(f"{change} returning {returning}", binds, call)


def _insert(binds: Binds, table: Table, call: Call) -> str | None:
    if filters := [name for name, _ in call.parameters if name not in MODIFIERS]:
        raise unsupported(f"filters on an insert ({', '.join(filters)})")
    body = call.json()
    rows = body if isinstance(body, list) else [body]
    if not all(isinstance(row, dict) for row in rows):
        raise RestError(400, "PGRST102", "Empty or invalid json")
    names = columns_of(rows, one(call.parameters, "columns"))
    columns = ", ".join(table.writable(name) for name in names)
    if not rows:
        return None
    if not columns:
        raise unsupported("an insert of defaults only")
    text = call.body if isinstance(body, list) else f"[{call.body}]"
    source = f"json_populate_recordset(null::{table.sql}, {binds.bind(text, 'json')})"
    return (
        f"insert into {table.sql} ({columns}) select {columns} from "
        f"{source}{_on_conflict(table, names, call)}"
    )


def _on_conflict(table: Table, names: list[str], call: Call) -> str:
    if "resolution" not in call.prefer:
        return ""
    listed = one(call.parameters, "on_conflict")
    target = [name.strip(' "') for name in split(listed)] if listed else list(table.primary_key)
    columns = ", ".join(table.writable(name) for name in target)
    if call.prefer["resolution"] == "ignore-duplicates":
        return f" on conflict ({columns}) do nothing"
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in names)
    return f" on conflict ({columns}) do update set {changes}"


def _update(binds: Binds, table: Table, call: Call) -> str | None:
    body = call.json()
    if not isinstance(body, dict):
        raise RestError(400, "PGRST102", "Empty or invalid json")
    names = columns_of([body], one(call.parameters, "columns"))
    if not names:
        return None
    changes = ", ".join(f"{table.writable(name)} = _new.{quoted(name)}" for name in names)
    source = f"json_populate_record(null::{table.sql}, {binds.bind(call.body, 'json')}) _new"
    condition = _required(where(binds, table, call.parameters), "UPDATE")
    return f"update {table.sql} set {changes} from {source}{condition}"


def _required(condition: str, verb: str) -> str:
    """Supabase loads pg-safeupdate for API roles."""
    if not condition:
        raise RestError(400, "21000", f"{verb} requires a WHERE clause")
    return condition


def function_statement(
    function: Function, arguments: Mapping[str, object], call: Call
) -> Statement:
    """POST on a function with named arguments."""
    binds = Binds()
    source = "(select) _given"
    if arguments:
        types = ", ".join(f"{quoted(name)} {function.arguments[name]}" for name in arguments)
        source = f"json_to_record({binds.bind(call.body, 'json')}) as _given ({types})"
    named = ", ".join(f"{quoted(name)} => _given.{quoted(name)}" for name in arguments)
    invoked = f"{quoted(SCHEMA)}.{quoted(function.name)}({named})"
    if function.returns is Returns.NOTHING:
        return Statement(f"select {invoked}::text as body, 1 as found from {source}", binds)
    rows = f"select to_json(_value) as value from {source}, lateral {invoked} _value"
    as_object = call.single or function.returns is Returns.ONE
    return _answer(rows, binds, replace(call, single=as_object), value="_row.value")
