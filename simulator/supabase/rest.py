"""`/rest/v1`: PostgREST's part that our clients use, executed under the caller's own role.

One request is one transaction: it takes the role and the JWT's claims, then runs one statement. So
Postgres itself decides by grants and policies, as on Supabase, and builds the JSON, so numbers and
timestamps look the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson
from aiohttp import web

from simulator.supabase.catalogue import ROLES, SCHEMA, Catalogue, Returns, Table
from simulator.supabase.errors import RestError, database_away, from_postgres, unsupported
from simulator.supabase.query import window
from simulator.supabase.statements import (
    Call,
    Statement,
    function_statement,
    read_statement,
    write_statement,
)

OBJECT: Final = "application/vnd.pgrst.object+json"
JSON: Final = "application/json"
_UNDERSTOOD_PREFERENCES: Final = {
    "return": {"minimal", "representation"},
    "resolution": {"merge-duplicates", "ignore-duplicates"},
    "count": {"exact"},
}
# Codes that may only mean that our snapshot of the catalogue is older than the last migration.
_MAYBE_STALE: Final = {"PGRST202", "PGRST204", "PGRST205", "42703"}


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request runs: a database role and the claims that policies read."""

    role: str
    claims: Mapping[str, Any]


async def read_call(request: web.Request) -> Call:
    """A request's method, address, headers and body, refusing what the stand-in does not
    understand.
    """
    _check_headers(request)
    return Call(
        method=request.method,
        parameters=list(request.query.items()),
        prefer=_preferences(request.headers.getall("Prefer", [])),
        single=OBJECT in request.headers.get("Accept", ""),
        body=await request.text(),
    )


def _check_headers(request: web.Request) -> None:
    accept = request.headers.get("Accept", "*/*")
    if not any(known in accept for known in ("*/*", JSON, OBJECT)) or "nulls=stripped" in accept:
        raise RestError(
            406,
            "PGRST107",
            f"None of these media types are available: {accept}",
            "stand-in: JSON only",
        )
    if "Range" in request.headers:
        raise unsupported("the Range header (use limit and offset)")
    header = "Accept-Profile" if request.method in {"GET", "HEAD"} else "Content-Profile"
    if (schema := request.headers.get(header, SCHEMA)) != SCHEMA:
        hint = f"Only the following schemas are exposed: {SCHEMA}"
        raise RestError(406, "PGRST106", f"Invalid schema: {schema}", None, hint)


def _preferences(headers: list[str]) -> dict[str, str]:
    found = {}
    for preference in (
        part.strip() for header in headers for part in header.split(",") if part.strip()
    ):
        name, _, value = preference.partition("=")
        if value not in _UNDERSTOOD_PREFERENCES.get(name, ()):
            raise unsupported(f"Prefer: {preference}")
        found[name] = value
    return found


class Rest:
    """The service.

    Attributes: `catalogue` is replaced when a request names what it does not know.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], catalogue: Catalogue) -> None:
        self._pool = pool
        self._catalogue = catalogue

    async def handle(self, request: web.Request, caller: Caller) -> web.Response:
        """Answer one request under `/rest/v1`.

        The catalogue is read anew, once, when a table or function is not found.
        """
        call = await read_call(request)
        try:
            try:
                return await self._answer(request.match_info, call, caller)
            except RestError as error:
                if error.body["code"] not in _MAYBE_STALE:
                    raise
            async with self._pool.acquire() as connection:
                self._catalogue = await Catalogue.load(connection)
            return await self._answer(request.match_info, call, caller)
        except asyncpg.PostgresError as error:
            raise from_postgres(error, caller.role) from error
        except (OSError, asyncpg.InterfaceError) as error:
            raise database_away(error) from error

    async def _answer(self, path: Mapping[str, str], call: Call, caller: Caller) -> web.Response:
        if "function" in path:
            return await self._call_function(path["function"], call, caller)
        table = self._catalogue.table(path["table"])
        if call.method in {"GET", "HEAD"}:
            return await self._read(table, call, caller)
        return await self._write(table, call, caller)

    async def _run(self, statement: Statement, caller: Caller) -> asyncpg.Record:
        if caller.role not in ROLES:
            raise RestError(401, "22023", f'role "{caller.role}" does not exist')
        settings = [
            ("role", caller.role),
            ("request.jwt.claims", orjson.dumps(dict(caller.claims)).decode()),
            *self._catalogue.role_settings.get(caller.role, ()),
        ]
        async with (
            self._pool.acquire() as connection,
            connection.transaction(readonly=statement.read_only),
        ):
            pairs = ", ".join(
                f"set_config(${2 * n + 1}, ${2 * n + 2}, true)" for n in range(len(settings))
            )
            await connection.execute(
                f"select {pairs}", *(part for setting in settings for part in setting)
            )
            row = await connection.fetchrow(statement.sql, *statement.binds.values)
            assert row is not None, "an aggregate always gives a row"
            # raised inside the transaction, so a write is undone
            if statement.exactly_one and row["found"] != 1:
                details = f"The result contains {row['found']} rows"
                raise RestError(
                    406, "PGRST116", "Cannot coerce the result to a single JSON object", details
                )
            return row

    async def _read(self, table: Table, call: Call, caller: Caller) -> web.Response:
        rows = window(call.parameters)
        row = await self._run(read_statement(table, call), caller)
        found, total = row["found"], row["total"]
        if total is not None and rows.offset > total:
            details = f"An offset of {rows.offset} was requested, but there are only {total} rows."
            raise RestError(416, "PGRST103", "Requested range not satisfiable", details)
        span = f"{rows.offset}-{rows.offset + found - 1}" if found else "*"
        return web.Response(
            status=206 if total is not None and found < total else 200,
            text=None if call.method == "HEAD" else row["body"],
            content_type=OBJECT if call.single else JSON,
            headers={"Content-Range": f"{span}/{'*' if total is None else total}"},
        )

    async def _write(self, table: Table, call: Call, caller: Caller) -> web.Response:
        created = call.method == "POST"
        returns_rows = call.prefer.get("return") == "representation"
        if (statement := write_statement(table, call)) is None:
            body, found = "[]", 0
        else:
            row = await self._run(statement, caller)
            body, found = row["body"], row["found"]
        total = str(found) if "count" in call.prefer else "*"
        headers = {"Content-Range": f"*/{total}"}
        if not returns_rows:
            return web.Response(status=201 if created else 204, headers=headers)
        content_type = OBJECT if call.single else JSON
        return web.Response(
            status=201 if created else 200, text=body, content_type=content_type, headers=headers
        )

    async def _call_function(self, name: str, call: Call, caller: Caller) -> web.Response:
        if call.method != "POST":
            raise unsupported(f"{call.method} on a function")
        if call.parameters or call.prefer:
            raise unsupported("filters, modifiers and preferences on a function's result")
        arguments = call.json() if call.body else {}
        if not isinstance(arguments, dict):
            raise unsupported("a function call whose body is not an object")
        function = self._catalogue.function(name, set(arguments))
        row = await self._run(function_statement(function, arguments, call), caller)
        if function.returns is Returns.NOTHING:
            return web.Response(status=204)
        return web.Response(text=row["body"], content_type=OBJECT if call.single else JSON)
