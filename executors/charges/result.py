"""Profit after everything: what trades earned, less what they cost, less what deciding cost."""

from __future__ import annotations

from dataclasses import dataclass

from executors.charges.bill import Bill, BillState
from schemas.units import Paise


@dataclass(frozen=True, slots=True)
class NetResult:
    """A day's or a trade's profit; losses are below zero.

    Attributes:
        gross: Sold less bought.
        charges: What the bill adds up to.
        state: How certain the charges are; say it wherever the figure is shown.
        thinking_cost: Of the model calls behind the decisions. It is on no broker's bill.
    """

    gross: Paise
    charges: Paise
    state: BillState
    thinking_cost: Paise

    @property
    def after_charges(self) -> Paise:
        """What the trading account is left with."""
        return Paise(self.gross - self.charges)

    @property
    def after_everything(self) -> Paise:
        """What the person is left with."""
        return Paise(self.after_charges - self.thinking_cost)


def net_result(gross: Paise, bill: Bill, thinking_cost: Paise) -> NetResult:
    """What is left of `gross` after a bill and the cost of the decisions."""
    return NetResult(gross, bill.total, bill.state, thinking_cost)
