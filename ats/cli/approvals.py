"""Commands on decisions that wait for a person's yes."""

from __future__ import annotations

from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.look import SaysWho
from ats.cli.options import finish

approvals = group("Approve before send: switch it on or off, list what waits, say yes or no.")

DecisionArgument = Annotated[
    str, typer.Argument(help="The decision's id, as `ats approvals list` prints it.")
]
Because = Annotated[str, typer.Option("--reason", help="Why, in one sentence; it is kept.")]


@approvals.command("on")
def approvals_on(
    reason: Because,
    by: SaysWho,
    seconds: Annotated[
        int, typer.Option(help="How long a decision waits; then the answer is no. 10 to 300.")
    ] = 60,
) -> None:
    """Let the entries of each decision wait for a yes. What only closes never waits."""
    from ats.commands.approvals import switch_on

    finish(switch_on(seconds=seconds, reason=reason, by=by))


@approvals.command("off")
def approvals_off(reason: Because, by: SaysWho) -> None:
    """Let new decisions leave without a yes. What waits already still needs its own."""
    from ats.commands.approvals import switch_off

    finish(switch_off(reason=reason, by=by))


@approvals.command("list")
def approvals_list() -> None:
    """What waits, and the last answers. A table on a terminal, JSON lines in a pipe."""
    from ats.commands.approvals import list_approvals

    finish(list_approvals())


@approvals.command("yes")
def approvals_yes(
    decision: DecisionArgument,
    by: SaysWho,
    reason: Annotated[str, typer.Option(help="Why, where you want it kept.")] = "",
) -> None:
    """Approve a decision: its entries are sized and judged anew, and leave."""
    from ats.commands.approvals import answer

    finish(answer(decision, yes=True, reason=reason, by=by))


@approvals.command("no")
def approvals_no(
    decision: DecisionArgument,
    by: SaysWho,
    reason: Annotated[str, typer.Option(help="Why, where you want it kept.")] = "",
) -> None:
    """Refuse a decision: nothing of it is entered."""
    from ats.commands.approvals import answer

    finish(answer(decision, yes=False, reason=reason, by=by))
