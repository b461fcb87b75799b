"""What services share: the context they are given, the instrument master, the database client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies

import httpx
import structlog

from ats.runtime.metrics import Health
from ats.settings import Settings
from bus.metrics import ShellMetrics
from dhan import instruments as masters
from dhan.connections import KeepAliveTransport
from dhan.transport import Credentials, open_client
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId, Segment
from schemas.market import Instrument
from schemas.units import IST

if TYPE_CHECKING:
    from supabase import AsyncClient

# seconds; a claim takes 3 ms, and a late one is a lost trade, never a double one
DATABASE_TIMEOUT: Final = 5.0
# Calls at once: four batches of claims and of outcomes, sixty lookups, and the looks of every half
# second.
DATABASE_CONNECTIONS: Final = 100
SEGMENTS: Final = frozenset({Segment.NSE_EQ, Segment.IDX_I})
SILENT: Final = 30.0  # seconds without progress while records wait: unhealthy

log = structlog.get_logger(__name__)


class Context:
    """What every service is given: settings, the stop event, and a list for its records.

    `/metrics` shows what is appended to `records`.

    Attributes:
        starting: What `/health` says before the service is at work.
    """

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self.settings = settings
        self.stop = stop
        self.records: list[object] = []
        self.starting = Health(ok=False, why="starting")

    def health(self) -> Health:
        """Healthy unless a shell is not at work yet, or stands still although records wait."""
        for shell in self.records:
            if not isinstance(shell, ShellMetrics):
                continue
            if not shell.joined:
                return self.starting
            waiting, idle = sum(shell.lag.values(), 0), time.monotonic() - shell.last_progress
            if waiting and idle > SILENT:
                return Health(
                    ok=False, why=f"no progress for {idle:.0f} s with {waiting} records waiting"
                )
        return Health(ok=True, why="running")


async def instrument_master(settings: Settings) -> masters.Master:
    """Fetch and parse the instrument master; rows that cannot be read are logged and left out."""
    async with open_client() as http:
        text = await masters.fetch(http, settings.dhan_instruments_url)
    # seconds of work on the real file, which a gateway in the middle of its day must not wait for
    master = await asyncio.to_thread(masters.parse, text, SEGMENTS)
    for row in master.bad[:20]:
        log.warning("instrument_row_unreadable", line=row.line, field=row.field, reason=row.reason)
    log.info("instrument_master_read", instruments=len(master.by_id), unreadable=len(master.bad))
    return master


def universe_of(master: masters.Master, symbols: tuple[str, ...]) -> tuple[Instrument, ...]:
    """The instruments to watch: those named, else all of the master.

    Raises:
        Misconfigured: a symbol that is neither an NSE share nor an index.
    """
    if not symbols:
        return tuple(master.by_id.values())
    return instruments_of(master, symbols, "ATS_UNIVERSE")


def instruments_of(
    master: masters.Master, symbols: Iterable[str], named_by: str
) -> tuple[Instrument, ...]:
    """The instruments called so; `named_by` is where a person wrote the symbols.

    Raises:
        Misconfigured: a symbol that is neither an NSE share nor an index.
    """
    found = {symbol: _find(master, symbol) for symbol in symbols}
    if unknown := [symbol for symbol, instrument in found.items() if instrument is None]:
        raise Misconfigured(
            f"{named_by} names symbols that are not in today's instrument master: "
            f"{', '.join(unknown)}"
        )
    return tuple(instrument for instrument in found.values() if instrument is not None)


def symbols_of(settings: Settings) -> tuple[str, ...]:
    """The symbols of ATS_UNIVERSE and those of ATS_UNIVERSE_FILE, one a line, `#` begins a comment.

    Raises:
        Misconfigured: the file cannot be read, or names nothing.
    """
    path = settings.ats_universe_file
    if path is None:
        return settings.ats_universe
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"ATS_UNIVERSE_FILE={str(path)!r} cannot be read: {error}") from None
    named = [symbol for line in lines if (symbol := line.partition("#")[0].strip())]
    if not named:
        raise Misconfigured(f"ATS_UNIVERSE_FILE={str(path)!r} names no symbol: write one a line")
    return tuple(dict.fromkeys((*settings.ats_universe, *named)))


def _find(master: masters.Master, symbol: str) -> Instrument | None:
    places = ((segment, symbol) for segment in (Segment.NSE_EQ, Segment.IDX_I))
    return next((master.by_symbol[place] for place in places if place in master.by_symbol), None)


def credentials_of(settings: Settings) -> Credentials:
    """The account that pays for market data."""
    settings.need("ADMIN_DHAN_CLIENT_ID", "ADMIN_DHAN_ACCESS_TOKEN")
    return Credentials(
        DhanClientId(settings.admin_dhan_client_id), settings.admin_dhan_access_token
    )


def trading_date(settings: Settings) -> date:
    """The day to trade: the one the settings name, else today in India."""
    return settings.ats_trading_date or datetime.now(UTC).astimezone(IST).date()


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[AsyncClient]:
    """The service's Supabase client."""
    settings.need("SUPABASE_URL", "SUPABASE_SERVICE_KEY")
    key = settings.supabase_service_key.get_secret_value()
    async with open_database(settings.supabase_url, key) as client:
        yield client


@asynccontextmanager
async def open_database(url: str, key: str) -> AsyncIterator[AsyncClient]:
    """A Supabase client at `url`, on keep-alive connections that cost little.

    It never signs anybody in: that would change whose name its calls carry.
    """
    from supabase import AsyncClientOptions, acreate_client  # noqa: PLC0415 (a third of a second that only some services need)

    options = AsyncClientOptions(
        postgrest_client_timeout=DATABASE_TIMEOUT,
        auto_refresh_token=False,
        persist_session=False,
        httpx_client=_database_http(url),
    )
    client = await acreate_client(url, key, options)
    try:
        yield client
    finally:
        await client.postgrest.aclose()


def _database_http(url: str) -> httpx.AsyncClient | None:
    """Our own connections; None where a proxy of the environment leads to the database."""
    if {"http", "https", "all"} & getproxies().keys():
        return None
    pool = KeepAliveTransport(httpx.create_ssl_context(), DATABASE_CONNECTIONS)
    return httpx.AsyncClient(
        base_url=url, transport=pool, timeout=DATABASE_TIMEOUT, follow_redirects=True
    )
