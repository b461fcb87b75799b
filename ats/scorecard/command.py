"""The command from its options to its exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from rich.console import Console

from ats.demo.steps import Step
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.runtime.pages import write_page
from ats.scorecard.options import ScorecardOptions
from ats.scorecard.show import as_json, show
from audit.replay.recorded import span_of
from audit.report.incidents import MOST_NAMED
from audit.scorecard.card import Card, card_of
from audit.scorecard.forecasts import forecasts_of
from audit.scorecard.page import page
from audit.scorecard.prices import Prices
from audit.scorecard.reading import read_days
from audit.scorecard.traded import round_trip, traded_of
from audit.shown import clean
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from schemas.messages import Decision
from schemas.units import IST, UtcNs


async def run(options: ScorecardOptions) -> int:
    """Make the card and print or write it; returns the exit code.

    Raises:
        Misconfigured: no such demo, cluster, topic or market file, no record of the days, or the
            page cannot be written.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    card = await (_of_files(options, tell) if options.market else _of_record(options, tell))
    if not card.decisions:
        raise Misconfigured(
            "no decision is recorded of these days: is it another day? "
            "`ats tail ats.decisions --last 1` shows one that is there"
        )
    deliver(card, options, tell)
    return exit_codes.DONE


def deliver(card: Card, options: ScorecardOptions, tell: Console) -> None:
    """Write the page, print the object or the tables, as was asked for.

    Raises:
        Misconfigured: the page cannot be written.
    """
    if options.html:
        write_page(options.html, page(card, f"Score card, {_span(card)}"))
        tell.print(f"written: {options.html}", highlight=False, soft_wrap=True)
    if options.as_json or not (options.html or sys.stdout.isatty()):
        sys.stdout.write(as_json(card) + "\n")
    elif not options.html:
        show(Console(), card)


async def _of_record(options: ScorecardOptions, tell: Console) -> Card:
    assert options.first is not None, "options without a day are refused"
    assert options.last is not None, "options without a day are refused"
    async with recorded_by(options.demo, tell) as source:
        played = source.settings.ats_clock == "market"
        with Step(tell, "reading the record") as step:
            span = span_of(options.first, options.last)
            days = await read_days(source.connection, span, step.now, played=played)
    for each in days.unreadable[:MOST_NAMED]:
        tell.print(f"not scored: {clean(each)}", markup=False, highlight=False, soft_wrap=True)
    if more := len(days.unreadable[MOST_NAMED:]):
        tell.print(f"not scored: {more:,} more records that cannot be read", highlight=False)
    went_out: Mapping[UUID, UtcNs] = days.went_out
    rates = shipped_rates()
    return card_of(
        forecasts_of(days.recorded, lambda decision: went_out[decision.id]),
        Prices(days.bars),
        traded=traded_of(days.trades, days.intents, rates),
        cost=round_trip(options.last, rates),
        seed=options.seed,
    )


async def _of_files(options: ScorecardOptions, tell: Console) -> Card:
    from ats.backtest.days import markets_of, play  # noqa: PLC0415 - numba takes seconds to import
    from ats.backtest.setting import cores_here  # noqa: PLC0415
    from streams.engine.machine import warm_up  # noqa: PLC0415

    engine, agents = cores_here()
    with Step(tell, "playing the market") as step:
        await asyncio.to_thread(
            warm_up, lambda done: step.now("compiling the engine, once", done.done, done.of)
        )
        played = await play(markets_of(options.market), engine, agents, step.now)
    return card_of(
        forecasts_of(played.recorded, at_once),
        Prices(played.candles),
        cost=round_trip(datetime.now(IST).date(), shipped_rates()),
        seed=options.seed,
    )


def at_once(decision: Decision) -> UtcNs:
    """Rules need no time to think: what they decide goes out at the close of the signal's bar."""
    return decision.event_time


def _span(card: Card) -> str:
    if not card.days:
        return "no prices"
    first, last = card.days[0], card.days[-1]
    return f"{first}" if first == last else f"{first} to {last}"
