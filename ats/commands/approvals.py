"""`ats approvals`: decisions whose entries wait for a person's yes, and that yes.

Mode and answers are rows of the database, so they hold on every machine. The first answer to a
decision stands; after its deadline none counts.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.commands.asking import MAX_TEXT, ask, words
from audit.amounts import rupees
from schemas.errors import Misconfigured
from schemas.text import clean
from schemas.units import IST

SHORTEST: Final = 10  # seconds: nobody reads two reports faster
LONGEST: Final = 300  # no decision is worth more of a wait
_ANSWERS: Final = {"yes": "approved", "no": "refused", "timed_out": "nobody answered in time"}


async def switch_on(*, seconds: int, reason: str, by: str) -> None:
    """Let entries wait for a yes from now on, `seconds` at most.

    Raises:
        Misconfigured: so many seconds cannot be, or who or why is missing.
    """
    if not SHORTEST <= seconds <= LONGEST:
        raise Misconfigured(f"--seconds {seconds} is not {SHORTEST} to {LONGEST}")
    changed = await _set(seconds, reason, by)
    again = "" if changed else ", as before"
    typer.echo(
        f"on{again}: no entry leaves before a yes to its decision; after {seconds} s the answer is "
        "no. What only closes never waits"
    )


async def switch_off(*, reason: str, by: str) -> None:
    """Let entries of decisions to come leave without a yes.

    Raises:
        Misconfigured: who or why is missing.
    """
    changed = await _set(None, reason, by)
    again = "" if changed else ", as before"
    typer.echo(f"off{again}: new decisions wait no more; what waits now still needs its yes")


async def answer(decision: str, *, yes: bool, reason: str, by: str) -> None:
    """Say yes or no to a decision that waits.

    Raises:
        Misconfigured: it is no decision's id, none that was asked about, or was answered before, or
            nobody answered in time.
    """
    arguments = {
        "p_decision": str(_id(decision)),
        "p_yes": yes,
        "p_by": words(by, "--by"),
        "p_reason": clean(reason, MAX_TEXT).strip(),
    }
    told = await ask("answer_approval", arguments)
    match told["status"]:
        case "answered":
            typer.echo("approved: its entries leave now" if yes else "refused: nothing is entered")
        case "answered_already":
            raise Misconfigured(f"{told['by']} was first: {_ANSWERS[told['answer']]}")
        case "timed_out":
            raise Misconfigured("its deadline has passed, so nothing is entered")
        case _:
            raise Misconfigured("no such decision waits: see `ats approvals list`")


async def list_approvals() -> None:
    """Print what waits, soonest first, and the last answers; a table, or JSON lines in a pipe."""
    told = await ask("approvals_view", {})
    rows = [*told["waiting"], *told["answered"]]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo(orjson.dumps(row).decode())
        return
    mode = told["mode"]
    typer.echo(
        f"on since {_time(mode['since'])} by {mode['began_by']}, {mode['seconds']} s: "
        f"{mode['reason']}"
        if mode
        else "off: entries leave without a yes"
    )
    table = Table("decision", "what", "price then", "users", "rupees", "answer")
    for row in rows:
        table.add_row(
            row["decision_id"],
            f"{row['action']} {row['symbol']}",
            rupees(row["price_paise"]),
            f"{row['users']:,}",
            rupees(row["value_paise"]),
            _said(row),
        )
    Console().print(table if rows else "no decision waits")


async def _set(seconds: int | None, reason: str, by: str) -> bool:
    arguments = {
        "p_seconds": seconds,
        "p_by": words(by, "--by"),
        "p_reason": words(reason, "--reason", MAX_TEXT),
    }
    told = await ask("set_approvals", arguments)
    return told["changed"] is True


def _said(row: dict[str, Any]) -> str:
    if row["answer"] is None:
        return f"waits until {_time(row['deadline'])}, {max(0, row['left_ms']) // 1_000} s more"
    who = f" by {row['answered_by']}" if row["answered_by"] else ""
    why = f": {row['answer_reason']}" if row["answer_reason"] else ""
    return f"{_ANSWERS[row['answer']]}{who}{why}"


def _time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(IST):%H:%M:%S}"


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Misconfigured(f"{text!r} is no decision's id: see `ats approvals list`") from None
