"""`ats executors`: decisions into each active user's orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from httpx import HTTPError
from postgrest.exceptions import APIError
from supabase import AsyncClient

from ats.services.calendars import announce, calendar_of, with_auction_shares
from ats.services.context import Context, database, instrument_master
from ats.services.ledger_keys import trusted
from ats.services.manifests.common import log_of
from ats.services.manifests.orders import (
    ban_inputs,
    halt_inputs,
    limit_inputs,
    member_inputs,
    order_inputs,
)
from ats.settings import Settings
from audit.ledger.log import LedgerKey
from bus.metrics import ShellMetrics
from executors.app import ExecutorDeps, run_executors
from executors.clock import LiveClock, MonotonicClock, ReplayClock
from executors.halt import halted, kinds_of
from executors.halts import HaltBoard
from executors.ledger import LedgerBoard
from executors.metrics import OrderMetrics
from executors.modes import Mode, ModeRules, validate_mode
from executors.quotes import QuoteCache
from executors.risk.denial import Denial
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from schemas.units import NS_PER_SECOND, BasisPoints, Paise, UtcNs

REPORT_EVERY: Final = 15.0  # seconds; the account page takes us for gone after a minute
LOOK_EVERY: Final = 1.0  # seconds; a halt is told within one

log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Run the order workers until told to stop."""
    settings, metrics, orders = context.settings, ShellMetrics(), OrderMetrics()
    context.records += [metrics, orders]
    rules = mode_rules(settings)
    announce_egress(rules)
    connection, master = settings.kafka(), await instrument_master(settings)
    limits, calendar = limits_of(settings), with_auction_shares(calendar_of(settings), master)
    announce(calendar, settings)
    square_off = square_off_of(settings)
    manifests = log_of(connection, settings, "executors")
    await manifests.record(
        order_inputs(
            settings,
            rules=rules,
            limits=limits,
            square_off=square_off,
            calendar=calendar,
            master=master,
            crowd=crowd_of(settings),
        )
    )
    clock = ReplayClock() if settings.ats_clock == "market" else LiveClock()
    book, kinds = QuoteCache(settings.plan().instrument), kinds_of(master.by_id.values(), calendar)
    halts = HaltBoard()

    def report() -> dict[str, Any]:
        now = clock.of_market(book.feed_clock)
        halt = halted(
            now,
            everybody_halted=halts.everybody,
            calendar=calendar,
            kinds=kinds,
            feed_clock=book.feed_clock,
            square_off=square_off,
        )
        return platform_report(settings, halt, now)

    loss = settings.ats_pnl_exit_loss_rupees
    async with AsyncExitStack() as stack:
        ports = ExecutorDeps(
            connection=connection,
            plan=settings.plan(),
            database=await stack.enter_async_context(database(settings)),
            http=await stack.enter_async_context(rules.open_client()),
            rules=rules,
            instruments=master.by_id,
            limits=limits,
            clock=clock,
            calendar=calendar,
            metrics=orders,
            book=book,
            halts=halts,
            square_off=square_off,
            pnl_exit_loss=None if loss is None else Paise.from_rupees(loss),
            ban_list=settings.ats_fno_ban_file,
            crowd=crowd_of(settings),
            ledger=ledger_of(settings),
            on_limits=lambda found: manifests.change(limit_inputs(found)),
            on_halts=lambda found: manifests.change(halt_inputs(found)),
            on_members=lambda found: manifests.change(member_inputs(found)),
            on_bans=lambda found: manifests.change(ban_inputs(found)),
        )
        await stack.enter_async_context(reporting(ports.database, report))
        await run_executors(
            ports, instance=instance_of(settings), stop=context.stop, metrics=metrics
        )


def instance_of(settings: Settings) -> str:
    """The name under which these order workers work and report."""
    return f"executors-{settings.ats_instance}"


