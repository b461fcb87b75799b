"""`ats kill`: halt trading, and see what became of it.

A halt is a row in the database, so it holds on every machine and over restarts. From its commit on
no entry is claimed; the guardians (`executors/orders/guardian.py`) cancel what waits, and with
`--flatten` close what is held. What they did is read from `ats.exits`: nothing is called flat that
the broker's own book did not prove.
"""

from __future__ import annotations

import asyncio
import getpass
import re
import sys
import time
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ats.commands.db_serve import local_keys
from ats.commands.users import user_of
from ats.runtime.running_demo import running
from ats.services.context import database
from ats.settings import Settings, load
from bus.database import Answers, RowRefused, StoreAway
from bus.reader import read_topics
from executors.store import Store
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.ids import UserId
from schemas.messages import ExitAction, ExitOrder, ExitReason
from schemas.text import clean
from schemas.topics import EXITS
from schemas.units import IST, NS_PER_SECOND, UtcNs

MAX_TEXT: Final = 200
BAR_AFTER: Final = 2.0  # seconds
CLOCKS_DIFFER: Final = UtcNs.seconds(5)  # the database's and the guardians' machines
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"
# An answer that is lost says nothing; a second halt does no harm.
_NOT_HALTED: Final = "TAKE NOTHING FOR HALTED"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        user: None for everybody.
        wait: Seconds to wait for the proof.
    """

    user: UserId | None
    flatten: bool
    broker_kill: bool
    reason: str
    by: str
    wait: float

    @classmethod
    def of(
        cls, user: str, *, flatten: bool, broker_kill: bool, reason: str, wait: float = 60.0
    ) -> Wish:
        """Raises Misconfigured when an option is no user."""
        whose = user_of(user, "--user") if user else None
        text = clean(reason, MAX_TEXT).strip() or "ats kill"
        who = clean(getpass.getuser(), MAX_TEXT) or "operator"
        return cls(whose, flatten or broker_kill, broker_kill, text, who, wait)

    @property
    def whom(self) -> str:
        return f"user {self.user}" if self.user else "everybody"


@dataclass(frozen=True, slots=True)
class Hold:
    """A halt of another kind, or one that ends by itself. Built by `of`.

    Attributes:
        all_orders: What closes is held back too.
        until: When it ends; None: when it is lifted.
    """

    wish: Wish
    all_orders: bool
    until: datetime | None

    @classmethod
    def of(cls, wish: Wish, all_orders: bool, until: str, now: datetime) -> Hold:  # as typed
        """Raises Misconfigured: `until` is no moment to come, or positions were to be closed."""
        if wish.flatten:
            raise Misconfigured(
                "--flatten has a halt of its own: ask for --all-orders and --until in a call of "
                "their own"
            )
        return cls(wish, all_orders, _moment(until, now) if until else None)


def _moment(until: str, now: datetime) -> datetime:
    try:
        if re.match(r"[0-9]{1,2}:", until):
            day = now.astimezone(IST).date()
            at = datetime.combine(day, clock_time.fromisoformat(until))
        else:
            at = datetime.fromisoformat(until)
        at = at.astimezone(IST) if at.tzinfo else at.replace(tzinfo=IST)
    except ValueError:
        at = now
    if at <= now:
        raise Misconfigured(
            f"--until {until!r} is not usable: give a moment to come, such as 15:30 or "
            "2026-11-20T09:15, both IST"
        )
    return at


@dataclass(slots=True)
class Tally:
    """What guardians told of a halt so far. `flat` and `killed` are seconds after it, by user."""

    since: UtcNs
    cancelled: int = 0
    flat: dict[UserId, float] = field(default_factory=dict)
    killed: dict[UserId, float] = field(default_factory=dict)

    def add(self, exit_: ExitOrder, published_at: UtcNs) -> None:
        """Count one message of `ats.exits`."""
        if exit_.reason_code is not ExitReason.HALT or published_at < self.since - CLOCKS_DIFFER:
            return
        after = max(0.0, (published_at - self.since) / NS_PER_SECOND)
        match exit_.action, exit_.outcome:
            case ExitAction.CANCEL, "accepted":
                self.cancelled += 1
            case ExitAction.FLAT, _:
                self.flat.setdefault(exit_.user_id, after)
            case ExitAction.BROKER_KILL, "accepted":
                self.killed.setdefault(exit_.user_id, after)

    def done(self, users: Iterable[UserId], wish: Wish) -> bool:
        """Whether all that was asked for is proved, for all `users`."""
        told = self.killed if wish.broker_kill else self.flat
        return all(user in told for user in users)


async def kill(wish: Wish) -> None:
    """Halt, and with `flatten` wait until the broker's books prove everybody flat.

    Raises:
        TryLater: not proved in time, and the halt holds all the same; or nobody knows whether
            anything is halted. The message says which.
    """
    settings = _settings()
    async with database(settings) as client:
        arguments = {
            "p_user": str(wish.user) if wish.user else None,
            "p_by": wish.by,
            "p_reason": wish.reason,
            "p_flatten": wish.flatten,
            "p_broker_kill": wish.broker_kill,
        }
        try:
            answer = await _ask(client, "halt_trading", arguments)
        except StoreAway as error:
            raise TryLater(
                f"{_NOT_HALTED}: {error}. Try again, or close and switch off at Dhan itself"
            ) from None
        try:
            rows = await Store(client).trading_keys()
        except StoreAway as error:
            raise TryLater(
                f"the halt holds, but who is connected is not known: {error}. Look at the "
                "positions at Dhan"
            ) from None
    mine = [row for row in rows if wish.user in (None, row.user)]
    connected = [row.user for row in mine if row.token_expiry and not row.token_refused]
    again = "" if answer["first"] else ", as before"
    typer.echo(
        f"halted{again}: no entry of {wish.whom} leaves from now on "
        f"({len(mine)} users, {len(connected)} of them connected to Dhan)"
    )
    if not wish.flatten:
        typer.echo("waiting entries are cancelled by `ats books`; positions keep their stops")
        return
    tally = Tally(UtcNs.from_datetime(datetime.fromisoformat(answer["since"])))
    await _watch(settings, tally, connected, wish)
    _report(tally, connected, wish)


async def hold(asked: Hold) -> None:
    """Halt in the way that is asked for.

    Raises:
        TryLater: nobody knows whether anything is halted, or what.
    """
    wish = asked.wish
    async with database(_settings()) as client:
        arguments = {
            "p_user": str(wish.user) if wish.user else None,
            "p_by": wish.by,
            "p_reason": wish.reason,
            "p_all_orders": asked.all_orders,
            "p_until": asked.until.isoformat() if asked.until else None,
        }
        try:
            answer = await _ask(client, "impose_halt", arguments)
        except StoreAway as error:
            raise TryLater(f"{_NOT_HALTED}: {error}. Try again") from None
        try:
            held = await _in_force(client, answer["id"], asked)
        except StoreAway as error:
            raise TryLater(f"the halt holds, but what holds is not known: {error}") from None
    again = "" if answer["first"] else ", as before"
    what = "no order of a decision" if held.all_orders else "no entry"
    ends = f"until {held.until:%Y-%m-%d %H:%M} IST" if held.until else "until it is lifted"
    typer.echo(f"halted{again}: {what} of {wish.whom} leaves from now on, {ends}")


async def _in_force(client: Any, number: int, asked: Hold) -> Hold:
    """The halt of this number: one from before may hold back more, and for longer."""
    query = client.table("trading_halts").select("all_orders,until").eq("id", number)
    rows = await Answers(_REMEDY).of("trading_halts", query.execute)
    (row,) = rows  # halts are lifted, and never deleted
    until = datetime.fromisoformat(row["until"]).astimezone(IST) if row["until"] else None
    return replace(asked, all_orders=row["all_orders"], until=until)


async def lift(wish: Wish) -> None:
    """End halts that operators set; a user's own stays theirs."""
    async with database(_settings()) as client:
        arguments = {
            "p_user": str(wish.user) if wish.user else None,
            "p_by": wish.by,
            "p_reason": wish.reason,
        }
        lifted = await _ask(client, "lift_halt", arguments)
    if not lifted:
        typer.echo(f"no halt of {wish.whom} was in force")
        return
    typer.echo(f"lifted: entries of {wish.whom} may leave again ({lifted} halts ended)")


