"""The gateway's configuration and its metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from bus.metrics import COUNTER
from schemas.calendar import Calendar
from schemas.errors import Misconfigured
from schemas.market import Instrument
from schemas.units import UtcNs

PER_CONNECTION = 5_000  # Dhan's limit of instruments
MAX_CONNECTIONS = 5  # Dhan's limit per account; a sixth would push the oldest out


class Mode(IntEnum):
    """How much Dhan sends per instrument; the value is the request code that subscribes to it."""

    TICKER = 15
    QUOTE = 17
    FULL = 21


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """One gateway: one account, one market clock, up to five connections.

    Attributes:
        url: Of the feed, without a query; the token is added when connecting and appears nowhere
            else.
        partitions: Of `ats.ticks`.
        gateway: Number of the first connection in records and events; the next ones follow, all
            unique among those running.
        mode: What is subscribed to; an index has no order book, so instead of Full it gets Quote.
        connections: How many there may be; each opens only when it has instruments to carry.
        heartbeat: Seconds of wall time after which every partition hears a clock that has moved.
        live: The market's clock is the wall's: quiet markets' bars close by it, and ticks from the
            future are refused. False for simulations and replays, whose market time is their own.
        calendar: When sessions are open. Outside of them silence is no alarm.
        stale_after: Seconds without a tick, in an open session, that are worth an alarm.
        give_up_after: Seconds of such silence after which the connection is made anew.
        cool_off: Least seconds before knocking again after HTTP 429 or code 805.
        longest_wait: Most seconds between two attempts to connect otherwise; they begin at half a
            second and double.
    """

    url: str
    client_id: str
    instruments: tuple[Instrument, ...]
    partitions: int
    calendar: Calendar
    mode: Mode = Mode.QUOTE
    gateway: int = 1
    connections: int = 1
    live: bool = True
    heartbeat: float = 0.25
    stale_after: float = 10.0
    give_up_after: float = 30.0
    # Dhan answers 429 per account for minutes; knocking sooner makes it longer
    cool_off: float = 60.0
    longest_wait: float = 30.0

    @property
    def depth(self) -> bool:
        """Whether order books come, and are published on `ats.depth`."""
        return self.mode is Mode.FULL

    def __post_init__(self) -> None:
        if not self.instruments:
            raise Misconfigured(
                "the gateway has no instruments to subscribe to; name some in the watch list"
            )
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise Misconfigured(
                f"{self.connections} feed connections; "
                f"Dhan allows 1 to {MAX_CONNECTIONS} per account"
            )
        if self.partitions < 1:
            raise Misconfigured(f"{self.partitions} partitions; ats.ticks has at least one")


@dataclass(slots=True)
class GatewayMetrics:
    """Plain numbers for whoever exports them from the same event loop.

    Attributes:
        connected: Connections open now; only ticks prove that the token was accepted.
        instruments: Watched now.
        connections: That should be open.
        frames: WebSocket frames received.
        packets: Packets in them.
        ticks: Ticks published.
        records: Records written to `ats.ticks`.
        books: Order books that came with ticks, whole ones and others.
        bad_books: Of them those that say nothing: crossed, out of order, impossible numbers.
        heartbeats: Records without ticks, which carry the market clock on.
        malformed: Packets that could not be read.
        unsubscribed: Packets of instruments that nobody subscribed.
        ignored: Packets that carry no trade.
        waiting: Rows not yet written.
        clock: The market clock, UTC ns.
        last_tick: Monotonic seconds, 0 before the first.
    """

    connected: int = 0
    instruments: int = 0
    connections: int = 0
    frames: int = field(default=0, metadata=COUNTER)
    packets: int = field(default=0, metadata=COUNTER)
    ticks: int = field(default=0, metadata=COUNTER)
    records: int = field(default=0, metadata=COUNTER)
    books: int = field(default=0, metadata=COUNTER)
    bad_books: int = field(default=0, metadata=COUNTER)
    heartbeats: int = field(default=0, metadata=COUNTER)
    malformed: int = field(default=0, metadata=COUNTER)
    unsubscribed: int = field(default=0, metadata=COUNTER)
    ignored: int = field(default=0, metadata=COUNTER)
    waiting: int = 0
    clock: UtcNs = field(default=UtcNs(0))
    last_tick: float = 0.0
