"""How the card's figures are written, on the page and in the terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable

from audit.scorecard.card import Card
from audit.scorecard.intervals import Estimate
from audit.scorecard.traded import Traded
from audit.sentences import rupees


def percent(value: float) -> str:
    """A share from 0 to 1."""
    return f"{value * 100:.1f} %"


def estimate_words(estimate: Estimate, written: Callable[[float], str]) -> str:
    """The interval; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{written(estimate.low)} to {written(estimate.high)}"


def days_in_words(card: Card) -> str:
    """Which days, how many decisions."""
    if not card.days:
        return "No bar of a minute is recorded."
    first, last = card.days[0], card.days[-1]
    span = f"{first}" if first == last else f"{len(card.days)} days, {first} to {last}"
    return (
        f"{span}: {card.decisions:,} decisions, {card.acted.count:,} of them BUY or SELL with a "
        "price afterwards."
    )


def traded_words(traded: Traded) -> str:
    """What became of it at the broker."""
    if not traded.by_decision:
        return "No fill is recorded."
    charges, factor = traded.charges, traded.profit_factor
    units = sum(each.open for each in traded.by_decision.values())
    said = f"{len(traded.by_decision):,} decisions traded: {rupees(traded.gross)} before charges"
    if charges is None:
        said += "; the rates of some charges are unknown"
    else:
        said += f", {rupees(charges)} charges, {rupees(traded.gross - charges)} after them"
    if factor is not None:
        said += f"; profit factor after charges {factor:.2f}"
    if units:
        said += f"; {units:,} units are not closed, as far as recorded"
    return said + "."
