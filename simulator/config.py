"""What one simulator is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from schemas.errors import Misconfigured
from simulator import totp
from simulator.faults import Fault
from simulator.market.characters import DayProfile
from simulator.market.report import MAX_BAD_SHARE
from simulator.matching.rules import Rules

FEED_CONNECTIONS_PER_USER: Final = 5  # Dhan; the sixth evicts the oldest
TRANSIT: Final = 0.05  # seconds; Dhan does not say, clients see a few tens of milliseconds
ORDERS_PER_SECOND: Final = 10  # Dhan, per user, since March 2026
ORDERS_PER_MINUTE: Final = 250
ORDERS_PER_HOUR: Final = 1_000
ORDERS_PER_DAY: Final = 7_000
READS_PER_SECOND: Final = 20  # Dhan's class of non-trading requests
GENERATED_DAY: Final = date(2026, 11, 23)  # a Monday; any trading day would do
HISTORY_SESSIONS: Final = 1_260  # before the session: five years, as far back as Dhan's minutes go
DATA_PER_SECOND: Final = 5  # Dhan, per user, as are the next three
DATA_PER_DAY: Final = 100_000
QUOTES_PER_SECOND: Final = 1
CHAIN_EVERY: Final = 3.0  # seconds
TOKEN_EVERY: Final = 120.0  # seconds; many clients in the field report this refusal
CONSENTS_A_DAY: Final = 25


class Casing(StrEnum):
    """How keys and statuses of order updates are written."""

    CAMEL = "camel"  # orderNo, "Traded": as live frames are
    PASCAL = "pascal"  # OrderNo, "TRADED": as documented
    MIXED = "mixed"  # a blend, as the documents' newest sample


@dataclass(frozen=True, slots=True)
class SimulatedHolding:
    """Shares an account owned before the session.

    `average_cost` is in rupees, `pledged` a part of `quantity`.
    """

    security_id: int
    quantity: int
    average_cost: str
    pledged: int = 0


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """One Dhan account.

    Attributes:
        expires_at: When the token dies, by the wall clock; None is never.
        funds: Opening balance in rupees.
        holdings: Shares from before the session.
        pin, totp_secret: For a token without a browser; the secret is base 32 of 160 bits or more,
        as authenticator apps and
            `pyotp` want it (RFC 4226, section 4).
        data_plan: Whether the account has the paid data API; without it the data endpoints answer
            806.
        postback_url: Where every change of an order is posted; None is nowhere.
    """

    client_id: str
    token: str = field(repr=False)
    name: str = "Simulated User"
    expires_at: datetime | None = None
    funds: int = 1_000_000
    holdings: tuple[SimulatedHolding, ...] = ()
    pin: str = field(default="112233", repr=False)
    totp_secret: str = field(default="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", repr=False)
    data_plan: bool = True
    postback_url: str | None = None

    def __post_init__(self) -> None:
        if totp.bits(self.totp_secret) < totp.LEAST_BITS:
            raise Misconfigured(
                f"totp_secret: give base 32 of at least {totp.LEAST_BITS} bits, which is 32 "
                "characters"
            )


@dataclass(frozen=True, slots=True)
class Quirks:
    """Order-side behaviour on which Dhan's documents disagree, or which only users report.

    Attributes:
        acknowledged_as: Status in the reply to a placement, whatever the book says: TRANSIT as
            measured, or PENDING as some documents show.
        by_id_as_array: Answer a lookup by order id with a list of one, or of none, as measured; the
            documents show an object and DH-907.
        by_name_as_array: The same for a lookup by correlation id, where objects were measured.
        slices_as_array: Answer slicing with a list; the portal shows one object.
        super_cancel_has_body: Classic pages say 202 without a body.
        exit_all_has_body: The portal says 202 without a body.
        multi_margin_in_camel_case: Numbers in camelCase as the portal; else texts in snake_case as
            the classic pages.
        lost_race_says_cancelled: Tell a client whose cancellation came too late that it worked
            (200), as an acknowledgement of receipt would; else refuse.
        bad_ip_code: Of an order from an address that is not registered: users saw DH-905, others
            list DH-911.
    """

    acknowledged_as: str = "TRANSIT"
    by_id_as_array: bool = True
    by_name_as_array: bool = False
    slices_as_array: bool = True
    super_cancel_has_body: bool = True
    exit_all_has_body: bool = True
    multi_margin_in_camel_case: bool = True
    lost_race_says_cancelled: bool = False
    bad_ip_code: str = "DH-905"


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """An API key as registered with Dhan.

    It says who may ask for consent and where the browser returns to.
    """

    app_id: str = "simulated-app"
    app_secret: str = field(default="simulated-secret", repr=False)
    redirect_url: str = "http://127.0.0.1/callback"

    @property
    def name(self) -> str:
        """What the login page calls the app: its id."""
        return self.app_id


@dataclass(frozen=True, slots=True)
class RegisteredPartner:
    """A platform that may ask any user for consent."""

    partner_id: str = "simulated-partner"
    partner_secret: str = field(default="simulated-secret", repr=False)
    redirect_url: str = "http://127.0.0.1/callback"

    @property
    def name(self) -> str:
        """What the login page calls the partner: its id."""
        return self.partner_id


class ErrorShape(StrEnum):
    """How quotes and option chain say no: all three have been seen."""

    WRAPPED = "wrapped"  # {"status": "failed", "data": {"805": "…"}}, as documented
    BARE = "bare"  # {"errorCode": 806, "errorMessage": "…"}, as recorded in 2025
    # {"errorType", "errorCode": "DH-904", "errorMessage"}, as recorded for the rate limit
    TRADING = "trading"


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """All settings of one simulator.

    Attributes:
        port: 0 takes any free one.
        seed: The same seed gives the same market, history, answers and order ids.
        day: The session's date. For a replay: which day of the file, None when it holds one. For a
            generated session None is `GENERATED_DAY`.
        market: CSV to replay, plain or `.gz`: one-minute candles or ticks, told apart by the
            header; None generates a session.
        max_bad_share: Of the market file's rows that may be unusable; with more it is refused.
        shares: How many shares a generated session has, beside the index.
        character: What kind of day a generated session is; `characters` names symbols that have
            another.
        options: Symbols of a generated session whose options trade too.
        speed: Market seconds per second of wall time; None is as fast as the feed's consumers read.
        autostart: Open the market at once instead of on `POST /control/start`.
        packets_per_frame: Most packets in one WebSocket frame. `dhanhq` 2.3.0 reads only the first:
            give it 1.
        previous_close_for_all: Send the packet for every subscription as documented; else for
            indices only, as observed.
        true_utc: Send trade times as true epochs; else as Dhan does, in Indian clock time.
        numeric_ids: Let feed clients send security ids as numbers; else that ends the connection.
        connection_life: Seconds after which every WebSocket is reset, as some of Dhan's were at
            300; None is never. Looked at with every ping.
        update_keys: How order updates are written.
        acknowledge_login: Answer the login of order updates with a message, which some have seen.
        transit: Seconds of machine time an order is in TRANSIT before it reaches the exchange. A
            cancellation is refused until then, and a lookup by correlation id finds nothing.
        order_rate_limit: Placements, modifications and cancellations a second per user; None
            switches off all limits of the order API, the longer ones and the one of reads too.
        orders_per_minute, orders_per_hour, orders_per_day: The longer limits of the same.
        reads_per_second: Of the account's other requests per user. rate_by_market_time: Count all
        of them on the market's clock instead of the machine's. static_ip: Take orders only from an
        address the user has registered with `/v2/ip/setIP`. rules: Switches of order entry and
        matching; see `simulator.matching.rules.Rules`. quirks: Where Dhan's documents disagree; see
        `Quirks`. data_rate_limit: Calls a second per user of charts and expiry lists; None for no
        limit, here and below. data_per_day: The longer limit of the same. quote_rate_limit: Calls a
        second per user of the three quote endpoints together. chain_every: Seconds between two
        questions of a user for the same chain. data_errors: Shape of the refusals of quotes and
        option chain. data_rate_error: Shape of their refusals for being too quick; None is as the
        others. candle_delay: Market seconds after its start before a candle of today is told;
        Dhan's can be missing for minutes. charts_refuse_as_906: Charts answer a bad token with
        DH-906 "Invalid Token", as recorded; else with DH-901. one_token: A new token kills the
        user's old ones. token_every: Seconds between two tokens by one-time password; None for no
        limit. consents_a_day: Consents of one user in an Indian day. model_latency: Seconds each
        model answer takes. faults: Waiting from the start; `POST /control/faults` adds more.
        `simulator.faults.load_script` reads a file. fault_seed: Of the faults that strike by
        chance.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    day: date | None = None
    market: Path | None = None
    max_bad_share: float = MAX_BAD_SHARE
    shares: int = 20
    character: DayProfile = DayProfile.TRENDING
    characters: Mapping[str, DayProfile] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    speed: float | None = None
    autostart: bool = False
    users: tuple[SimulatedUser, ...] = ()
    apps: tuple[RegisteredApp, ...] = (RegisteredApp(),)
    partners: tuple[RegisteredPartner, ...] = (RegisteredPartner(),)
    packets_per_frame: int = 64
    previous_close_for_all: bool = True
    true_utc: bool = False
    numeric_ids: bool = False
    connection_life: float | None = None
    update_keys: Casing = Casing.CAMEL
    acknowledge_login: bool = False
    feed_connections: int = FEED_CONNECTIONS_PER_USER
    ping_every: float = 10.0
    drop_after: float = 40.0
    transit: float = TRANSIT
    order_rate_limit: int | None = ORDERS_PER_SECOND
    orders_per_minute: int = ORDERS_PER_MINUTE
    orders_per_hour: int = ORDERS_PER_HOUR
    orders_per_day: int = ORDERS_PER_DAY
    reads_per_second: int = READS_PER_SECOND
    rate_by_market_time: bool = False
    static_ip: bool = False
    rules: Rules = field(default_factory=Rules)
    quirks: Quirks = field(default_factory=Quirks)
    data_rate_limit: int | None = DATA_PER_SECOND
    data_per_day: int = DATA_PER_DAY
    quote_rate_limit: int | None = QUOTES_PER_SECOND
    chain_every: float | None = CHAIN_EVERY
    data_errors: ErrorShape = ErrorShape.WRAPPED
    data_rate_error: ErrorShape | None = ErrorShape.TRADING
    candle_delay: int = 0
    charts_refuse_as_906: bool = False
    one_token: bool = True
    token_every: float | None = TOKEN_EVERY
    consents_a_day: int = CONSENTS_A_DAY
    history_sessions: int = HISTORY_SESSIONS
    model_latency: float = 0.0
    faults: tuple[Fault, ...] = ()
    fault_seed: int = 1
