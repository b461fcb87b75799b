"""The simulated model's rules as a chat model in this process: one question, one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from agents.deadline import Deadline
from agents.prompts import PROMPTS, Agent
from agents.replies import Completion
from schemas.messages import CallOutcome
from simulator.llm.answers import answer
from simulator.llm.endpoint import MODEL

_SCHEMAS: Final = {agent: PROMPTS[agent].answer.model_json_schema() for agent in Agent}


class RuleModel:
    """Answers by plain rules over the data in the prompt, and claims no understanding."""

    name = MODEL

    async def complete(
        self,
        agent: Agent,
        prompt: str,
        deadline: Deadline,  # noqa: ARG002 - of the protocol; it answers at once
        run_id: str,  # noqa: ARG002 - of the protocol
        on_sent: Callable[[], None],  # noqa: ARG002 - of the protocol
    ) -> Completion:
        """The answer, which costs nothing."""
        text = orjson.dumps(answer(orjson.loads(prompt), _SCHEMAS[agent])).decode()
        return Completion(CallOutcome.OK, text, model=self.name)
