"""Fifty questions at once as a process of its own: `PROVIDER_URL TOPIC_FILE SPEND_FILE FIRST`."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

from agents import llm_calls
from agents.answers import TechnicalAnswer
from agents.app import LlmGateway
from agents.deadline import Deadline
from agents.journal import ModelTier
from agents.model import Model
from agents.open_spend import OpenSpend
from agents.providers import Endpoint
from agents.wire import open_model_client
from schemas.codec import decode, encode
from schemas.market import trading_day
from schemas.messages import LlmCall
from tests.agents.test_ladder import PRICE, a_question

AT_ONCE = 50
CAP = 400  # rupees; a call may cost 5 at most
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def recorded(topic: Path) -> list[LlmCall]:
    lines = topic.read_bytes().splitlines(keepends=True) if topic.exists() else []
    return [decode(LlmCall, line) for line in lines if line.endswith(b"\n")]


async def run(url: str, topic: Path, spend: Path, first: int) -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    async with open_model_client() as http:
        tiers = [ModelTier(Model(Endpoint(url, "fake-1", "k"), http), PRICE)]
        llm = LlmGateway.with_cap(tiers, CAP, open_spend=OpenSpend(spend))
        for call in recorded(topic):
            if llm.cache.remember(call):
                llm.ledger.spend(trading_day(call.event_time), call.cost)
        file = os.open(topic, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        async def publish(call: LlmCall) -> None:
            os.write(file, encode(call) + b"\n")

        await asyncio.gather(
            *(
                llm_calls.call(
                    llm.journal(publish),
                    a_question(number),
                    TechnicalAnswer,
                    "RELIANCE",
                    Deadline.after(30),
                )
                for number in range(first, first + AT_ONCE)
            )
        )


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
