"""Which models the demo's agents ask: the scripted one, a real one here, or a provider's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from agents.providers import target_of
from ats.demo import local_model
from ats.settings import Settings
from schemas.errors import Misconfigured
from simulator.llm.endpoint import MODEL

SCRIPTED: Final = "scripted"
LOCAL: Final = "local"
# minutes before the close, from 10:30 IST on: some four signals of a share came before
LOCAL_SKIPS: Final = 300
SCRIPTED_WORDS: Final = (
    "Scripted: the model. It is called `simulated`, follows plain rules over what it is shown, "
    "understands nothing and costs nothing."
)

# the settings that this module says, and no other part of the demo
KEYS: Final = frozenset(
    name.upper()
    for name, each in Settings.model_fields.items()
    if each.annotation is SecretStr and name.endswith("_api_key")
)


@dataclass(frozen=True, slots=True)
class DemoModel:
    """What the agents ask.

    Attributes:
        env: Settings of the services.
        words: Who the model is, for a person.
        real: Tokens are a model's own, so nobody promises what comes of them.
        patience: Seconds of this machine that the market waits for decisions, at most.
    """

    env: Mapping[str, str] = field(repr=False)
    words: str
    real: bool = True
    patience: float = 15.0

    @property
    def secrets(self) -> frozenset[str]:
        """Keys that must stand nowhere."""
        return frozenset(self.env[name] for name in KEYS & self.env.keys())


def scripted(simulator_url: str) -> DemoModel:
    """The simulator's."""
    env = {
        "OPENAI_API_KEY": "demo-key-of-the-simulator",
        "OPENAI_BASE_URL": f"{simulator_url}/v1",
        "ATS_MODEL": MODEL,
        "ATS_SMALL_MODEL": MODEL,
        "ATS_MODEL_PRICE_RUPEES": "0,0",  # nobody is paid
        "ATS_SMALL_MODEL_PRICE_RUPEES": "0,0",
    }
    return DemoModel(env, SCRIPTED_WORDS, real=False)


def local(port: int) -> DemoModel:
    """SmolLM2 on this machine."""
    line = f"http://127.0.0.1:{port}/v1#{local_model.NAME}"
    env = {
        "ATS_MODEL": line,
        "ATS_SMALL_MODEL": line,
        "ATS_SHORTLIST": "1",
        "ATS_NO_ENTRY_BEFORE_CLOSE_MINUTES": str(LOCAL_SKIPS),
        "ATS_DECISION_SECONDS": "85",
    }
    words = (
        f"Real too: the model. {local_model.NAME} runs on this machine and costs nothing. It is "
        "far too small to be wise: most of what it proposes, code refuses. Cut, so that a person "
        "can wait for it: a short list of 1 share, whose signals it is asked about until 10:30 IST "
        f"(later ones are HOLD by rule), {local_model.CONTEXT:,} tokens a question (a longer one "
        "is a HOLD), and the market waits for its decisions."
    )
    return DemoModel(env, words, patience=240.0)


def of_provider(line: str, settings: Settings) -> DemoModel:
    """A provider's, with the key that the settings hold.

    Raises:
        Misconfigured: the line names no provider, or its key is not set.
    """
    try:
        target = target_of(line)
    except ValueError as error:
        raise Misconfigured(f"--provider {line} is not usable: {error}") from None
    key = target.provider.key or "ATS_MODEL_API_KEY"
    settings.need(key)
    secret: SecretStr = getattr(settings, key.lower())
    env = {
        "ATS_MODEL": line,
        "ATS_SMALL_MODEL": line,
        "OPENAI_BASE_URL": settings.openai_base_url,
        "ATS_MODEL_BUDGET_RUPEES": str(settings.ats_model_budget_rupees),
        key: secret.get_secret_value(),
    }
    if not target.provider.key:
        env["ATS_SMALL_MODEL_API_KEY"] = secret.get_secret_value()
    if price := settings.ats_model_price_rupees:
        rupees = ",".join(map(str, price))
        env |= {"ATS_MODEL_PRICE_RUPEES": rupees, "ATS_SMALL_MODEL_PRICE_RUPEES": rupees}
    words = (
        f"Real too: the model, {target.model} of {target.provider.name}, paid with {key}, "
        f"{settings.ats_model_budget_rupees:,} rupees at most (ATS_MODEL_BUDGET_RUPEES)."
    )
    return DemoModel(env, words, patience=60.0)
