"""What the thinking of a story cost, and the charges of its fills. Pure."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from audit.amounts import rupees
from audit.story import Story
from executors.charges.bill import Estimated
from executors.charges.book import fills_of
from executors.charges.charges import estimate
from executors.charges.day import DayTrades
from executors.charges.rates import Charge, NoRate, Rates
from schemas.errors import Unreadable
from schemas.messages import LlmCall, Trade
from schemas.units import Paise


class Bill(NamedTuple):
    """Charges of the fills, or why nobody knows them.

    Attributes:
        lines: Each charge and its amount, in words.
    """

    total: Paise | None
    lines: tuple[str, ...] = ()
    unknown: str = ""


def thinking(story: Story) -> tuple[int, Paise]:
    """How many questions to models there were, and what they cost together."""
    calls = story.of(LlmCall)
    return len(calls), Paise(sum(each.cost for each in calls))


def bill_of(story: Story, rates: Rates) -> Bill | None:
    """The charges of the fills that are told, by the rates of their day; None without a fill."""
    fills = [each.fill for each in story.of(Trade)]
    day = story.subject.day
    if not fills or day is None:
        return None
    try:
        trades = fills_of(fills)
        bill = _estimate(DayTrades(day, trades), rates)
    except (NoRate, Unreadable) as error:
        return Bill(None, unknown=str(error))
    amounts = ((charge, bill.of(charge)) for charge in Charge)
    lines = tuple(f"{charge.value}: {rupees(amount)}" for charge, amount in amounts if amount)
    return Bill(bill.total, lines)


def _estimate(trades: DayTrades, rates: Rates) -> Estimated:
    """By the rates of the day; a day of before all of them by the newest, as a demo's is."""
    try:
        return estimate(trades, rates)
    except NoRate:
        newest: date = max(row.valid_from for row in rates.rows)
        return estimate(DayTrades(newest, trades.fills), rates)
