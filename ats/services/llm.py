"""The parts of the agents' services.

Models with prices and a cap, the store, the news, the Scout's data.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import httpx
import structlog
from rich.console import Console
from rich.progress import Progress

from agents.app import AgentOptions, LlmGateway, run_scout
from agents.dialects import dialect_of
from agents.freshness import live_age, replayed_age
from agents.journal import ModelTier
from agents.limits import Limits
from agents.model import Endpoint, Model, SchemaMode
from agents.news import FileNews, NewsSource, NoNews, SampleNews
from agents.recorded_history import recorded_bars
from agents.scout import ScoutOptions
from agents.spend import TokenPrice
from agents.store import Store, SupabaseStore
from ats.services.calendars import calendar_of, no_session
from ats.services.context import (
    credentials_of,
    database,
    instrument_master,
    symbols_of,
    universe_of,
)
from ats.services.manifests.committee import agent_inputs
from ats.services.manifests.common import log_of, universe_inputs
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.manifests import ManifestLog
from bus.publisher import Publisher
from dhan.history import History
from dhan.rate_limiter import RateLimiter
from dhan.transport import BaseUrl, open_client
from schemas.errors import Misconfigured
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

# connections to the model provider: 64 signals with two analysts each, and room for the Commander
MAX_CONNECTIONS = 256
SCOUTED_WITHIN = UtcNs.minutes(24 * 60)  # a Scout that starts again, starts on the same day


@asynccontextmanager
async def llm_gateway(settings: Settings) -> AsyncIterator[LlmGateway]:
    """The large model until half of the day's budget is spent, then the small one, then none."""
    large, small = endpoints_of(settings)
    limits = httpx.Limits(
        max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
    )
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        tiers = [
            _tier(large, _token_price(settings.ats_model_price_rupees), http, percent_of_cap=50),
            _tier(
                small, _token_price(settings.ats_small_model_price_rupees), http, percent_of_cap=100
            ),
        ]
        yield LlmGateway.with_cap(tiers, settings.ats_model_budget_rupees)


def endpoints_of(settings: Settings) -> tuple[Endpoint, Endpoint]:
    """Where the large and the small model answer. A key goes to its own provider only.

    Raises:
        Misconfigured: a key is missing.
    """
    settings.need("OPENAI_API_KEY")
    mode = SchemaMode(settings.ats_model_schema_mode)
    small_mode = SchemaMode(settings.ats_small_model_schema_mode or mode)
    url, key = settings.openai_base_url, settings.openai_api_key
    small_url, small_key = url, key
    if settings.ats_small_model_base_url:
        settings.need("ATS_SMALL_MODEL_API_KEY")
        small_url, small_key = settings.ats_small_model_base_url, settings.ats_small_model_api_key
    return (
        Endpoint(url, settings.ats_model, key.get_secret_value(), mode),
        Endpoint(small_url, settings.ats_small_model, small_key.get_secret_value(), small_mode),
    )


def _tier(
    endpoint: Endpoint, price: TokenPrice, http: httpx.AsyncClient, percent_of_cap: int
) -> ModelTier:
    return ModelTier(
        Model(endpoint, http), price, percent_of_cap, dialect_of(endpoint.model).thoughts
    )


def options_of(settings: Settings) -> AgentOptions:
    """In a replay a signal ages by the time it waits, not by the calendar."""
    age = replayed_age if settings.ats_clock == "market" else live_age
    return AgentOptions(age=age, limits=limits_of(settings), session=calendar_of(settings).session)


def limits_of(settings: Settings) -> Limits:
    """What a BUY or SELL must keep to."""
    return Limits(
        settings.ats_min_confidence,
        settings.ats_min_reward,
        settings.ats_stop_band_percent,
        UtcNs.minutes(settings.ats_cooldown_minutes),
        UtcNs.minutes(settings.ats_flip_minutes),
        UtcNs.minutes(settings.ats_no_entry_after_open_minutes),
        UtcNs.minutes(settings.ats_no_entry_before_close_minutes),
    )


def _token_price(rupees_per_million: tuple[int, int]) -> TokenPrice:
    tokens_in, tokens_out = (Paise.from_rupees(rupees) for rupees in rupees_per_million)
    return TokenPrice(tokens_in, tokens_out)


@asynccontextmanager
async def agent_store(settings: Settings) -> AsyncIterator[Store]:
    """The store in Supabase, with a client of its own for as long as the context is open."""
    async with database(settings) as client:
        yield SupabaseStore(client)


def news_of(settings: Settings) -> NewsSource:
    """Where headlines come from.

    Raises:
        Misconfigured: the file cannot be used, is not named, or is named but not asked for.
    """
    if settings.ats_news == "file":
        settings.need("ATS_NEWS_FILE")
    elif settings.ats_news_file is not None:
        raise Misconfigured(
            f"ATS_NEWS_FILE is set, but ATS_NEWS={settings.ats_news} does not read it: "
            "set ATS_NEWS=file"
        )
    if settings.ats_news_file is not None:
        return FileNews.read(settings.ats_news_file)
    return SampleNews() if settings.ats_news == "sample" else NoNews()


async def record_agents(
    connection: KafkaConnection, settings: Settings, news: NewsSource, service: str
) -> ManifestLog:
    """Write down what decides scans, reports and decisions."""
    log_ = log_of(connection, settings, service)
    await log_.record(
        agent_inputs(
            settings,
            endpoints=endpoints_of(settings),
            news=news,
            options=options_of(settings),
            scout=scout_options_of(settings),
            calendar=calendar_of(settings),
            symbols=symbols_of(settings),
        )
    )
    return log_


def scout_options_of(settings: Settings) -> ScoutOptions:
    """How many instruments the Scout looks at."""
    return ScoutOptions(shortlist=settings.ats_shortlist)


async def scout_the_day(
    day: date,
    *,
    connection: KafkaConnection,
    settings: Settings,
    llm: LlmGateway,
    store: Store,
    publisher: Publisher,
    manifests: ManifestLog,
) -> None:
    """Read daily candles through the admin's Dhan account at its rate limit; publish the shortlist.

    On a day without a session there is nothing to pick for: it says so and makes no scan.
    """
    calendar = calendar_of(settings)
    session = calendar.session(day)
    if session is None:
        log.warning("no_scan", reason=no_session(calendar, day))
        return
    master = await instrument_master(settings)
    universe = universe_of(master, symbols_of(settings))
    manifests.change(universe_inputs(universe, master))
    recorded = await recorded_bars(connection, day, UtcNs(time.time_ns() - SCOUTED_WITHIN))
    async with open_client() as http:
        history = History(http, BaseUrl.parse(settings.dhan_data_url), credentials_of(settings))
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("daily candles", total=len(universe))
            await run_scout(
                day,
                universe,
                history,
                opens=session.open,
                llm=llm,
                store=store,
                publisher=publisher,
                limiter=RateLimiter(clock=time.monotonic),
                options=scout_options_of(settings),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                recorded=recorded,
            )
