"""Asking a model about recorded days: after it was said what that costs, and agreed to."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from agents.model import Model
from agents.prompts import PromptSet
from agents.providers import Endpoint
from agents.spend import TokenPrice
from agents.wire import open_model_client
from ats.demo.steps import Step
from ats.replay.whatif_show import say
from audit.whatif.asking import Asker, Bill
from audit.whatif.kept import KeptAnswers
from audit.whatif.sentences import NO_PRICE, bill_sentence

ANSWERS: Final = Path("what-if") / "answers.jsonl"  # below the state folder
YES: Final = frozenset({"y", "yes"})


async def agreed(
    bills: Sequence[tuple[str, Bill]], tell: Console, *, yes: bool, has_key: bool
) -> bool:
    """Whether models may be asked: --yes, or a yes on the terminal; never at an unknown price.

    Args:
        bills: Each with what it is called on its line; empty where there is but one.
        tell: Gets a line for each bill, and with the last one what is asked or why nobody is.
        yes: --yes was given.
        has_key: Whether the model can be asked at all.
    """
    said = [f"{name}: {bill_sentence(bill)}".removeprefix(": ") for name, bill in bills]
    for line in said[:-1]:
        say(tell, line)
    if any(bill.now and bill.most is None for _, bill in bills):
        say(tell, f"{said[-1]}. {NO_PRICE}.")
        return False
    if yes:
        say(tell, f"{said[-1]} (--yes)")
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(tell, f"{said[-1]}. Nobody is asked: this is no terminal. With --yes they are.")
        return False
    if not has_key:
        say(tell, f"{said[-1]}. The model's key is not set, so it cannot be asked.")
        return False
    say(tell, f"{said[-1]}. Ask? [y/N]")
    return (await typed_line()).strip().lower() in YES


async def typed_line() -> str:
    """A line from the terminal. Not read in a thread: Ctrl-C would wait until the line has come."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


@asynccontextmanager
async def asking(
    endpoint: Endpoint,
    prompts: PromptSet,
    bill: Bill,
    *,
    price: TokenPrice | None,
    kept: KeptAnswers,
    tell: Console,
) -> AsyncIterator[Asker]:
    """One who asks within `bill`; `tell` hears how far it is."""
    assert price is not None, "nobody is asked at a price that is not known"
    async with open_model_client() as http:
        model, thoughts = Model(endpoint, http, prompts), endpoint.dialect.thoughts
        asker = Asker(model, bill, kept, price, thoughts, time.monotonic)
        with Step(tell, f"asking {bill.model}") as step:
            asker.tell = lambda done: step.now(f"asking {bill.model}", done, bill.questions)
            yield asker
