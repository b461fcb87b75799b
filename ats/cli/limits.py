"""`ats limits`: what one user may do at most."""

from __future__ import annotations

from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.look import SaysWho
from ats.cli.options import finish

limits = group("What one user may do at most: show it, and change the operator's ceiling.")

MaxOrderValue = Annotated[str | None, typer.Option(help="Rupees of one order.")]
RiskPerTrade = Annotated[
    str | None, typer.Option(help="Rupees that one order may lose down to its stop.")
]
MaxOrdersPerDay = Annotated[str | None, typer.Option(help="Orders a day.")]
MaxOpenPositions = Annotated[str | None, typer.Option(help="Instruments held at a time.")]
MaxSymbolExposure = Annotated[str | None, typer.Option(help="Rupees at stake in one instrument.")]
MaxExposure = Annotated[
    str | None, typer.Option(help="Rupees at stake in all instruments together.")
]
MaxDailyLoss = Annotated[
    str | None,
    typer.Option(
        help="Rupees lost in a day. At it nothing is opened until the next session, and Dhan "
        "closes the account's intraday positions, those bought by hand too."
    ),
]
StopOutCooldown = Annotated[
    str | None, typer.Option(help="Minutes after a stop-out without an entry in it.")
]
MaxStopOutsPerDay = Annotated[
    str | None, typer.Option(help="Stop-outs of a day after which nothing is opened.")
]
Segments = Annotated[
    str | None, typer.Option(help="Segments that may be traded, such as NSE_EQ,NSE_FNO.")
]
Products = Annotated[str | None, typer.Option(help="Likewise, such as INTRADAY.")]
LongOnly = Annotated[str | None, typer.Option(help="yes: no position begins with a sale; or no.")]


@limits.command("show")
def limits_show(
    user: Annotated[str, typer.Argument(help="One user's id; without it all with limits.")] = "",
) -> None:
    """The operator's ceiling, the user's own choice, and what holds. JSON lines in a pipe.

    The tighter of both holds; `platform` where neither says anything.
    """
    from ats.commands.limits import show

    finish(show(user))


@limits.command("set")
def limits_set(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, in one sentence; it is kept.")],
    by: SaysWho,
    max_order_value: MaxOrderValue = None,
    risk_per_trade: RiskPerTrade = None,
    max_orders_per_day: MaxOrdersPerDay = None,
    max_open_positions: MaxOpenPositions = None,
    max_symbol_exposure: MaxSymbolExposure = None,
    max_exposure: MaxExposure = None,
    max_daily_loss: MaxDailyLoss = None,
    stop_out_cooldown: StopOutCooldown = None,
    max_stop_outs_per_day: MaxStopOutsPerDay = None,
    segments: Segments = None,
    products: Products = None,
    long_only: LongOnly = None,
) -> None:
    """Change the ceiling of one user's limits; what you do not name stays as it is.

    The user chooses what is tighter by themselves; a ceiling that is raised widens no choice.
    `platform` gives a value back to the platform's own, beyond which none goes. Order workers obey
    within a second; what only closes always leaves.
    """
    from ats.commands.limits import Change, change

    given = {
        "max_order_value": max_order_value,
        "risk_per_trade": risk_per_trade,
        "max_orders_per_day": max_orders_per_day,
        "max_open_positions": max_open_positions,
        "max_symbol_exposure": max_symbol_exposure,
        "max_exposure": max_exposure,
        "max_daily_loss": max_daily_loss,
        "stop_out_cooldown": stop_out_cooldown,
        "max_stop_outs_per_day": max_stop_outs_per_day,
        "segments": segments,
        "products": products,
        "long_only": long_only,
    }
    finish(change(Change.of(user, given, by=by, reason=reason)))
