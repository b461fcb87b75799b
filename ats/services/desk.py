"""What the agents' services are made of: models with prices and a cap, the store, the news, the Scout's data."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from rich.console import Console
from rich.progress import Progress

from agents.app import Desk, run_scout
from agents.budget import Tariff
from agents.journal import Rung
from agents.model import Endpoint, Model
from agents.news import NewsSource, NoNews, SampleNews
from agents.scout import ScoutTerms
from agents.store import Store, SupabaseStore
from ats.services.context import credentials_of, database, instrument_master, symbols_of, trading_date, universe_of
from ats.settings import Settings
from bus.publisher import Publisher
from dhan.history import History
from dhan.pace import EvenPace
from dhan.transport import BaseUrl, open_client
from schemas.units import Paise

MOST_CALLS = 256  # connections to the model provider: 64 signals with two analysts each, and room for the Commander


@asynccontextmanager
async def desk_of(settings: Settings) -> AsyncIterator[Desk]:
    """The ladder: the large model until half of the day's budget is spent, then the small one, then none."""
    settings.need("OPENAI_API_KEY")
    limits = httpx.Limits(max_connections=MOST_CALLS, max_keepalive_connections=MOST_CALLS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        ladder = [
            Rung(
                _model(settings, settings.ats_model, http), _tariff(settings.ats_model_price_rupees), percent_of_cap=50
            ),
            Rung(_model(settings, settings.ats_small_model, http), _tariff(settings.ats_small_model_price_rupees)),
        ]
        yield Desk.with_cap(ladder, settings.ats_model_budget_rupees)


def _model(settings: Settings, name: str, http: httpx.AsyncClient) -> Model:
    return Model(Endpoint(settings.openai_base_url, name, settings.openai_api_key.get_secret_value()), http)


def _tariff(rupees_per_million: tuple[int, int]) -> Tariff:
    tokens_in, tokens_out = (Paise.from_rupees(rupees) for rupees in rupees_per_million)
    return Tariff(tokens_in, tokens_out)


@asynccontextmanager
async def agent_store(settings: Settings) -> AsyncIterator[Store]:
    async with database(settings) as client:
        yield SupabaseStore(client)


def news_of(settings: Settings) -> NewsSource:
    return SampleNews() if settings.ats_news == "sample" else NoNews()


async def scout_the_day(settings: Settings, desk: Desk, store: Store, publisher: Publisher) -> None:
    """Read daily candles through the admin's Dhan account, at Dhan's pace, and publish the shortlist."""
    universe = universe_of(await instrument_master(settings), symbols_of(settings))
    async with open_client() as http:
        history = History(http, BaseUrl.parse(settings.dhan_api_url), credentials_of(settings))
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("daily candles", total=len(universe))
            await run_scout(
                trading_date(settings),
                universe,
                history,
                desk=desk,
                store=store,
                publisher=publisher,
                pace=EvenPace(clock=time.monotonic),
                terms=ScoutTerms(shortlist=settings.ats_shortlist),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
