"""The table of the gate: for each of its checks what it denies and what it lets out, each case with
the rule that it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import time
from typing import Any, Final

from executors.risk.crowd import Crowd
from executors.risk.denial import Denial
from executors.risk.exposure import Exposure, Reach
from executors.risk.gate import FEED_DEAD_AFTER, QUOTE_STALE_AFTER
from executors.risk.listed import Ban, Listed
from executors.risk.requests import ENTRIES, WORKERS
from executors.risk.situation import (
    Account,
    Address,
    Approval,
    Funds,
    OrderCounts,
    PreTradeContext,
    Quote,
)
from executors.risk.square_off import SquareOff
from executors.risk.strategy import StrategyContext
from schemas.calendar import Calendar
from schemas.ids import Segment
from schemas.market import PriceBand, Side
from schemas.messages import OrderIntent
from schemas.strategy import Strategy, StrategyMode
from schemas.units import BasisPoints, Paise, Price, Quantity, UtcNs
from tests.executors.factories import LIMITS, TEN_O_CLOCK, an_intent, the_situation_for

# of `docs/facts/market-rules.md`
SOP: Final = (
    "exchanges' procedure of July 2025: checks of price, quantity, value, position, exposure"
)
SHORT: Final = "an intraday short that is not bought back goes to auction; rules not looked up"
AGAINST: Final = "issue 14: no entry against an open position unless it reduces it"
WORKBENCH: Final = "issue 20: mode per strategy; the most careful decides"
OURS: Final = "issue 14: per-user limits"
ASKED: Final = "issue 18: approve-before-send mode"

FIVE_PAST: Final = UtcNs(TEN_O_CLOCK + UtcNs.minutes(5))
BUY, SELL = Side.BUY, Side.SELL


@dataclass(frozen=True)
class Case:
    """An order of units at 1,000 rupees, and what the gate says of it."""

    says: Denial | None
    source: str
    side: Side = BUY
    units: int = 10
    limits: dict[str, Any] = field(default_factory=dict)
    situation: dict[str, Any] = field(default_factory=dict)
    valid_until: UtcNs = FIVE_PAST

    @property
    def intent(self) -> OrderIntent:
        price = Price(100_000)
        return an_intent(
            side=self.side,
            quantity=Quantity(self.units),
            price=price,
            reference_price=price,
            stop=Price(98_800 if self.side is BUY else 101_200),
            valid_until=self.valid_until,
        )

    @property
    def context(self) -> PreTradeContext:
        limits = replace(LIMITS, **self.limits)
        return the_situation_for(self.intent, limits=limits, **self.situation)


BANDS: Final = "market-rules.md, price bands: orders outside of the band are refused"
FREEZE: Final = "market-rules.md, freeze quantity: a larger order is rejected as a whole"
BAND = PriceBand(Price(90_000), Price(110_000))  # 10 % around 1,000 rupees


def listed(**said: Any) -> dict[str, Any]:
    return {"listed": Listed(**said)}


SEBI: Final = "market-rules.md, D1: own account and family only; others are refused by code"
DHAN: Final = "market-rules.md, session and static address: one token, one registered address"
HOURS: Final = (
    "calendar.md and market-rules.md, hours: continuous trading only, flat before the end"
)
FEED: Final = "market-rules.md, feed: no order by a price that nobody knows to be of now"
RATE: Final = "market-rules.md, order threshold and Dhan's limits: 10 a second, 250, 1,000, 7,000"
BANNED: Final = "market-rules.md, F&O ban: above 95 % of the limit only reducing trades"
PROVEN: Final = "issue 17: a failed append stops new entries; exits always work"
KNOWN: Final = "issue 14: no entry while the user's book is not reconciled"
PAID: Final = "issue 14: sizing within funds, by `fundlimit`"
EVENING: Final = UtcNs(TEN_O_CLOCK + UtcNs.minutes(330))  # 15:30


def quoted(price: int, age: int = 0) -> dict[str, Any]:
    return {"quote": Quote(Price(price), UtcNs(TEN_O_CLOCK + UtcNs.seconds(1) - age))}


def crowd(volume: int, others: int = 0) -> dict[str, Any]:
    """Ten units of a hundred, of a tenth of what was traded."""
    all_, most = Quantity(100), BasisPoints(1_000)
    return {"crowd": Crowd(Quantity(10), all_, Quantity(others), Quantity(volume), most)}


def stopped_out(within: int) -> dict[str, Any]:
    """So many nanoseconds less than a quarter of an hour ago."""
    ago = UtcNs.minutes(15) - within
    return {"stop_outs": 1, "stopped_out_at": UtcNs(TEN_O_CLOCK + UtcNs.seconds(1) - ago)}


def at_evening(before: int) -> dict[str, Any]:
    now = UtcNs(EVENING - before)
    return {"now": now, "feed_clock": now, "quote": Quote(Price(100_000), now)}


LONG_10 = {"position": 10, "exposure": Exposure(Reach(10, 10))}
SHORT_10 = {"position": -10, "exposure": Exposure(Reach(-10, -10))}


def within(exposure: Exposure | None = None, **said: Any) -> dict[str, StrategyContext]:
    """A strategy that may have one order and position, 10,000 rupees, and lose a hundred."""
    tight = Strategy(
        name="ema_cross",
        capital=Paise.from_rupees(10_000),
        max_open_positions=1,
        max_orders_per_day=1,
        max_daily_loss=Paise.from_rupees(100),
    )
    seen = StrategyContext(tight, StrategyMode.PAPER, exposure=exposure or Exposure(), **said)
    return {"strategy": seen}


def strategy(
    mode: StrategyMode, platform: StrategyMode = StrategyMode.PAPER
) -> dict[str, StrategyContext]:
    """The order's strategy in a situation."""
    return {"strategy": StrategyContext(Strategy(name="ema_cross", mode=mode), platform)}


