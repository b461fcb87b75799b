"""Mutants of migrations, made from their own text, so that none can be forgotten: each grant,
revoke, policy, check, trigger and guard of a function, taken away one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

# PUBLIC holds nothing of a new table, so a revoke from it changes nothing
_TABLES_GIVE_PUBLIC_NOTHING: Final = "public"
_DOLLARS: Final = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_RIGHTS: Final = re.compile(
    r"^(?P<verb>grant|revoke)\s+(?P<what>.+?)\s+on\s+(?P<function>function\s+)?(?P<objects>.+?)"
    r"\s+(?:to|from)\s+(?P<roles>[\w,\s]+)$",
    re.DOTALL,
)
_FUNCTION: Final = re.compile(r"create (?:or replace )?function (?P<name>[\w.]+)")
_GONE: Final = re.compile(r"drop function (?P<name>[\w.]+)")
_MOVED: Final = re.compile(r"alter function (?P<name>[\w.]+)\s?\([^)]*\) set schema \w+$")
_DROPPED: Final = re.compile(r"alter table (?P<table>[\w.]+) drop constraint (?P<name>\w+)$")
# locks are tried with two connections in test_guards.py; a key's audit is no guard
_NO_GUARD: Final = re.compile(r"pg_advisory|wait_for_claims|audit_key|set_config")
# a further condition of a query on halts and members
_CONDITION: Final = re.compile(
    r"\band (?:not )?(?:own|flatten|broker_kill|lifted_at|ended_at)\b(?:[^\n;()]|\(\))*?"
    r"(?=\s+and\b|\n|;|\))"
)


class Mutant(NamedTuple):
    """What was taken away, and all the SQL without it: what is said before, what stands in place of
    one statement, and what is said after it.
    """

    name: str
    before: tuple[str, ...]
    instead: tuple[str, ...]
    after: tuple[str, ...]


class _Right(NamedTuple):
    verb: str
    what: str
    kind: str  # "function " or nothing, for a table
    object: str
    role: str

    @property
    def sql(self) -> str:
        preposition = "to" if self.verb == "grant" else "from"
        return f"{self.verb} {self.what} on {self.kind}{self.object} {preposition} {self.role}"


def mutants(files: list[Path]) -> Iterator[Mutant]:
    """Every mutant of these migrations, read in order."""
    said = said_by(files)
    granted = {(right.object, right.role) for part in said for right in _rights(part)
               if right.verb == "grant" and right.kind}  # fmt: skip
    last, moved, ended = (_where(said, verb) for verb in (_FUNCTION, _MOVED, _GONE))
    dropped = {found["name"] for part in said if (found := _DROPPED.match(part))}
    of_functions = []
    for at, part in enumerate(said):
        gone = {name for name, later in ended.items() if at < later}
        inner = {name for name, later in moved.items() if at < later}
        if found := _FUNCTION.match(part):
            if last[found["name"]] != at or found["name"] in gone:
                continue  # a later definition is the one in force, or none is
            if found["name"] not in inner:
                of_functions.append(part)
                continue
        for name, instead in _changed(part, granted, inner, gone, dropped):
            yield Mutant(name, tuple(said[:at]), tuple(instead), tuple(said[at + 1 :]))
    for part in of_functions:  # over the one in force at the end, and not all that follows again
        replaced = _FUNCTION.sub(r"create or replace function \g<name>", part, count=1)
        for name, instead in _changed(replaced, granted):
            yield Mutant(name, tuple(said), tuple(instead), ())


def _where(said: list[str], verb: re.Pattern[str]) -> dict[str, int]:
    """At which statement this was last done, by the function's name."""
    return {found["name"]: at for at, part in enumerate(said) if (found := verb.match(part))}


def said_by(files: list[Path]) -> list[str]:
    """The statements of migrations, in order."""
    return [part for file in files for part in statements(file.read_text())]


def sql_of(said: Iterable[str]) -> str:
    """Statements as one text to execute."""
    return "".join(f"{part};\n" for part in said)


