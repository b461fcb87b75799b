"""`ats states`: who may enter, who only closes, and who sends nothing; since when, why and by whom.

ACTIVE: no halt is in force. REDUCING: one is, and only what closes leaves. HALTED: one is that
holds back all orders of decisions. `ats kill` brings the last two about, and ends them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.commands.asking import answer
from ats.services.context import database
from ats.settings import load
from schemas.units import IST

MOST_SHOWN: Final = 1_000
COLUMNS: Final = "user_id,all_orders,flatten,since,until,halted_by,reason"


@dataclass(frozen=True, slots=True)
class State:
    """One halt in force, as a person reads it.

    Attributes:
        user: Whose; "" for everybody's.
        since, until: Indian time; `until` "" until it is lifted.
    """

    user: str
    state: str
    since: str
    until: str
    by: str
    reason: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        return cls(
            row["user_id"] or "",
            "HALTED" if row["all_orders"] else "REDUCING",
            _indian(row["since"]),
            _indian(row["until"]) if row["until"] else "",
            row["halted_by"],
            row["reason"],
        )


def in_force(rows: Iterable[dict[str, Any]], now: datetime) -> Iterator[State]:
    """Those that have not ended by themselves, everybody's first."""
    held = [row for row in rows if not row["until"] or datetime.fromisoformat(row["until"]) > now]
    yield from sorted((State.of(row) for row in held), key=lambda each: (each.user, each.since))


async def show(now: datetime) -> None:
    """Print every halt in force at `now`; a table, or JSON lines in a pipe."""
    async with database(load()) as client:
        query = client.table("trading_halts").select(COLUMNS).is_("lifted_at", "null").order("id")
        rows = await answer("trading_halts", query.limit(MOST_SHOWN).execute)
    states = list(in_force(rows, now))
    if not sys.stdout.isatty():
        for state in states:
            typer.echo(orjson.dumps(asdict(state)).decode())
        return
    table = Table("whose", "state", "since", "until", "by", "why")
    for state in states:
        table.add_row(
            state.user or "everybody",
            state.state,
            state.since,
            state.until or "lifted",
            state.by,
            state.reason,
        )
    Console().print(table if states else "ACTIVE: no halt is in force")
    if len(rows) == MOST_SHOWN:
        typer.echo(f"only the first {MOST_SHOWN}")


def _indian(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(IST):%Y-%m-%d %H:%M:%S}"
