"""`ats operators`: who operates the platform, and what they did.

An operator is a row in the database that the service role alone writes. The row, and each action,
stays as evidence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.commands.asking import MAX_TEXT, answer, ask, words
from ats.commands.users import user_of
from ats.services.context import database
from ats.settings import load
from schemas.errors import Misconfigured
from schemas.units import IST

MOST_SHOWN: Final = 1_000
_REFUSALS: Final = {
    "unknown_user": "nobody signed up with user id {user}: they sign up on the page first",
    "operator_already": "user {user} operates already: see `ats operators list`",
}


@dataclass(frozen=True, slots=True)
class Operator:
    """A row as the database keeps it; `removed_at` is None while it is in force."""

    id: int
    user_id: str
    name: str
    added_by: str
    added_at: str
    removed_at: str | None
    removed_by: str | None
    remove_reason: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that an operator did; `user_id` is None for everybody."""

    operator_id: int
    action: str
    user_id: str | None
    reason: str
    at: str


async def add(user: str, *, name: str, by: str) -> None:
    """Declare an operator.

    Raises:
        Misconfigured: nobody signed up as that user, or they operate already, or a word is missing.
    """
    whose, called, who = user_of(user), words(name, "--name"), words(by, "--by")
    told = await ask("add_operator", {"p_user": str(whose), "p_name": called, "p_by": who})
    if (status := str(told["status"])) != "added":
        raise Misconfigured(_REFUSALS[status].format(user=whose))
    typer.echo(f"added: {called} sees the page /operator from now on")


async def remove(user: str, *, reason: str, by: str) -> None:
    """Take the console away.

    Raises:
        Misconfigured: the user is no operator, or who or why is missing.
    """
    whose, who = user_of(user), words(by, "--by")
    why = words(reason, "--reason", MAX_TEXT)
    if not await ask("remove_operator", {"p_user": str(whose), "p_by": who, "p_reason": why}):
        raise Misconfigured(f"user {whose} is no operator: see `ats operators list`")
    typer.echo("removed: the page /operator is closed to them; what they halted stays halted")


async def list_operators(*, removed: bool) -> None:
    """Print who operates, with `removed` also who did; a table, or JSON lines in a pipe."""
    rows = [each for each in await _operators() if removed or each.removed_at is None]
    if not sys.stdout.isatty():
        _lines(rows)
        return
    table = Table("user", "name", "added", "removed")
    for row in rows:
        gone = f"{row.removed_at[:10]}: {row.remove_reason}" if row.removed_at else ""
        table.add_row(row.user_id, row.name, f"{row.added_at[:10]} by {row.added_by}", gone)
    Console().print(table if rows else "nobody operates: see `ats operators add --help`")


async def list_actions() -> None:
    """Print the newest actions, newest first; a table, or JSON lines in a pipe."""
    async with database(load()) as client:
        query = client.table("operator_actions").select(",".join(Action.__slots__))
        execute = query.order("id", desc=True).limit(MOST_SHOWN).execute
        actions = [Action(**row) for row in await answer("operator_actions", execute)]
    if not sys.stdout.isatty():
        _lines(actions)
        return
    names = {each.id: each.name for each in await _operators()}
    table = Table("when", "who", "what", "whom", "why")
    for act in actions:
        when = f"{datetime.fromisoformat(act.at).astimezone(IST):%Y-%m-%d %H:%M:%S}"
        whom = act.user_id or "everybody"
        table.add_row(when, names[act.operator_id], act.action, whom, act.reason)
    Console().print(table if actions else "no operator did anything yet")


async def _operators() -> Sequence[Operator]:
    async with database(load()) as client:
        query = client.table("operators").select(",".join(Operator.__slots__)).order("id")
        rows = await answer("operators", query.limit(MOST_SHOWN).execute)
    return [Operator(**row) for row in rows]


def _lines(rows: Iterable[Operator | Action]) -> None:
    for row in rows:
        typer.echo(orjson.dumps(asdict(row)).decode())