def statements(text: str) -> list[str]:
    """The statements of a migration, without comments, which end at a semicolon outside of $$."""
    bodies: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        bodies.append(found[0])
        return f"$${len(bodies) - 1}$$"

    bare = _DOLLARS.sub(put_aside, re.sub(r"--[^\n]*", "", text))
    parts = (part.strip() for part in re.split(r";(?=(?:[^']*'[^']*')*[^']*$)", bare))
    return [
        re.sub(r"\$\$(\d+)\$\$", lambda found: bodies[int(found[1])], part)
        for part in parts if part
    ]  # fmt: skip


def _changed(
    part: str,
    granted: set[tuple[str, str]],
    inner: AbstractSet[str] = frozenset(),
    gone: AbstractSet[str] = frozenset(),
    dropped: AbstractSet[str] = frozenset(),
) -> Iterator[tuple[str, list[str]]]:
    """`inner`: functions that a later migration wraps; the rights of the wrapper count. `gone`:
    those that a later one drops, and their rights with them.

    `dropped`: names of checks in whose place a later migration puts another.
    """
    line = " ".join(part.split())[:90]
    if rights := _rights(part):
        for right in rights:
            if right.verb == "revoke" and _changes_nothing(right, granted):
                continue
            if right.object in gone or (right.verb == "grant" and right.object in inner):
                continue
            rest = [other.sql for other in rights if other != right]
            yield f"without: {right.sql}", rest
    elif part.startswith("create policy"):
        yield f"without: {line}", []
        yield f"for all rows: {line}", [part[: part.index("using (")] + "using (true)"]
    elif part.startswith("create trigger") or part.endswith("enable row level security"):
        yield f"without: {line}", []
    elif part.startswith(("create table", "alter table")):
        for start, end in _checks(part):
            if _name_of_check(part, start) in dropped:
                continue
            yield (
                f"unchecked: {part[start:end]}, in {line}",
                [part[:start] + "check (true)" + part[end:]],
            )
    elif found := _FUNCTION.match(part):
        for guard, instead in _guards(part):
            yield f"{found['name']} without: {guard}", [instead]


def _rights(part: str) -> list[_Right]:
    if not (found := _RIGHTS.match(part)):
        return []
    kind, what = found["function"] or "", found["what"]
    columns = re.fullmatch(r"(\w+) \((.+)\)", what, re.DOTALL)
    rights = [f"{columns[1]} ({name})" for name in _names(columns[2])] if columns else [what]
    return [
        _Right(found["verb"], one, kind, thing, role)
        for one in rights
        for thing in _names(found["objects"])
        for role in _names(found["roles"])
    ]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _changes_nothing(right: _Right, granted: set[tuple[str, str]]) -> bool:
    if right.kind:
        return (right.object, right.role) in granted
    return right.role == _TABLES_GIVE_PUBLIC_NOTHING


def _checks(part: str) -> Iterator[tuple[int, int]]:
    for found in re.finditer(r"\bcheck \(", part):
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(part[end], 0)
            end += 1
        yield found.start(), end


def _name_of_check(part: str, start: int) -> str:
    """As Postgres names the check of a column of a new table; of any other, nothing."""
    table = re.match(r"create table (?:\w+\.)?(\w+)", part)
    column = re.search(r"\n\s*(\w+)[^\n]*$", part[:start])
    return f"{table[1]}_{column[1]}_check" if table and column else ""


def _guards(part: str) -> Iterator[tuple[str, str]]:
    for words in (" security definer", " set search_path = ''"):
        if words in part:
            yield words.strip(), part.replace(words, "", 1)
    for found in re.finditer(r"\b(?:raise exception|perform)\b[^;]+;", part):
        if not _NO_GUARD.search(found[0]):
            yield " ".join(found[0].split()), part[: found.start()] + "null;" + part[found.end() :]
    for found in _CONDITION.finditer(part):
        yield found[0], part[: found.start()] + part[found.end() :]
    for found in re.finditer(r"\n  where known\.version < excluded\.version", part):
        yield found[0].strip(), part[: found.start()] + part[found.end() :]
    for found in re.finditer(r", given\.version desc\n", part):
        yield found[0].strip(), part[: found.start()] + "\n" + part[found.end() :]
