"""Times decisions, from signal to decision, beside the bare SDK making as many calls.

python -m benchmarks.agents

A model in a process of its own answers at once, after 300 ms and after 2,000 ms. Each round asks
for 50 decisions at once, three calls each; CPU is that of the asking process alone. The bare SDK
makes the same three requests in the same order and reads the text, no more. Read the ratios;
absolute figures are of the machine and of what else runs on it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import httpx
from aiohttp import web
from openai import AsyncOpenAI

from agents.app import LlmGateway
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.journal import ModelTier
from agents.model import Model
from agents.news import SampleNews
from agents.prompts import PROMPTS, Agent
from agents.providers import Endpoint
from agents.wire import open_model_client
from schemas.ids import InstrumentId, Segment
from schemas.messages import LlmCall
from simulator.llm.endpoint import ChatApi
from tests.agents.factories import a_scan, a_signal, an_entry

AT_ONCE: Final = 50
DELAYS_MS: Final = (0, 300, 2_000)
DEADLINE: Final = 60.0  # seconds; far from what is measured
Ask = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Measured:
    """One contender at one delay; seconds."""

    cpu: float
    wall: float
    each: Sequence[float]

    def at(self, percent: int) -> float:
        """The time within which `percent` of the decisions were made."""
        ordered = sorted(self.each)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


async def measured(ask: Ask, rounds: int) -> Measured:
    """Ask for `AT_ONCE` decisions at once, `rounds` times, after one round that warms up."""
    await asyncio.gather(*(ask(-1 - n) for n in range(AT_ONCE)))
    each: list[float] = []

    async def timed(number: int) -> None:
        began = time.perf_counter()
        await ask(number)
        each.append(time.perf_counter() - began)

    cpu, wall = time.process_time(), time.perf_counter()
    for turn in range(rounds):
        await asyncio.gather(*(timed(turn * AT_ONCE + n) for n in range(AT_ONCE)))
    return Measured(time.process_time() - cpu, time.perf_counter() - wall, each)


def ours(url: str, http: httpx.AsyncClient) -> Ask:
    """The committee over our gateway; the journal goes nowhere."""
    instruments = [InstrumentId(Segment.NSE_EQ, number) for number in range(1, AT_ONCE + 1)]
    scan = a_scan(*(an_entry(each, f"SYM{each.security_id}") for each in instruments))
    llm = LlmGateway.with_cap([ModelTier(Model(Endpoint(url, "gpt-4o", "any"), http))], 1)
    news = SampleNews()

    async def publish(_: LlmCall) -> None: ...

    async def ask(number: int) -> None:
        signal = a_signal(instruments[number % AT_ONCE], f"rule{number}")
        await run_committee(
            signal,
            scan,
            news=news,
            journal=llm.journal(publish),
            deadline=Deadline.after(DEADLINE),
        )

    return ask


def bare(client: AsyncOpenAI) -> Ask:
    """Three requests of the same size and order through OpenAI's SDK."""

    async def call(agent: Agent, number: int) -> None:
        spec = PROMPTS[agent]
        schema: Any = {
            "type": "json_schema",
            "json_schema": {
                "name": agent.value,
                "strict": True,
                "schema": spec.answer.model_json_schema(),
            },
        }
        await client.chat.completions.create(
            model="gpt-4o",
            messages=[
                {"role": "system", "content": spec.instructions},
                {"role": "user", "content": f'{{"task": "{agent.value}", "symbol": "S{number}"}}'},
            ],
            response_format=schema,
            max_tokens=spec.max_tokens,
        )

    async def ask(number: int) -> None:
        await asyncio.gather(call(Agent.TECHNICAL, number), call(Agent.SENTIMENT, number))
        await call(Agent.COMMANDER, number)

    return ask


def serve(delay: float, told: Connection) -> None:
    """Serve the simulated model until killed; tells its port."""

    async def run() -> None:
        app = web.Application()
        app.add_routes(ChatApi(latency=delay).routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


async def compared(delay_ms: int, rounds: int) -> tuple[Measured, Measured]:
    """Ours and the bare SDK before a model of this delay."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(delay_ms / 1_000, there), daemon=True
    )
    server.start()
    try:
        url = f"http://127.0.0.1:{await asyncio.to_thread(here.recv)}/v1"
        async with open_model_client() as http:
            first = await measured(ours(url, http), rounds)
        async with AsyncOpenAI(
            base_url=url, api_key="any", timeout=DEADLINE, max_retries=0
        ) as client:
            return first, await measured(bare(client), rounds)
    finally:
        server.kill()


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agents", description="Times decisions and their CPU."
    )
    parser.add_argument("--rounds", type=int, default=4, help="bursts of 50 decisions")
    rounds = parser.parse_args().rounds
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'model':>8}  {'who':8} {'CPU':>9} {'per s':>7} {'p50':>9} {'p99':>9}")
    for delay in DELAYS_MS:
        us, sdk = asyncio.run(compared(delay, rounds))
        for who, it in (("ours", us), ("bare SDK", sdk)):
            count = len(it.each)
            print(
                f"{delay:>5} ms  {who:8} {1_000 * it.cpu / count:>6.1f} ms {count / it.wall:>7.0f} "
                f"{1_000 * it.at(50):>6.0f} ms {1_000 * it.at(99):>6.0f} ms"
            )
        print(f"{'':8}  ratio of CPU {us.cpu / sdk.cpu:.2f}, of p99 {us.at(99) / sdk.at(99):.2f}")


if __name__ == "__main__":
    main()
