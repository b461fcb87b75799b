"""`ats members`: whom the operator declares as a member of their family, for `ATS_MODE=family`.

A declaration is a row in the database: it holds on every machine from its commit on, and stays as
evidence when it is ended.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.commands.asking import answer, ask
from ats.commands.users import user_of
from ats.services.context import database
from ats.settings import load
from schemas.errors import Misconfigured
from schemas.text import clean

# SEBI's circular of 4 February 2025: self, spouse, dependent children and dependent parents
RELATIONS: Final = ("self", "spouse", "dependent_child", "dependent_parent")
MAX_TEXT: Final = 500
MAX_NAME: Final = 100
_CLIENT_ID: Final = re.compile(r"[0-9]{4,20}")
_REFUSALS: Final = {
    "unknown_user": "nobody signed up with user id {user}: they sign up on the page first",
    "user_declared": "user {user} is declared already: `ats members remove` ends that first",
    "account_declared": "account {account} is declared already, for another user",
    "address_declared": "address {address} is declared already: Dhan wants one of its own for each",
    "relation_declared": "somebody is declared as {relation} already, and there is only one",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the operator says of one member. Built only by `of`."""

    user: UUID
    account: str
    relation: str
    consent: str
    consented_on: date
    address: str
    by: str

    @classmethod
    def of(
        cls,
        user: str,
        account: str,
        relation: str,
        *,
        consent: str,
        consented_on: date,
        address: str,
        by: str,
        today: date,
    ) -> Declaration:
        """Raises Misconfigured: naming the value that cannot be, and what can."""
        whose = user_of(user)
        if relation not in RELATIONS:
            raise Misconfigured(
                f"--relation {relation!r} is not family by SEBI's circular of 4 February 2025: "
                f"one of {', '.join(RELATIONS)}"
            )
        if consented_on > today:
            raise Misconfigured(f"--consented-on {consented_on} is still to come")
        said, name = clean(consent, MAX_TEXT).strip(), clean(by, MAX_NAME).strip()
        if not said or not name:
            raise Misconfigured("--consent and --by need words: both are kept as evidence")
        return cls(whose, _account(account), relation, said, consented_on, _address(address), name)


@dataclass(frozen=True, slots=True)
class Member:
    """A declaration as the database keeps it; `ended_at` is None while it is in force."""

    user_id: str
    dhan_client_id: str
    relation: str
    address: str
    consent: str
    consented_on: str
    declared_by: str
    declared_at: str
    ended_at: str | None
    end_reason: str | None


async def add(declaration: Declaration) -> None:
    """Declare a member.

    Raises:
        Misconfigured: the user is unknown, or user, account, address or relation is taken.
    """
    told = await ask(
        "declare_member",
        {
            "p_user": str(declaration.user),
            "p_client_id": declaration.account,
            "p_relation": declaration.relation,
            "p_consent": declaration.consent,
            "p_consented_on": declaration.consented_on.isoformat(),
            "p_address": declaration.address,
            "p_by": declaration.by,
        },
    )
    if (status := str(told["status"])) != "declared":
        raise Misconfigured(_REFUSALS[status].format(**asdict(declaration)))
    typer.echo(
        f"declared: account {declaration.account} of user {declaration.user} as "
        f"{declaration.relation}; its orders must reach Dhan from {declaration.address} "
        "(see ATS_EGRESS)"
    )


async def remove(account: str, *, reason: str, by: str) -> None:
    """End a declaration: no entry from now on; what is held is still protected and closed.

    Raises:
        Misconfigured: no declaration of the account is in force, or who or why is missing.
    """
    why, name = clean(reason, MAX_TEXT).strip(), clean(by, MAX_NAME).strip()
    if not why or not name:
        raise Misconfigured("--reason and --by need words: both are kept as evidence")
    arguments = {"p_client_id": _account(account), "p_by": name, "p_reason": why}
    if not await ask("end_membership", arguments):
        raise Misconfigured(f"account {account} is not declared: see `ats members list`")
    typer.echo(f"ended: account {account} is switched off, and no entry of it leaves any more")


async def list_members(*, ended: bool) -> None:
    """Print the declarations in force, with `ended` all; a table, or JSON lines in a pipe."""
    async with database(load()) as client:
        query = client.table("family_members").select(",".join(Member.__slots__)).order("id")
        execute = query.limit(1_000).execute
        rows = await answer("family_members", execute)
    members = [Member(**row) for row in rows if ended or row["ended_at"] is None]
    if not sys.stdout.isatty():
        for member in members:
            typer.echo(orjson.dumps(asdict(member)).decode())
        return
    table = Table("account", "relation", "address", "consent", "user", "declared", "ended")
    for member in members:
        table.add_row(
            member.dhan_client_id,
            member.relation,
            member.address,
            f"{member.consent} ({member.consented_on})",
            member.user_id,
            f"{member.declared_at[:10]} by {member.declared_by}",
            f"{member.ended_at[:10]}: {member.end_reason}" if member.ended_at else "",
        )
    Console().print(table if members else "nobody is declared: see `ats members add --help`")


def _account(text: str) -> str:
    if not _CLIENT_ID.fullmatch(text):
        raise Misconfigured(f"{text!r} is no Dhan client id: 4 to 20 digits")
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise Misconfigured(f"--address {text!r} is no IP address, such as 203.0.113.7") from None
