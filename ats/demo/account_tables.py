"""What each user's day came to, as the summary shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from ats.demo.accounts import (
    Account,
    AccountDay,
    BookPromise,
    account_day,
    disagreements,
    left_to_the_broker,
    not_flat,
)
from ats.demo.result import DayEnd
from ats.demo.words import PLUMBING, RECORDED
from executors.charges.bill import BillState
from executors.charges.rates import shipped_rates
from schemas.units import Paise


def tell_accounts(console: Console, end: DayEnd, thinking: Paise) -> None:
    """Print positions, P&L and seconds without a stop. `thinking` is what the decisions cost."""
    rates = shipped_rates()
    days = [account_day(each, end.day, rates, thinking) for each in end.accounts]
    console.print(_positions(days))
    console.print(_results(days))
    if end.square_off:
        console.print(str(end.square_off), highlight=False, soft_wrap=True, markup=False)
    for line in _notes(days, end):
        console.print(line, style="dim", highlight=False, soft_wrap=True)
    console.print(_unprotected(end.accounts))
    word = PLUMBING if end.generated else RECORDED
    console.print(word, style="bold", highlight=False, soft_wrap=True)


def book_promises(end: DayEnd) -> dict[str, list[str]]:
    """Each promise about the books with what breaks it."""
    found = {
        str(BookPromise.SAME_BOOKS): [line for each in end.accounts for line in disagreements(each)]
    }
    found[str(BookPromise.FLAT)] = [
        line for each in end.accounts for line in (*not_flat(each), *left_to_the_broker(each))
    ]
    return found


def _positions(days: Sequence[AccountDay]) -> Table:
    title = "Positions of the day, P&L before charges"
    table = Table("user", "symbol", title=title, title_justify="left")
    for name in ("bought", "sold", "P&L"):
        table.add_column(name, justify="right")
    table.add_column("closed by")
    for day in days:
        for each in day.positions:
            table.add_row(
                day.name,
                each.symbol,
                f"{each.bought:,}",
                f"{each.sold:,}",
                _amount(each.realised),
                each.end,
            )
        table.add_section()
    return table


def _results(days: Sequence[AccountDay]) -> Table:
    table = Table("user", title="P&L", title_justify="left")
    for name in (
        "trades",
        "before charges",
        "charges",
        "after charges",
        "thinking",
        "after everything",
    ):
        table.add_column(name, justify="right")
    for day in days:
        whole = ["not known"] * 4
        if result := day.result:
            estimated = " estimated" if result.state is BillState.ESTIMATED else ""
            whole = [
                f"{result.charges}{estimated}",
                _amount(result.after_charges),
                str(result.thinking_cost),
                _amount(result.after_everything),
            ]
        table.add_row(day.name, f"{day.trades:,}", _amount(day.gross), *whole)
    return table


_FIGURES: Final = (
    "P&L is of what was closed. Thinking is what model calls cost: nothing for a model that is "
    "simulated, or runs on this machine."
)


def _notes(days: Sequence[AccountDay], end: DayEnd) -> list[str]:
    """What must be known of the figures."""
    lines = [_FIGURES]
    if other := {day.charged_by for day in days if day.result and day.charged_by != end.day}:
        [used] = other
        lines.append(
            f"Charges by the rates of {used}: ATS knows not all of {end.day}. "
            "Every listing is taken for a share."
        )
    return lines + [f"{day.name}: {day.unknown}" for day in days if day.unknown]


def _unprotected(accounts: Sequence[Account]) -> Table:
    title = "Seconds without a resting stop, each position by itself, by the broker's record"
    table = Table("user", title=title, title_justify="left")
    for name in ("worst", "in all", "worst, market time", "in all, market time"):
        table.add_column(name, justify="right")
    for account in accounts:
        machine = account.book.protection.machine_seconds
        market = account.book.protection.market_seconds
        table.add_row(
            account.name,
            f"{machine.worst:,.2f}",
            f"{machine.total:,.2f}",
            f"{market.worst:,.0f}",
            f"{market.total:,.0f}",
        )
    return table


def _amount(amount: Paise) -> str:
    style = "red" if amount < 0 else "green" if amount > 0 else ""
    return f"[{style}]{amount}[/]" if style else str(amount)
