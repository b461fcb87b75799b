"""What one simulator is told at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final

from simulator.faults import Fault

FEED_CONNECTIONS_PER_USER: Final = 5  # Dhan; the sixth evicts the oldest
ORDERS_PER_SECOND: Final = 10  # Dhan, per user
GENERATED_DAY: Final = date(2026, 11, 23)  # a Monday; any trading day would do
HISTORY_SESSIONS: Final = 120  # daily candles before the session: enough for every daily indicator in use


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """One Dhan account.

    Attributes:
        expires_at: When the token dies, by the wall clock; None is never.
        funds: Opening balance in rupees.
    """

    client_id: str
    token: str = field(repr=False)
    name: str = "Simulated User"
    expires_at: datetime | None = None
    funds: int = 1_000_000


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """An API key as registered with Dhan: who may ask for consent and where the browser returns to."""

    app_id: str = "simulated-app"
    app_secret: str = field(default="simulated-secret", repr=False)
    redirect_url: str = "http://127.0.0.1/callback"


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """All settings of one simulator.

    Attributes:
        port: 0 takes any free one.
        seed: The same seed gives the same market, history, answers and order ids.
        day: The session's date. For a replay: which day of the file, None when it holds one. For a generated session None
            is `GENERATED_DAY`.
        market: CSV of one-minute candles to replay, plain or `.gz`; None generates a session.
        shares: How many shares a generated session has, beside the index.
        speed: Market seconds per second of wall time; None is as fast as the feed's consumers read.
        autostart: Open the market at once instead of on `POST /control/start`.
        packets_per_frame: Most packets in one WebSocket frame. `dhanhq` 2.3.0 reads only the first: give it 1.
        previous_close_for_all: Send the packet for every subscription as documented; else for indices only, as observed.
        order_rate_limit: Orders a second per user, None for no limit.
        model_latency: Seconds each model answer takes.
        faults: Waiting from the start; `POST /control/faults` adds more. `simulator.faults.load_script` reads a file.
        fault_seed: Of the faults that strike by chance.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    day: date | None = None
    market: Path | None = None
    shares: int = 20
    speed: float | None = None
    autostart: bool = False
    users: tuple[SimulatedUser, ...] = ()
    apps: tuple[RegisteredApp, ...] = (RegisteredApp(),)
    packets_per_frame: int = 64
    previous_close_for_all: bool = True
    feed_connections: int = FEED_CONNECTIONS_PER_USER
    ping_every: float = 10.0
    drop_after: float = 40.0
    order_rate_limit: int | None = ORDERS_PER_SECOND
    history_sessions: int = HISTORY_SESSIONS
    model_latency: float = 0.0
    faults: tuple[Fault, ...] = ()
    fault_seed: int = 1
