"""Plays seeded stories against real order workers and compares with Dhan's own books.

    python -m tests.crash.orders --runs 200 --seed 1

Two order workers and `ats books` serve a few users while things go wrong; what a story may contain
and what is checked from the simulator's own books stands in README.md beside this file. A violation
prints its story and the shortest part of it that was seen to fail too; `--seed`, `--only` and
`--events` play either again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import structlog

from bus.exit import Exit
from tests.crash.orders.bare import Bare
from tests.crash.orders.run import Run
from tests.crash.orders.shrink import shortest
from tests.crash.orders.stage import Stage, staged
from tests.crash.orders.story import Story, story_of

UNCAUGHT = 1  # Python's exit code of an exception; `ats` would say 75
A_DAY = 100  # runs that one market day is long enough for


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.orders",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=20, help="stories (default 20: three minutes)")
    parser.add_argument("--seed", type=int, default=1, help="of all stories")
    parser.add_argument("--only", type=int, help="play only the nth story of the seed")
    parser.add_argument(
        "--unprotected",
        type=float,
        default=2.0,
        help="seconds that a position may be without a stop (default 2; more on a busy machine)",
    )
    parser.add_argument(
        "--events", type=_numbers, help="with --only: play these events alone, such as 0,3,4"
    )
    parser.add_argument(
        "--shrink",
        type=float,
        default=120.0,
        help="seconds to look for a shorter story that fails (default 120; 0: not at all)",
    )
    parser.add_argument("--keep", type=Path, help="keep logs and topics in this folder")
    return parser.parse_args()


async def play(given: argparse.Namespace) -> int:
    """Play all stories on one stage."""
    home = given.keep or Path(tempfile.mkdtemp(prefix="ats-crash-orders-"))
    home.mkdir(exist_ok=True)
    numbers = [given.only] if given.only is not None else list(range(1, given.runs + 1))
    bad, happened, began = 0, Counter[str](), time.monotonic()
    worst = Bare()
    for first in range(0, len(numbers), A_DAY):
        day = home / f"from-{numbers[first]}"
        day.mkdir()
        async with staged(day) as stage:
            for count, number in enumerate(numbers[first : first + A_DAY], first + 1):
                story = story_of(given.seed, number)
                if given.events is not None:
                    story = story.only(given.events)
                happened.update(str(event.kind) for event in story.events)
                complaints, bare, late = await played(stage, story, given.unprotected)
                worst = worst.worse(bare)
                bad += bool(complaints)
                mark = "WRONG" if complaints else "held"
                head = f"[{count}/{len(numbers)}] run {number}: {mark}"
                say(f"{head}, without a stop {bare}; Dhan late by {late:.1f} s at most")
                if complaints:
                    tell(story, complaints)
                    await shorten(stage, story, given)
        report(stage, happened, worst, time.monotonic() - began)
        for complaint in bad_ends(stage):
            bad += 1
            sys.stdout.write(f"{complaint}\n")
    sys.stdout.write(
        f"seed {given.seed}: {len(numbers) - bad} of {len(numbers)} runs held every promise\n"
    )
    if bad:
        sys.stdout.write(f"logs are kept in {home}\n")
    return 1 if bad else 0


async def played(stage: Stage, story: Story, limit: float) -> tuple[list[str], Bare, float]:
    """What was wrong when `story` was played, and by how much the machine made Dhan late."""
    run = Run(stage, story)
    complaints = await run.play()
    if run.bare.guarded > limit:
        complaints.append(f"a position had no stop for {run.bare.guarded:.1f} s: {run.bare}")
    return complaints, run.bare, run.late


async def shorten(stage: Stage, story: Story, given: argparse.Namespace) -> None:
    """Print the shortest part of `story` that fails too, if all of it fails again."""
    until = time.monotonic() + given.shrink
    if not given.shrink:
        return

    async def fails(shorter: Story) -> bool:
        complaints, _, _ = await played(stage, shorter, given.unprotected)
        return bool(complaints)

    if not await fails(story):
        sys.stdout.write("played again, it holds: look for what else went on\n")
        return
    tell(await shortest(story, fails, lambda: time.monotonic() < until), ["this fails again"])


def tell(story: Story, complaints: list[str]) -> None:
    """Print a story and what is wrong with it."""
    lines = [str(story), *(f"  ! {complaint}" for complaint in complaints), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def bad_ends(stage: Stage) -> list[str]:
    """Ends of our processes that nothing we did explains."""
    fine = {0, -int(signal.SIGKILL), int(Exit.STALLED)}
    if stage.database_kills or stage.broker_kills:
        fine.add(UNCAUGHT)  # it started while one was away
    if stage.broker_kills:
        fine.add(int(Exit.CRASHED))
    return [
        f"process {worker.name} ended {count} times with exit code {code}: {worker.last_words()}"
        for worker in stage.workers
        for code, count in worker.ends.items()
        if code not in fine
    ]


def report(stage: Stage, happened: Counter[str], worst: Bare, seconds: float) -> None:
    """What there was of everything."""
    ends = sum((worker.ends for worker in stage.workers), Counter[int]())
    outcomes = Counter(str(each.outcome) for each in stage.heard.final().values())
    sys.stdout.write(
        f"{len(stage.heard.intents)} intents, outcomes {dict(sorted(outcomes.items()))}; "
        f"exit codes of our processes {dict(sorted(ends.items()))}; "
        f"{stage.database_kills} deaths of the database, {stage.broker_kills} of the broker; "
        f"{dict(sorted(happened.items()))}; faults that struck "
        f"{dict(sorted(Counter(str(e.kind) for e in stage.simulator.faults.journal).items()))}; "
        f"without a stop at most {worst}; {seconds:.0f} s\n"
    )


def say(line: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main() -> int:
    """Exit code 1 when a promise did not hold."""
    for killed in ("aiokafka", "asyncpg"):  # clients of what the stories kill
        logging.getLogger(killed).setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with suppress(KeyboardInterrupt):
        return asyncio.run(play(arguments()))
    return 130


if __name__ == "__main__":
    sys.exit(main())
