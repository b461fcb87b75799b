"""The only importer of Agno: one question to one OpenAI-compatible endpoint, and what truly came back.

Agno is lenient by design: prose, refusals and cut answers come back as completed runs. So nothing it concludes is used. A
witness stands between Agno and the wire, notes what was sent and what came, and `complete` judges those notes alone. No
fault of a provider becomes an exception.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import httpx

from agents.deadline import Deadline
from agents.prompts import BRIEFS, Agent
from schemas.messages import CallOutcome


def _nowhere(_: logging.LogRecord) -> bool:
    return False


# Before the import: Agno gives its loggers handlers of its own only if they have none. Its records hold messages of the
# provider, and those may echo a key: a filter drops them, because Agno sets its level anew with every run.
os.environ["AGNO_TELEMETRY"] = "false"
for _name in ("agno", "agno-team", "agno-workflow"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).addFilter(_nowhere)

from agno.agent import Agent as AgnoAgent  # noqa: E402
from agno.exceptions import ModelProviderError  # noqa: E402
from agno.models.openai.like import OpenAILike  # noqa: E402

if TYPE_CHECKING:
    from agno.models.response import ModelResponse

TEMPERATURE: Final = 0.0
SEED: Final = 7  # any fixed number: a provider that honours it answers the same question alike
_WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # the provider is busy or away
_NOTE: Final = 300  # characters of a provider's complaint worth keeping


class SchemaMode(StrEnum):
    """How the answer's shape is asked for: enforced by the provider, or described in the instructions."""

    STRICT = "strict"
    JSON_OBJECT = "json_object"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        base_url: Up to and including `/v1`.
        model: The provider's name of the model.
    """

    base_url: str
    model: str
    api_key: str = field(repr=False)
    schema_mode: SchemaMode = SchemaMode.STRICT


@dataclass(frozen=True, slots=True)
class Completion:
    """What one call came to. `text` is the assistant's whole text, unjudged; only OK promises that there is one."""

    outcome: CallOutcome
    text: str | None = None
    detail: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Model:
    """One model behind one shared HTTP client; safe for many calls at once. Lives in the event loop of its client."""

    def __init__(self, endpoint: Endpoint, http: httpx.AsyncClient) -> None:
        self.name = endpoint.model
        self._agents = {agent: _agno_agent(agent, endpoint, http) for agent in Agent}

    async def complete(self, agent: Agent, user: str, deadline: Deadline, run_id: str) -> Completion:
        """Ask once, without any retry. Returns whatever happens; only cancellation from outside passes through."""
        witness = _Witness()
        token = _WITNESS.set(witness)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._agents[agent].arun(user, session_id=run_id, run_id=run_id)
        except TimeoutError:
            return Completion(CallOutcome.TIMEOUT, detail="the deadline passed", model=self.name)
        except Exception as error:  # noqa: BLE001 - whatever Agno raises, a decision must still be made
            return Completion(CallOutcome.UNCLEAN, detail=f"agno raised {type(error).__name__}", model=self.name)
        finally:
            _WITNESS.reset(token)
        return _judge(witness, [("system", self._agents[agent].system_message), ("user", user)], self.name)


def _agno_agent(agent: Agent, endpoint: Endpoint, http: httpx.AsyncClient) -> AgnoAgent:
    brief = BRIEFS[agent]
    described = endpoint.schema_mode is SchemaMode.JSON_OBJECT
    schema = f"\nThe schema: {json.dumps(brief.answer.model_json_schema(), sort_keys=True)}" if described else ""
    model = _WitnessedModel(
        id=endpoint.model,
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        http_client=http,
        max_tokens=brief.max_tokens,
        temperature=TEMPERATURE,
        seed=SEED,
        max_retries=0,
        retries=0,
    )
    return AgnoAgent(
        id=agent.value,
        name=agent.value,
        model=model,
        system_message=brief.instructions + schema,
        output_schema=brief.answer,
        use_json_mode=described,
        parse_response=False,
        resolve_in_context=False,
        telemetry=False,
        retries=0,
    )


@dataclass(slots=True)
class _Witness:
    sent: list[list[tuple[str, Any]]] = field(default_factory=list)
    came: list[Any] = field(default_factory=list)
    fault: ModelProviderError | None = None


_WITNESS: Final[ContextVar[_Witness]] = ContextVar("witness")


class _WitnessedModel(OpenAILike):
    """Notes each request and each answer for the run at hand."""

    async def ainvoke(self, messages: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        witness = _WITNESS.get()
        witness.sent.append([(message.role, message.content) for message in messages])
        try:
            return await super().ainvoke(messages, *args, **kwargs)
        except ModelProviderError as error:
            witness.fault = error
            raise

    def _parse_provider_response(self, response: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        _WITNESS.get().came.append(response)
        return super()._parse_provider_response(response, *args, **kwargs)


def _judge(witness: _Witness, asked: list[tuple[str, Any]], model: str) -> Completion:
    """The gates, from the outside in: did it leave as written, did one answer come, is it whole?"""
    if witness.sent != [asked]:
        return Completion(CallOutcome.UNCLEAN, detail="the prompt did not leave verbatim, once", model=model)
    if len(witness.came) != 1:
        return _fault(witness.fault, model)
    return _judge_response(witness.came[0], model)


def _fault(error: ModelProviderError | None, model: str) -> Completion:
    if error is None:
        return Completion(CallOutcome.UNCLEAN, detail="no answer and no error", model=model)
    # A fault without an answer of the provider (its cause holds no status) is the line's: refused, dropped, reset.
    status = getattr(error.__cause__, "status_code", None)
    if status is None:
        cause = type(error.__cause__).__name__
        outcome = CallOutcome.TRANSPORT if cause in _LINE_FAULTS else CallOutcome.UNCLEAN
        outcome = CallOutcome.TIMEOUT if cause == "APITimeoutError" else outcome
        return Completion(outcome, detail=cause, model=model)
    outcome = CallOutcome.TRANSPORT if status in _WORTH_ANOTHER_TRY else CallOutcome.REJECTED
    return Completion(outcome, detail=f"HTTP {status}", model=model)


_LINE_FAULTS: Final = frozenset({"APIConnectionError"})


def _judge_response(response: Any, fallback_name: str) -> Completion:
    choices = getattr(response, "choices", None)
    if not isinstance(choices, list) or len(choices) != 1:
        return Completion(CallOutcome.UNCLEAN, detail="not exactly one choice", model=fallback_name)
    message = getattr(choices[0], "message", None)
    text, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
    usage = getattr(response, "usage", None)
    outcome, detail = _verdict(choices[0], text, refusal)
    return Completion(
        outcome,
        text if isinstance(text, str) else None,
        detail[:_NOTE],
        str(getattr(response, "model", None) or fallback_name)[:100],
        _count(getattr(usage, "prompt_tokens", 0)),
        _count(getattr(usage, "completion_tokens", 0)),
    )


def _verdict(choice: Any, text: object, refusal: object) -> tuple[CallOutcome, str]:
    finish = getattr(choice, "finish_reason", None)
    if refusal:
        return CallOutcome.REFUSED, str(refusal)
    if finish == "content_filter":
        return CallOutcome.REFUSED, "finish_reason content_filter"
    if finish != "stop":
        return CallOutcome.UNCLEAN, f"finish_reason {finish}"
    if not isinstance(text, str) or not text:
        return CallOutcome.UNCLEAN, "no text"
    return CallOutcome.OK, ""


def _count(tokens: object) -> int:
    return tokens if isinstance(tokens, int) and tokens > 0 else 0
