"""Providers of models: where each answers, which key it gets, how it wants to be asked, its prices.

Pure. Each speaks OpenAI's chat API. One line of configuration names provider and model
(`groq:llama-3.3-70b-versatile`), or any other address (`https://llm.example/v1#model`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from agents.spend import TokenPrice
from schemas.units import Paise


class SchemaMode(StrEnum):
    """How the answer's shape is asked for."""

    STRICT = "strict"  # the provider enforces the schema
    JSON_OBJECT = "json_object"  # the provider enforces JSON; the instructions describe the schema
    PLAIN = "plain"  # the provider enforces nothing; the instructions describe the schema


@dataclass(frozen=True, slots=True)
class Dialect:
    """The parameters a model accepts.

    Attributes:
        temperature: Whether it takes one.
        seed: Whether it takes one.
        limit: What it calls the limit of its output.
        thoughts: Tokens it may think before it answers. They count against the limit and are billed
            as output.
    """

    temperature: bool = True
    seed: bool = True
    limit: str = "max_tokens"
    thoughts: int = 0


PLAIN: Final = Dialect()
# several times what a question of ours takes at the default effort; unused ones are not billed
THOUGHTS: Final = 4_000

# By the model's name, whoever serves it.
_DIALECTS: Final = (
    # GPT-5 and later, o1, o3, o4-mini: "Unsupported parameter: 'max_tokens'", and only the default
    # temperature
    (
        re.compile(r"(gpt-[5-9]|o[1-9])(?![0-9])"),
        Dialect(False, True, "max_completion_tokens", THOUGHTS),
    ),
    # HTTP 400, Unknown name "seed"
    (re.compile(r"gemini"), Dialect(seed=False, thoughts=THOUGHTS)),
    # they think first, unless a parameter of their own forbids it
    (
        re.compile(r"gpt-oss|qwen-?3|qwq|deepseek-(r[1-9]|reasoner|flash|v[4-9])"),
        Dialect(thoughts=THOUGHTS),
    ),
)


def dialect_of(model: str) -> Dialect:
    """The dialect of `model`; a router's prefix such as `openai/` does not count."""
    name = model.lower().rpartition("/")[2]
    return next((dialect for pattern, dialect in _DIALECTS if pattern.match(name)), PLAIN)


