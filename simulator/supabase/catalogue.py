"""What Postgres's catalogue says about the exposed schema.

It has the tables with their columns' types, and the functions with their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self, TypeAlias

import asyncpg

from simulator.supabase.errors import RestError

SCHEMA: Final = "public"  # the only one exposed, as in supabase/config.toml
ROLES: Final = ("anon", "authenticated", "service_role")

# The stubs are generic, the classes are not.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Any] | asyncpg.Connection[Any]"

_COLUMNS: Final = """
    select c.relname as relation, a.attname as name,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
      coalesce(a.attnum = any (i.indkey), false) as in_primary_key
    from pg_catalog.pg_class c
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
    where c.relkind in ('r', 'v', 'm', 'p', 'f') and c.relnamespace = $1::text::regnamespace
    order by c.relname, a.attnum"""
_FUNCTIONS: Final = """
    select p.proname as name, p.proretset as returns_set,
      p.prorettype = 'void'::regtype as returns_nothing,
      p.pronargs - p.pronargdefaults as required, p.provariadic <> 0 as variadic,
      coalesce(p.proargnames[1:p.pronargs], '{}') as names,
      array(
        select pg_catalog.format_type(argument, null)
        from unnest(p.proargtypes::oid[]) with ordinality as arguments (argument, nth) order by nth
      ) as types
    from pg_catalog.pg_proc p
    where p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
      and p.pronamespace = $1::text::regnamespace"""
_ROLE_SETTINGS: Final = (
    "select rolname, rolconfig from pg_catalog.pg_roles where rolname = any ($1)"
)


def quoted(identifier: str) -> str:
    """The identifier as SQL, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view.

    Attributes:
        columns: Name to SQL type, in table order.
        primary_key: Names of its columns.
    """

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The table's name with its schema, quoted."""
        return f"{quoted(SCHEMA)}.{quoted(self.name)}"

    def column(self, name: str) -> str:
        """`name` as SQL, when such a column exists."""
        if name not in self.columns:
            raise RestError(400, "42703", f"column {self.name}.{name} does not exist")
        return f"{self.sql}.{quoted(name)}"

    def writable(self, name: str) -> str:
        """The column `name`, quoted.

        Raises:
            RestError: PGRST204, the table has none of that name.
        """
        if name not in self.columns:
            raise RestError(
                400,
                "PGRST204",
                f"Could not find the '{name}' column of '{self.name}' in the schema cache",
            )
        return quoted(name)


class Returns(StrEnum):
    """What a function gives back."""

    NOTHING = "nothing"
    ONE = "one"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes: `arguments` maps name to SQL type in order; the first `required` have no default.
    """

    name: str
    arguments: Mapping[str, str]
    required: int
    returns: Returns

    def accepts(self, given: set[str]) -> bool:
        """Whether it can be called with the arguments named `given`."""
        return set(list(self.arguments)[: self.required]) <= given <= self.arguments.keys()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The exposed schema, and the settings (time-outs) that a role gets with each request."""

    tables: Mapping[str, Table]
    functions: Mapping[str, tuple[Function, ...]]
    role_settings: Mapping[str, tuple[tuple[str, str], ...]]

    @classmethod
    async def load(cls, connection: Connection) -> Self:
        """Read the catalogue of the exposed schema."""
        async with connection.transaction():
            await connection.execute(
                "set local search_path = ''"
            )  # so that types outside pg_catalog come out qualified
            columns = await connection.fetch(_COLUMNS, SCHEMA)
            functions = await connection.fetch(_FUNCTIONS, SCHEMA)
            settings = await connection.fetch(_ROLE_SETTINGS, ROLES)
        return cls(_tables(columns), _functions(functions), _role_settings(settings))

    def table(self, name: str) -> Table:
        """The table `name`.

        Raises:
            RestError: PGRST205, there is none of that name.
        """
        if name not in self.tables:
            raise RestError(
                404, "PGRST205", f"Could not find the table '{SCHEMA}.{name}' in the schema cache"
            )
        return self.tables[name]

    def function(self, name: str, given: set[str]) -> Function:
        """The one overload that takes exactly the arguments `given`."""
        fitting = [function for function in self.functions.get(name, ()) if function.accepts(given)]
        if len(fitting) > 1:
            raise RestError(300, "PGRST203", "Could not choose the best candidate function")
        if not fitting:
            call = f"{SCHEMA}.{name}({', '.join(sorted(given))})"
            raise RestError(
                404, "PGRST202", f"Could not find the function {call} in the schema cache"
            )
        return fitting[0]


def _tables(rows: list[asyncpg.Record]) -> dict[str, Table]:
    columns: dict[str, dict[str, str]] = {}
    keys: dict[str, list[str]] = {}
    for row in rows:
        columns.setdefault(row["relation"], {})[row["name"]] = row["type"]
        if row["in_primary_key"]:
            keys.setdefault(row["relation"], []).append(row["name"])
    return {
        name: Table(name, of_table, tuple(keys.get(name, ()))) for name, of_table in columns.items()
    }


def _functions(rows: list[asyncpg.Record]) -> dict[str, tuple[Function, ...]]:
    found: dict[str, tuple[Function, ...]] = {}
    for row in rows:
        arguments = dict(zip(row["names"], row["types"], strict=False))
        if row["variadic"] or len(arguments) != len(row["types"]):
            continue  # variadic or unnamed arguments: callable through no API of ours
        returns = (
            Returns.NOTHING
            if row["returns_nothing"]
            else Returns.SET
            if row["returns_set"]
            else Returns.ONE
        )
        function = Function(row["name"], arguments, row["required"], returns)
        found[function.name] = (*found.get(function.name, ()), function)
    return found


def _role_settings(rows: list[asyncpg.Record]) -> dict[str, tuple[tuple[str, str], ...]]:
    parts = {
        row["rolname"]: [setting.partition("=") for setting in row["rolconfig"] or ()]
        for row in rows
    }
    return {
        role: tuple((name, value) for name, _, value in settings)
        for role, settings in parts.items()
    }
