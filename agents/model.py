"""The only importer of Agno.

One question to one OpenAI-compatible endpoint, and what truly came back. Agno is lenient by design:
prose, refusals and cut answers come back as completed runs, and a tool call is followed by another
request. So nothing it concludes is used. Below it lies our own wire (`agents.wire`), which lets one
request through and judges what comes. No fault of a provider becomes an exception.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import httpx
from pydantic import JsonValue

from agents.deadline import Deadline
from agents.prompts import SHIPPED, Agent, PromptSet, PromptSpec
from agents.providers import Endpoint, SchemaMode
from agents.replies import Completion
from agents.wire import EXCHANGE, Exchange, Wire
from schemas.messages import CallOutcome


def _nowhere(_: logging.LogRecord) -> bool:
    return False


# Before the import: Agno gives its loggers handlers of its own only if they have none. Its records
# hold messages of the provider, and those may echo a key: a filter drops them, because Agno sets
# its level anew with every run.
os.environ["AGNO_TELEMETRY"] = "false"
for _name in ("agno", "agno-team", "agno-workflow"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).addFilter(_nowhere)

from agno.agent import Agent as AgnoAgent  # noqa: E402
from agno.exceptions import ModelProviderError  # noqa: E402
from agno.models.base import Model as AgnoModel  # noqa: E402
from agno.models.message import Message  # noqa: E402
from agno.models.response import ModelResponse  # noqa: E402
from agno.utils.models.schema_utils import get_response_schema_for_provider  # noqa: E402

UNSENT: Final = "the deadline passed before anything was sent"
TEMPERATURE: Final = 0.0
SEED: Final = 7  # any fixed number: a provider that honours it answers the same question alike


class Model:
    """One model behind one shared HTTP client; safe for many calls at once.

    Lives in the event loop of its client.
    """

    def __init__(
        self, endpoint: Endpoint, http: httpx.AsyncClient, prompts: PromptSet = SHIPPED
    ) -> None:
        self.name = endpoint.model
        self._wire = Wire.to(http, endpoint.base_url, endpoint.api_key)
        self._asked = {agent: _Asked.of(agent, prompts.specs[agent], endpoint) for agent in Agent}

    async def complete(
        self,
        agent: Agent,
        prompt: str,
        deadline: Deadline,
        run_id: str,
        on_sent: Callable[[], None],
    ) -> Completion:
        """Ask once, without any retry; `on_sent` is called when the request begins to leave.

        Returns whatever happens; only cancellation from outside passes through.
        """
        asked = self._asked[agent]
        messages = [("system", asked.instructions), ("user", prompt)]
        exchange = Exchange(self._wire, [*messages], asked.body, self.name, on_sent)
        token = EXCHANGE.set(exchange)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await asked.agno.arun(prompt, session_id=run_id, run_id=run_id)
        except TimeoutError:
            silent = Completion(
                CallOutcome.TIMEOUT,
                detail="the deadline passed" if exchange.sent else UNSENT,
                model=self.name,
                sent=exchange.sent,
            )
        except Exception as error:  # noqa: BLE001 - whatever Agno raises, a decision must still be made
            silent = self._unclean(f"agno raised {type(error).__name__}", exchange)
        else:
            silent = self._unclean("agno asked nothing", exchange)
        finally:
            EXCHANGE.reset(token)
        return exchange.completion or silent

    def _unclean(self, detail: str, exchange: Exchange) -> Completion:
        return Completion(CallOutcome.UNCLEAN, detail=detail, model=self.name, sent=exchange.sent)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One agent of one endpoint: all of a request that is the same for every question.

    Attributes:
        body: The request without its messages.
    """

    instructions: str
    body: dict[str, JsonValue]
    agno: AgnoAgent

    @classmethod
    def of(cls, agent: Agent, spec: PromptSpec, endpoint: Endpoint) -> _Asked:
        mode = endpoint.schema_mode
        described = (
            ""
            if mode is SchemaMode.STRICT
            else f"\nThe schema: {json.dumps(spec.answer.model_json_schema(), sort_keys=True)}"
        )
        instructions = spec.instructions + described
        agno = AgnoAgent(
            id=agent.value,
            name=agent.value,
            model=_OnTheWire(id=endpoint.model),
            system_message=instructions,
            parse_response=False,
            resolve_in_context=False,
            telemetry=False,
            retries=0,
        )
        return cls(instructions, _body(spec, endpoint), agno)


def _body(spec: PromptSpec, endpoint: Endpoint) -> dict[str, JsonValue]:
    dialect = endpoint.dialect
    body: dict[str, JsonValue] = {
        "model": endpoint.model,
        dialect.limit: spec.max_tokens + dialect.thoughts,
        **endpoint.provider.extra,
    }
    if dialect.temperature:
        body["temperature"] = TEMPERATURE
    if dialect.seed:
        body["seed"] = SEED
    if endpoint.schema_mode is SchemaMode.STRICT:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": spec.answer.__name__,
                "schema": get_response_schema_for_provider(spec.answer, "openai"),
                "strict": True,
            },
        }
    elif endpoint.schema_mode is SchemaMode.JSON_OBJECT:
        body["response_format"] = {"type": "json_object"}
    return body


@dataclass
class _OnTheWire(AgnoModel):
    """Hands a run's messages to the exchange of its question; only a whole answer comes back.

    Text alone goes up to Agno: it never sees a tool call, so it has nothing to loop on.
    """

    async def ainvoke(self, messages: list[Message], **_: Any) -> ModelResponse:
        """Raises ModelProviderError unless a whole answer came; the exchange says why."""
        completion = await EXCHANGE.get().ask([(each.role, each.content) for each in messages])
        if completion.outcome is not CallOutcome.OK:
            raise ModelProviderError(message=completion.outcome.value, status_code=422)
        return ModelResponse(role="assistant", content=completion.text)

    def invoke(self, *_: Any, **__: Any) -> NoReturn:
        """Raises NotImplementedError: nobody asks without an event loop, or in a stream."""
        raise NotImplementedError

    invoke_stream = ainvoke_stream = invoke
    _parse_provider_response = _parse_provider_response_delta = invoke
