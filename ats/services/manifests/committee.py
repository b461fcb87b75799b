"""What decides scans, reports and decisions, beside the recorded answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from agents.app import AgentOptions
from agents.feeds.config import NewsConfig
from agents.feeds.polled import PolledNews
from agents.freshness import live_age
from agents.model import SEED, TEMPERATURE
from agents.news import FileNews, NewsSource
from agents.prompts import PROMPT_VERSION, PROMPTS
from agents.providers import Endpoint
from agents.scout import LOOKBACK, ScoutOptions
from agents.spend import TokenPrice
from ats.services.manifests.build import build_of
from ats.services.manifests.common import clock_of, host_of
from ats.settings import Settings
from schemas.calendar import Calendar
from schemas.manifest import Inputs, plain

_LIBRARIES: Final = ("agno", "httpx", "pydantic")


def agent_inputs(
    settings: Settings,
    *,
    endpoints: Sequence[Endpoint],
    prices: Sequence[TokenPrice],
    news: NewsSource,
    options: AgentOptions,
    scout: ScoutOptions,
    calendar: Calendar,
    symbols: Sequence[str],
) -> Inputs:
    """Of `ats agents` and of the Scout alone.

    `endpoints` and `prices` best model first, `symbols` as named.
    """
    return {
        "build": build_of(("schemas", "dhan", "agents"), _LIBRARIES),
        "clock": clock_of(settings),
        "calendar": plain(calendar),
        "prompts": prompts(),
        "models": [_model(each) for each in endpoints],
        "budget": {
            "rupees_a_day": settings.ats_model_budget_rupees,
            "rupees_a_decision": settings.ats_model_budget_rupees_per_decision,
            "rupees_a_user": settings.ats_model_budget_rupees_per_user,
            "prices_in_rupees_a_million_tokens": [
                [each.input_per_million // 100, each.output_per_million // 100] for each in prices
            ],
        },
        "news": _news(settings, news),
        "decisions": {
            "age": "live" if options.age is live_age else "replayed",
            "deadline_s": options.deadline,
            "scan_timeout_s": options.scan_timeout,
            "validity_ns": int(options.validity),
            "limits": plain(options.limits),
        },
        "scout": {**_object(plain(scout)), "lookback_days": LOOKBACK.days},
        "universe": plain(frozenset(symbols)),
    }


def prompts() -> JsonValue:
    """What each agent is told, the schema of its answer, and how long that may be."""
    return {
        "version": PROMPT_VERSION,
        "agents": {
            agent.value: {
                "instructions": spec.instructions,
                "answer_schema": spec.answer.model_json_schema(),
                "max_tokens": spec.max_tokens,
            }
            for agent, spec in PROMPTS.items()
        },
    }


def _model(endpoint: Endpoint) -> JsonValue:
    """The name that is asked for, where, and in which way; never the key."""
    dialect = endpoint.dialect
    return {
        "provider": endpoint.provider.name,
        "model": endpoint.model,
        "endpoint": host_of(endpoint.base_url),
        "response_format": endpoint.schema_mode.value,
        "temperature": TEMPERATURE if dialect.temperature else None,
        "seed": SEED if dialect.seed else None,
        "limit": dialect.limit,
        "thoughts": dialect.thoughts,
    }


def _news(settings: Settings, news: NewsSource) -> JsonValue:
    content = plain(news.by_symbol) if isinstance(news, FileNews) else None
    if isinstance(news, PolledNews):
        content = _feeds(news.config)
    return {"source": settings.ats_news, "content": content}


def _feeds(config: NewsConfig) -> JsonValue:
    """Of an address only the host: its path may hold a key."""
    told = config.model_dump(mode="json")
    hosts: dict[str, JsonValue] = {name: feed.host for name, feed in config.feeds.items()}
    return {**told, "feeds": hosts}


def _object(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict), "a record becomes an object"
    return value
