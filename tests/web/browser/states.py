"""Every state the application can show, each made in the database as the product itself would leave
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from schemas.messages import FeedState
from tests.database.fixtures import PASSWORD
from tests.simulator.factories import USER
from tests.web.browser.days import CLOSE, busy, quiet
from tests.web.browser.people import EMAIL
from tests.web.browser.place import Place
from tests.web.browser.window import Window

# of the market these orders were made in: no day of the database's clock
TEN_O_CLOCK = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
Arrange = Callable[[Place, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class State:
    """One state.

    Attributes:
        words: What a person reads that says so.
        arranged: What is done to an account that was just made; None shows it to somebody who is
            not signed in.
        asking: With the question before trading open.
    """

    name: str
    words: str
    arranged: tuple[Arrange, ...] | None = ()
    path: str = "/today"
    asking: bool = False


def reported(
    mode: str = "paper",
    own_client_id: str | None = None,
    age: str = "0 s",
    halted: str | None = None,
) -> Arrange:
    """An order worker told its mode and limits, and what halts it, `age` ago."""

    async def arrange(place: Place, _: UUID) -> None:
        await place.sql(
            "select public.report_platform('executors-1', $1, $2, 50000, 40, $3, $4)",
            *(mode, own_client_id, halted, TEN_O_CLOCK),
        )
        await place.sql(
            "update private.platform_reports set reported_at = clock_timestamp() - interval "
            f"'{age}'"
        )

    return arrange


def connected(left: str = "23 h 4 min 30 s", *, on: bool = False) -> Arrange:
    """A stored token, with so much time left."""

    async def arrange(place: Place, user: UUID) -> None:
        await place.sql(
            "insert into user_trading_keys (user_id, dhan_client_id, dhan_access_token, "
            "token_expiry, is_trading_enabled)"
            f" values ($1, $2, 'a-token-nobody-sees', clock_timestamp() + interval '{left}', $3)",
            user,
            USER.client_id,
            on,
        )

    return arrange


def checked(*reds: str) -> Arrange:
    """An order worker looked at the account today, by the database's clock, and found `reds`."""

    async def arrange(place: Place, user: UUID) -> None:
        await place.sql(
            "select public.record_preflight($1, (clock_timestamp() at time zone 'Asia/Kolkata')"
            "::date, $2, $3, clock_timestamp())",
            *(user, not reds, list(reds)),
        )

    return arrange


def limited(**limits: Any) -> Arrange:
    """An operator set the ceiling of the user's limits."""

    async def arrange(place: Place, user: UUID) -> None:
        given = orjson.dumps(limits).decode()
        await place.sql("select public.set_user_limits($1, $2, 'Asha', 'agreed')", user, given)

    return arrange


def chosen(**limits: Any) -> Arrange:
    """The user chose limits of their own."""

    async def arrange(place: Place, user: UUID) -> None:
        await place.sql(
            "select private.write_limits(old, jsonb_populate_record(old, $2), true, 'user', 'r') "
            "from private.limits_for_change($1, true) as old",
            *(user, orjson.dumps(limits).decode()),
        )

    return arrange


async def expired(place: Place, _: UUID) -> None:
    await place.sql(
        "update user_trading_keys set token_expiry = clock_timestamp() - interval '5 min'"
    )


async def disconnected(place: Place, _: UUID) -> None:
    await place.sql(
        "update user_trading_keys set dhan_access_token = null, token_expiry = null, "
        "is_trading_enabled = false"
    )


async def doubted(place: Place, user: UUID) -> None:
    await place.sql("insert into private.token_doubts (user_id) values ($1)", user)


async def ended_by_another_mode(place: Place, _: UUID) -> None:
    await place.sql("update user_trading_keys set is_trading_enabled = false")
    await place.sql(
        "update private.switch_consents set mode = 'paper', ended_at = clock_timestamp()"
    )


async def connecting(place: Place, user: UUID) -> None:
    await place.sql(
        "insert into private.dhan_consents (state_hash, user_id, session_id, client_id) values "
        "(repeat('0', 64), $1, $1, $2)",
        user,
        USER.client_id,
    )


