"""The parts of the agents' services.

Models with prices and a cap, the store, the news, the Scout's data.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from agents.app import AgentOptions, LlmGateway, run_scout
from agents.feeds.config import read_config
from agents.feeds.polled import polled_news
from agents.freshness import live_age, replayed_age
from agents.journal import ModelTier
from agents.limits import Limits
from agents.model import Model
from agents.news import FileNews, NewsSource, NoNews, SampleNews
from agents.open_spend import OpenSpend
from agents.providers import (
    COMPATIBLE,
    OPENAI,
    Endpoint,
    Provider,
    SchemaMode,
    Target,
    is_local,
    target_of,
)
from agents.recorded_history import recorded_bars
from agents.scout import ScoutOptions
from agents.sectors import Sectors, read_sectors
from agents.spend import TokenPrice
from agents.store import Store, SupabaseStore
from agents.wire import open_model_client
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
from schemas.ids import Segment
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

KEYLESS: Final = "none"  # a server on this machine that wants no key still gets a header
SCOUTED_WITHIN = UtcNs.minutes(24 * 60)  # a Scout that starts again, starts on the same day


@asynccontextmanager
async def llm_gateway(settings: Settings, service: str) -> AsyncIterator[LlmGateway]:
    """The large model until half of the day's budget is spent, then the small one, then none.

    One model in both settings is one tier: asking it again would not help. `service` names the file
    of open reservations, beside the instance.
    """
    large, small = endpoints_of(settings)
    prices = prices_of(settings, (large, small))
    ladder = [(large, prices[0], 50), (small, prices[1], 100)]
    async with open_model_client() as http:
        tiers = [
            ModelTier(Model(endpoint, http), price, percent, endpoint.dialect.thoughts)
            for endpoint, price, percent in (ladder[1:] if large == small else ladder)
        ]
        yield LlmGateway.with_cap(
            tiers,
            settings.ats_model_budget_rupees,
            settings.ats_model_budget_rupees_per_decision,
            OpenSpend(settings.ats_state_dir / f"{service}-{settings.ats_instance}.spend"),
            settings.ats_model_budget_rupees_per_user,
        )


def endpoints_of(settings: Settings) -> tuple[Endpoint, Endpoint]:
    """Where the large and the small model answer. A key goes to its own provider only.

    Raises:
        Misconfigured: a key is missing, or a line names no model; it names the setting.
    """
    large = _endpoint(settings, "ATS_MODEL", settings.ats_model_schema_mode)
    small = _endpoint(settings, "ATS_SMALL_MODEL", settings.ats_small_model_schema_mode)
    return large, small


def _endpoint(settings: Settings, name: str, mode: str | None, line: str = "") -> Endpoint:
    """The endpoint that `line` names, else the setting `name`, whose key counts."""
    line = line or str(getattr(settings, name.lower()))
    target, base_url, provider = _place(settings, name, line)
    key = target.provider.key or f"{name}_API_KEY"
    if target.provider is not COMPATIBLE or not is_local(base_url):
        settings.need(key)
    secret: SecretStr = getattr(settings, key.lower())
    return Endpoint(
        base_url,
        target.model,
        secret.get_secret_value() or KEYLESS,
        SchemaMode(mode) if mode else provider.schema_mode,
        provider,
        key,
    )


def _place(settings: Settings, name: str, line: str) -> tuple[Target, str, Provider]:
    """Which model `line` of the setting `name` names, where it answers, and whose place that is."""
    try:
        target = target_of(line)
    except ValueError as error:
        raise Misconfigured(f"{name}={line} is not usable: {error}. See .env.example.") from None
    provider = target.provider
    base_url = target.base_url or settings.openai_base_url
    if provider is OPENAI and base_url != OPENAI.base_url:
        provider = COMPATIBLE
    return target, base_url, provider


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model by its line of configuration, whether it is one of the two that are set or not.

    Attributes:
        setting: Of the two, or that whose key an address of one's own gets.
        configured: Whether it is that very one, so that its price and schema mode are set.
    """

    line: str
    name: str
    setting: str
    configured: bool

    @classmethod
    def of(cls, settings: Settings, line: str) -> AskedModel:
        """Raises Misconfigured when `line` names no model."""
        name = _place(settings, "--model", line)[0].model
        for setting in ("ATS_MODEL", "ATS_SMALL_MODEL"):
            own = str(getattr(settings, setting.lower()))
            if line in (own, name) and _place(settings, setting, own)[0].model == name:
                return cls(own, name, setting, configured=True)
        return cls(line, name, "ATS_MODEL", configured=False)

    def endpoint(self, settings: Settings) -> Endpoint:
        """Raises Misconfigured when its key is missing."""
        mode = getattr(settings, f"{self.setting.lower()}_schema_mode")
        return _endpoint(settings, self.setting, mode if self.configured else None, self.line)

    def price(self, settings: Settings) -> TokenPrice | None:
        """What it costs, as set or by the table; None where nobody knows."""
        said = getattr(settings, f"{self.setting.lower()}_price_rupees")
        if self.configured and said is not None:
            return TokenPrice(*(Paise.from_rupees(each) for each in said))
        target, base_url, provider = _place(settings, self.setting, self.line)
        return Endpoint(base_url, target.model, "", provider=provider).price

    def has_key(self, settings: Settings) -> bool:
        """Whether it can be asked."""
        try:
            self.endpoint(settings)
        except Misconfigured:
            return False
        return True


