"""Commands to look at what happens, and to step in: topics' records, open orders."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.options import Archived, day_of, finish, terminal

members = group("Whose accounts ATS_MODE=family trades: declare members, list and remove them.")
claims = group("Orders whose fate is unknown: list them, settle or correct them by hand.")

OrderArgument = Annotated[
    str, typer.Argument(help="The order's id, as `ats claims list` prints it.")
]
SettledAs = Annotated[
    str, typer.Option("--as", help="What became of it at Dhan: accepted, rejected or not_found.")
]
AtDhan = Annotated[
    str | None,
    typer.Option("--dhan-order-id", help="Dhan's number of the order, where it has one."),
]
Because = Annotated[
    str, typer.Option("--reason", help="How you know, in one sentence; the user reads it.")
]
SaysWho = Annotated[str, typer.Option("--by", help="Your name: it is kept with the reason.")]


@claims.command("list")
def claims_list() -> None:
    """Claimed orders without an outcome, and why. A table on a terminal, JSON lines in a pipe."""
    from ats.commands.claims import list_open

    finish(list_open())


@claims.command("settle")
def claims_settle(
    order: OrderArgument,
    as_: SettledAs,
    reason: Because,
    by: SaysWho,
    dhan_order_id: AtDhan = None,
) -> None:
    """Record what became of an open order, after you looked it up at Dhan yourself.

    Refused while the order may still be on its way (10 seconds), and when it is settled already.
    """
    from ats.commands.claims import Verdict, settle

    finish(settle(Verdict.of(order, as_, dhan_order_id, reason=reason, by=by)))


@claims.command("correct")
def claims_correct(
    order: OrderArgument,
    as_: SettledAs,
    reason: Because,
    by: SaysWho,
    dhan_order_id: AtDhan = None,
) -> None:
    """Append what is known now of an order that was settled as something else.

    The recorded outcome stays as evidence; everybody is shown the correction.
    """
    from ats.commands.claims import Verdict, correct

    finish(correct(Verdict.of(order, as_, dhan_order_id, reason=reason, by=by)))


@members.command("add")
def members_add(
    user: Annotated[str, typer.Argument(help="The member's user id here.")],
    account: Annotated[str, typer.Option(help="Their Dhan client id.")],
    relation: Annotated[
        str,
        typer.Option(help="To you: self, spouse, dependent_child or dependent_parent."),
    ],
    consent: Annotated[
        str, typer.Option(help="What they agreed to, and where it is kept; they read it.")
    ],
    consented_on: Annotated[str, typer.Option(help="When they did, YYYY-MM-DD.")],
    address: Annotated[
        str, typer.Option(help="Their own static address, registered at Dhan, as Dhan sees it.")
    ],
    by: SaysWho,
) -> None:
    """Declare a member of your family, whose account ATS_MODE=family then trades."""
    from ats.commands.members import Declaration, add
    from schemas.units import IST

    today = datetime.now(IST).date()
    declaration = Declaration.of(
        user,
        account,
        relation,
        consent=consent,
        consented_on=day_of(consented_on, "--consented-on") or today,
        address=address,
        by=by,
        today=today,
    )
    finish(add(declaration))


@members.command("list")
def members_list(
    ended: Annotated[bool, typer.Option("--ended", help="Those that were ended too.")] = False,
) -> None:
    """Who is declared. A table on a terminal, JSON lines in a pipe."""
    from ats.commands.members import list_members

    finish(list_members(ended=ended))


@members.command("remove")
def members_remove(
    account: Annotated[str, typer.Argument(help="The Dhan client id.")],
    reason: Annotated[str, typer.Option(help="Why, in one sentence; it is kept.")],
    by: SaysWho,
) -> None:
    """End a declaration: no entry of the account leaves any more.

    What it holds is still protected and closed. The row stays as evidence.
    """
    from ats.commands.members import remove

    finish(remove(account, reason=reason, by=by))


def states() -> None:
    """Who only closes (REDUCING) and who sends nothing (HALTED), since when, why and by whom.

    Everybody else is ACTIVE. A table on a terminal, JSON lines in a pipe.
    """
    from ats.commands.states import show
    from schemas.units import IST

    finish(show(datetime.now(IST)))


def kill(
    user: Annotated[str, typer.Option(help="One user's id; without it everybody.")] = "",
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close every intraday position, and prove it.")
    ] = False,
    broker_kill: Annotated[
        bool,
        typer.Option(
            "--broker-kill", help="Then Dhan's own kill switch, for the day; implies --flatten."
        ),
    ] = False,
    all_orders: Annotated[
        bool,
        typer.Option(
            "--all-orders",
            help="Hold back closing orders of decisions too; stops and the square-off go on.",
        ),
    ] = False,
    until: Annotated[
        str,
        typer.Option(help="End it by itself at 15:30 or 2026-11-20T09:15 (IST); else lift it."),
    ] = "",
    reason: Annotated[str, typer.Option(help="Why; it is kept, and users read it.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the proof.", min=0.0)] = 60.0,
    lift: Annotated[bool, typer.Option("--lift", help="End the halt instead.")] = False,
) -> None:
    """Halt trading now: no entry leaves, on no machine, until the halt is lifted.

    Waiting entries are cancelled, and stops stay. Closing orders leave, unless you say otherwise.
    `ats states` shows what is in force.
    """
    from ats.commands import kill as command
    from schemas.units import IST

    wish = command.Wish.of(user, flatten=flatten, broker_kill=broker_kill, reason=reason, wait=wait)
    if (all_orders or until) and not lift:
        finish(command.hold(command.Hold.of(wish, all_orders, until, datetime.now(IST))))
    finish(command.lift(wish) if lift else command.kill(wish))


def status(
    as_json: Annotated[
        bool,
        typer.Option("--json", help="JSON on a terminal too; a pipe or a file gets it anyway."),
    ] = False,
) -> None:
    """How the platform is doing now: pipeline, users, incidents. Of the running demo where no
    cluster is set.
    """
    from ats.commands.status import status as show

    finish(show(as_json=as_json))


def top(
    once: Annotated[bool, typer.Option("--once", help="One picture, then end.")] = False,
) -> None:
    """The same, live on a terminal, until Ctrl-C."""
    from ats.commands.status import top as show

    finish(show(once=once))


def preflight() -> None:
    """Whether each user may enter anything today, and if not why and what to do.

    Told by the order workers, who look at each account before its first entry.
    """
    from ats.commands.preflight import show

    finish(show(terminal()))


def tail(
    topics: Annotated[list[str], typer.Argument(help="Topic names, see: ats topics list")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="FIELD=VALUE that must hold, such as symbol=TCS or values.rsi_14=30; "
            "repeat it, all must hold."
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(help="Begin with the last so many that match; the default is 10.", min=1),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest record.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            help="Begin with what was written at 09:15 or 2026-11-20T09:15 (IST), or 15m ago."
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new records, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="JSON lines on a terminal too; a pipe or a file gets them anyway."
        ),
    ] = False,
) -> None:
    """Print what stands on topics: rupees and Indian time on a terminal, JSON lines elsewhere.

    Joins no consumer group and disturbs nobody. What cannot be read is shown as unreadable.
    """
    from ats.commands.tail.command import TailOptions, run
    from schemas.units import UtcNs

    options = TailOptions(topics, where or (), last, from_beginning, since, follow, as_json)
    finish(run(options, UtcNs(time.time_ns())))


def why(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Of an order, execution, trade, exit, position, decision, report or signal; or "
            "Dhan's number of an order. Eight characters may do.",
        ),
    ],
    since: Annotated[
        str,
        typer.Option(
            help="Read only what was written since 09:15 or 2026-11-20T09:15 (IST), or 15m ago; "
            "default: all there is."
        ),
    ] = "",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="JSON on a terminal too; a pipe or a file gets it anyway."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write one HTML page with a chart to this file instead; it needs no net."
        ),
    ] = None,
    demo: Annotated[
        Path | None,
        typer.Option(help="Read what `ats demo --keep FOLDER` left there; starts its Kafka."),
    ] = None,
    archive: Archived = None,
) -> None:
    """Why did this order happen? Everything that led to it, and all that came of it.

    From the bar and the signal over the models' answers and the decision to the broker's book.
    """
    from ats.commands.why import WhyOptions, run
    from ats.replay.source import recorded_by
    from schemas.units import UtcNs

    options = WhyOptions(name, since, as_json, html, demo)
    source_of = partial(recorded_by, archive=archive)
    finish(run(options, UtcNs(time.time_ns()), source_of))


def charges(
    *,
    buy: Annotated[
        list[str] | None,
        typer.Option(help="An order that bought: quantity@price in rupees, such as 100@1500."),
    ] = None,
    sell: Annotated[list[str] | None, typer.Option(help="An order that sold, likewise.")] = None,
    segment: Annotated[
        str, typer.Option(help="Dhan's segment: NSE_EQ, BSE_EQ, NSE_FNO or BSE_FNO.")
    ] = "NSE_EQ",
    market: Annotated[
        str, typer.Option(help="cash, or in derivatives: futures, options (price is the premium).")
    ] = "",
    product: Annotated[
        str, typer.Option(help="Dhan's product: CNC, INTRADAY, MARGIN, MTF, CO or BO.")
    ] = "INTRADAY",
    kind: Annotated[
        str, typer.Option(help="Of the cash market: share, equity_fund or other_fund.")
    ] = "share",
    bse_group: Annotated[
        str,
        typer.Option(
            "--group", help="At BSE: the share's group such as A, or the option's SENSEX."
        ),
    ] = "",
    plan: Annotated[str, typer.Option(help="Whose brokerage.")] = "dhan",
    day: Annotated[
        str, typer.Option("--date", help="Trading day YYYY-MM-DD, whose rates hold; default today.")
    ] = "",
) -> None:
    """What a day's trades in one instrument cost, line by line, and what is left of the profit.

    Repeat --buy and --sell, once for each order.
    """
    from ats.commands.charges import ChargesOptions, show
    from schemas.units import IST

    on = day_of(day, "--date") or datetime.now(IST).date()
    options = ChargesOptions(
        buy or (), sell or (), segment, market, product, kind, bse_group, plan, on
    )
    show(terminal(), options)