def _settings() -> Settings:
    """What the environment names; where it names no database, the running demo's."""
    settings = load()
    demo = None if settings.supabase_url else running(settings.ats_state_dir)
    if demo is None or not demo.supabase:
        return settings
    typer.echo(f"the running demo's database: {demo.supabase}")
    return load(
        supabase_url=demo.supabase,
        supabase_service_key=SecretStr(local_keys(Path(demo.keys)).secret),
        kafka_bootstrap_servers=demo.kafka,
        kafka_security_protocol="PLAINTEXT",
    )


async def _watch(settings: Settings, tally: Tally, users: list[UserId], wish: Wish) -> None:
    """Read `ats.exits` until all is proved, or the time is up."""
    began = time.monotonic()
    bar = Progress(
        TextColumn("flat by the broker's book"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    task = bar.add_task("", total=len(users), completed=0)

    async def follow() -> None:
        since = UtcNs(tally.since - CLOCKS_DIFFER)
        async with aclosing(read_topics(settings.kafka(), [EXITS], since=since)) as records:
            async for record in records:
                try:
                    tally.add(decode(ExitOrder, record.value), record.published_at)
                except Unreadable:
                    continue
                told = tally.killed if wish.broker_kill else tally.flat
                bar.update(task, completed=sum(user in told for user in users))
                if tally.done(users, wish):
                    return

    async def show() -> None:
        await asyncio.sleep(BAR_AFTER)
        bar.start()

    if tally.done(users, wish):
        return
    showing = asyncio.create_task(show())
    try:
        await asyncio.wait_for(follow(), max(0.0, wish.wait - (time.monotonic() - began)))
    except TimeoutError:
        pass
    except TryLater as error:
        typer.echo(f"what guardians did cannot be read: {error}")
    finally:
        showing.cancel()
        bar.stop()


def _report(tally: Tally, users: list[UserId], wish: Wish) -> None:
    typer.echo(f"{tally.cancelled} orders cancelled")
    for user in users:
        if user in tally.flat:
            typer.echo(f"{user}: proved flat from the broker's book {tally.flat[user]:.1f} s later")
        else:
            typer.echo(f"{user}: NOT proved flat within {wish.wait:.0f} s")
        if wish.broker_kill and user in tally.killed:
            typer.echo(f"{user}: Dhan's kill switch is on, read back")
    if not users:
        typer.echo("nobody is connected to Dhan, so nothing was to be closed")
    elif tally.done(users, wish):
        typer.echo(f"all flat, the last after {max(tally.flat.values(), default=0.0):.1f} s")
    else:
        raise TryLater(
            "the halt holds, but not everything asked for is proved: is `ats books` running? "
            "Look at the positions at Dhan"
        )


async def _ask(client: Any, function: str, arguments: dict[str, Any]) -> Any:
    try:
        return await Answers(_REMEDY).of(function, client.rpc(function, arguments).execute)
    except RowRefused as refused:
        raise Misconfigured(f"the database refuses it: {refused.text}") from None