CASES: dict[str, Case] = {
    "limits unknown: an entry": Case(Denial.LIMITS_UNKNOWN, OURS, limits={"known": False}),
    "limits unknown: an exit": Case(None, OURS, SELL, limits={"known": False}, situation=LONG_10),
    "segment allowed": Case(None, SOP, limits={"segments": frozenset({Segment.NSE_EQ})}),
    "segment not allowed": Case(
        Denial.SEGMENT_NOT_ALLOWED, SOP, limits={"segments": frozenset({Segment.NSE_FNO})}
    ),
    "no segment allowed: an exit": Case(
        None, SOP, SELL, limits={"segments": frozenset()}, situation=LONG_10
    ),
    "product allowed": Case(None, SOP, limits={"products": frozenset({"INTRADAY", "CNC"})}),
    "product not allowed": Case(
        Denial.PRODUCT_NOT_ALLOWED, SOP, limits={"products": frozenset({"CNC"})}
    ),
    "no product allowed: an exit": Case(
        None, SOP, SELL, limits={"products": frozenset()}, situation=LONG_10
    ),
    "long only: a sale of nothing": Case(Denial.LONG_ONLY, SHORT, SELL, limits={"long_only": True}),
    "long only: a sale of more than is held": Case(
        Denial.LONG_ONLY, SHORT, SELL, 11, limits={"long_only": True}, situation=LONG_10
    ),
    "long only: a sale of what a stop has sold": Case(
        Denial.LONG_ONLY, SHORT, SELL, 10, {"long_only": True}, LONG_10 | {"filled": 0}
    ),
    "long only: a sale of what is held": Case(
        None, SHORT, SELL, limits={"long_only": True}, situation=LONG_10
    ),
    "long only: a buy": Case(None, SHORT, limits={"long_only": True}),
    "long only: a short is bought back": Case(
        None, SHORT, limits={"long_only": True}, situation=SHORT_10
    ),
    "both sides: a short": Case(None, SHORT, SELL),
    "against a position: more is sold than is held": Case(
        Denial.AGAINST_POSITION, AGAINST, SELL, 11, situation=LONG_10
    ),
    "against a position: more is bought than was sold": Case(
        Denial.AGAINST_POSITION, AGAINST, BUY, 11, situation=SHORT_10
    ),
    "against a position: what is held by fills and not by orders": Case(
        Denial.AGAINST_POSITION, AGAINST, SELL, 5, situation={"filled": 5}
    ),
    "against a position that a stop has closed": Case(
        None, AGAINST, SELL, 5, situation=LONG_10 | {"filled": 0}
    ),
    "with a position: more of it": Case(None, AGAINST, BUY, situation=LONG_10),
    "against a position: all that is held": Case(None, AGAINST, SELL, situation=LONG_10),
    "stopped: an exit": Case(Denial.STOPPED, OURS, SELL, situation=LONG_10 | {"stopped": True}),
    "halted: an exit": Case(None, OURS, SELL, situation=LONG_10 | {"halted": True}),
    "halted: an entry": Case(Denial.HALTED, OURS, situation={"halted": True}),
    "as many positions as allowed": Case(
        None, SOP, limits={"max_open_positions": 3}, situation={"exposure": Exposure(positions=2)}
    ),
    "one position too many": Case(
        Denial.TOO_MANY_POSITIONS,
        SOP,
        limits={"max_open_positions": 3},
        situation={"exposure": Exposure(positions=3)},
    ),
    "more of one that is held is no position more": Case(
        None,
        SOP,
        limits={"max_open_positions": 3},
        situation={"exposure": Exposure(Reach(5, 5), positions=2)},
    ),
    "too many positions: an exit": Case(
        None, SOP, SELL, limits={"max_open_positions": 0}, situation=LONG_10
    ),
    "symbol exposure to the rupee": Case(
        None,
        SOP,
        limits={"max_symbol_exposure": Paise(2_000_000)},
        situation={"exposure": Exposure(Reach(10, 10))},
    ),
    "symbol exposure a paisa beyond": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation={"exposure": Exposure(Reach(10, 10))},
    ),
    "symbol exposure counts what may still fill": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation={"exposure": Exposure(Reach(10, 0))},
    ),
    "symbol exposure of a short": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        SELL,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation=SHORT_10,
    ),
    "exposure together to the rupee": Case(
        None,
        SOP,
        limits={"max_exposure": Paise(3_000_000)},
        situation={"exposure": Exposure(Reach(10, 10), Paise(1_000_000), 1)},
    ),
    "exposure together a paisa beyond": Case(
        Denial.EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_exposure": Paise(2_999_999)},
        situation={"exposure": Exposure(Reach(10, 10), Paise(1_000_000), 1)},
    ),
    "exposure passed: an exit": Case(
        None,
        SOP,
        SELL,
        limits={"max_exposure": Paise(0), "max_symbol_exposure": Paise(0)},
        situation=LONG_10,
    ),
    "a loss below the limit": Case(
        None, OURS, limits={"max_daily_loss": Paise(50_000)}, situation={"day_result": -49_999}
    ),
    "a loss at the limit": Case(
        Denial.DAILY_LOSS_REACHED,
        OURS,
        limits={"max_daily_loss": Paise(50_000)},
        situation={"day_result": -50_000},
    ),
    "a loss at the limit: an exit": Case(
        None, OURS, SELL, 10, {"max_daily_loss": Paise(1)}, LONG_10 | {"day_result": -50_000}
    ),
    "no band told of a share that has one": Case(
        Denial.PRICE_BAND_UNKNOWN, BANDS, situation=listed(band_needed=True)
    ),
    "no band told: an exit": Case(None, BANDS, SELL, situation=LONG_10 | listed(band_needed=True)),
    "no band told of a share without a fixed one": Case(None, BANDS, situation=listed()),
    "within the band": Case(None, BANDS, situation=listed(band=BAND, band_needed=True)),
    "the last trade at the upper circuit: a buy": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000))),
    ),
    "the last trade at the upper circuit: a short": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        SELL,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000))),
    ),
    "the last trade at the lower circuit: a buy": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        situation=listed(band=PriceBand(Price(100_000), Price(110_000))),
    ),
    "the last trade at the lower circuit: an exit": Case(
        None,
        BANDS,
        SELL,
        situation=LONG_10 | listed(band=PriceBand(Price(100_000), Price(110_000))),
    ),
    "the last trade a paisa from the circuit": Case(
        None, BANDS, situation=listed(band=PriceBand(Price(98_800), Price(100_001)))
    ),
    "a limit at the end of the band": Case(
        None,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000)))
        | {"quote": Quote(Price(99_900), TEN_O_CLOCK)},
    ),
    "a limit a paisa beyond the band": Case(
        Denial.PRICE_OUTSIDE_BAND,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(99_999)))
        | {"quote": Quote(Price(99_900), TEN_O_CLOCK)},
    ),
    "an exit beyond the morning's band": Case(
        None,
        BANDS,
        SELL,
        situation=LONG_10 | listed(band=PriceBand(Price(100_001), Price(120_000))),
    ),
    "a stop at the end of the band": Case(
        None, BANDS, situation=listed(band=PriceBand(Price(98_800), Price(110_000)))
    ),
    "a stop a paisa beyond the band": Case(
        Denial.STOP_OUTSIDE_BAND,
        BANDS,
        situation=listed(band=PriceBand(Price(98_801), Price(110_000))),
    ),
    "a unit less than the freeze quantity": Case(
        None, FREEZE, situation=listed(freeze_quantity=Quantity(11))
    ),
    "the freeze quantity": Case(
        Denial.QUANTITY_ABOVE_FREEZE, FREEZE, situation=listed(freeze_quantity=Quantity(10))
    ),
    "the freeze quantity: an exit": Case(
        None, FREEZE, SELL, situation=LONG_10 | listed(freeze_quantity=Quantity(10))
    ),
    # the platform and the account
    "the mode may not trade the account": Case(
        Denial.MODE_REFUSES, SEBI, situation={"mode_allows": False}
    ),
    "the mode may not trade the account: an exit": Case(
        Denial.MODE_REFUSES, SEBI, SELL, situation=LONG_10 | {"mode_allows": False}
    ),
    "a strategy in shadow": Case(
        Denial.STRATEGY_IN_SHADOW, WORKBENCH, situation=strategy(StrategyMode.SHADOW)
    ),
    "a strategy in shadow: an exit": Case(
        Denial.STRATEGY_IN_SHADOW,
        WORKBENCH,
        SELL,
        situation=LONG_10 | strategy(StrategyMode.SHADOW),
    ),
    "a strategy that is off": Case(
        Denial.STRATEGY_OFF, WORKBENCH, situation=strategy(StrategyMode.OFF)
    ),
    "a strategy on paper, real money": Case(
        Denial.STRATEGY_ON_PAPER,
        WORKBENCH,
        situation=strategy(StrategyMode.PAPER, StrategyMode.LIVE),
    ),
    "a strategy on paper, paper money": Case(
        None, WORKBENCH, situation=strategy(StrategyMode.PAPER)
    ),
    "a live strategy, paper money": Case(None, WORKBENCH, situation=strategy(StrategyMode.LIVE)),
    "a strategy within its limits": Case(None, WORKBENCH, situation=within(day_result=-9_999)),
    "the strategy's capital": Case(
        Denial.STRATEGY_CAPITAL_USED_UP, WORKBENCH, units=11, situation=within()
    ),
    "the strategy's capital, with what it holds": Case(
        Denial.STRATEGY_CAPITAL_USED_UP,
        WORKBENCH,
        units=1,
        situation=within(Exposure(Reach(10, 10))),
    ),
    "the strategy's capital, with what it holds elsewhere": Case(
        Denial.STRATEGY_CAPITAL_USED_UP,
        WORKBENCH,
        units=1,
        situation=within(Exposure(elsewhere=Paise(900_001))),
    ),
    "the strategy's positions": Case(
        Denial.STRATEGY_POSITIONS_USED_UP,
        WORKBENCH,
        units=1,
        situation=within(Exposure(positions=1)),
    ),
    "the strategy's orders": Case(
        Denial.STRATEGY_ORDERS_USED_UP, WORKBENCH, situation=within(orders=1)
    ),
    "the strategy's loss": Case(
        Denial.STRATEGY_LOSS_REACHED, WORKBENCH, situation=within(day_result=-10_000)
    ),
    "the strategy's loss, earned back since": Case(
        Denial.STRATEGY_LOSS_REACHED, WORKBENCH, situation=within(lost=True)
    ),
    "the strategy's limits: an exit": Case(
        None,
        WORKBENCH,
        SELL,
        situation=LONG_10 | within(Exposure(positions=5), orders=9, lost=True),
    ),
    "no member of the family": Case(Denial.NOT_A_MEMBER, SEBI, situation={"member": False}),
    "no member any more: an exit": Case(None, SEBI, SELL, situation=LONG_10 | {"member": False}),
    "switched off": Case(Denial.USER_INACTIVE, OURS, situation={"user_active": False}),
    "red preflight": Case(Denial.PREFLIGHT_RED, OURS, situation={"preflight": "no_funds"}),
    "red preflight: an exit": Case(None, OURS, SELL, situation=LONG_10 | {"preflight": "no_funds"}),
    "a token that Dhan refused": Case(
        Denial.TOKEN_REFUSED, DHAN, situation={"token_refused": True}
    ),
    "a token of another account: an exit": Case(
        Denial.ACCOUNT_MISMATCH, DHAN, SELL, situation=LONG_10 | {"account": Account.ANOTHER}
    ),
    "a token of nobody knows whom": Case(
        Denial.ACCOUNT_UNVERIFIED, DHAN, situation={"account": Account.UNVERIFIED}
    ),
    "a token of nobody knows whom: an exit": Case(
        None, DHAN, SELL, situation=LONG_10 | {"account": Account.UNVERIFIED}
    ),
    "an account without answers": Case(
        Denial.ACCOUNT_FAILING, DHAN, situation={"account_answers": False}
    ),
    "an account without answers: an exit": Case(
        None, DHAN, SELL, situation=LONG_10 | {"account_answers": False}
    ),
    "another address than the registered one": Case(
        Denial.ADDRESS_MISMATCH, DHAN, situation={"address": Address.ANOTHER}
    ),
    "another address: an exit": Case(
        None, DHAN, SELL, situation=LONG_10 | {"address": Address.ANOTHER}
    ),
    "an address that nobody knows": Case(
        Denial.ADDRESS_UNVERIFIED, DHAN, situation={"address": Address.UNVERIFIED}
    ),
    "an address that nobody knows: an exit": Case(
        None, DHAN, SELL, situation=LONG_10 | {"address": Address.UNVERIFIED}
    ),
    "a book that is not reconciled": Case(
        Denial.BOOK_NOT_RECONCILED, KNOWN, situation={"reconciled": False}
    ),
    "a book that is not reconciled: an exit": Case(
        None, KNOWN, SELL, situation=LONG_10 | {"reconciled": False}
    ),
    "an intent that the ledger has not signed": Case(
        Denial.LEDGER_BEHIND, PROVEN, situation={"logged": False}
    ),
    "an intent that the ledger has not signed: an exit": Case(
        None, PROVEN, SELL, situation=LONG_10 | {"logged": False}
    ),
    "an entry that waits for the operator's yes": Case(
        Denial.NOT_APPROVED, ASKED, situation={"approval": Approval.WAITING}
    ),
    "an entry that waits for the operator's yes: an exit": Case(
        None, ASKED, SELL, situation=LONG_10 | {"approval": Approval.WAITING}
    ),
    "an entry that waits for the operator's yes: it was given": Case(
        None, ASKED, situation={"approval": Approval.GIVEN}
    ),
    # funds
    "funds unknown": Case(Denial.FUNDS_UNKNOWN, PAID, situation={"funds": Funds(known=False)}),
    "funds unknown: an exit": Case(
        None, PAID, SELL, situation=LONG_10 | {"funds": Funds(known=False)}
    ),
    "funds for all of it": Case(None, PAID, situation={"funds": Funds(free=Paise(1_000_000))}),
    "a paisa too little": Case(
        Denial.FUNDS_TOO_SMALL, PAID, situation={"funds": Funds(free=Paise(999_999))}
    ),
    "no funds: an exit": Case(
        None, PAID, SELL, situation=LONG_10 | {"funds": Funds(free=Paise(0))}
    ),
    # the moment
    "a decision at its deadline": Case(
        Denial.DECISION_EXPIRED, OURS, situation=at_evening(0), valid_until=EVENING
    ),
    "a nanosecond before the deadline": Case(
        Denial.AFTER_LAST_ENTRY, OURS, situation=at_evening(1), valid_until=EVENING
    ),
    "a day that nobody has looked up": Case(
        Denial.DAY_NOT_IN_CALENDAR, HOURS, situation={"calendar": Calendar(coverage=())}
    ),
    "the session's last nanosecond: an exit": Case(
        None, HOURS, SELL, situation=LONG_10 | at_evening(1), valid_until=UtcNs(EVENING + 1)
    ),
    "the session's end: an exit": Case(
        Denial.OUTSIDE_SESSION,
        HOURS,
        SELL,
        situation=LONG_10 | at_evening(0),
        valid_until=UtcNs(EVENING + 1),
    ),
    "positions are being closed": Case(
        Denial.AFTER_LAST_ENTRY, HOURS, situation={"square_off": SquareOff(cash=time(9, 59))}
    ),
    "positions are being closed: an exit": Case(
        None, HOURS, SELL, situation=LONG_10 | {"square_off": SquareOff(cash=time(9, 59))}
    ),
    # the feed and the price
    "a feed that has never spoken": Case(Denial.FEED_DEAD, FEED, situation={"feed_clock": None}),
    "a feed that fell silent": Case(
        Denial.FEED_DEAD,
        FEED,
        situation={"feed_clock": UtcNs(TEN_O_CLOCK + UtcNs.seconds(1) - FEED_DEAD_AFTER - 1)},
    ),
    "a feed as old as may be": Case(
        None,
        FEED,
        situation={"feed_clock": UtcNs(TEN_O_CLOCK + UtcNs.seconds(1) - FEED_DEAD_AFTER)},
    ),
    "no trade seen": Case(Denial.QUOTE_ABSENT, FEED, situation={"quote": None}),
    "a trade as old as may be": Case(None, FEED, situation=quoted(100_000, QUOTE_STALE_AFTER)),
    "a trade that is too old": Case(
        Denial.QUOTE_STALE, FEED, situation=quoted(100_000, QUOTE_STALE_AFTER + 1)
    ),
    "a price a percent away": Case(
        None, FEED, limits={"max_deviation": BasisPoints(100)}, situation=quoted(99_010)
    ),
    "a price that is too far away": Case(
        Denial.PRICE_FAR_FROM_MARKET,
        FEED,
        limits={"max_deviation": BasisPoints(100)},
        situation=quoted(99_009),
    ),
    # size, count and rate
    "an order's value to the rupee": Case(None, SOP, limits={"max_order_value": Paise(1_000_000)}),
    "an order's value a paisa beyond": Case(
        Denial.ORDER_TOO_LARGE, SOP, limits={"max_order_value": Paise(999_999)}
    ),
    "the day's last order": Case(
        None, OURS, limits={"max_orders_per_day": 3}, situation={"sent": OrderCounts(2)}
    ),
    "the day's orders used up": Case(
        Denial.ORDERS_OF_THE_DAY_USED_UP,
        OURS,
        limits={"max_orders_per_day": 3},
        situation={"sent": OrderCounts(3)},
    ),
    "the day's orders used up: an exit": Case(
        None,
        OURS,
        SELL,
        limits={"max_orders_per_day": 3},
        situation=LONG_10 | {"sent": OrderCounts(3)},
    ),
    "a calendar second that is full: an exit": Case(
        Denial.TOO_MANY_ORDERS_A_SECOND,
        RATE,
        SELL,
        situation=LONG_10 | {"sent": OrderCounts(this_second=WORKERS.second)},
    ),
    "a rolling second that is full": Case(
        Denial.TOO_MANY_ORDERS_A_SECOND,
        RATE,
        situation={"sent": OrderCounts(last_second=WORKERS.second)},
    ),
    "a minute that is full of entries": Case(
        Denial.TOO_MANY_REQUESTS,
        RATE,
        situation={"sent": OrderCounts(last_minute=ENTRIES.minute)},
    ),
    "a minute that is full of entries: an exit": Case(
        None, RATE, SELL, situation=LONG_10 | {"sent": OrderCounts(last_minute=ENTRIES.minute)}
    ),
    "an hour that is full": Case(
        Denial.TOO_MANY_REQUESTS, RATE, situation={"sent": OrderCounts(last_hour=ENTRIES.hour)}
    ),
    "a day that is full: an exit": Case(
        Denial.TOO_MANY_REQUESTS,
        RATE,
        SELL,
        situation=LONG_10 | {"sent": OrderCounts(last_day=WORKERS.day)},
    ),
    # stop-outs and bans
    "a stop traded a nanosecond less than the cooldown ago": Case(
        Denial.COOLING_DOWN, OURS, limits={"stop_out_cooldown": 15}, situation=stopped_out(1)
    ),
    "the cooldown is over": Case(
        None, OURS, limits={"stop_out_cooldown": 15}, situation=stopped_out(0)
    ),
    "cooling down: an exit": Case(
        None, OURS, SELL, 10, {"stop_out_cooldown": 15}, LONG_10 | stopped_out(1)
    ),
    "no cooldown": Case(None, OURS, situation=stopped_out(1)),
    "one stop-out less than the limit": Case(
        None, OURS, limits={"max_stop_outs_per_day": 3}, situation={"stop_outs": 2}
    ),
    "as many stop-outs as the limit": Case(
        Denial.TOO_MANY_STOP_OUTS,
        OURS,
        limits={"max_stop_outs_per_day": 3},
        situation={"stop_outs": 3},
    ),
    "all users' orders are as much as may be": Case(None, SOP, situation=crowd(1_000)),
    "all users' orders are a unit too much": Case(
        Denial.CROWD_TOO_LARGE, SOP, situation=crowd(990)
    ),
    "others have had some of it": Case(
        Denial.CROWD_TOO_LARGE, SOP, situation=crowd(1_000, others=1)
    ),
    "all users' orders are too much: an exit": Case(None, SOP, SELL, situation=LONG_10 | crowd(0)),
    "as many stop-outs as the limit: an exit": Case(
        None, OURS, SELL, 10, {"max_stop_outs_per_day": 3}, LONG_10 | {"stop_outs": 3}
    ),
    "a contract on a banned share": Case(
        Denial.UNDERLYING_BANNED, BANNED, situation=listed(ban=Ban.IN_FORCE)
    ),
    "a contract on a banned share: an exit": Case(
        None, BANNED, SELL, situation=LONG_10 | listed(ban=Ban.IN_FORCE)
    ),
    "a contract, and no list of today": Case(
        Denial.BAN_LIST_UNKNOWN, BANNED, situation=listed(ban=Ban.UNKNOWN)
    ),
    "a contract, and no list of today: an exit": Case(
        None, BANNED, SELL, situation=LONG_10 | listed(ban=Ban.UNKNOWN)
    ),
}
