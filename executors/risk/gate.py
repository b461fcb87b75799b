"""The gate: may this order leave now?

Pure. All it looks at stands in its arguments, so the same intent in the same situation gets the
same verdict, live or in a replay ten years later. It knows no broker, clock, database or log.

Where the guarantee stops: the gate judges what it is shown. Whether the switch is still on at the
moment of sending is decided by the claim (`supabase/migrations`), not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeAlias

from executors.risk.denial import Denial
from executors.risk.exposure import loss_reached
from executors.risk.listed import Ban
from executors.risk.requests import ENTRIES, WORKERS
from executors.risk.situation import Account, Address, Approval, Order, PreTradeContext, closes
from executors.risk.sizing import WHOLE, affordable
from executors.risk.strategy import beyond_limits, held_back
from schemas.ids import Segment
from schemas.market import Side, trading_day
from schemas.messages import OrderIntent
from schemas.units import Quantity, UtcNs

# Ten silent seconds of all instruments together: the feed resends liquid quotes every second and
# the gateway's heartbeats carry its clock on, so this is a dead feed and not a quiet market.
FEED_DEAD_AFTER: Final = UtcNs.seconds(10)
# An illiquid share may not trade for a minute; without a trade in two the last price says little
# about the next.
QUOTE_STALE_AFTER: Final = UtcNs.seconds(120)
_CASH: Final = frozenset({Segment.NSE_EQ, Segment.BSE_EQ})
PRODUCT: Final = "INTRADAY"  # the one that ATS trades


Check: TypeAlias = Callable[[Order, PreTradeContext], Denial | None]


def judge(intent: Order, context: PreTradeContext) -> Denial | None:
    """Return the first reason to deny `intent`, or None when it may leave."""
    for check in CHECKS:
        if denial := check(intent, context):
            return denial
    return None


def cut_to_fit(intent: OrderIntent, context: PreTradeContext) -> OrderIntent:
    """As much of `intent` as may leave (`fitting`)."""
    quantity, _ = fitting(intent, context)
    return intent.model_copy(update={"quantity": quantity})


def fitting(intent: Order, context: PreTradeContext) -> tuple[Quantity, tuple[Denial, ...]]:
    """Units of `intent` that may leave, and what cuts it; nothing where it stays whole.

    An order of the other side is seldom exactly as large as the position: it would close it and
    open another. Where a halt, the hour, the day's number or the value allows no entry, what is
    left is the exit. An entry has its share of what all users may order together,
    and as many whole lots as funds pay for; where that is none it stays whole, and `judge` says why
    it may not leave.
    """
    held = context.closable if intent.side is Side.SELL else -context.closable
    if 0 < held < intent.quantity:
        denials = tuple(denial for each in ON_ENTRIES if (denial := each(intent, context)))
        if denials:
            return Quantity(held), denials
    if _leaves(intent, context):
        return intent.quantity, ()
    left, cut_by = intent.quantity, tuple[Denial, ...]()
    crowd, free = context.crowd, context.funds.free
    if crowd and 0 < crowd.share < left:
        left, cut_by = crowd.share, (Denial.CROWD_TOO_LARGE,)
    if free is not None and left * intent.price > free:
        paid = affordable(free, intent.price, context.lot)
        left, cut_by = (paid, (*cut_by, Denial.FUNDS_TOO_SMALL)) if paid else (left, cut_by)
    return left, cut_by


def _of_entries(check: Check) -> Check:
    """Asked of what may open or enlarge a position only: no such check keeps anybody in one."""

    @wraps(check)
    def asked(intent: Order, context: PreTradeContext) -> Denial | None:
        return None if _leaves(intent, context) else check(intent, context)

    return asked


def _leaves(intent: Order, context: PreTradeContext) -> bool:
    """Whether the order only makes smaller what is held for certain."""
    if not context.position:  # by far most orders: nothing is held, so nothing is closed
        return False
    return closes(intent.side, intent.quantity, context.closable)


def nobody_stopped_all(_: Order, context: PreTradeContext) -> Denial | None:
    """A stop lets nothing out, not even what closes: exits are the guardian's."""
    return Denial.STOPPED if context.stopped else None


