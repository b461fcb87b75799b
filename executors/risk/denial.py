"""Why an order may not leave, as codes; what they mean in words stands in `executors.reasons`."""

from __future__ import annotations

from enum import StrEnum


class Denial(StrEnum):
    """Why an order may not leave. Part of the `ats.executions` schema: add, never rename."""

    # of records from when a file stopped one machine; and why nobody's order leaves, as the account
    # page reads it, while everybody is halted
    KILL_SWITCH = "kill_switch"
    HALTED = "halted"
    MODE_REFUSES = "mode_refuses"
    USER_INACTIVE = "user_inactive"
    NOT_A_MEMBER = "not_a_member"
    PREFLIGHT_RED = "preflight_red"
    ACCOUNT_MISMATCH = "account_mismatch"
    ACCOUNT_UNVERIFIED = "account_unverified"
    ACCOUNT_FAILING = "account_failing"
    ADDRESS_MISMATCH = "address_mismatch"
    ADDRESS_UNVERIFIED = "address_unverified"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # a reason, not a secret
    DECISION_EXPIRED = "decision_expired"
    OUTSIDE_SESSION = "outside_session"
    AFTER_LAST_ENTRY = "after_last_entry"
    DAY_NOT_IN_CALENDAR = "day_not_in_calendar"
    FEED_DEAD = "feed_dead"
    QUOTE_ABSENT = "quote_absent"
    QUOTE_STALE = "quote_stale"
    PRICE_FAR_FROM_MARKET = "price_far_from_market"
    PRICE_BAND_UNKNOWN = "price_band_unknown"
    LOCKED_AT_CIRCUIT = "locked_at_circuit"
    PRICE_OUTSIDE_BAND = "price_outside_band"
    STOP_OUTSIDE_BAND = "stop_outside_band"
    QUANTITY_ABOVE_FREEZE = "quantity_above_freeze"
    ORDER_TOO_LARGE = "order_too_large"
    ORDERS_OF_THE_DAY_USED_UP = "orders_of_the_day_used_up"
    TOO_MANY_ORDERS_A_SECOND = "too_many_orders_a_second"
    LIMITS_UNKNOWN = "limits_unknown"
    SEGMENT_NOT_ALLOWED = "segment_not_allowed"
    PRODUCT_NOT_ALLOWED = "product_not_allowed"
    LONG_ONLY = "long_only"
    TOO_MANY_POSITIONS = "too_many_positions"
    SYMBOL_EXPOSURE_TOO_LARGE = "symbol_exposure_too_large"
    EXPOSURE_TOO_LARGE = "exposure_too_large"
    DAILY_LOSS_REACHED = "daily_loss_reached"
    AGAINST_POSITION = "against_position"
    COOLING_DOWN = "cooling_down"
    TOO_MANY_STOP_OUTS = "too_many_stop_outs"
    BAN_LIST_UNKNOWN = "ban_list_unknown"
    UNDERLYING_BANNED = "underlying_banned"
    BOOK_NOT_RECONCILED = "book_not_reconciled"
    CROWD_TOO_LARGE = "crowd_too_large"
    STOPPED = "stopped"
    TOO_MANY_REQUESTS = "too_many_requests"
    FUNDS_UNKNOWN = "funds_unknown"
    FUNDS_TOO_SMALL = "funds_too_small"
