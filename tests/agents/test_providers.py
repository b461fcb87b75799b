"""Which provider, model and price a line of configuration names."""

from __future__ import annotations

import re

import pytest

from agents.providers import (
    COMPATIBLE,
    PROVIDERS,
    THOUGHTS,
    Endpoint,
    SchemaMode,
    Target,
    target_of,
)
from agents.spend import FREE, TokenPrice
from schemas.units import Paise

OPENAI, GROQ, GEMINI = (PROVIDERS[name] for name in ("openai", "groq", "gemini"))
DEEPSEEK = PROVIDERS["deepseek"]


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("gpt-4o", Target(OPENAI, "", "gpt-4o")),
        ("openai:gpt-4o", Target(OPENAI, "", "gpt-4o")),
        ("groq:openai/gpt-oss-20b", Target(GROQ, GROQ.base_url, "openai/gpt-oss-20b")),
        ("gemini:gemini-flash", Target(GEMINI, GEMINI.base_url, "gemini-flash-latest")),
        ("deepseek", Target(DEEPSEEK, DEEPSEEK.base_url, "deepseek-flash")),
        ("qwen2.5:7b", Target(OPENAI, "", "qwen2.5:7b")),
        (
            "http://127.0.0.1:8080/v1/#qwen2.5:7b",
            Target(COMPATIBLE, "http://127.0.0.1:8080/v1", "qwen2.5:7b"),
        ),
    ],
)
def test_a_line_names_provider_address_and_model(line: str, target: Target) -> None:
    assert target_of(line) == target


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "name a model"),
        ("openrouter", "name a model after it, such as openrouter:"),
        ("groq: ", "name a model after it"),
        ("grok:llama", "did you mean groq:llama"),
        ("https://llm.example/v1", "give address and model"),
        ("https://llm.example/v1?key=1#m", "without a key"),
        ("https://me:secret@llm.example/v1#m", "without a key"),
    ],
)
def test_a_line_that_names_no_model_says_what_is_wrong(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        target_of(line)


@pytest.mark.parametrize(
    ("endpoint", "price"),
    [
        (Endpoint("u", "gpt-4o-2024-08-06", "", provider=OPENAI), (250, 1_000)),
        (Endpoint("u", "gpt-4o-2024-05-13", "", provider=OPENAI), (500, 1_500)),
        (Endpoint("u", "gpt-4o-mini", "", provider=OPENAI), (15, 60)),
        (Endpoint("u", "gpt-4o-audio-preview", "", provider=OPENAI), None),
        (Endpoint("http://127.0.0.1:1/v1", "own", ""), (0, 0)),
        (Endpoint("http://[::1]:1/v1", "own", ""), (0, 0)),
        (Endpoint("http://127.0.0.1.example/v1", "own", ""), None),
    ],
)
def test_a_price_is_of_exactly_this_model_or_unknown(
    endpoint: Endpoint, price: tuple[int, int] | None
) -> None:
    expected = price and TokenPrice(*(Paise.from_rupees(each) for each in price))

    assert endpoint.price == (FREE if price == (0, 0) else expected)


def test_a_name_that_moves_costs_as_much_as_the_dearest_that_it_may_mean() -> None:
    prices = GEMINI.prices
    flashes = [prices[name] for name in prices if re.fullmatch(r"gemini-[0-9.]+-flash", name)]

    assert prices["gemini-flash-latest"] == tuple(max(each) for each in zip(*flashes, strict=True))


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_model_that_stands_for_its_provider_has_a_price_and_none_is_free(name: str) -> None:
    provider = PROVIDERS[name]

    assert not provider.model or provider.model in provider.prices
    assert all(0 < into <= out for into, out in provider.prices.values())


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_is_asked_over_tls_and_has_a_key_of_its_own(name: str) -> None:
    provider = PROVIDERS[name]

    assert provider.base_url.startswith("https://")
    assert [each.name for each in PROVIDERS.values() if each.key == provider.key] == [name]


def test_a_provider_that_takes_no_seed_gets_none_whatever_the_model() -> None:
    assert not Endpoint("u", "deepseek-flash", "", provider=DEEPSEEK).dialect.seed
    assert Endpoint("u", "deepseek-flash", "").dialect.seed


@pytest.mark.parametrize("model", ["deepseek-flash", "deepseek-v4-pro", "openai/gpt-oss-20b"])
def test_a_model_that_thinks_first_has_room_for_it(model: str) -> None:
    assert Endpoint("u", model, "").dialect.thoughts == THOUGHTS


def test_the_strictest_that_a_provider_enforces_stands_in_the_table() -> None:
    assert {name: each.schema_mode for name, each in PROVIDERS.items()} == {
        "openai": SchemaMode.STRICT,
        "gemini": SchemaMode.STRICT,
        "openrouter": SchemaMode.STRICT,
        "groq": SchemaMode.JSON_OBJECT,
        "deepseek": SchemaMode.JSON_OBJECT,
    }