@_of_entries
def nobody_halted_it(_: Order, context: PreTradeContext) -> Denial | None:
    """A halt lets out what only closes."""
    return Denial.HALTED if context.halted else None


@_of_entries
def decision_is_approved(_: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is entered before an operator's yes, where one is needed."""
    return Denial.NOT_APPROVED if context.approval is Approval.WAITING else None


def mode_allows_the_account(_: Order, context: PreTradeContext) -> Denial | None:
    return None if context.mode_allows else Denial.MODE_REFUSES


def strategy_goes_as_far(_: Order, context: PreTradeContext) -> Denial | None:
    """Also when it closes: what never was entered by it is not its own to close."""
    of = context.strategy
    return held_back(of.platform, of.strategy) if of else None


@_of_entries
def strategy_is_within_limits(intent: Order, context: PreTradeContext) -> Denial | None:
    """The strategy's own, beside the user's: the tighter one holds."""
    return beyond_limits(intent, context.strategy) if context.strategy else None


def user_is_active(_: Order, context: PreTradeContext) -> Denial | None:
    return None if context.user_active else Denial.USER_INACTIVE


def token_is_accepted(_: Order, context: PreTradeContext) -> Denial | None:
    return Denial.TOKEN_REFUSED if context.token_refused else None


def account_is_the_stored_one(_: Order, context: PreTradeContext) -> Denial | None:
    """Also when it closes: what closes a position in one account opens one in another."""
    return Denial.ACCOUNT_MISMATCH if context.account is Account.ANOTHER else None


@_of_entries
def account_is_verified(_: Order, context: PreTradeContext) -> Denial | None:
    """No entry while Dhan does not say whose account it is."""
    return Denial.ACCOUNT_UNVERIFIED if context.account is Account.UNVERIFIED else None


@_of_entries
def account_answers(_: Order, context: PreTradeContext) -> Denial | None:
    """No entry where it would most likely be one more order whose fate nobody knows."""
    return None if context.account_answers else Denial.ACCOUNT_FAILING


@_of_entries
def account_is_a_member(_: Order, context: PreTradeContext) -> Denial | None:
    """Who was a member may still close what they hold."""
    return None if context.member else Denial.NOT_A_MEMBER


@_of_entries
def preflight_is_green(_: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is entered before today's checks of the account are green."""
    return Denial.PREFLIGHT_RED if context.preflight else None


@_of_entries
def address_is_the_registered_one(_: Order, context: PreTradeContext) -> Denial | None:
    """An exit is tried all the same: Dhan itself refuses what it will not take."""
    return Denial.ADDRESS_MISMATCH if context.address is Address.ANOTHER else None


@_of_entries
def address_is_verified(_: Order, context: PreTradeContext) -> Denial | None:
    """No entry while Dhan does not say from where it sees the account."""
    return Denial.ADDRESS_UNVERIFIED if context.address is Address.UNVERIFIED else None


def decision_is_current(intent: Order, context: PreTradeContext) -> Denial | None:
    return Denial.DECISION_EXPIRED if context.now >= intent.valid_until else None


def calendar_knows_the_day(intent: Order, context: PreTradeContext) -> Denial | None:
    """A day that nobody has looked up is closed."""
    known = context.calendar.covers(trading_day(context.now), intent.instrument.segment)
    return None if known else Denial.DAY_NOT_IN_CALENDAR


def market_is_open(intent: Order, context: PreTradeContext) -> Denial | None:
    """In a session of continuous trading in this very instrument.

    Its closing auction is outside.
    """
    sessions = context.calendar.sessions(trading_day(context.now), intent.instrument)
    return None if any(context.now in session for session in sessions) else Denial.OUTSIDE_SESSION


@_of_entries
def last_entry_is_ahead(intent: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is opened any more once the day's positions are being closed."""
    due = context.square_off.due(context.calendar, context.now, intent.instrument)
    return Denial.AFTER_LAST_ENTRY if due else None


def feed_is_alive(_: Order, context: PreTradeContext) -> Denial | None:
    if context.feed_clock is None or context.now - context.feed_clock > FEED_DEAD_AFTER:
        return Denial.FEED_DEAD
    return None


def quote_is_there(_: Order, context: PreTradeContext) -> Denial | None:
    return Denial.QUOTE_ABSENT if context.quote is None else None


def quote_is_fresh(_: Order, context: PreTradeContext) -> Denial | None:
    if context.quote is None or context.now - context.quote.traded_at > QUOTE_STALE_AFTER:
        return Denial.QUOTE_STALE
    return None


def price_is_near_market(intent: Order, context: PreTradeContext) -> Denial | None:
    if context.quote is None:
        return Denial.PRICE_FAR_FROM_MARKET
    away = abs(intent.price - context.quote.price)
    too_far = away * WHOLE > context.quote.price * context.limits.max_deviation
    return Denial.PRICE_FAR_FROM_MARKET if too_far else None


@_of_entries
def band_is_known(_: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is entered where the day's circuits are a rule, and nobody told them."""
    if context.listed.band or not context.listed.band_needed:
        return None
    return Denial.PRICE_BAND_UNKNOWN


@_of_entries
def instrument_is_not_locked(_: Order, context: PreTradeContext) -> Denial | None:
    """Neither side is entered at a circuit: one finds nobody, the other finds no way out."""
    if context.quote is None:
        return None
    return Denial.LOCKED_AT_CIRCUIT if context.listed.locked(context.quote.price) else None


@_of_entries
def price_is_within_band(intent: Order, context: PreTradeContext) -> Denial | None:
    """An exit is tried all the same: a band may have moved since the morning."""
    return Denial.PRICE_OUTSIDE_BAND if context.listed.forbids(intent.price) else None


@_of_entries
def stop_is_within_band(intent: Order, context: PreTradeContext) -> Denial | None:
    """Where the stop cannot rest, a position could not be given up."""
    if intent.stop is None:
        return None
    return Denial.STOP_OUTSIDE_BAND if context.listed.forbids(intent.stop) else None


@_of_entries
def quantity_is_below_freeze(intent: Order, context: PreTradeContext) -> Denial | None:
    return Denial.QUANTITY_ABOVE_FREEZE if context.listed.freezes(intent.quantity) else None


@_of_entries
def value_is_within_limit(intent: Order, context: PreTradeContext) -> Denial | None:
    too_large = intent.quantity * intent.price > context.limits.max_order_value
    return Denial.ORDER_TOO_LARGE if too_large else None


@_of_entries
def day_has_orders_left(_: Order, context: PreTradeContext) -> Denial | None:
    used_up = context.sent.today >= context.limits.max_orders_per_day
    return Denial.ORDERS_OF_THE_DAY_USED_UP if used_up else None


@_of_entries
def limits_are_known(_: Order, context: PreTradeContext) -> Denial | None:
    """No entry while nobody can say what the user allows."""
    if context.limits.known:
        return None
    return Denial.LIMITS_UNKNOWN


@_of_entries
def segment_is_allowed(intent: Order, context: PreTradeContext) -> Denial | None:
    allowed = context.limits.segments
    if allowed is None or intent.instrument.segment in allowed:
        return None
    return Denial.SEGMENT_NOT_ALLOWED


@_of_entries
def product_is_allowed(_: Order, context: PreTradeContext) -> Denial | None:
    allowed = context.limits.products
    if allowed is None or PRODUCT in allowed:
        return None
    return Denial.PRODUCT_NOT_ALLOWED


@_of_entries
def nothing_is_sold_short(intent: Order, context: PreTradeContext) -> Denial | None:
    """Where only long positions are allowed nothing is sold that is not held for certain."""
    if intent.side is Side.BUY or not context.limits.long_only:
        return None
    return Denial.LONG_ONLY


@_of_entries
def nothing_is_turned_over(intent: Order, context: PreTradeContext) -> Denial | None:
    """No entry against an open position: what is held is closed, and no other begun with it."""
    held = context.position if context.filled is None else context.filled
    against = held > 0 if intent.side is Side.SELL else held < 0
    if not against:
        return None
    return Denial.AGAINST_POSITION


@_of_entries
def positions_are_within_limit(_: Order, context: PreTradeContext) -> Denial | None:
    most, exposure = context.limits.max_open_positions, context.exposure
    if most is None:
        return None
    return Denial.TOO_MANY_POSITIONS if exposure.positions + 1 > most else None


@_of_entries
def symbol_exposure_is_within_limit(intent: Order, context: PreTradeContext) -> Denial | None:
    most = context.limits.max_symbol_exposure
    if most is None:
        return None
    return Denial.SYMBOL_EXPOSURE_TOO_LARGE if _exposure(intent, context) > most else None


@_of_entries
def exposure_is_within_limit(intent: Order, context: PreTradeContext) -> Denial | None:
    most = context.limits.max_exposure
    if most is None:
        return None
    together = context.exposure.elsewhere + _exposure(intent, context)
    return Denial.EXPOSURE_TOO_LARGE if together > most else None


@_of_entries
def day_has_loss_left(_: Order, context: PreTradeContext) -> Denial | None:
    reached = loss_reached(context.day_result, context.limits.max_daily_loss)
    return Denial.DAILY_LOSS_REACHED if reached else None


@_of_entries
def instrument_has_cooled_down(_: Order, context: PreTradeContext) -> Denial | None:
    """What has just gone against the user is not entered again at once."""
    minutes, last = context.limits.stop_out_cooldown, context.stopped_out_at
    if minutes is None or last is None:
        return None
    return Denial.COOLING_DOWN if context.now - last < UtcNs.minutes(minutes) else None


@_of_entries
def day_has_stop_outs_left(_: Order, context: PreTradeContext) -> Denial | None:
    most = context.limits.max_stop_outs_per_day
    if most is None:
        return None
    return Denial.TOO_MANY_STOP_OUTS if context.stop_outs >= most else None


@_of_entries
def ban_list_is_known(_: Order, context: PreTradeContext) -> Denial | None:
    """No contract on a share is entered while nobody knows which ones are banned today."""
    return Denial.BAN_LIST_UNKNOWN if context.listed.ban is Ban.UNKNOWN else None


@_of_entries
def underlying_is_not_banned(_: Order, context: PreTradeContext) -> Denial | None:
    """Above 95 % of the market-wide limit positions may only be made smaller."""
    return Denial.UNDERLYING_BANNED if context.listed.ban is Ban.IN_FORCE else None


@_of_entries
def book_is_reconciled(_: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is entered while nobody is sure what the account holds."""
    if context.reconciled:
        return None
    return Denial.BOOK_NOT_RECONCILED


@_of_entries
def intent_is_logged(_: Order, context: PreTradeContext) -> Denial | None:
    """Nothing is entered of which the ledger could not prove why."""
    return None if context.logged else Denial.LEDGER_BEHIND


@_of_entries
def crowd_is_within_cap(intent: Order, context: PreTradeContext) -> Denial | None:
    """All users together take no more than a part of what trades."""
    if context.crowd is None:
        return None
    return Denial.CROWD_TOO_LARGE if intent.quantity > context.crowd.share else None


@_of_entries
def funds_are_known(intent: Order, context: PreTradeContext) -> Denial | None:
    """No entry while nobody can say what the account has, or what the order would bind.

    What is bought binds its value at most, and so does a share that is sold short. What a sold
    contract binds is many times its price.
    """
    funds = context.funds
    if funds.known and funds.free is None:
        return None
    bounded = intent.side is Side.BUY or intent.instrument.segment in _CASH
    return None if funds.known and bounded else Denial.FUNDS_UNKNOWN


@_of_entries
def funds_cover_the_order(intent: Order, context: PreTradeContext) -> Denial | None:
    """Without leverage: the whole value must be free."""
    free = context.funds.free
    if free is None:
        return None
    return Denial.FUNDS_TOO_SMALL if intent.quantity * intent.price > free else None


def _exposure(intent: Order, context: PreTradeContext) -> int:
    """Paise in the order's instrument once it has filled, at the order's price."""
    return context.exposure.here.after(intent.side, intent.quantity).units * intent.price


def second_has_orders_left(_: Order, context: PreTradeContext) -> Denial | None:
    busiest = max(context.sent.this_second, context.sent.last_second)
    return Denial.TOO_MANY_ORDERS_A_SECOND if busiest >= WORKERS.second else None


def account_has_requests_left(intent: Order, context: PreTradeContext) -> Denial | None:
    """Entries leave room for what closes, in any minute, hour and day."""
    closing = _leaves(intent, context)
    share, sent = WORKERS if closing else ENTRIES, context.sent
    used_up = (
        sent.last_minute >= share.minute
        or sent.last_hour >= share.hour
        or sent.last_day >= share.day
    )
    return Denial.TOO_MANY_REQUESTS if used_up else None


# Cheapest and most damning first: the reason a user reads is the first that holds.
CHECKS: Final[tuple[Check, ...]] = (
    nobody_stopped_all,
    nobody_halted_it,
    decision_is_approved,
    mode_allows_the_account,
    strategy_goes_as_far,
    account_is_a_member,
    user_is_active,
    preflight_is_green,
    book_is_reconciled,
    intent_is_logged,
    token_is_accepted,
    account_is_the_stored_one,
    account_is_verified,
    account_answers,
    address_is_the_registered_one,
    address_is_verified,
    decision_is_current,
    calendar_knows_the_day,
    market_is_open,
    last_entry_is_ahead,
    feed_is_alive,
    quote_is_there,
    quote_is_fresh,
    band_is_known,
    instrument_is_not_locked,
    price_is_near_market,
    price_is_within_band,
    stop_is_within_band,
    quantity_is_below_freeze,
    ban_list_is_known,
    underlying_is_not_banned,
    limits_are_known,
    segment_is_allowed,
    product_is_allowed,
    nothing_is_sold_short,
    nothing_is_turned_over,
    value_is_within_limit,
    positions_are_within_limit,
    symbol_exposure_is_within_limit,
    exposure_is_within_limit,
    day_has_loss_left,
    day_has_stop_outs_left,
    instrument_has_cooled_down,
    strategy_is_within_limits,
    crowd_is_within_cap,
    funds_are_known,
    funds_cover_the_order,
    day_has_orders_left,
    second_has_orders_left,
    account_has_requests_left,
)

# Limits on entries: where one forbids an order that also closes, it is cut to the exit.
ON_ENTRIES: Final[tuple[Check, ...]] = (
    nobody_halted_it,
    decision_is_approved,
    last_entry_is_ahead,
    band_is_known,
    instrument_is_not_locked,
    price_is_within_band,
    stop_is_within_band,
    quantity_is_below_freeze,
    ban_list_is_known,
    underlying_is_not_banned,
    day_has_orders_left,
    limits_are_known,
    segment_is_allowed,
    product_is_allowed,
    nothing_is_sold_short,
    nothing_is_turned_over,
    value_is_within_limit,
    positions_are_within_limit,
    symbol_exposure_is_within_limit,
    exposure_is_within_limit,
    day_has_loss_left,
    day_has_stop_outs_left,
    instrument_has_cooled_down,
    strategy_is_within_limits,
)
