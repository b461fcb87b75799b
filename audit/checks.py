"""What each check of the gate said of a recorded order, and what it looked at. Pure.

The checks of today on what was seen then. Where the guarantee stops: that they say the same as then
is another question, which `audit.rejudge` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from audit.amounts import at, clock, rupees
from executors.risk.gate import CHECKS, PRODUCT
from executors.risk.recorded import RecordedOrder, context_of
from executors.risk.requests import ENTRIES, WORKERS
from executors.risk.situation import Approval, Order, PreTradeContext, closes
from executors.risk.strategy import StrategyContext
from schemas.evidence import SeenContext
from schemas.messages import Execution
from schemas.units import Paise

CROWD: Final = "crowd is within cap"  # what this check saw is of all users together


@dataclass(frozen=True, slots=True)
class Checked:
    """One check.

    Attributes:
        name: In words.
        denial: The reason code with which it denied; "" where it did not.
        asked: False where it is only asked of what opens a position, and this order only closed.
        saw: What it looked at.
    """

    name: str
    denial: str
    asked: bool
    saw: str

    def __str__(self) -> str:
        verdict = f"DENIED ({self.denial})" if self.denial else "passed"
        return f"{verdict}: {self.name}; {self.saw}"


def checked(execution: Execution) -> tuple[Checked, ...]:
    """The checks in the gate's order, up to the one that denied; none where nothing is recorded.

    They see what the gate saw last before the order left, else what it saw before the claim.

    Raises:
        ValueError: the record names what this version does not know.
    """
    evidence = execution.evidence
    if evidence is None:
        return ()
    seen = evidence.judgement.seen if evidence.judgement else evidence.asked
    order = RecordedOrder(
        execution.instrument,
        execution.side,
        execution.quantity,
        execution.price,
        evidence.valid_until,
        evidence.stop,
    )
    return tuple(_checked(order, context_of(seen, execution.instrument), seen))


def _checked(order: Order, context: PreTradeContext, seen: SeenContext) -> Iterator[Checked]:
    leaves = closes(order.side, order.quantity, context.closable)
    for check in CHECKS:
        denial = check(order, context)
        # what is asked of entries alone is wrapped by the gate
        asked = not (leaves and hasattr(check, "__wrapped__"))
        name = check.__name__
        saw = SAW[name](order, context, seen) if asked else ""
        yield Checked(name.replace("_", " "), denial.value if denial else "", asked, saw)
        if denial:
            return


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _of_most(value: Paise | int, most: Paise | None) -> str:
    allowed = "any" if most is None else rupees(most)
    return f"{rupees(value)}, allowed {allowed}"


def _count_of_most(value: int, most: int | None) -> str:
    return f"{value:,}, allowed {'any' if most is None else f'{most:,}'}"


def _since_stop(seen: SeenContext) -> str:
    minutes, last = seen.limits.stop_out_cooldown, seen.stopped_out_at
    if last is None:
        return "no stop traded"
    wanted = "any" if minutes is None else f"{minutes:,} minutes after it"
    return f"judged at {clock(seen.now)}, last stop traded {at(last)}, allowed {wanted}"


def _named(names: tuple[str, ...] | None) -> str:
    return "any" if names is None else ", ".join(names) or "none"


def _quote(seen: SeenContext) -> str:
    quote = seen.quote
    return f"{rupees(quote.price)} at {clock(quote.traded_at)}" if quote else "no trade"


def _band(seen: SeenContext) -> str:
    listed = seen.listed
    if listed.lower is None or listed.upper is None:
        return "no band told" + (", and one is needed" if listed.band_needed else "")
    return f"band {rupees(listed.lower)} to {rupees(listed.upper)}"


def _sessions(seen: SeenContext) -> str:
    spans = (f"{clock(each.open)} to {clock(each.close)}" for each in seen.sessions)
    return f"{at(seen.now)}, sessions of the day: {', '.join(spans) or 'none'}"


def _here(order: Order, context: PreTradeContext) -> int:
    return context.exposure.here.after(order.side, order.quantity).units * order.price


def _crowd(seen: SeenContext) -> str:
    crowd = seen.crowd
    if crowd is None:
        return "nobody asked"
    return (
        f"all users {crowd.ordered + crowd.others:,} units, of {crowd.volume:,} that traded lately "
        f"{crowd.most / 100:g} % may be ordered together"
    )


def _funds(seen: SeenContext) -> str:
    if not seen.funds_known:
        return "not known"
    return "not asked for" if seen.funds is None else f"{rupees(seen.funds)} free"


def _held(seen: SeenContext) -> str:
    by_fills = "" if seen.filled is None else f", {seen.filled:+,} by fills"
    return f"holds {seen.position:+,} units by orders{by_fills}"


def _strategy_mode(seen: StrategyContext | None) -> str:
    if seen is None:
        return "the rules file says nothing of the rule"
    return f"{seen.strategy.name}: {seen.strategy.mode}, platform: {seen.platform}"


def _strategy_limits(order: Order, seen: StrategyContext | None) -> str:
    """What its own limits were held against, each beside it."""
    if seen is None:
        return "the rules file says nothing of the rule"
    strategy, exposure = seen.strategy, seen.exposure
    value = exposure.here.after(order.side, order.quantity).units * order.price
    lost = "any" if strategy.max_daily_loss is None else rupees(strategy.max_daily_loss)
    return (
        f"{strategy.name}: {_of_most(exposure.elsewhere + value, strategy.capital)}, positions "
        f"{_count_of_most(exposure.positions + 1, strategy.max_open_positions)}, orders "
        f"{_count_of_most(seen.orders, strategy.max_orders_per_day)}, result of the day "
        f"{rupees(seen.day_result)}, largest loss {lost}, reached before: {_yes(seen.lost)}"
    )


_APPROVAL: Final[Mapping[Approval, str]] = {
    Approval.NOT_NEEDED: "no yes was needed",
    Approval.WAITING: "it waited for an operator's yes",
    Approval.GIVEN: "an operator had said yes",
}
Saw = Callable[[Order, PreTradeContext, SeenContext], str]
SAW: Final[Mapping[str, Saw]] = {
    "nobody_stopped_all": lambda _, __, seen: f"stop in force: {_yes(seen.stopped)}",
    "nobody_halted_it": lambda _, __, seen: f"halt in force: {_yes(seen.halted)}",
    "decision_is_approved": lambda _, context, __: _APPROVAL[context.approval],
    "mode_allows_the_account": lambda _, __, seen: f"allowed: {_yes(seen.mode_allows)}",
    "account_is_a_member": lambda _, __, seen: f"member, or none needed: {_yes(seen.member)}",
    "strategy_goes_as_far": lambda _, context, __: _strategy_mode(context.strategy),
    "user_is_active": lambda _, __, seen: f"active: {_yes(seen.user_active)}",
    "preflight_is_green": lambda _, __, seen: seen.preflight or "green, or none needed",
    "book_is_reconciled": lambda _, __, seen: f"reconciled: {_yes(seen.reconciled)}",
    "token_is_accepted": lambda _, __, seen: f"refused by Dhan: {_yes(seen.token_refused)}",
    "account_is_the_stored_one": lambda _, __, seen: seen.account.replace("_", " "),
    "account_is_verified": lambda _, __, seen: seen.account.replace("_", " "),
    "account_answers": lambda _, __, seen: f"answers: {_yes(seen.account_answers)}",
    "address_is_the_registered_one": lambda _, __, seen: seen.address.replace("_", " "),
    "address_is_verified": lambda _, __, seen: seen.address.replace("_", " "),
    "decision_is_current": lambda order, _, seen: (
        f"{at(seen.now)}, valid until {clock(order.valid_until)}"
    ),
    "calendar_knows_the_day": lambda _, __, seen: f"known: {_yes(seen.day_known)}",
    "market_is_open": lambda _, __, seen: _sessions(seen),
    "last_entry_is_ahead": lambda _, __, seen: (
        f"{at(seen.now)}, square-off {seen.square_off_cash}, of contracts {seen.square_off_fno}"
    ),
    "feed_is_alive": lambda _, __, seen: (
        f"the feed had come to {at(seen.feed_clock)}" if seen.feed_clock else "no tick at all"
    ),
    "quote_is_there": lambda _, __, seen: _quote(seen),
    "quote_is_fresh": lambda _, __, seen: f"{_quote(seen)}, judged at {clock(seen.now)}",
    "band_is_known": lambda _, __, seen: _band(seen),
    "instrument_is_not_locked": lambda _, __, seen: f"{_quote(seen)}, {_band(seen)}",
    "price_is_near_market": lambda order, _, seen: (
        f"limit {rupees(order.price)}, last trade {_quote(seen)}, "
        f"allowed {seen.limits.max_deviation / 100:g} % away"
    ),
    "price_is_within_band": lambda order, _, seen: f"limit {rupees(order.price)}, {_band(seen)}",
    "stop_is_within_band": lambda order, _, seen: (
        f"stop {rupees(order.stop) if order.stop else 'none'}, {_band(seen)}"
    ),
    "quantity_is_below_freeze": lambda order, _, seen: (
        f"{order.quantity:,} units, freeze quantity "
        + (f"{seen.listed.freeze_quantity:,}" if seen.listed.freeze_quantity else "not told")
    ),
    "ban_list_is_known": lambda _, __, seen: f"ban: {seen.listed.ban.replace('_', ' ')}",
    "underlying_is_not_banned": lambda _, __, seen: f"ban: {seen.listed.ban.replace('_', ' ')}",
    "limits_are_known": lambda _, __, seen: f"known: {_yes(seen.limits.known)}",
    "segment_is_allowed": lambda order, _, seen: (
        f"{order.instrument.segment}, allowed {_named(seen.limits.segments)}"
    ),
    "product_is_allowed": lambda _, __, seen: f"{PRODUCT}, allowed {_named(seen.limits.products)}",
    "nothing_is_sold_short": lambda order, _, seen: (
        f"{order.side}, long only: {_yes(seen.limits.long_only)}"
    ),
    "nothing_is_turned_over": lambda order, _, seen: f"{order.side}, {_held(seen)}",
    "value_is_within_limit": lambda order, _, seen: _of_most(
        order.quantity * order.price, seen.limits.max_order_value
    ),
    "positions_are_within_limit": lambda _, __, seen: _count_of_most(
        seen.exposure.positions + 1, seen.limits.max_open_positions
    ),
    "symbol_exposure_is_within_limit": lambda order, context, seen: _of_most(
        _here(order, context), seen.limits.max_symbol_exposure
    ),
    "exposure_is_within_limit": lambda order, context, seen: _of_most(
        seen.exposure.elsewhere + _here(order, context), seen.limits.max_exposure
    ),
    "day_has_loss_left": lambda _, __, seen: (
        f"result of the day {rupees(seen.day_result)}, largest loss "
        + ("any" if seen.limits.max_daily_loss is None else rupees(seen.limits.max_daily_loss))
    ),
    "day_has_stop_outs_left": lambda _, __, seen: _count_of_most(
        seen.stop_outs, seen.limits.max_stop_outs_per_day
    ),
    "instrument_has_cooled_down": lambda _, __, seen: _since_stop(seen),
    "strategy_is_within_limits": lambda order, context, _: _strategy_limits(
        order, context.strategy
    ),
    "crowd_is_within_cap": lambda _, __, seen: _crowd(seen),
    "funds_are_known": lambda _, __, seen: _funds(seen),
    "funds_cover_the_order": lambda order, _, seen: (
        f"order {rupees(order.quantity * order.price)}, funds {_funds(seen)}"
    ),
    "intent_is_logged": lambda _, __, seen: f"signed, or not asked for: {_yes(seen.logged)}",
    "day_has_orders_left": lambda _, __, seen: _count_of_most(
        seen.sent.today, seen.limits.max_orders_per_day
    ),
    "second_has_orders_left": lambda _, __, seen: _count_of_most(
        max(seen.sent.this_second, seen.sent.last_second), WORKERS.second
    ),
    "account_has_requests_left": lambda _, __, seen: (
        f"{seen.sent.last_minute:,} in a minute, {seen.sent.last_hour:,} in an hour, "
        f"{seen.sent.last_day:,} in a day; entries may have {ENTRIES.minute:,}, "
        f"{ENTRIES.hour:,} and {ENTRIES.day:,}"
    ),
}