def ordered(
    action: str,
    symbol: str,
    reasoning: str,
    outcome: str,
    reason: str | None = None,
    *,
    minute: int = 0,
    times: int = 1,
) -> Arrange:
    """Orders that were placed, or that ended otherwise, a minute after each other."""

    async def arrange(place: Place, user: UUID) -> None:
        decisions, orders = [uuid4() for _ in range(times)], [uuid4() for _ in range(times)]
        moments = [TEN_O_CLOCK + timedelta(minutes=minute + at) for at in range(times)]
        said = {
            "side": action,
            "symbol": symbol,
            "quantity": 1,
            "price": 1,
            "instrument": "NSE_EQ:1",
        }
        terms = [
            orjson.dumps(said | {"event_time": int(at.timestamp()) * 1_000_000_000}).decode()
            for at in moments
        ]
        correlations = [order.hex[:20] for order in orders]
        dhan_orders = [str(order.int)[:14] if outcome == "accepted" else None for order in orders]
        await place.sql(
            "insert into trade_decisions (id, symbol, action, reasoning) select id, $2, $3, $4 "
            "from unnest($1::uuid[]) as id",
            *(decisions, symbol, action, reasoning),
        )
        if outcome != "denied":
            await place.sql(
                "select public.claim_order($1, d, o, c, t)"
                " from unnest($2::uuid[], $3::uuid[], $4::text[], $5::jsonb[]) as one(d, o, c, t)",
                *(user, decisions, orders, correlations, terms),
            )
        await place.sql(
            "select public.record_order_outcome($1, d, o, $5, n, $6, t)"
            " from unnest($2::uuid[], $3::uuid[], $4::text[], $7::jsonb[]) as one(d, o, n, t)",
            *(user, decisions, orders, dhan_orders, outcome, reason, terms),
        )

    return arrange


ORDERS = (
    ordered(
        "BUY",
        "TATAMOTORS",
        "Sentiment is good, but the analysts disagree on the trend.",
        "denied",
        "quote_stale",
        minute=4,
    ),
    ordered(
        "SELL",
        "INFY",
        "Momentum has turned: RSI fell from 74 and the news is weak.",
        "rejected",
        "RMS: margin short",
        minute=7,
    ),
    ordered(
        "BUY",
        "RELIANCE",
        "Both analysts agree: the price crossed its average on rising volume.",
        "accepted",
        minute=9,
    ),
)
USED_UP = (
    ordered("BUY", "RELIANCE", "The price crossed its average.", "accepted", times=40),
    ordered(
        *("SELL", "TCS", "RSI fell from 74.", "denied"),
        "orders_of_the_day_used_up: the day's number of orders is used up",
        minute=41,
        times=34,
    ),
    ordered("BUY", "INFY", "Volume rises.", "denied", "quote_stale", minute=50, times=3),
)
TRADING = (reported(), connected(on=True))

STATES = (
    State("sign-in", "Sign in", None, "/sign-in"),
    State(
        "sign-in-refused",
        "Email or password is not right.",
        None,
        "/sign-in?notice=invalid_credentials",
    ),
    State("sign-in-link-sent", "a link is on its way", None, "/sign-in?notice=link_sent"),
    State("sign-up", "Create an account", None, "/sign-up"),
    State("sign-up-refused", "too easy to guess", None, "/sign-up?notice=weak_password"),
    State("no-such-page", "There is no such page", None, "/nowhere"),
    State("never-connected", "Never connected", (reported(),), path="/account"),
    State("nobody-reported", "No order worker has reported yet"),
    State("connecting", "Connecting: waiting for you", (reported(), connecting), path="/account"),
    State(
        "just-connected",
        "Your Dhan account is connected.",
        (reported(), connected()),
        "/account?notice=connected",
    ),
    State("refused-by-dhan", "Dhan refused", (reported(),), "/account?notice=dhan_refused"),
    State(
        "another-account", "another Dhan account", (reported(),), "/account?notice=client_mismatch"
    ),
    State("switched-off", "Switched off.", (reported(), connected())),
    State("asked-in-paper-mode", "No real money moves.", (reported(), connected()), asking=True),
    State(
        "asked-in-live-mode",
        "real money",
        (reported("self", USER.client_id), connected()),
        asking=True,
    ),
    State("trading", "Accepted by the broker", (*TRADING, *ORDERS), path="/history"),
    State(
        "market-closed",
        "On, but the market is closed.",
        (reported(halted="outside_session"), connected(on=True), *ORDERS),
    ),
    State("orders-used-up", "the day's 40 orders are used up", (*TRADING, *USED_UP)),
    State(
        "live",
        "All is well: your account may open positions.",
        (
            *(reported("self", USER.client_id), connected(on=True), checked()),
            limited(max_daily_loss_paise=500_000, long_only=True, segments=["NSE_EQ"]),
            *ORDERS,
        ),
    ),
    State(
        "red-morning",
        "Your Dhan account has no funds to trade with.",
        (reported("self", USER.client_id), connected(on=True), checked("no_funds", "book_unread")),
    ),
    State(
        "live-for-another",
        "but not for your account",
        (reported("self", "1100000099"), connected()),
    ),
    State(
        "workers-gone", "No order worker is running", (reported(age="5 min"), connected(on=True))
    ),
    State(
        "ends-soon",
        "ends soon",
        (reported(), connected("1 h 12 min 30 s", on=True), *ORDERS),
        path="/account",
    ),
    State("expired", "Expired on", (*TRADING, *ORDERS, expired), path="/account"),
    State(
        "in-doubt",
        "Dhan may have ended this connection",
        (
            *(*TRADING, *ORDERS, doubted),
            limited(max_open_positions=5, max_exposure_paise=50_000_000, products=["INTRADAY"]),
            chosen(max_open_positions=3, max_orders_per_day=10, stop_out_cooldown_minutes=30),
        ),
        path="/account",
    ),
    State(
        "mode-changed",
        "Switched off by itself",
        (reported("self"), connected(on=True), ended_by_another_mode),
    ),
    State(
        "disconnected", "Disconnected.", (reported(), connected(), disconnected), path="/account"
    ),
)