def prices_of(settings: Settings, endpoints: tuple[Endpoint, Endpoint]) -> tuple[TokenPrice, ...]:
    """What the tokens of the large and the small model cost.

    Raises:
        Misconfigured: nobody said, so no cap could hold.
    """
    said = settings.ats_model_price_rupees, settings.ats_small_model_price_rupees
    names = "ATS_MODEL", "ATS_SMALL_MODEL"
    return tuple(
        _price(name, endpoint, rupees)
        for name, endpoint, rupees in zip(names, endpoints, said, strict=True)
    )


def _price(name: str, endpoint: Endpoint, rupees: tuple[int, int] | None) -> TokenPrice:
    if rupees is not None:
        return TokenPrice(*(Paise.from_rupees(each) for each in rupees))
    if endpoint.price is None:
        raise Misconfigured(
            f"{name}_PRICE_RUPEES is not set, and what {endpoint.model} costs at "
            f"{urlsplit(endpoint.base_url).hostname} is not known: give rupees per million tokens "
            "in and out, such as 13,50. See .env.example."
        )
    return endpoint.price


def options_of(settings: Settings) -> AgentOptions:
    """In a replay a signal ages by the time it waits, not by the calendar."""
    age = replayed_age if settings.ats_clock == "market" else live_age
    return AgentOptions(
        deadline=settings.ats_decision_seconds,
        age=age,
        limits=limits_of(settings),
        session=calendar_of(settings).session,
    )


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
        frozenset(settings.ats_muted_rules),
    )


@asynccontextmanager
async def agent_store(settings: Settings) -> AsyncIterator[SupabaseStore]:
    """The store in Supabase, with a client of its own for as long as the context is open."""
    async with database(settings) as client:
        yield SupabaseStore(client)


def news_of(settings: Settings) -> NewsSource:
    """Where headlines come from.

    Raises:
        Misconfigured: the file cannot be used, is not named, or is named but not asked for.
    """
    for kind, path in (("file", settings.ats_news_file), ("feeds", settings.ats_news_feeds)):
        name = f"ATS_NEWS_{kind.upper()}"
        if settings.ats_news == kind:
            settings.need(name)
        elif path is not None:
            raise Misconfigured(
                f"{name} is set, but ATS_NEWS={settings.ats_news} does not read it: "
                f"set ATS_NEWS={kind}"
            )
    if settings.ats_news_file is not None:
        return FileNews.read(settings.ats_news_file)
    if settings.ats_news_feeds is not None:
        config = read_config(settings.ats_news_feeds)
        return polled_news(config, real_money=settings.ats_mode != "paper")
    return SampleNews() if settings.ats_news == "sample" else NoNews()


def sectors_of(settings: Settings) -> Sectors:
    """Which shares are of one industry; none where ATS_SECTORS names no list.

    Raises:
        Misconfigured: the list cannot be used.
    """
    path = settings.ats_sectors
    return Sectors({} if path is None else read_sectors(path))


async def shares_of(settings: Settings) -> dict[str, str]:
    """What people call NSE's shares, by symbol, from today's instrument master.

    Raises:
        TryLater: the master did not come.
    """
    master = await instrument_master(settings)
    return {
        each.symbol: each.name
        for each in master.by_id.values()
        if each.id.segment is Segment.NSE_EQ and each.kind == "EQUITY"
    }


async def record_agents(
    connection: KafkaConnection, settings: Settings, news: NewsSource, service: str
) -> ManifestLog:
    """Write down what decides scans, reports and decisions."""
    log_ = log_of(connection, settings, service)
    endpoints = endpoints_of(settings)
    await log_.record(
        agent_inputs(
            settings,
            endpoints=endpoints,
            prices=prices_of(settings, endpoints),
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