# rupees per million tokens in and out
Prices = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, as it wants to be asked.

    Attributes:
        base_url: Up to and including the version; `""` where a setting says it.
        key: The setting that holds its key.
        model: Which of its models is asked when none is named; `""` where one must be.
        schema_mode: The strictest it enforces.
        seed: Whether it takes one, whatever the model.
        extra: What else stands in the body of each request.
        prices: Of its models by name; a date at a name's end counts where it stands here too.
    """

    name: str
    base_url: str
    key: str
    model: str = ""
    schema_mode: SchemaMode = SchemaMode.STRICT
    seed: bool = True
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    prices: Prices = field(default_factory=dict)


# Prices: published ones in dollars, at 100 rupees a dollar, so that a cap errs on the safe side.
# Where a name's price varies, the dearest counts. Each block says where its prices stood, and when.
# OpenAI: developers.openai.com/api/docs/pricing as of 2026-05-04 (GPT-5.4); docs.github.com
# "models and pricing" and margindash.com/openai-model-comparison as read in 2026 (GPT-4.1, 5, o);
# openrouter.ai/openai/gpt-4o (4o). Its regional endpoints cost a tenth more.
_OPENAI: Final[Prices] = {
    "gpt-4o": (250, 1_000),
    "gpt-4o-2024-05-13": (500, 1_500),
    "gpt-4o-mini": (15, 60),
    "gpt-4.1": (200, 800),
    "gpt-4.1-mini": (40, 160),
    "gpt-4.1-nano": (10, 40),
    "gpt-5": (125, 1_000),
    "gpt-5.1": (125, 1_000),
    "gpt-5.4": (250, 1_500),
    "gpt-5.4-mini": (75, 450),
    "gpt-5.4-nano": (20, 125),
    "gpt-5-mini": (25, 200),
    "gpt-5-nano": (5, 40),
    "o3": (200, 800),
    "o4-mini": (110, 440),
}
OPENAI: Final = Provider(
    "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", model="gpt-4o", prices=_OPENAI
)
# an address of one's own; names of OpenAI's models keep their prices
COMPATIBLE: Final = Provider("compatible", "", "", prices=_OPENAI)
PROVIDERS: Final[Mapping[str, Provider]] = {
    each.name: each
    for each in (
        OPENAI,
        Provider(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "GEMINI_API_KEY",
            model="gemini-flash-latest",
            seed=False,
            # ai.google.dev/gemini-api/docs/pricing as of 2026-10-07, prompts up to 200,000 tokens.
            # `latest` moves: the dearest Flash. 3.8 is half as dear until the end of 2026.
            prices={
                "gemini-flash-latest": (150, 900),
                "gemini-3.8-flash": (150, 750),
                "gemini-3.5-flash": (150, 900),
                "gemini-3.5-flash-lite": (30, 250),
                "gemini-2.5-flash": (30, 250),
                "gemini-2.5-flash-lite": (10, 40),
                "gemini-2.5-pro": (125, 1_000),
            },
        ),
        Provider(
            "deepseek",
            "https://api.deepseek.com/v1",
            "DEEPSEEK_API_KEY",
            model="deepseek-flash",
            schema_mode=SchemaMode.JSON_OBJECT,
            seed=False,
            # api-docs.deepseek.com/quick_start/pricing as of 2026-11-15, at its peak: 01:00 to
            # 04:00 and 06:00 to 10:00 UTC on weekdays
            prices={"deepseek-flash": (30, 120), "deepseek-v4-pro": (132, 396)},
        ),
        Provider(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_API_KEY",
            # only to those behind it that take every parameter, the schema among them
            extra={"provider": {"require_parameters": True}},
            # the providers' own, and 5.5 % for buying credits
            prices={
                "openai/gpt-4o": (265, 1_060),
                "openai/gpt-4o-mini": (16, 64),
                "google/gemini-2.5-flash": (32, 265),
            },
        ),
        Provider(
            "groq",
            "https://api.groq.com/openai/v1",
            "GROQ_API_KEY",
            model="llama-3.3-70b-versatile",
            schema_mode=SchemaMode.JSON_OBJECT,
            # console.groq.com/docs/models as quoted in 2026
            prices={
                "llama-3.3-70b-versatile": (59, 79),
                "llama-3.1-8b-instant": (5, 8),
                "openai/gpt-oss-120b": (15, 60),
                "openai/gpt-oss-20b": (8, 30),
            },
        ),
    )
}
# What people call a model whose API has another name for it.
_ALIASES: Final = {"gemini-flash": "gemini-flash-latest"}
_DATE: Final = re.compile(r"-20[0-9]{2}-[0-9]{2}-[0-9]{2}$")
# of `difflib`: one letter wrong in four
_NEAR: Final = 0.75


@dataclass(frozen=True, slots=True)
class Target:
    """Which model a line of configuration names.

    Attributes:
        base_url: `""` where it names no address: then the settings of OpenAI's own say it.
    """

    provider: Provider
    base_url: str
    model: str


def target_of(line: str) -> Target:
    """Read `provider:model`, `provider`, `https://address/v1#model`, or the bare name of a model.

    Raises:
        ValueError: it names no model, an address of an odd shape, or nearly a provider.
    """
    line = line.strip()
    if line.startswith(("http://", "https://")):
        return _addressed(line)
    prefix, colon, rest = line.partition(":")
    if provider := PROVIDERS.get(prefix):
        model = rest.strip() if colon else provider.model
        if not model:
            raise ValueError(f"name a model after it, such as {prefix}:{_example(provider)}")
        base_url = "" if provider is OPENAI else provider.base_url
        return Target(provider, base_url, _ALIASES.get(model, model))
    if colon and (near := difflib.get_close_matches(prefix, PROVIDERS, n=1, cutoff=_NEAR)):
        raise ValueError(f"there is no provider {prefix}, did you mean {near[0]}:{rest}?")
    if not line:
        raise ValueError("name a model, such as openai:gpt-4o")
    return Target(OPENAI, "", line)


def _addressed(line: str) -> Target:
    base_url, _, model = line.partition("#")
    parts = urlsplit(base_url)
    if not parts.hostname or parts.query or parts.username is not None or not model.strip():
        raise ValueError(
            "give address and model as http://host/v1#model, without a key or a query in it"
        )
    return Target(COMPATIBLE, base_url.rstrip("/"), model.strip())


def _example(provider: Provider) -> str:
    return next(iter(provider.prices))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        base_url: Up to and including `/v1`.
        model: The provider's name of the model.
        key: The setting that `api_key` comes from; one model is one, whichever setting names it.
    """

    base_url: str
    model: str
    api_key: str = field(repr=False)
    schema_mode: SchemaMode = SchemaMode.STRICT
    provider: Provider = COMPATIBLE
    key: str = field(default="", compare=False)

    @property
    def dialect(self) -> Dialect:
        """The parameters that model and provider both accept."""
        dialect = dialect_of(self.model)
        return dialect if self.provider.seed else replace(dialect, seed=False)

    @property
    def price(self) -> TokenPrice | None:
        """What its tokens cost by the table; None where that is not known.

        A model on this very machine costs nothing.
        """
        prices, undated = self.provider.prices, _DATE.sub("", self.model)
        if (found := prices.get(self.model, prices.get(undated))) is not None:
            return TokenPrice(*(Paise.from_rupees(rupees) for rupees in found))
        return TokenPrice(Paise(0), Paise(0)) if is_local(self.base_url) else None


def is_local(base_url: str) -> bool:
    """Whether `base_url` is on this very machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
