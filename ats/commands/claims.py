"""`ats claims`: orders whose fate is unknown, and what a person found out about them.

Settling and correcting say who and why, and the database keeps both beside the outcome. The message
on `ats.executions` is the order workers' to write: of a settled claim when they look at it next,
within seconds, of a correction within a minute.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.services.context import database
from ats.settings import load
from bus.database import Answers, RowRefused
from executors.orders.reconcile import CLAIM_LEASE, UNCLEAR_LIMIT
from schemas.errors import Misconfigured, TryLater
from schemas.messages import Outcome
from schemas.text import clean

SETTLED_AS: Final = (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_FOUND)
MAX_REASON: Final = 900  # characters; the database keeps a code before them
MAX_NAME: Final = 100

_DHAN_ORDER_ID: Final = re.compile(r"[!-~]{1,64}")
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"
_REFUSALS: Final = {
    "no_account": "the user has no Dhan account",
    "no_token": "the user has disconnected the account",
    "token_expired": "the token has expired",
    "token_refused": "Dhan refuses the token",
    "other_account": "the user has connected another account",
}


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """An order that was claimed and has no outcome.

    Attributes:
        age_seconds: Since the claim, by the database's clock.
        dhan_client_id: The account it was claimed for; None before the database kept it.
        why: Why it is open, as far as is known.
    """

    order_id: str
    user_id: str
    age_seconds: float
    symbol: str | None
    side: str | None
    quantity: int | None
    correlation_id: str
    dhan_client_id: str | None
    why: str

    @classmethod
    def read(cls, row: dict[str, Any]) -> OpenClaim:
        age = row["age_ms"] / 1_000
        return cls(
            row["order_id"],
            row["user_id"],
            age,
            row["symbol"],
            row["side"],
            row["quantity"],
            row["correlation_id"],
            row["dhan_client_id"],
            why_open(age, row["refusal"]),
        )


def why_open(age: float, refusal: str | None) -> str:
    """In words; `refusal` is why the account cannot be asked."""
    if age < CLAIM_LEASE:
        return "its order worker may still be sending"
    if refusal:
        return _REFUSALS.get(refusal, refusal)
    if age < UNCLEAR_LIMIT:
        return "being looked up, if order workers are running"
    return "nobody has looked it up: are order workers running?"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person found out about an order.

    Attributes:
        by: Their name.
    """

    order: UUID
    outcome: Outcome
    dhan_order_id: str | None
    reason: str
    by: str

    @classmethod
    def of(
        cls, order: str, outcome: str, dhan_order_id: str | None, *, reason: str, by: str
    ) -> Verdict:
        """Raises Misconfigured when the options do not make sense together."""
        try:
            number = UUID(order)
        except ValueError:
            raise Misconfigured(
                f"{order!r} is no order id: give the one that `ats claims list` shows"
            ) from None
        if outcome not in SETTLED_AS:
            raise Misconfigured(f"--as {outcome!r}: give one of {', '.join(SETTLED_AS)}")
        if dhan_order_id and not _DHAN_ORDER_ID.fullmatch(dhan_order_id):
            raise Misconfigured(f"--dhan-order-id {dhan_order_id!r} is no order id of Dhan's")
        if outcome == Outcome.ACCEPTED and not dhan_order_id:
            raise Misconfigured("an accepted order has an id at Dhan: give it as --dhan-order-id")
        if outcome == Outcome.NOT_FOUND and dhan_order_id:
            raise Misconfigured("an order with an id at Dhan was found: leave out --dhan-order-id")
        texts = {"--reason": clean(reason, MAX_REASON), "--by": clean(by, MAX_NAME)}
        if empty := [option for option, text in texts.items() if not text.strip()]:
            raise Misconfigured(f"{empty[0]} is empty: it is what others will ask about later")
        return cls(number, Outcome(outcome), dhan_order_id or None, *texts.values())

    def arguments(self) -> dict[str, Any]:
        return {
            "p_order": str(self.order),
            "p_outcome": self.outcome.value,
            "p_dhan_order_id": self.dhan_order_id,
            "p_reason": self.reason,
            "p_by": self.by,
        }


async def list_open() -> None:
    """Print every open claim, oldest first: a table for people, JSON lines for a pipe."""
    claims = [OpenClaim.read(row) for row in await _ask("list_open_claims", {})]
    if sys.stdout.isatty():
        _print_table(claims)
        return
    for claim in claims:
        typer.echo(orjson.dumps(asdict(claim)).decode())


def _print_table(claims: Iterable[OpenClaim]) -> None:
    table = Table(
        "age", "order", "user", "what", "correlation id", "Dhan account", "why it is open"
    )
    for claim in claims:
        what = f"{claim.side} {claim.quantity} {claim.symbol}" if claim.symbol else "unknown"
        table.add_row(
            f"{claim.age_seconds:,.0f} s",
            claim.order_id,
            claim.user_id,
            what,
            claim.correlation_id,
            claim.dhan_client_id or "unknown",
            claim.why,
        )
    Console().print(table if table.row_count else "no claim is open")


async def settle(verdict: Verdict) -> None:
    """Record how an open claim ended.

    Raises:
        TryLater: the claim is younger than its lease.
        Misconfigured: there is no such claim, or it is settled already.
    """
    age = {"p_min_age_ms": round(CLAIM_LEASE * 1_000)}
    answer = await _ask("settle_claim_by_hand", verdict.arguments() | age)
    match answer["status"]:
        case "settled":
            typer.echo(f"order {verdict.order} is settled: {_known(answer)}")
            typer.echo("its message on ats.executions follows when an order worker looks at it")
        case "young":
            raise TryLater(
                f"order {verdict.order} was claimed {answer['age_ms'] / 1_000:.1f} s ago and may "
                f"still be on its way: wait until it is {CLAIM_LEASE:.0f} s old"
            )
        case "taken":
            raise Misconfigured(
                f"order {verdict.order} is settled already: {_known(answer)}. What is recorded "
                "stays; `ats claims correct` appends what is known now"
            )
        case _:
            raise _absent(verdict)


async def correct(verdict: Verdict) -> None:
    """Append what is known now of a settled order.

    Raises:
        Misconfigured: there is no such order, or nothing to correct.
    """
    answer = await _ask("correct_order_by_hand", verdict.arguments())
    match answer["status"]:
        case "corrected":
            typer.echo(f"order {verdict.order} is corrected: {_known(answer)}")
            typer.echo("order workers write the message on ats.executions within a minute")
        case "stands":
            typer.echo(f"order {verdict.order} needs no correction: {_known(answer)}")
        case "open":
            raise Misconfigured(f"order {verdict.order} is still open: use `ats claims settle`")
        case "never_sent":
            raise Misconfigured(f"order {verdict.order} was denied: it was never sent to Dhan")
        case _:
            raise _absent(verdict)


def _known(answer: dict[str, Any]) -> str:
    number = f", Dhan's order {answer['dhan_order_id']}" if answer["dhan_order_id"] else ""
    reason = f" ({answer['reason']})" if answer["reason"] else ""
    return f"{answer['outcome']}{number}{reason}"


def _absent(verdict: Verdict) -> Misconfigured:
    return Misconfigured(
        f"no order worker ever claimed order {verdict.order} in this database: "
        "`ats claims list` shows what is open"
    )


async def _ask(function: str, arguments: dict[str, Any]) -> Any:
    async with database(load()) as client:
        try:
            return await Answers(_REMEDY).of(function, client.rpc(function, arguments).execute)
        except RowRefused as refused:
            raise Misconfigured(f"the database refuses it: {refused.text}") from None
