"""`ats limits`: what one user may do at most, beside the platform's own limits.

An operator sets each value's ceiling, the user chooses what is tighter on the account page, and the
tighter of both holds. Each change is a row in the database: who made it and why stays there. Order
workers obey it within a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ats.commands.asking import ask
from ats.commands.users import user_of
from ats.services.context import database
from ats.settings import load
from executors.store import Store
from schemas.errors import Misconfigured
from schemas.ids import Segment
from schemas.text import clean
from schemas.units import Paise

PLATFORM: Final = "platform"  # gives a value back to the platform's own
SEGMENTS: Final = tuple(each.value for each in Segment if each is not Segment.IDX_I)
PRODUCTS: Final = ("CNC", "INTRADAY", "MARGIN", "MTF")
MAX_TEXT: Final = 500
MAX_NAME: Final = 100
MOST_SHOWN: Final = 1_000  # what the database tells at a time
# what is told of a user, and its column
WHOSE: Final = {"ceiling": "operator's ceiling", "own": "user's choice", "held": "holds"}
MOST: Final = 1_000_000  # of orders, positions or minutes: more limits nothing


@dataclass(frozen=True, slots=True)
class Field:
    """One limit: its column, and how a person's word for it is read."""

    column: str
    read: Callable[[str], Any]


def _rupees(text: str) -> int:
    paise = int(Paise.from_rupees(text))
    if paise < 0:
        raise ValueError("an amount in rupees from 0, such as 50000 or 1500.50")
    return paise


def _count(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MOST))
    if not digits or int(text) > MOST:
        raise ValueError(f"a number from 0 to {MOST}")
    return int(text)


def _some_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        if set(words) - set(known):
            raise ValueError(f"some of {', '.join(known)}, with commas between")
        return words

    return read


def _yes_no(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError("yes or no")
    return text == "yes"


FIELDS: Final[Mapping[str, Field]] = {
    "max_order_value": Field("max_order_value_paise", _rupees),
    "risk_per_trade": Field("risk_per_trade_paise", _rupees),
    "max_orders_per_day": Field("max_orders_per_day", _count),
    "max_open_positions": Field("max_open_positions", _count),
    "max_symbol_exposure": Field("max_symbol_exposure_paise", _rupees),
    "max_exposure": Field("max_exposure_paise", _rupees),
    "max_daily_loss": Field("max_daily_loss_paise", _rupees),
    "stop_out_cooldown": Field("stop_out_cooldown_minutes", _count),
    "max_stop_outs_per_day": Field("max_stop_outs_per_day", _count),
    "segments": Field("segments", _some_of(SEGMENTS)),
    "products": Field("products", _some_of(PRODUCTS)),
    "long_only": Field("long_only", _yes_no),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator changes of one user's ceiling; null is the platform's own. Built by `of`."""

    user: UUID
    limits: Mapping[str, Any]
    by: str
    reason: str

    @classmethod
    def of(cls, user: str, given: Mapping[str, str | None], *, by: str, reason: str) -> Change:
        """Read what was typed; a value that is None was not.

        Raises:
            Misconfigured: naming what cannot be, and what can.
        """
        limits = {
            FIELDS[name].column: _value(name, text)
            for name, text in given.items()
            if text is not None
        }
        if not limits:
            raise Misconfigured("nothing to change: name a limit, such as --max-order-value 50000")
        why, who = clean(reason, MAX_TEXT).strip(), clean(by, MAX_NAME).strip()
        if not why or not who:
            raise Misconfigured("--reason and --by need words: both are kept as evidence")
        return cls(user_of(user), limits, who, why)


def _value(name: str, text: str) -> Any:
    if text == PLATFORM:
        return None
    try:
        return FIELDS[name].read(text)
    except ValueError as error:
        option = f"--{name.replace('_', '-')}"
        raise Misconfigured(
            f"{option} {text[:40]!r} is not usable: {error}; or {PLATFORM}"
        ) from None


async def change(wanted: Change) -> None:
    """Write it, and print what is in force now.

    Raises:
        StoreAway: the database does not answer; nobody knows whether anything was changed, and
            the same change again does no harm.
        Misconfigured: it knows no such user.
    """
    arguments = {
        "p_user": str(wanted.user),
        "p_limits": dict(wanted.limits),
        "p_by": wanted.by,
        "p_reason": wanted.reason,
    }
    await ask("set_user_limits", arguments)
    await show(str(wanted.user))


async def show(user: str) -> None:
    """Print ceiling, choice and what holds of one user, or with "" of all who have either."""
    whose = user_of(user) if user else None
    told = await ask("user_limits_told", {"p_user": str(whose) if whose else None})
    if whose and not told:
        async with database(load()) as client:
            known = await Store(client).trading_keys()
        if all(key.user != whose for key in known):
            typer.echo(f"nobody has connected Dhan as user {whose}: is the id right?", err=True)
        told = [{"user_id": str(whose)} | dict.fromkeys(WHOSE)]
    if not sys.stdout.isatty():
        for one in told:
            typer.echo(orjson.dumps(one).decode())
        return
    table = _table(told)
    Console().print(table if table.row_count else "the platform's limits hold, and no others")
    if len(told) == MOST_SHOWN:
        typer.echo(f"only the first {MOST_SHOWN}: name a user")


def _table(told: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("user", "limit", *WHOSE.values())
    for one in told:
        rows = [one[whose] or {} for whose in WHOSE]
        for name, field in FIELDS.items():
            ceiling, own, held = (row.get(field.column) for row in rows)
            if ceiling is not None or own is not None:
                shown = (
                    *(_shown(ceiling, field), _shown(own, field, "no choice"), _shown(held, field)),
                )
                table.add_row(one["user_id"], name, *shown)
        table.add_section()
    return table


def _shown(value: Any, field: Field, nothing: str = PLATFORM) -> str:
    if value is None:
        return nothing
    if field.read is _rupees:
        return str(Paise(value))
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value) if not isinstance(value, bool) else ("yes" if value else "no")