def mode_rules(settings: Settings) -> ModeRules:
    """Raises Misconfigured when the mode may not run as configured."""
    return validate_mode(
        Mode(settings.ats_mode),
        settings.dhan_order_url,
        settings.admin_dhan_client_id,
        settings.ats_egress,
    )


def announce_egress(rules: ModeRules) -> None:
    """Log the source addresses that this machine lacks: their accounts can send nothing.

    No reason to end: the other accounts' positions are to be watched.
    """
    for address in rules.egress.absent():
        log.error("source_address_absent", address=address)


def limits_of(settings: Settings) -> UserLimits:
    """The limits of every user."""
    risk = settings.ats_risk_per_trade_rupees
    return UserLimits(
        max_order_value=Paise.from_rupees(settings.ats_max_order_value_rupees),
        max_orders_per_day=settings.ats_max_orders_per_day,
        risk_per_trade=None if risk is None else Paise.from_rupees(risk),
        stop_out_cooldown=settings.ats_stop_out_cooldown_minutes,
        max_stop_outs_per_day=settings.ats_max_stop_outs_per_day,
    )


def crowd_of(settings: Settings) -> BasisPoints | None:
    """How much of what trades all users may order; none with paper, which takes nothing."""
    if settings.ats_mode == "paper":
        return None
    return BasisPoints(100 * settings.ats_crowd_percent)


def ledger_of(settings: Settings) -> LedgerBoard | None:
    """What tells which intents the ledger has signed; None where entries need no leaf.

    Raises:
        Misconfigured: it is asked for, and the ledger's public key is not there.
    """
    if settings.ats_ledger == "off":
        return None
    return LedgerBoard(LedgerKey(trusted(settings).log))


def square_off_of(settings: Settings) -> SquareOff:
    """When positions are closed.

    Raises:
        Misconfigured: not before Dhan closes them.
    """
    return SquareOff(settings.ats_square_off_cash, settings.ats_square_off_fno)


def platform_report(
    settings: Settings, halt: Denial | None = None, market_time: UtcNs | None = None
) -> dict[str, Any]:
    """Mode, limits and what holds now, as `public.report_platform` takes them.

    A user is told these before switching on and while it is on.
    """
    rules, limits = mode_rules(settings), limits_of(settings)
    return {
        "p_instance": instance_of(settings),
        "p_mode": rules.mode.value,
        "p_own_client_id": rules.own_client_id,
        "p_max_order_value_rupees": limits.max_order_value // Paise.from_rupees(1),
        "p_max_orders_per_day": limits.max_orders_per_day,
        "p_halted": halt,
        "p_market_time": None if market_time is None else _iso(market_time),
    }


def _iso(moment: UtcNs) -> str:
    return datetime.fromtimestamp(moment / NS_PER_SECOND, tz=UTC).isoformat()


Report = Callable[[], dict[str, Any]]


@asynccontextmanager
async def reporting(
    client: AsyncClient, report: Report, machine: MonotonicClock | None = None
) -> AsyncIterator[None]:
    """Inside, the database is told every 15 s that these order workers live, and at once of a halt.

    The first time before anything else: it switches off whoever agreed to another mode, and must
    come before any order.
    """
    first = report()
    await _tell(client, first)
    task = asyncio.create_task(_keep_telling(client, report, first, machine or MonotonicClock()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_telling(
    client: AsyncClient, report: Report, told: dict[str, Any], machine: MonotonicClock
) -> None:
    told_at = machine.monotonic()
    while True:
        await machine.sleep(LOOK_EVERY)
        said = report()
        due = machine.monotonic() - told_at >= REPORT_EVERY
        if due or said["p_halted"] != told["p_halted"]:
            await _tell(client, said)
            told, told_at = said, machine.monotonic()


async def _tell(client: AsyncClient, report: dict[str, Any]) -> None:
    try:
        await client.rpc("report_platform", report).execute()
    except (
        APIError,
        HTTPError,
    ) as error:  # trading does not depend on it; the page says that nobody reports
        log.warning("platform_not_reported", error=str(error))