async def traded_for_a_month(place: Place, user: UUID) -> None:
    """What the books hold of twenty days."""
    for at in range(20):
        day = (TEN_O_CLOCK - timedelta(days=28 - at)).date()
        earned = (-1) ** (at % 3) * (20_000 + 7_300 * at)
        await place.sql(
            "insert into positions (user_id, trading_date, instrument, symbol, bought, "
            "bought_value_paise, sold, sold_value_paise, net, realised_paise, charges_paise, "
            "resting_stop, unprotected_ms, closed_by, by_trades, agrees, version) values "
            "($1, $2, 'NSE_EQ:2885', 'RELIANCE', 10, 1500000, 10, $3, 0, $4, 6120, 0, 0, "
            "$5, true, true, 1)",
            *(user, day, 1_500_000 + earned, earned, "target" if earned > 0 else "stop_loss"),
        )
        for side, price in (("BUY", 150_000), ("SELL", 150_000 + earned // 10)):
            await place.sql(
                "insert into trades (user_id, dhan_order_id, trade_id, trading_date, instrument, "
                "symbol, side, product, quantity, price_paise, traded_at, version) values "
                "($1, $2, '1', $3, 'NSE_EQ:2885', 'RELIANCE', $4, 'INTRADAY', 10, $5, $6, 1)",
                *(user, f"{at}{side}", day, side, price, TEN_O_CLOCK - timedelta(days=28 - at)),
            )


async def stopped(place: Place, user: UUID) -> None:
    """They stopped their own account."""
    await place.sql(
        "insert into trading_halts (user_id, own, halted_by, reason, flatten, broker_kill) values "
        "($1, true, 'user', 'halted by the user', true, false)",
        user,
    )


async def all_halted(place: Place, _: UUID) -> None:
    await place.sql("select halt_trading(null, 'Asha', 'a drill')")


async def starting(place: Place, _: UUID) -> None:
    """The gateway reads the day up, until `forget`."""
    place.gate.deps.ready.clear()


def cut_off(part: str) -> Arrange:
    """The gateway or the database does not answer, until `forget`."""

    async def arrange(place: Place, _: UUID) -> None:
        getattr(place, part).away = True

    return arrange


DAYS = (
    State("today-quiet", "Nothing is open.", (*TRADING, quiet())),
    State("today-busy", "Waits at the exchange", (*TRADING, busy())),
    State("today-losing", "−₹", (*TRADING, busy(last=149_100))),
    State("today-mute", "Market data mute", (*TRADING, busy(FeedState.STALE))),
    State(
        "today-closed",
        "Market closed",
        (reported(halted="outside_session"), connected(on=True), busy(FeedState.STOPPED, at=CLOSE)),
    ),
    State("today-stopped", "You stopped your account", (*TRADING, busy(), stopped)),
    State("today-all-halted", "On, but trading is halted.", (*TRADING, busy(), all_halted)),
    State("today-starting", "reading up the day", (*TRADING, starting)),
    State("today-cut-off", "our gateway does not answer", (*TRADING, cut_off("gateway"))),
    State("history", "lowest −₹195.40", (*TRADING, *ORDERS, traded_for_a_month), "/history"),
    State("history-empty", "No day was traded yet", (), "/history"),
)


async def make(state: State, windows: Sequence[Window], place: Place) -> None:
    """Bring it about, in a database that knows nobody, and show it in every window."""
    if state.arranged is not None:
        user = await _sign_up(windows, place)
        for arrange in state.arranged:
            await arrange(place, user)
    await asyncio.gather(*(_show(state, window, place) for window in windows))


async def _sign_up(windows: Sequence[Window], place: Place) -> UUID:
    """A new account, made with the form's own request and signed in at every window."""
    first, *others = (window.page.context for window in windows)
    form: dict[str, str | float | bool] = {"email": EMAIL, "password": PASSWORD}
    answer = await first.request.post(
        f"{place.url}/auth/sign-up", form=form, headers={"Origin": place.url}, max_redirects=0
    )
    assert answer.status == 303
    # playwright types what it gives and what it takes differently
    cookies: Any = await first.cookies()
    for other in others:
        await other.add_cookies(cookies)
    ((user,),) = await place.sql("select id from auth.users")
    return UUID(str(user))


async def _show(state: State, window: Window, place: Place) -> None:
    await window.page.goto(place.url + state.path)
    if state.asking:
        await window.page.get_by_role("switch").click()


async def forget(windows: Sequence[Window], place: Place) -> None:
    """As if nobody had ever been there."""
    for window in windows:
        await window.page.context.clear_cookies()
    place.gateway.away = place.database.away = False
    place.gate.deps.ready.set()
    await place.empty()
    await place.sql("truncate private.platform_reports")
