"""Which provider, model and price a line of configuration names."""

from __future__ import annotations

import pytest

from agents.providers import COMPATIBLE, PROVIDERS, Endpoint, SchemaMode, Target, target_of
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
        ("deepseek", Target(DEEPSEEK, DEEPSEEK.base_url, "deepseek-chat")),
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


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_is_asked_over_tls_and_has_a_key_of_its_own(name: str) -> None:
    provider = PROVIDERS[name]

    assert provider.base_url.startswith("https://")
    assert [each.name for each in PROVIDERS.values() if each.key == provider.key] == [name]


def test_a_provider_that_takes_no_seed_gets_none_whatever_the_model() -> None:
    assert not Endpoint("u", "deepseek-chat", "", provider=DEEPSEEK).dialect.seed
    assert Endpoint("u", "deepseek-chat", "").dialect.seed


def test_the_strictest_that_a_provider_enforces_stands_in_the_table() -> None:
    assert {name: each.schema_mode for name, each in PROVIDERS.items()} == {
        "openai": SchemaMode.STRICT,
        "gemini": SchemaMode.STRICT,
        "openrouter": SchemaMode.STRICT,
        "groq": SchemaMode.JSON_OBJECT,
        "deepseek": SchemaMode.JSON_OBJECT,
    }
