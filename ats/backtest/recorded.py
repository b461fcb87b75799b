"""`ats backtest --agents recorded`: a recorded day and what comes of its decisions here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from ats.backtest.figures import BY, part_of, parts_of
from ats.backtest.playing import PlayOptions
from ats.backtest.show import table
from ats.demo.steps import Step
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.services.executors import limits_of
from audit.amounts import clock, rupees
from audit.days import DayReader
from audit.replay.recorded import span_of
from audit.report.record import DayRecord, read_record
from backtest.fills import Fills
from backtest.market import DayMarket
from backtest.recorded import Compared, RecordedDay, replay
from backtest.trade import Trade
from executors.charges.rates import shipped_rates
from executors.risk.sizing import UserLimits
from schemas.errors import Misconfigured
from schemas.messages import (
    Decision,
    Execution,
    ExitOrder,
    OrderEvent,
    OrderIntent,
    Signal,
)
from schemas.messages import Trade as RecordedTrade

MOST_NAMED = 20  # differences of a kind and user; all are counted


async def run_recorded(play: PlayOptions, demo: Path | None, archive: Path | None) -> int:
    """Send one recorded day again and print what came of it; returns the exit code.

    Raises:
        Misconfigured: not one day's market, no record, or no trade in it.
        TryLater: no broker answers.
    """
    paths, first = play.files(0)
    found = [market for market in play.markets_of(paths) if first <= market.session.day]
    if len(found) != 1:
        raise Misconfigured(
            f"--agents recorded plays one day, and {len(found)} are here: name it with --days"
        )
    users = await compared(found[0], demo, archive, play.fills)
    return show(Console(), found[0].session.day, users)


async def compared(
    market: DayMarket, demo: Path | None, archive: Path | None, fills: Fills
) -> list[Compared]:
    """Each user's day as recorded, and as it comes out on `market`.

    Raises:
        Misconfigured: no such demo or archive, or nothing is recorded of the day.
        TryLater: no broker answers.
    """
    day, tell = market.session.day, Console(stderr=True)
    async with recorded_by(demo, tell, archive) as source:
        with Step(tell, "reading the record") as step:
            days = DayReader(source.connection, span_of(day, day), step.now)
            record = await read_record(days, day, None)
        recorded = recorded_day(record, limits_of(source.settings))
    if not recorded.trades:
        raise Misconfigured(
            f"no trade is recorded of {day}: is it another day? "
            "`ats tail ats.trades --last 1` shows one that is there"
        )
    return replay(recorded, market, fills, shipped_rates())


def recorded_day(record: DayRecord, limits: UserLimits) -> RecordedDay:
    """What a backtest needs of the record of a day."""
    return RecordedDay(
        record.of(Signal),
        record.of(Decision),
        record.of(OrderIntent),
        record.of(Execution),
        record.of(OrderEvent),
        record.of(ExitOrder),
        record.of(RecordedTrade),
        limits,
    )


def show(console: Console, day: date, users: Sequence[Compared]) -> int:
    """Print what came out, and every difference; returns the exit code, 1 where there is one."""
    trades = [each for user in users for each in user.replayed]
    console.print(table(parts_of(trades, BY["rule"]), part_of("all", trades)))
    for line in _lines(day, users):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return exit_codes.DONE if all(each.equal for each in users) else exit_codes.BROKEN


def _lines(day: date, users: Sequence[Compared]) -> Iterator[str]:
    number = sum(len(each.recorded) for each in users)
    if all(each.equal for each in users):
        yield (
            f"{day}: all {number:,} trades of {len(users)} users are as they were recorded, with "
            "prices, times and charges"
        )
        return
    for each in users:
        for said, trades in (("recorded only", each.missing), ("here only", each.added)):
            for trade in trades[:MOST_NAMED]:
                yield f"{said}: {_told(trade)}"
            if len(trades) > MOST_NAMED:
                yield f"{said}: {len(trades) - MOST_NAMED:,} more of user {each.user}"
    differing = sum(len(each.missing) for each in users)
    yield f"{day}: {differing:,} of {number:,} recorded trades come out otherwise, or not at all"


def _told(trade: Trade) -> str:
    return (
        f"user {str(trade.account)[:8]} {trade.side.value} {trade.quantity:,} {trade.symbol} "
        f"{clock(trade.entered_at)} at {rupees(trade.entry_price)}, {clock(trade.left_at)} at "
        f"{rupees(trade.exit_price)} by {trade.ending.value}, charges {rupees(trade.charges)}"
    )
