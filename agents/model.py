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
from typing import Final

import httpx

from agents.deadline import Deadline
from agents.prompts import SHIPPED, Agent, PromptSet, PromptSpec
from agents.providers import Dialect, Endpoint, SchemaMode
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
from agno.models.openai.like import OpenAILike  # noqa: E402

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
        wire = httpx.AsyncClient(transport=Wire(http), timeout=http.timeout)
        self._agents = {
            agent: _agno_agent(agent, prompts.specs[agent], endpoint, wire) for agent in Agent
        }

    async def complete(
        self, agent: Agent, prompt: str, deadline: Deadline, run_id: str
    ) -> Completion:
        """Ask once, without any retry.

        Returns whatever happens; only cancellation from outside passes through.
        """
        asking = self._agents[agent]
        exchange = Exchange([("system", str(asking.system_message)), ("user", prompt)], self.name)
        token = EXCHANGE.set(exchange)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await asking.arun(prompt, session_id=run_id, run_id=run_id)
        except TimeoutError:
            silent = Completion(
                CallOutcome.TIMEOUT,
                detail="the deadline passed",
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


def _agno_agent(
    agent: Agent, spec: PromptSpec, endpoint: Endpoint, http: httpx.AsyncClient
) -> AgnoAgent:
    described = endpoint.schema_mode is not SchemaMode.STRICT
    schema = (
        f"\nThe schema: {json.dumps(spec.answer.model_json_schema(), sort_keys=True)}"
        if described
        else ""
    )
    return AgnoAgent(
        id=agent.value,
        name=agent.value,
        model=_agno_model(endpoint, spec.max_tokens, endpoint.dialect, http),
        system_message=spec.instructions + schema,
        output_schema=None if endpoint.schema_mode is SchemaMode.PLAIN else spec.answer,
        use_json_mode=endpoint.schema_mode is SchemaMode.JSON_OBJECT,
        parse_response=False,
        resolve_in_context=False,
        telemetry=False,
        retries=0,
    )


def _agno_model(
    endpoint: Endpoint, max_tokens: int, dialect: Dialect, http: httpx.AsyncClient
) -> OpenAILike:
    return OpenAILike(
        id=endpoint.model,
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        http_client=http,
        request_params={dialect.limit: max_tokens + dialect.thoughts},
        temperature=TEMPERATURE if dialect.temperature else None,
        seed=SEED if dialect.seed else None,
        max_retries=0,
        retries=0,
    )
