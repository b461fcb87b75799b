"""What each reason code says: to the user, and to the operator with what to do. The one place.

From here come the text of an execution, the line in the log, the page of reason codes in the
documentation, and the file that the account page reads (`python -m tools.web_reasons`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from executors.risk.denial import Denial
from executors.risk.preflight import Red
from executors.risk.sizing import NoOrder


class Reason(StrEnum):
    """Codes that neither gate, preflight nor sizing give: of the claim, the sending, the lookup.

    Part of the `ats.executions` and `ats.fanouts` schemas: add, never rename.
    """

    SWITCHED_OFF = "switched_off"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105  # a reason, not a secret
    NO_TOKEN = "no_token"  # noqa: S105
    NO_ACCOUNT = "no_account"
    DATABASE_AWAY = "database_away"
    ORDER_UNRESOLVED = "order_unresolved"
    CLAIM_STALE = "claim_stale"
    NO_SOURCE_ADDRESS = "no_source_address"  # `dhan.egress.NoSourceAddress`, as its word
    # of `dhan.transport.Lost`: the request did not leave
    CONNECT_ERROR = "connect_error"
    CONNECT_TIMEOUT = "connect_timeout"
    POOL_TIMEOUT = "pool_timeout"
    CREDENTIALS_MALFORMED = "credentials_malformed"
    NOT_AN_ORDER_ADDRESS = "not_an_order_address"
    NOT_FOUND = "not_found"
    UNVERIFIABLE = "unverifiable"
    FOUND_LATE = "found_late"
    BY_HAND = "by_hand"  # written by the database's functions for `ats claims`
    APPROVAL_REFUSED = "approval_refused"
    APPROVAL_TIMED_OUT = "approval_timed_out"


class Words(NamedTuple):
    """What one code says.

    Attributes:
        user: Whole sentences, of an order in the past.
        operator: What it means and what to do; written into the log.
        idle: Where the code keeps back everybody's orders: what who is switched on reads meanwhile.
    """

    user: str
    operator: str
    idle: str = ""


_WAIT: Final = "nothing to do: it ends by itself"
_NOT_SENT: Final = "Dhan could not be reached, so the order was not sent."
_REACH: Final = "the request did not leave this machine: look at its network and at Dhan's status"

WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        # the gate
        Denial.KILL_SWITCH: Words(
            "All trading was stopped by the operator.",
            "a halt of everybody is in force: `ats states` shows it, `ats kill --lift` ends it",
            "On, but the operator has stopped all trading. Only closing orders are placed.",
        ),
        Denial.HALTED: Words(
            "Trading was halted.",
            "a halt of the user or of everybody is in force: see `ats states`",
        ),
        Denial.STOPPED: Words(
            "All orders were stopped, closing ones too.",
            "a halt of all orders is in force, closing ones too: see `ats states`",
        ),
        Denial.NOT_APPROVED: Words(
            "It needed the operator's yes, and had none.",
            "entries wait for a yes: see `ats approvals list`; this one was on its way before",
        ),
        Denial.MODE_REFUSES: Words(
            "The running mode does not trade your account.",
            "ATS_MODE does not allow this Dhan account: see docs/operations.md",
        ),
        Denial.STRATEGY_OFF: Words(
            "Its strategy was switched off.",
            'the rules file says mode = "off": a decision of an earlier file was still under way',
        ),
        Denial.STRATEGY_IN_SHADOW: Words(
            "Its strategy is watched only, so it places no orders.",
            'the rules file says mode = "shadow": `ats scorecard` shows what it would have made',
        ),
        Denial.STRATEGY_ON_PAPER: Words(
            "Its strategy trades play money only, so it places no orders with real money.",
            'the rules file says mode = "paper", and ATS_MODE is not paper',
        ),
        Denial.STRATEGY_CAPITAL_USED_UP: Words(
            "More would have been at stake than its strategy may use.",
            "above the rule's `capital_rupees` in the rules file",
        ),
        Denial.STRATEGY_POSITIONS_USED_UP: Words(
            "Its strategy held as many positions as it may.",
            "the rule's `max_open_positions` in the rules file is reached",
        ),
        Denial.STRATEGY_ORDERS_USED_UP: Words(
            "Its strategy had placed as many orders that day as it may.",
            "the rule's `max_orders_per_day` in the rules file is reached",
        ),
        Denial.STRATEGY_LOSS_REACHED: Words(
            "Its strategy had lost as much that day as it may.",
            "the rule's `max_daily_loss_rupees` is reached: it enters nothing until the next day",
        ),
        Denial.NOT_A_MEMBER: Words(
            "Your Dhan account is not declared as a member of the operator's family.",
            "declare the account with `ats members add`, or let the user connect the declared one",
        ),
        Denial.USER_INACTIVE: Words(
            "Your account was not active: trading was switched off, or the connection to Dhan had "
            "ended.",
            "switch or token changed between decision and order",
        ),
        Denial.PREFLIGHT_RED: Words(
            "Today's checks of your account were not green.",
            "`ats preflight` shows each account's reasons and what to do",
        ),
        Denial.ACCOUNT_MISMATCH: Words(
            "The connection is of another Dhan account than the one you named.",
            "Dhan's profile names another client id than the user: they have to connect again",
        ),
        Denial.ACCOUNT_UNVERIFIED: Words(
            "Dhan did not say whose account the connection is of.",
            "`GET /v2/profile` gave no client id: look at Dhan's status; the next order asks again",
        ),
        Denial.ACCOUNT_FAILING: Words(
            "Dhan did not answer for your account.",
            "the account's circuit breaker is open: it is asked again every few seconds",
        ),
        Denial.ADDRESS_MISMATCH: Words(
            "Dhan sees your account's requests come from another address than the registered one.",
            "compare ATS_EGRESS and `ats members list` with what is registered at Dhan",
        ),
        Denial.ADDRESS_UNVERIFIED: Words(
            "Dhan did not say from which address it sees your account's requests.",
            "`GET /v2/ip/getIP` gave no address: is a static address registered at Dhan?",
        ),
        Denial.TOKEN_REFUSED: Words(
            "Dhan no longer accepts the connection. Connect again.",
            "Dhan refused the token: the user has to connect again on the account page",
        ),
        Denial.DECISION_EXPIRED: Words(
            "The decision was too old when the order's turn came.",
            "orders wait too long: see the latency and the lag of `ats_executors` on /metrics",
        ),
        Denial.OUTSIDE_SESSION: Words(
            "The market was closed.",
            _WAIT,
            "On, but the market is closed. No order is placed until it opens.",
        ),
        Denial.AFTER_LAST_ENTRY: Words(
            "It was too late in the day to open a position.",
            _WAIT,
            "On, but it is too late in the day to open positions. Only closing orders are placed.",
        ),
        Denial.DAY_NOT_IN_CALENDAR: Words(
            "The operator's calendar does not know the day, so the market counts as closed.",
            "write the day into the file of ATS_CALENDAR, and restart",
            "On, but the operator's calendar does not know this day. No order is placed.",
        ),
        Denial.FEED_DEAD: Words(
            "No market data was coming in.",
            "is `ats feed` running and connected? see `ats_feed` on /metrics",
            "On, but no market data comes in. No order is placed until it does.",
        ),
        Denial.QUOTE_ABSENT: Words(
            "No price was known for it.",
            "no trade of the instrument has come since the start: does the feed subscribe to it?",
        ),
        Denial.QUOTE_STALE: Words(
            "Its last price was too old.",
            "the instrument has not traded for two minutes, or its quotes do not come",
        ),
        Denial.PRICE_FAR_FROM_MARKET: Words(
            "The price had moved too far from the market.",
            "the market left the decision behind: see the time from signal to order",
        ),
        Denial.PRICE_BAND_UNKNOWN: Words(
            "Its price band of the day was not known, so nothing was opened.",
            "today's instrument master names no price limits of the share: was it read today?",
        ),
        Denial.LOCKED_AT_CIRCUIT: Words(
            "It last traded at its circuit, where nobody may be left to trade with.",
            "nothing to do: the last trade was at an end of the day's price band",
        ),
        Denial.PRICE_OUTSIDE_BAND: Words(
            "The price was outside of its price band of the day.",
            "nothing to do: the exchange would have refused it",
        ),
        Denial.STOP_OUTSIDE_BAND: Words(
            "Its circuit was so near that no stop could have been placed.",
            "nothing to do: the stop would have been outside of the day's price band",
        ),
        Denial.QUANTITY_ABOVE_FREEZE: Words(
            "The order was larger than the exchange takes at once.",
            "as large as the master's freeze quantity: sizing stays below it, so this is a fault",
        ),
        Denial.ORDER_TOO_LARGE: Words(
            "The order was larger than your limit.",
            "above `max_order_value`: `ats limits show`",
        ),
        Denial.ORDERS_OF_THE_DAY_USED_UP: Words(
            "Your orders of the day were used up.",
            "`max_orders_per_day` is reached: `ats limits show`",
        ),
        Denial.TOO_MANY_ORDERS_A_SECOND: Words(
            "Too many orders in one second.",
            "several processes order for one account: does each have its own share of its rate?",
        ),
        Denial.TOO_MANY_REQUESTS: Words(
            "Too many orders in one minute, hour or day.",
            "Dhan's number of requests of the account is used up for the window",
        ),
        Denial.LIMITS_UNKNOWN: Words(
            "Your own limits could not be read, so nothing was opened.",
            "the database did not show the users' limits: see `limits_unknown` in the log",
        ),
        Denial.SEGMENT_NOT_ALLOWED: Words(
            "Your limits do not allow this market segment.",
            "not in the user's `segments`: `ats limits show`",
        ),
        Denial.PRODUCT_NOT_ALLOWED: Words(
            "Your limits do not allow intraday positions.",
            "not in the user's `products`: `ats limits show`",
        ),
        Denial.LONG_ONLY: Words(
            "Your limits allow no position that begins with a sale.",
            "the user's `long_only` is on: `ats limits show`",
        ),
        Denial.TOO_MANY_POSITIONS: Words(
            "You held as many positions as your limits allow.",
            "`max_open_positions` is reached: `ats limits show`",
        ),
        Denial.SYMBOL_EXPOSURE_TOO_LARGE: Words(
            "More would have been at stake in this share than your limits allow.",
            "above `max_symbol_exposure`: `ats limits show`",
        ),
        Denial.EXPOSURE_TOO_LARGE: Words(
            "More would have been at stake than your limits allow.",
            "above `max_exposure`: `ats limits show`",
        ),
        Denial.DAILY_LOSS_REACHED: Words(
            "The day's loss had reached your limit.",
            "`max_daily_loss` is reached: the user is halted until the next session",
        ),
        Denial.COOLING_DOWN: Words(
            "A stop of yours had traded in it a short while before.",
            "the user's `stop_out_cooldown` of the instrument is not over",
        ),
        Denial.TOO_MANY_STOP_OUTS: Words(
            "As many of your stops had traded that day as your limits allow.",
            "`max_stop_outs_per_day` is reached: nothing is entered until the next day",
        ),
        Denial.BAN_LIST_UNKNOWN: Words(
            "The day's list of banned contracts was not known, so nothing was opened.",
            "put NSE's fo_secban.csv of today where ATS_FNO_BAN_FILE says",
        ),
        Denial.UNDERLYING_BANNED: Words(
            "Positions in its contracts could only be closed that day.",
            "nothing to do: the share is on the exchange's list of bans",
        ),
        Denial.BOOK_NOT_RECONCILED: Words(
            "What was known of your positions was not what Dhan shows, or was not read yet.",
            "is `ats books` running? compare `ats tail ats.positions` with Dhan's page",
        ),
        Denial.LEDGER_BEHIND: Words(
            "The record that proves later why the order was placed could not be signed.",
            "is `ats ledger run` running? its log says what is wrong; see ATS_LEDGER",
        ),
        Denial.CROWD_TOO_LARGE: Words(
            "Too little of it was traded for the orders of all users together.",
            "above ATS_CROWD_PERCENT of the volume of five minutes",
        ),
        Denial.AGAINST_POSITION: Words(
            "You held a position of the other side, and more than it would have been traded.",
            "nothing to do: an order that would turn a position over does not leave",
        ),
        Denial.FUNDS_UNKNOWN: Words(
            "It is not known whether the funds of your account cover the order.",
            "Dhan has not said the account's funds for 15 minutes, or a contract is sold short",
        ),
        Denial.FUNDS_TOO_SMALL: Words(
            "The free funds of your account do not cover the order.",
            "its whole value must be free at Dhan, without leverage; `ats preflight` shows funds",
        ),
        # the operator's answer to the decision
        Reason.APPROVAL_REFUSED: Words(
            "The operator said no to this decision, so nothing was opened.",
            "refused on the console or with `ats approvals no`: `ats approvals list` says by whom",
        ),
        Reason.APPROVAL_TIMED_OUT: Words(
            "The operator did not say yes in time, so nothing was opened.",
            "nobody answered before the deadline: `ats approvals list`; is anybody at the console?",
        ),
        # claim, sending and lookup
        Reason.SWITCHED_OFF: Words(
            "Trading was switched off.", "the user's switch was off when the order's turn came"
        ),
        Reason.TOKEN_EXPIRED: Words(
            "The connection to Dhan had expired. Connect again.",
            "the user has to connect again on the account page",
        ),
        Reason.NO_TOKEN: Words(
            "No Dhan account was connected.", "the user has to connect on the account page"
        ),
        Reason.NO_ACCOUNT: Words(
            "No Dhan account was connected.", "the user has to connect on the account page"
        ),
        Reason.DATABASE_AWAY: Words(
            "Our database did not answer, so nobody's orders left.",
            "Postgres has been away for over five seconds: look at it, and at the pooler",
        ),
        Reason.ORDER_UNRESOLVED: Words(
            "Dhan's answer to an earlier order was lost, and it was still being looked up.",
            "`ats claims` shows the order; it is looked up until its outcome is known",
        ),
        Reason.CLAIM_STALE: Words(
            "It was not sent in time, so it was not sent at all.",
            "over two seconds went by between claim and sending: see the executors' load",
        ),
        Reason.NO_SOURCE_ADDRESS: Words(
            "The operator has set no address from which your orders leave.",
            "name a source address of the account in ATS_EGRESS, and restart",
        ),
        Reason.CONNECT_ERROR: Words(_NOT_SENT, _REACH),
        Reason.CONNECT_TIMEOUT: Words(_NOT_SENT, _REACH),
        Reason.POOL_TIMEOUT: Words(
            "Too many orders were waiting to leave, so it was not sent.",
            "no connection to Dhan was free in time: see the executors' load, and Dhan's answers",
        ),
        Reason.CREDENTIALS_MALFORMED: Words(
            "The stored connection cannot be used. Connect again.",
            "the stored client id or token has characters that no header may have",
        ),
        Reason.NOT_AN_ORDER_ADDRESS: Words(
            "Orders are not sent in this mode.",
            "the address of Dhan's API is one for market data: a fault of ours, tell us",
        ),
        Reason.NOT_FOUND: Words(
            "Dhan's answer was lost, and its order book does not hold the order.",
            "nothing to do: the order does not exist at Dhan",
        ),
        Reason.UNVERIFIABLE: Words(
            "Dhan's answer was lost, and Dhan could not be asked. Check your order book at Dhan.",
            "the order may exist: ask the user, then correct it with `ats claims correct`",
        ),
        Reason.FOUND_LATE: Words(
            "Dhan's order book shows the order, which had been recorded as not found.",
            "nothing to do: the outcome was corrected",
        ),
        Reason.BY_HAND: Words(
            "A person recorded or corrected the order.", "`ats claims`: the person's reason follows"
        ),
        # sizing
        NoOrder.HOLD: Words("The decision was to do nothing.", "nothing to do"),
        NoOrder.NOT_TRADABLE: Words(
            "It cannot be traded.", "an index or a suspended instrument: is it meant to be watched?"
        ),
        NoOrder.LESS_THAN_ONE_LOT: Words(
            "One lot costs more than an order of yours may.",
            "`max_order_value` buys less than one lot: `ats limits show`",
        ),
        NoOrder.CAPITAL_BELOW_ONE_LOT: Words(
            "One lot costs more than the strategy's capital.",
            "`capital_rupees` of the rule in the rules file buys less than one lot",
        ),
        NoOrder.LESS_THAN_ONE_TICK: Words(
            "Its price is too low for a stop and a target.",
            "price, stop or target would be below one tick",
        ),
        NoOrder.ONE_LOT_RISKS_TOO_MUCH: Words(
            "One lot could lose more than you risk in a trade.",
            "`risk_per_trade` is below one lot's distance to its stop: `ats limits show`",
        ),
        NoOrder.FREEZE_BELOW_ONE_LOT: Words(
            "The exchange takes less than one lot of it at once.",
            "the master's freeze quantity is no larger than a lot: is the row right?",
        ),
        # the preflight; two of its codes are the gate's too
        Red.PREFLIGHT_MISSING: Words(
            "Today's checks of your account are not done yet.",
            "no order worker has looked at the account today: is `ats executors` running?",
        ),
        Red.TOKEN_ENDS_IN_SESSION: Words(
            "The connection to Dhan ends before the day's trading does. Connect again.",
            "the user has to connect again on the account page",
        ),
        Red.FUNDS_UNREADABLE: Words(
            "Dhan did not say what funds your account has.",
            "`GET /v2/fundlimit` gave no amount: look at Dhan's status, and at the account",
        ),
        Red.NO_FUNDS: Words(
            "Your Dhan account has no funds to trade with.",
            "the user has to bring in funds at Dhan",
        ),
        Red.INSTRUMENTS_OLD: Words(
            "The list of instruments is not today's.",
            "the order workers read the instrument master at their start: restart `ats executors`",
        ),
        Red.FEED_COLD: Words(
            "No market data arrives.",
            "is `ats feed` running and connected? see `ats_feed` on /metrics",
        ),
        Red.BOOK_UNREAD: Words(
            "Your orders and positions at Dhan have not been read today.",
            "is `ats books` running, and does it observe the account?",
        ),
        Red.BOOK_DISAGREES: Words(
            "What is known of your positions is not what Dhan shows.",
            "compare `ats tail ats.positions` with Dhan's page; `ats books` reads again by itself",
        ),
        Red.PNL_EXIT_UNARMED: Words(
            "Dhan's own exit at a loss is not set for today.",
            "see `pnl_exit` on `ats.exits` for why; `ats books` tries again every minute",
        ),
    }
)


def for_user(code: str) -> str:
    """What the user reads of a code; nothing of one that is not ours, such as Dhan's."""
    words = WORDS.get(code)
    return words.user if words else ""


def for_operator(code: str) -> str:
    """What the operator reads of a code; nothing of one that is not ours."""
    words = WORDS.get(code)
    return words.operator if words else ""
