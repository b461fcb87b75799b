"""Asks `ats why` about every order of a record, and says of which the chain is not whole.

    python -m tests.audit.walk --demo ./demo

Each story must lead from the ticks over bar, indicators, signal, decision and fan-out to the order
and its outcome, with what the gate saw; each question to a model with its words, and each fill with
what it was for. Prints how long the answers took, in seconds and in seconds of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from rich.console import Console
from rich.progress import track

from ats.commands.why import as_json, tree
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from audit.checks import checked
from audit.ending import Purpose, purpose_of
from audit.page import page
from audit.reading import Reader
from audit.sentences import sentences
from audit.story import Story
from bus.reader import read_topics
from bus.stored import Topics
from executors.charges.rates import shipped_rates
from schemas.codec import decode
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    FanOut,
    Indicators,
    LlmCall,
    OrderIntent,
    Origin,
    Signal,
    Trade,
)
from schemas.topics import ORDERS

CHAIN = (Candle, Indicators, Signal, Decision, FanOut, OrderIntent, Execution)


def lacking(story: Story) -> Iterator[str]:
    """What a whole story of an order has, and this one has not."""
    yield from story.missing
    yield from (f"no {kind.__name__}" for kind in CHAIN if not story.of(kind))
    if not story.ticks or any(each.count != each.bar.ticks for each in story.ticks):
        yield "not all ticks of its bar"
    if any(each.origin is Origin.COMMITTEE for each in story.of(Decision)):
        calls = story.of(LlmCall)
        if not calls or not all({"system", "user"} <= call.request.keys() for call in calls):
            yield "a question to a model without its words"
    if not all(checked(each) for each in story.of(Execution)):
        yield "an outcome without what the gate saw"
    unknown = (purpose_of(each.fill, story)[0] is Purpose.UNKNOWN for each in story.of(Trade))
    if any(unknown):
        yield "a fill of which nobody knows what it was for"


async def orders_of(connection: Topics) -> list[str]:
    """The ids of all order intents, each once."""
    async with aclosing(
        read_topics(connection, [ORDERS], since="start", until_end=True)
    ) as records:
        return list(
            dict.fromkeys([str(decode(OrderIntent, each.value).id) async for each in records])
        )


async def walk(demo: Path | None, most: int | None) -> int:
    """Ask about each order; returns the exit code."""
    found, took, worked, rates = Counter[str](), list[float](), list[float](), shipped_rates()
    async with recorded_by(demo, Console(stderr=True)) as source:
        names = (await orders_of(source.connection))[:most]
        for name in track(names, "asking", console=Console(stderr=True)):
            began, busy = time.perf_counter(), time.process_time()
            reader = Reader(source.connection, "start")
            start = (await reader.find(name)).start
            story = await reader.story(start.message) if start else None
            if story is None:
                found["no story"] += 1
                continue
            told = list(sentences(story, rates))
            tree(story, told), as_json(story, told), page(story, told, (), name)
            took.append(time.perf_counter() - began)
            worked.append(time.process_time() - busy)
            for line in set(lacking(story)):
                found[line] += 1
                sys.stdout.write(f"{name}: {line}\n")
    whole = len(names) - found["no story"]
    sys.stdout.write(f"{whole:,} of {len(names):,} orders have a story\n")
    if took:
        sys.stdout.write(
            f"the slowest took {max(took):.2f} s, {max(worked):.2f} s of this process; "
            f"on average {sum(took) / len(took):.2f} s, {sum(worked) / len(worked):.2f} s\n"
        )
    for line, count in found.most_common():
        sys.stdout.write(f"{count:>6,}  {line}\n")
    return exit_codes.BROKEN if found or not names else exit_codes.DONE


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit.walk",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", type=Path, help="a folder of `ats demo --keep`; else as ats why")
    parser.add_argument("--most", type=int, help="ask about so many orders only")
    given = parser.parse_args(words)
    return asyncio.run(walk(given.demo, given.most))


if __name__ == "__main__":
    sys.exit(main())
