"""Commands on who operates the platform, and what operators did on the console."""

from __future__ import annotations

from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.look import SaysWho
from ats.cli.options import finish

operators = group("Who sees the operator's console: add, list and remove them, and what they did.")

UserArgument = Annotated[str, typer.Argument(help="The operator's user id, from Supabase's Auth.")]


@operators.command("add")
def operators_add(
    user: UserArgument,
    name: Annotated[str, typer.Option(help="Their name, as it stands in halts and actions.")],
    by: SaysWho,
) -> None:
    """Let a user who has signed up see everybody's day, and halt."""
    from ats.commands.operators import add

    finish(add(user, name=name, by=by))


@operators.command("list")
def operators_list(
    removed: Annotated[
        bool, typer.Option("--removed", help="Those that were removed too.")
    ] = False,
) -> None:
    """Who operates. A table on a terminal, JSON lines in a pipe."""
    from ats.commands.operators import list_operators

    finish(list_operators(removed=removed))


@operators.command("remove")
def operators_remove(
    user: UserArgument,
    reason: Annotated[str, typer.Option(help="Why, in one sentence; it is kept.")],
    by: SaysWho,
) -> None:
    """Take the console away from a user. What they halted stays halted."""
    from ats.commands.operators import remove

    finish(remove(user, reason=reason, by=by))


@operators.command("actions")
def operators_actions() -> None:
    """What operators did on the console, newest first. JSON lines in a pipe."""
    from ats.commands.operators import list_actions

    finish(list_actions())
